"""Times the exports of layouts side by side: latency and throughput.

  python -m official_ext.benchmarks.serving --layouts=B12,B6-6,B4-4-4

Builds each layout of the ImageNet experiment with untrained weights, exports
it in every format that is asked for and loads all exports in this process,
where they take turns. A SavedModel is given the bytes of JPEG files and decodes
them; the other formats are given resized images.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent import futures
from concurrent.futures import process
import multiprocessing
import os
import tempfile

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs
from official_ext.serving.formats import names

_LAYOUTS = flags.DEFINE_string(
    'layouts', 'B12,B6-6,B4-4-4',
    'Layouts, separated by commas outside of parentheses; the first is what '
    'the others are compared with.')
_FORMATS = flags.DEFINE_list(
    'formats', [names.SAVED_MODEL], f'Any of {", ".join(names.FORMATS)}.')
_XLA = flags.DEFINE_list(
    'xla', ['off'], 'Whether XLA compiles the models of SavedModels: off, on, '
    'or both.')
_BATCH_SIZES = flag_types.define_positive_integers(
    'batch_sizes', [1, 16], 'Images in a call.')
_IMAGE_SIZE = flags.DEFINE_integer(
    'image_size', 224, "Side of the model's images, px.", lower_bound=1)
_MODEL_NAME = flags.DEFINE_string('model_name', 'vit-b16', 'The preset.')
_ROUNDS = flags.DEFINE_integer(
    'rounds', 5, 'Timed calls of each export and batch size.', lower_bound=1)
_NUM_THREADS = flag_types.define_num_threads()


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  unknown = sorted(set(_FORMATS.value) - set(names.FORMATS))
  if unknown or not _FORMATS.value:
    raise app.UsageError(
        f'--formats={",".join(_FORMATS.value)}: use {", ".join(names.FORMATS)}')
  if not _XLA.value or not set(_XLA.value) <= {'off', 'on'}:
    raise app.UsageError(
        f'--xla={",".join(_XLA.value)}: use off, on, or both')
  if 'on' in _XLA.value and names.SAVED_MODEL not in _FORMATS.value:
    raise app.UsageError('--xla=on is for --formats=saved_model')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.benchmarks import serving_rows
  from official_ext.benchmarks import settings
  from official_ext.serving.runtimes import loading
  # pylint: enable=g-import-not-at-top
  with errors.reported(), library_logs.without_prints(), (
      tempfile.TemporaryDirectory()) as folder:
    rows = []
    for export_format, xla in _exports():
      for layout in settings.split_layouts(_LAYOUTS.value):
        path = export(
            _MODEL_NAME.value, layout, _IMAGE_SIZE.value, export_format,
            os.path.join(folder, f'{export_format}_{xla}', layout),
            xla == 'on')
        runner, = loading.load_all(path, _NUM_THREADS.value)
        rows.append(serving_rows.Row(layout, runner, _IMAGE_SIZE.value))
    serving_rows.measure(rows, _BATCH_SIZES.value, _ROUNDS.value)
  print(f'{_MODEL_NAME.value}, {_IMAGE_SIZE.value} px, {os.cpu_count()} CPU '
        f'cores, TensorFlow {tf.__version__}; median (minimum to maximum) of '
        f'{_ROUNDS.value} calls\n')
  print(serving_rows.format_table(rows, _BATCH_SIZES.value))


def _exports() -> list[tuple[str, str]]:
  """Returns each format with XLA off or on, which only a SavedModel knows."""
  return [(export_format, xla) for export_format in _FORMATS.value
          for xla in (dict.fromkeys(_XLA.value)
                      if export_format == names.SAVED_MODEL else ['off'])]


def export(model_name: str, layout: str, image_size: int, export_format: str,
           folder: str, xla: bool = False) -> str:
  """Exports an untrained model in a process of its own.

  Converters do not give their memory back.

  Args:
    model_name: the preset.
    layout: the layout.
    image_size: px.
    export_format: one of names.FORMATS.
    folder: where to.
    xla: whether XLA compiles the model of a SavedModel.

  Returns:
    The path of the export.

  Raises:
    ValueError: if it cannot be exported, such as for want of memory.
  """
  # A fork would inherit the TensorFlow of this process.
  context = multiprocessing.get_context('spawn')
  with futures.ProcessPoolExecutor(1, context) as pool:
    try:
      return pool.submit(
          _export, model_name, layout, image_size, export_format,
          folder, xla).result()
    except (ValueError, OSError, process.BrokenProcessPool) as error:
      raise ValueError(
          f'{export_format} of {layout}: {errors.message(error)}') from error


def _export(model_name: str, layout: str, image_size: int, export_format: str,
            folder: str, xla: bool) -> str:
  """Exports the model in this process; see `export`."""
  flags.FLAGS.mark_as_parsed()
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official.core import task_factory

  from official_ext.params import experiment
  from official_ext.serving.formats import write
  from official_ext.trained import trained_model
  # pylint: enable=g-import-not-at-top
  with library_logs.without_prints(), library_logs.without_native_messages():
    params = experiment.load('funnel_vit_imagenet', params_override=str({
        'task': {'model': {
            'input_size': [image_size, image_size, 3],
            'backbone': {'funnel_vit': {
                'model_name': model_name, 'layout': layout}}}}}))
    trained = trained_model.TrainedModel(
        params, task_factory.get_task(params.task).build_model(),
        checkpoint='untrained', step=None, is_ema=False)
    return write.export(
        trained, export_format, folder, write.Options(xla=xla))


if __name__ == '__main__':
  library_logs.run(main)
