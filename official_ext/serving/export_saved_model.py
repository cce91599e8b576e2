"""Exports a trained model as a versioned SavedModel.

  python -m official_ext.serving.export_saved_model \
    --model_dir=runs/digits --export_dir=exports/digits

The model goes to EXPORT_DIR/1, the next one to EXPORT_DIR/2, as TensorFlow
Serving expects. A version appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from official_ext import library_logs

_MODEL_DIR = flags.DEFINE_string(
    'model_dir', None, 'Folder of a training: its params.yaml and checkpoints.',
    required=True)
_EXPORT_DIR = flags.DEFINE_string(
    'export_dir', None, 'Folder of the versions.', required=True)
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None,
    'Prefix of the checkpoint; by default the newest of --model_dir.')
# So that --help shows it.
flags.adopt_module_key_flags(library_logs)


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.serving import exporter
  # pylint: enable=g-import-not-at-top
  try:
    with library_logs.without_prints():
      path = exporter.export(
          _MODEL_DIR.value, _EXPORT_DIR.value, _CHECKPOINT.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    library_logs.fail(error)
  print(f'exported to {path}')


if __name__ == '__main__':
  library_logs.run(main)
