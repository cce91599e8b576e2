"""Times the input pipeline: images per second, in all and per core.

  python -m official_ext.benchmarks.input_pipeline --data_dir=/data/imagenet

Three stages show what costs: reading the records, decoding whole images too,
and the task's own `build_inputs` (which decodes only what its crop shows). Then
one setting at a time is changed. Give what the model consumes, with --consumes
or --train_step_csv, to hear which of the two is the limit.

Before each window the pipeline is built and warms up; the windows of all rows
take turns. `the same again` differs from `the whole pipeline` by noise alone.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os

from absl import app
from absl import flags

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import machine
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Folder of the shards, train-* and validation-*.',
    required=True)
_EXPERIMENT = flags.DEFINE_string(
    'experiment', 'funnel_vit_imagenet', 'Whose settings to use.')
_CONFIG_FILE = flags.DEFINE_multi_string(
    'config_file', [], 'YAML files over the experiment, as for training.')
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', 'Settings over the files, as for training.')
_SPLIT = flags.DEFINE_enum(
    'split', 'train', ['train', 'validation'], 'What to read.')
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', 64, "Images per batch, instead of the experiment's: its "
    'thousands would make the windows long.', lower_bound=1)
_SECONDS = flags.DEFINE_float(
    'seconds', 3.0, 'Length of a window.', lower_bound=0.01)
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', None, 'Images per window, instead of --seconds.',
    lower_bound=1)
_WINDOWS = flags.DEFINE_integer(
    'windows', 5, 'Windows of each row.', lower_bound=1)
_WARM_UP = flags.DEFINE_float(
    'warm_up_seconds', 2.0, 'Read before each window, and not counted.',
    lower_bound=0)
_THREADS = flag_types.define_positive_integers(
    'threads', [], 'Thread pools to try, such as 1,2,4.', allow_none=True)
_VARIANTS = flags.DEFINE_list(
    'variants', None, 'Settings to vary, such as dtype,cache; by default all, '
    'and --variants= for none.')
_CONSUMES = flags.DEFINE_float(
    'consumes', None, 'What the model takes, images/s, over all accelerators '
    'that this machine feeds.')
_TRAIN_STEP_CSV = flags.DEFINE_string(
    'train_step_csv', None, 'The same from a CSV file with the columns layout '
    'and images_per_second.')
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'Where to write input_pipeline.csv; made if missing.')
flags.register_validator(
    'consumes', lambda speed: speed is None or speed > 0,
    'must be above 0 images/s')

_MODULE = 'official_ext.benchmarks.input_pipeline'
_CSV_FILE = 'input_pipeline.csv'


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  for one, other in ((_SECONDS, _NUM_IMAGES), (_CONSUMES, _TRAIN_STEP_CSV)):
    if one.present and other.present:
      raise app.UsageError(f'give --{one.name} or --{other.name}, not both')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.benchmarks import input_report
  from official_ext.benchmarks import input_rows
  # pylint: enable=g-import-not-at-top

  # The input needs none, and TensorFlow would take its memory.
  tf.config.set_visible_devices([], 'GPU')
  num_cores = machine.num_cores()
  with errors.reported():
    task = _task()
    image_size = task.model.input_size[:2]
    consumers = _consumers(image_size)
    source = input_rows.Source(
        task, _DATA_DIR.value, _SPLIT.value, _BATCH_SIZE.value)
    rows = input_rows.all_rows(
        source.data, _THREADS.value, _VARIANTS.value)
    if _OUTPUT_DIR.value:
      path = os.path.join(_OUTPUT_DIR.value, _CSV_FILE)
      csv_file.check_writable(path, '--output_dir')
    print(_describe(source, image_size, tf.__version__), flush=True)
    try:
      measured = input_rows.measure_all(
          source, rows, _WINDOWS.value, _WARM_UP.value, _SECONDS.value,
          _NUM_IMAGES.value)
    except tf.errors.OpError as error:
      raise errors.UserError(
          source.explain(error) or errors.message(error)) from error
    pipeline = next(one for one in measured
                    if one.row.name == input_rows.PIPELINE)
    summaries = [input_report.summarize(one, pipeline, num_cores)
                 for one in measured]
    if _OUTPUT_DIR.value:
      # Before anything is printed: the reader of a pipe may be gone by then.
      settings = dict(
          split=_SPLIT.value, num_windows=_WINDOWS.value, cores=num_cores,
          batch_size=_BATCH_SIZE.value, image_height=image_size[0],
          image_width=image_size[1])
      csv_file.write(
          path, [{**dataclasses.asdict(one), **settings} for one in summaries],
          csv_file.describe_run(_MODULE))
  print('\n'.join(input_report.format_table(summaries)))
  if any(row.settings.get('cache') for row in rows):
    print(f'cache: {source.cache_gib(image_size):,.1f} GiB of memory for all '
          'images; training then sees one crop of each for good')
  for line in input_report.notes(summaries, consumers, num_cores):
    print(line)
  if _OUTPUT_DIR.value:
    print(f'written to {path}')


def _task():
  """Returns the settings of the task, if it classifies images."""
  # pylint: disable=g-import-not-at-top
  from official_ext import registry_imports  # noqa: F401
  from official_ext.configs import image_classification as configs
  from official_ext.params import experiment
  # pylint: enable=g-import-not-at-top
  params = experiment.load(
      _EXPERIMENT.value, _CONFIG_FILE.value, _PARAMS_OVERRIDE.value)
  if not isinstance(params.task, configs.ImageClassificationTask):
    raise ValueError(
        f'--experiment={_EXPERIMENT.value} does not classify images. Use one '
        'that does, such as vit_imagenet.')
  return params.task


def _consumers(image_size: Sequence[int]) -> list[tuple[str, float]]:
  """Returns the names of models and the images/s that they take."""
  from official_ext.benchmarks import input_report  # pylint: disable=g-import-not-at-top
  if _TRAIN_STEP_CSV.value:
    return input_report.read_consumers(_TRAIN_STEP_CSV.value, {
        'image_size': str(image_size[0]),
        'mode': 'train' if _SPLIT.value == 'train' else 'eval',
        'peer': ''})
  return [('the model', _CONSUMES.value)] if _CONSUMES.value else []


def _describe(source, image_size: Sequence[int], version: str) -> str:
  """Returns what is timed, and on what."""
  length = (f'{_NUM_IMAGES.value:,} images' if _NUM_IMAGES.value else
            f'{_SECONDS.value:g} s')
  num_cores = machine.num_cores()
  return (
      f'{_EXPERIMENT.value}, {_SPLIT.value}: {len(source.files):,} files, '
      f'{source.num_bytes / 1e6:,.0f} MB, about {source.num_images:,} images; '
      f'to {image_size[0]} x {image_size[1]} px, batches of '
      f'{_BATCH_SIZE.value}\n'
      f'{num_cores} CPU core{"s" * (num_cores > 1)}, TensorFlow {version}; '
      f'windows of {length}, {_WINDOWS.value} of each row')


if __name__ == '__main__':
  library_logs.run(main)
