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
import os
import sys

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Folder of the shards, train-* and validation-*.')
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
    'seconds', None, 'Length of a window; 3 by default.', lower_bound=0.01)
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
# So that --help shows it.
flags.adopt_module_key_flags(library_logs)

_MODULE = 'official_ext.benchmarks.input_pipeline'
_CSV_FILE = 'input_pipeline.csv'
# A bar that is gone after a blink tells nothing.
_QUIET_SECONDS = 3


def main(argv: Sequence[str]) -> None:
  _check_flags(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.benchmarks import input_report
  from official_ext.benchmarks import input_rows
  from official_ext.benchmarks import machine
  from official_ext.tasks import image_classification
  # pylint: enable=g-import-not-at-top

  # The input needs none, and TensorFlow would take its memory.
  tf.config.set_visible_devices([], 'GPU')
  with errors.reported():
    source, image_size, rows, consumers = _prepare()
  num_cores = machine.num_cores()
  print(_describe(source, image_size, num_cores, tf.__version__), flush=True)
  try:
    measured = _measure(rows, source)
  except tf.errors.OpError as error:
    message = isinstance(error, tf.errors.InvalidArgumentError) and (
        image_classification.bad_input_message(error))
    errors.fail(message or error)
  pipeline = next(one for one in measured
                  if one.row.name == input_rows.PIPELINE)
  summaries = [input_report.summarize(one, pipeline, num_cores)
               for one in measured]
  of_pipeline = summaries[measured.index(pipeline)]
  if _OUTPUT_DIR.value:
    # Before anything is printed: the reader of a pipe may be gone by then.
    with errors.reported():
      path = _write(summaries, image_size)
  for line in input_report.format_table(summaries):
    print(line)
  if any(row.settings.get('cache') for row in rows):
    print(f'cache: {_gib(source, image_size):,.1f} GiB of memory for all '
          'images; training then sees one crop of each for good')
  note = input_report.busy_note(of_pipeline, num_cores)
  if note:
    print(note)
  for name, consumed in consumers:
    print(input_report.verdict(name, consumed, of_pipeline, num_cores))
  if _OUTPUT_DIR.value:
    print(f'written to {path}')
  sys.stdout.flush()


def _check_flags(argv: Sequence[str]) -> None:
  """Refuses a command line before anything is imported for it."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}: flags begin '
                         'with --')
  if not _DATA_DIR.value:
    raise app.UsageError('--data_dir must be given')
  for one, other in ((_SECONDS, _NUM_IMAGES), (_CONSUMES, _TRAIN_STEP_CSV)):
    if one.value is not None and other.value is not None:
      raise app.UsageError(f'give --{one.name} or --{other.name}, not both')
  if _CONSUMES.value is not None and not _CONSUMES.value > 0:
    raise app.UsageError(
        f'--consumes is {_CONSUMES.value:g}, but must be above 0 images/s')


def _prepare():
  """Returns the source, the size of its images, the rows and the consumers."""
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext import registry_imports  # noqa: F401
  from official_ext.benchmarks import input_report
  from official_ext.benchmarks import input_rows
  from official_ext.configs import image_classification as configs
  from official_ext.params import experiment
  # pylint: enable=g-import-not-at-top
  params = experiment.load(
      _EXPERIMENT.value, _CONFIG_FILE.value, _PARAMS_OVERRIDE.value)
  if not isinstance(params.task, configs.ImageClassificationTask):
    raise ValueError(
        f'--experiment={_EXPERIMENT.value} does not classify images. Use one '
        'that does, such as vit_imagenet.')
  image_size = tuple(params.task.model.input_size[:2])
  consumers = []
  if _TRAIN_STEP_CSV.value:
    consumers = input_report.read_consumers(_TRAIN_STEP_CSV.value, {
        'image_size': str(image_size[0]),
        'mode': 'train' if _SPLIT.value == 'train' else 'eval'})
  elif _CONSUMES.value:
    consumers = [('the model', _CONSUMES.value)]
  source = input_rows.Source(
      params.task, _DATA_DIR.value, _SPLIT.value, _BATCH_SIZE.value)
  rows = input_rows.stages() + [
      input_rows.Row(f'{number} thread{"s" * (number > 1)}', threads=number)
      for number in _THREADS.value] + input_rows.variants(
          source.data, _VARIANTS.value)
  if _OUTPUT_DIR.value:
    tf.io.gfile.makedirs(_OUTPUT_DIR.value)
  return source, image_size, rows, consumers


def _write(summaries, image_size: tuple[int, int]) -> str:
  """Writes the CSV file and returns its path."""
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.benchmarks import csv_file
  from official_ext.benchmarks import input_report
  from official_ext.benchmarks import machine
  # pylint: enable=g-import-not-at-top
  path = os.path.join(_OUTPUT_DIR.value, _CSV_FILE)
  settings = dict(
      split=_SPLIT.value, num_windows=_WINDOWS.value,
      cores=machine.num_cores(), batch_size=_BATCH_SIZE.value,
      image_height=image_size[0], image_width=image_size[1])
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(csv_file.dump(
        [input_report.columns(one, settings) for one in summaries],
        csv_file.describe_run(_MODULE)))
  return path


def _measure(rows, source):
  """All windows of all rows, in turn; a variant that fails keeps its error."""
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf
  import tqdm

  from official_ext.benchmarks import input_rows
  # pylint: enable=g-import-not-at-top
  measured = {row.name: input_rows.Measured(row) for row in rows}
  order = tqdm.tqdm(
      input_rows.turns(rows, _WINDOWS.value), file=sys.stderr, leave=False,
      disable=not sys.stderr.isatty(), delay=_QUIET_SECONDS, unit='window',
      dynamic_ncols=True)
  for row in order:
    order.set_description(row.name)
    if measured[row.name].error:
      continue
    try:
      measured[row.name].windows.append(input_rows.measure(
          source, row, _WARM_UP.value, _SECONDS.value or 3.0,
          _NUM_IMAGES.value))
    except tf.errors.OpError as error:
      if not row.settings:
        raise
      measured[row.name].error = errors.reason(error)
  return list(measured.values())


def _describe(source, image_size: tuple[int, int], num_cores: int,
              version: str) -> str:
  """What is timed, and on what."""
  length = (f'{_NUM_IMAGES.value:,} images' if _NUM_IMAGES.value else
            f'{_SECONDS.value or 3.0:g} s')
  return (
      f'{_EXPERIMENT.value}, {_SPLIT.value}: {len(source.files):,} files, '
      f'{source.num_bytes / 1e6:,.0f} MB, about {source.num_images:,} images; '
      f'to {image_size[0]} x {image_size[1]} px, batches of '
      f'{_BATCH_SIZE.value}\n'
      f'{num_cores} CPU core{"s" * (num_cores > 1)}, TensorFlow {version}; '
      f'windows of {length}, {_WINDOWS.value} of each row')


def _gib(source, image_size: tuple[int, int]) -> float:
  """The memory that all images take in a cache, GiB."""
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf
  # pylint: enable=g-import-not-at-top
  return (source.num_images * image_size[0] * image_size[1] * 3 *
          tf.as_dtype(source.data.dtype).size / 2**30)


if __name__ == '__main__':
  library_logs.run(main)
