"""Exports a trained model: as a versioned SavedModel, for LiteRT or as ONNX.

  python -m official_ext.serving.export \
    --model_dir=runs/digits --export_dir=exports/digits
  python -m official_ext.serving.export \
    --model_dir=runs/digits --export_dir=exports/digits \
    --format=tflite --precision=int8

The SavedModel goes to EXPORT_DIR/1, the next one to EXPORT_DIR/2, as TensorFlow
Serving expects. The others are single files, EXPORT_DIR/model_int8.tflite and
EXPORT_DIR/model.onnx, which a server passes over. Each appears whole or not at
all.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.serving.formats import names

_MODEL_DIR = flags.DEFINE_string(
    'model_dir', None,
    'Folder of a training: its params.yaml and checkpoints.')
_CONFIG_FILE = flags.DEFINE_string(
    'config_file', None,
    'A params.yaml, with --checkpoint, where there is no --model_dir.')
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', 'latest',
    'latest or best of the --model_dir, or the prefix of a checkpoint.')
_EMA = flags.DEFINE_bool(
    'ema', None,
    'Whether to export the exponential moving averages of the weights (EMA); '
    'by default where the training keeps them, as its evaluation does. '
    '--averaged is its former name.')
flags.DEFINE_alias('averaged', 'ema')
_IMAGE_SIZE = flags.DEFINE_integer(
    'image_size', None,
    'Side in px that images are resized to; by default as trained. The '
    'position embedding is resampled.', lower_bound=1)
_EXPORT_DIR = flags.DEFINE_string(
    'export_dir', None, 'Where to write to; made if missing.', required=True)
_FORMAT = flags.DEFINE_enum(
    'format', names.SAVED_MODEL, names.FORMATS, 'What to write.')
_VERSION = flags.DEFINE_integer(
    'version', None,
    'Number of the SavedModel; by default one more than the largest there.',
    lower_bound=1)
_TOP_K = flags.DEFINE_integer(
    'top_k', 5, 'How many of the most probable classes a SavedModel names.',
    lower_bound=1)
_XLA = flags.DEFINE_bool(
    'xla', False, 'Whether XLA compiles the model of a SavedModel where it is '
    'served, for a server with a GPU: once for each size of a request.')
_PRECISION = flags.DEFINE_enum(
    'precision', names.FLOAT32, names.PRECISIONS, 'Of a tflite file.')
_CALIBRATION_IMAGES = flags.DEFINE_integer(
    'calibration_images', 100,
    "How many of the experiment's validation images int8 is calibrated on.",
    lower_bound=1)
_CALIBRATION_DATA = flags.DEFINE_string(
    'calibration_data', None,
    "Pattern of TFRecords to calibrate on instead of the experiment's own.")
_OVERWRITE = flags.DEFINE_bool(
    'overwrite', False, 'Whether to replace a tflite or onnx file.')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  _check_flags()
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.serving.formats import calibration
  from official_ext.serving.formats import write
  from official_ext.trained import trained_model
  # pylint: enable=g-import-not-at-top
  selection = trained_model.Selection(
      _CHECKPOINT.value, _EMA.value,
      _IMAGE_SIZE.value and [_IMAGE_SIZE.value] * 2)
  options = write.Options(
      version=_VERSION.value, top_k=_TOP_K.value, precision=_PRECISION.value,
      calibration=calibration.Calibration(
          _CALIBRATION_IMAGES.value, _CALIBRATION_DATA.value),
      overwrite=_OVERWRITE.value, xla=_XLA.value)
  with errors.reported(), library_logs.without_prints():
    write.prepare(_FORMAT.value, _EXPORT_DIR.value, options)
    trained = trained_model.find(
        _MODEL_DIR.value, selection, _CONFIG_FILE.value, may_segment=True)
    if trained.segments and flags.FLAGS['top_k'].present:
      raise ValueError(
          f'--top_k={_TOP_K.value}: a model that segments names one class for '
          'each pixel. Leave it out.')
    path = write.export(trained, _FORMAT.value, _EXPORT_DIR.value, options)
  print(f'exported to {path}')


def _check_flags() -> None:
  """Refuses flags that would be without effect."""
  if bool(_MODEL_DIR.value) == bool(_CONFIG_FILE.value):
    raise app.UsageError(
        'give --model_dir, or --config_file and the prefix of a --checkpoint')
  if _CONFIG_FILE.value and _CHECKPOINT.value in ('latest', 'best'):
    raise app.UsageError(
        f'--checkpoint={_CHECKPOINT.value} is looked for in a --model_dir; '
        'with --config_file, give the prefix of a checkpoint')
  formats = {
      'version': (names.SAVED_MODEL,), 'top_k': (names.SAVED_MODEL,),
      'xla': (names.SAVED_MODEL,),
      'overwrite': (names.LITERT, names.ONNX), 'precision': (names.LITERT,),
      'calibration_images': (names.LITERT,),
      'calibration_data': (names.LITERT,)}
  for name, allowed in formats.items():
    if flags.FLAGS[name].present and _FORMAT.value not in allowed:
      raise app.UsageError(
          f'--{name} is for --format={" or ".join(allowed)}, not '
          f'{_FORMAT.value}')
  for name in ('calibration_images', 'calibration_data'):
    if flags.FLAGS[name].present and _PRECISION.value != names.INT8:
      raise app.UsageError(f'--{name} is for --precision=int8')


if __name__ == '__main__':
  library_logs.run(main)
