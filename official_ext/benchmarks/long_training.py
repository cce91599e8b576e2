"""Whether a long training keeps its memory: it trains the digits and looks.

  python -m official_ext.benchmarks.long_training --output_dir=benchmarks

Each training has a process of its own, which is looked at from outside at each
report of an interval or an evaluation; it evaluates, saves checkpoints and logs
as any other. A straight line through what it holds after its first third says
what a longer one would come to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import os
import tempfile
from typing import Any

from absl import flags

from official_ext.benchmarks import csv_file
from official_ext.command_line import errors
from official_ext.command_line import library_logs

_DATA_DIR = flags.DEFINE_string(
    'data_dir', 'data/digits', 'Folder of the digits, which '
    'data_prep.digits_to_tfrecord makes.')
_STRATEGIES = flags.DEFINE_multi_enum(
    'strategy', ['one_device', 'mirrored'], ['one_device', 'mirrored'],
    'How to train; mirrored: on two logical devices of the CPU.')
_STEPS = flags.DEFINE_integer(
    'steps', 3000, 'Training steps.', lower_bound=1)
_EVALUATIONS = flags.DEFINE_integer(
    'evaluations', 20, 'How often to evaluate and to save.', lower_bound=1)
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', "Further settings, as train.py's.")
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'Where to write long_training.csv, '
    'long_training_samples.csv and long_training.png; made if missing.')

_MODULE = 'official_ext.benchmarks.long_training'
_EXPERIMENT = 'funnel_vit_digits'


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  library_logs.silence()
  from official_ext.benchmarks import memory_report  # pylint: disable=g-import-not-at-top
  with errors.reported(), errors.reported(errors.UserError):
    override = memory_report.settings(
        _DATA_DIR.value, _STEPS.value, _EVALUATIONS.value,
        _PARAMS_OVERRIDE.value)
    if _OUTPUT_DIR.value:
      csv_file.check_writable(_path('.csv'), '--output_dir')
    print(memory_report.HEAD, flush=True)
    samples = {}
    for strategy in dict.fromkeys(_STRATEGIES.value):
      samples[strategy] = _measure(strategy, override)
      print(memory_report.format_row(memory_report.row(
          strategy, samples[strategy])), flush=True)
      if _OUTPUT_DIR.value:
        # Each time: a training that is killed takes no other's figures along.
        _write(samples)
  if _OUTPUT_DIR.value:
    print(f'written to {_OUTPUT_DIR.value}')


def _measure(strategy: str, override: str) -> list[Any]:
  """Trains in a folder that is deleted; returns the samples."""
  from official_ext.benchmarks import training_process  # pylint: disable=g-import-not-at-top
  with tempfile.TemporaryDirectory() as model_dir:
    return list(training_process.measure(training_process.Training(
        strategy, model_dir, _EXPERIMENT, override)))


def _write(samples: Mapping[str, Sequence[Any]]) -> None:
  """Writes the table, what it was computed from, and the figure."""
  # pylint: disable=g-import-not-at-top
  from official_ext.benchmarks import memory_figure
  from official_ext.benchmarks import memory_report
  # pylint: enable=g-import-not-at-top
  head = csv_file.describe_run(_MODULE)
  csv_file.write(_path('.csv'), [
      memory_report.row(*item) for item in samples.items()], head)
  csv_file.write(_path('_samples.csv'), [
      {'strategy': strategy, **dataclasses.asdict(sample)}
      for strategy, found in samples.items() for sample in found], head)
  memory_figure.draw(
      _path('.png'), samples, f'{head["machine"]}; {head["versions"]}')


def _path(ending: str) -> str:
  return os.path.join(_OUTPUT_DIR.value, f'long_training{ending}')


if __name__ == '__main__':
  library_logs.run(main)
