"""Exports an untrained model in a process, for `benchmarks.serving`.

  python -m official_ext.benchmarks.export_process PRESET LAYOUT SIZE FORMAT DIR

One process for each export, since converters do not give their memory back.
Prints the path of the export as its last line.
"""

from __future__ import annotations

from collections.abc import Sequence
import subprocess
import sys

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
  done = subprocess.run(
      [sys.executable, '-m', __name__, model_name, layout, str(image_size),
       export_format, folder], capture_output=True, text=True, check=False)
  if done.returncode:
    said = done.stderr.strip().removeprefix('error: ')
    reason = said or f'its process ended with status {done.returncode}'
    raise ValueError(f'{export_format} of {layout}: {reason}')
  return done.stdout.splitlines()[-1]


def main(argv: Sequence[str]) -> None:
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official.core import task_factory

  from official_ext.params import experiment
  from official_ext.serving.formats import write
  from official_ext.trained import trained_model
  # pylint: enable=g-import-not-at-top
  model_name, layout, image_size, export_format, folder = argv[1:]
  with errors.reported(ValueError, OSError), library_logs.without_prints():
    params = experiment.load('funnel_vit_imagenet', params_override=str({
        'task': {'model': {
            'input_size': [int(image_size), int(image_size), 3],
            'backbone': {'funnel_vit': {
                'model_name': model_name, 'layout': layout}}}}}))
    trained = trained_model.TrainedModel(
        params, task_factory.get_task(params.task).build_model(),
        checkpoint='untrained', step=None, is_ema=False)
    path = write.export(trained, export_format, folder)
  print(path)


if __name__ == '__main__':
  library_logs.run(main)
