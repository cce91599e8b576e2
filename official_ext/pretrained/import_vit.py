"""Imports a published Vision Transformer.

  python -m official_ext.pretrained.import_vit \
    --source=google/vit-base-patch16-224 --output=pretrained/vit

The source is a file, a folder, a TensorFlow checkpoint of Model Garden's `vit`
or the name of a model on the Hugging Face hub. The output is a folder with a
checkpoint that `task.init_checkpoint` takes for any layout of the same widths
and depth, and an experiment, fine_tune.yaml, that begins from it and prepares
images as the model wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
import shlex

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_SOURCE = flags.DEFINE_string(
    'source', None,
    'A file of weights (.safetensors, .safetensors.index.json, .npz), a folder '
    "with one, a checkpoint of Model Garden's vit, or the name of a model on "
    'the Hugging Face hub.', required=True)
_REVISION = flags.DEFINE_string(
    'revision', None,
    'Branch, tag or commit on the hub; by default the newest.')
_OUTPUT = flags.DEFINE_string(
    'output', None, 'The folder to make.', required=True)
_IMAGE_SIZE = flag_types.define_positive_integers(
    'image_size', [],
    'Side of the images in px, or height,width; by default as the model was '
    'trained. The position embedding is resampled.', allow_none=True)
_NUM_CLASSES = flags.DEFINE_integer(
    'num_classes', None,
    'Classes of a new head; by default the head of the model is taken.',
    lower_bound=1)
_LAYOUT = flags.DEFINE_string(
    'layout', None,
    'Layout of the checkpoint, such as B4-4-4; by default one block. Whichever '
    'it is, any other of as many layers can begin from it.')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  if len(_IMAGE_SIZE.value) > 2:
    raise app.UsageError('--image_size takes one side, or height,width')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.pretrained import find_source
  from official_ext.pretrained import importing
  # pylint: enable=g-import-not-at-top
  size = _IMAGE_SIZE.value * (2 if len(_IMAGE_SIZE.value) == 1 else 1)
  options = importing.Options(
      size or None, _NUM_CLASSES.value, _LAYOUT.value)
  with errors.reported(), library_logs.without_prints():
    importing.check_output(_OUTPUT.value)
    source = find_source.open_source(_SOURCE.value, _REVISION.value)
    imported = importing.write(
        source, _SOURCE.value, _OUTPUT.value, options)
  print(imported.plan)
  for name, reason in sorted(imported.left_out.items()):
    print(f'  left out  {name}: {reason}')
  print(f'imported {source.model.kind} to {_OUTPUT.value}; fine-tune it with '
        f'--config_file={shlex.quote(_OUTPUT.value)}')


if __name__ == '__main__':
  library_logs.run(main)
