"""Trains the digits with each optimizer of tensorflow-addons: a table.

`make addons-table` runs it on the addons line, with the digits in data/digits.
The settings are those of experiments/optimizers; the first row is the
quickstart as it is, with AdamW.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import statistics
import tempfile
from typing import Any

from absl import flags

from official_ext.benchmarks import csv_file
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_EXPERIMENT = 'funnel_vit_digits'
_FOLDER = 'optimizers/'
_OPTIMIZERS = flags.DEFINE_list(
    'optimizers', [],
    'Names of files in experiments/optimizers; by default all of them.')
_SEEDS = flag_types.define_positive_integers(
    'seeds', [1], 'One training for each; the table has their mean.')
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', "Further settings, as train.py's.")
_OUTPUT_CSV = flags.DEFINE_string(
    'output_csv', None, 'Where to write the table as CSV; by default nowhere.')
_MODULE = 'official_ext.benchmarks.optimizers'


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official.core import task_factory
  import tensorflow as tf

  from official_ext import registry_imports  # noqa: F401
  from official_ext.params import experiment
  from official_ext.training import modes
  # pylint: enable=g-import-not-at-top
  names = _OPTIMIZERS.value or [
      name.removeprefix(_FOLDER) for name in experiment.shipped_config_files()
      if name.startswith(_FOLDER)]
  rows = {}
  with errors.reported():
    # All of them before the first one runs.
    for config_files in [[], *([_FOLDER + name] for name in names)]:
      trainings = [
          experiment.load(_EXPERIMENT, config_files, ','.join(
              filter(None, [f'trainer.seed={seed}', _PARAMS_OVERRIDE.value])))
          for seed in _SEEDS.value]
      task_factory.get_task(trainings[0].task).check_records(
          modes.data_sets('train_and_eval'))
      rows[trainings[0].trainer.optimizer_config.optimizer.type] = trainings
    if _OUTPUT_CSV.value:
      csv_file.check_writable(_OUTPUT_CSV.value, '--output_csv')
  print(f'{_EXPERIMENT}, TensorFlow {tf.__version__}, seeds '
        f'{", ".join(map(str, _SEEDS.value))}\n', flush=True)
  print(_HEAD)
  table = []
  for optimizer, trainings in rows.items():
    table.append(columns(optimizer, trainings[0].trainer.optimizer_config,
                         [_train(params) for params in trainings]))
    print(format_row(table[-1]), flush=True)
    if _OUTPUT_CSV.value:
      csv_file.write(_OUTPUT_CSV.value, table, csv_file.describe_run(_MODULE))


def _train(params) -> Mapping[str, float]:
  """Trains in a folder of its own; returns what the last evaluation gave."""
  # pylint: disable=g-import-not-at-top
  import tf_keras

  from official_ext.training import session
  # pylint: enable=g-import-not-at-top
  tf_keras.backend.clear_session()
  with tempfile.TemporaryDirectory() as model_dir:
    run = session.prepare(params, 'train_and_eval', model_dir)
    with library_logs.without_prints():
      trainer = run.execute()
  return trainer.validation_logs


_HEAD = (f'{"optimizer":17}{"learning rate":>14}{"weight decay":>13}'
         f'{"top-1":>9}  {"":18}{"loss":>7}')


def columns(optimizer: str, settings: Any,
            results: Sequence[Mapping[str, float]]) -> Mapping[str, Any]:
  """Returns a line of the table: of several trainings mean, least and best.

  Args:
    optimizer: type of the optimizer.
    settings: the optimization settings.
    results: the last evaluation of each training.
  """
  accuracies = [100 * result['accuracy'] for result in results]
  return {
      'optimizer': optimizer,
      'learning_rate': settings.learning_rate.get().initial_learning_rate,
      'weight_decay': settings.optimizer.get().weight_decay_rate,
      'num_trainings': len(results),
      'top_1_percent': statistics.mean(accuracies),
      'top_1_percent_min': min(accuracies),
      'top_1_percent_max': max(accuracies),
      'loss': statistics.mean(result['validation_loss'] for result in results),
  }


def format_row(row: Mapping[str, Any]) -> str:
  """Returns a line of the table as text."""
  spread = (f'({row["top_1_percent_min"]:.2f} to '
            f'{row["top_1_percent_max"]:.2f})'
            if row['num_trainings'] > 1 else '')
  return (f'{row["optimizer"]:17}{row["learning_rate"]:14g}'
          f'{row["weight_decay"]:13g}{row["top_1_percent"]:7.2f} %  '
          f'{spread:18}{row["loss"]:7.4f}')


if __name__ == '__main__':
  library_logs.run(main)
