"""Compares exports with the checkpoint they are of, on a validation set.

  python -m official_ext.serving.verify exports/digits \
    --data='data/digits/validation-*'

Prints one table of the SavedModel, LiteRT and ONNX files: accuracy beside the
checkpoint's, the largest difference of a logit, size, latency and throughput.
Fails if a float32 export differs by more than --tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
import itertools

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs
from official_ext.command_line import tables

_DATA = flags.DEFINE_string(
    'data', None,
    "Pattern of validation TFRecords; by default the experiment's own.")
_MODEL_DIR = flags.DEFINE_string(
    'model_dir', None,
    'Folder of the training; by default where the export says it is from.')
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', None, 'How many images to compare on; by default all.',
    lower_bound=1)
_BATCH_SIZES = flag_types.define_positive_integers(
    'batch_sizes', [1, 16], 'Images in a timed call; none: no timing.',
    allow_none=True)
_TOLERANCE = flags.DEFINE_float(
    'tolerance', 1e-4, 'Largest difference of a logit in float32.',
    lower_bound=0)
_NUM_THREADS = flag_types.define_num_threads()


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError(
        'name at least one export: a folder, a .tflite or an .onnx file')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.serving import comparison
  from official_ext.serving.runtimes import loading
  from official_ext.tasks import normalization
  from official_ext.trained import trained_model
  from official_ext.trained import validation_data
  # pylint: enable=g-import-not-at-top
  with errors.reported(), library_logs.without_prints():
    runners = [
        runner for path in argv[1:]
        for runner in loading.load_all(path, _NUM_THREADS.value)]
    source = comparison.common_source(runners)
    checkpoint, model_dir = comparison.locate(
        source['checkpoint'], _MODEL_DIR.value)
    trained = trained_model.find(
        model_dir, trained_model.Selection(
            checkpoint, source['ema'],
            runners[0].description['preprocessing']['image_size']))
    batches = validation_data.read_records(
        trained, _DATA.value, _NUM_IMAGES.value)
    first = next(batches)
    rows = comparison.compare(
        trained, runners, itertools.chain([first], batches))
    comparison.time_calls(
        rows[1:], first, _BATCH_SIZES.value,
        normalization.of_task(trained.params.task))
  images = tables.counted(rows[0].accuracy.num_images, 'image')
  print(f'{images}, {checkpoint}:\n')
  print(comparison.format_table(rows, _BATCH_SIZES.value))
  wrong = [row.runner.name for row in rows[1:] if row.runner.is_exact and
           not row.accuracy.max_difference <= _TOLERANCE.value]
  if wrong:
    errors.fail(
        f'{", ".join(wrong)}: logits differ from the checkpoint by more than '
        f'--tolerance={_TOLERANCE.value}.'
        f'{comparison.cause_of_difference(rows)}')


if __name__ == '__main__':
  library_logs.run(main)
