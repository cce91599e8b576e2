"""Exports an untrained model in a process, for `benchmarks.serving`.

One process for each export, since converters do not give their memory back.
"""

from __future__ import annotations

from concurrent import futures
from concurrent.futures import process
import multiprocessing

from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs


def run(model_name: str, layout: str, image_size: int, export_format: str,
        folder: str) -> str:
  """Exports an untrained model in a process of its own.

  Args:
    model_name: the preset.
    layout: the layout.
    image_size: px.
    export_format: one of names.FORMATS.
    folder: where to.

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
          folder).result()
    except (ValueError, OSError, process.BrokenProcessPool) as error:
      raise ValueError(
          f'{export_format} of {layout}: {errors.message(error)}') from error


def _export(model_name: str, layout: str, image_size: int, export_format: str,
            folder: str) -> str:
  """Exports the model in this process; see `run`."""
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
    return write.export(trained, export_format, folder)
