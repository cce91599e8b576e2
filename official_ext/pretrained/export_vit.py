"""Exports a model as Hugging Face or timm would have saved it.

  python -m official_ext.pretrained.export_vit --model_dir=runs/photos \
    --format=hugging_face --output=exports/photos

A Funnel-ViT of equal widths has the weights of a plain ViT, and becomes one:
pretrained cheaply as a funnel, it can be fine-tuned in PyTorch (paper, table
3).
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs

_MODEL_DIR = flags.DEFINE_string(
    'model_dir', None, 'Folder of a training, or of an import.', required=True)
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', 'latest',
    'latest or best of the --model_dir, or the prefix of a checkpoint.')
_EMA = flags.DEFINE_bool(
    'ema', None,
    'Whether to export the exponential moving averages of the weights; by '
    'default where the training keeps them.')
_FORMAT = flags.DEFINE_enum(
    'format', 'hugging_face', ['hugging_face', 'timm'], 'Whose names to write.')
_OUTPUT = flags.DEFINE_string(
    'output', None, 'The folder to make.', required=True)
_HEAD = flags.DEFINE_bool('head', True, 'Whether to export the head.')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.pretrained import exporting
  from official_ext.pretrained import importing
  from official_ext.trained import trained_model
  # pylint: enable=g-import-not-at-top
  with errors.reported(), library_logs.without_prints():
    importing.check_output(_OUTPUT.value, holds_checkpoint=False)
    trained = trained_model.find(
        _MODEL_DIR.value, trained_model.Selection(
            _CHECKPOINT.value, _EMA.value))
    files = exporting.write(
        trained, _FORMAT.value, _OUTPUT.value, _HEAD.value)
  print(f'exported to {_OUTPUT.value}: {", ".join(files)}')


if __name__ == '__main__':
  library_logs.run(main)
