"""Tests of the trainings that are compared."""

import logged_runs
import pytest

from official_ext import figures
from official_ext.analysis import command
from official_ext.analysis import comparison
from official_ext.analysis import curves
from official_ext.analysis import runs as runs_lib


def load(**paths):
  return runs_lib.load([command.ModelArgument(path, name)
                        for name, path in paths.items()])


def test_other_classes_are_an_error(digits_dir, tmp_path):
  paths = [logged_runs.write_run(
      tmp_path / str(count), digits_dir, [0.5],
      **{'task.model.num_classes': count}) for count in (10, 12)]
  with pytest.raises(ValueError, match=(
      'A has 10 classes and B 12. Compare models of the same data set.')):
    load(A=paths[0], B=paths[1])


def test_trainings_of_one_layout_are_told_apart(digits_dir, tmp_path):
  models = [
      command.ModelArgument(logged_runs.write_run(
          tmp_path / name, digits_dir, [0.5])) for name in ('one', 'two')]
  assert [run.name for run in runs_lib.load(models)] == [
      'B1(17)-1(9) one', 'B1(17)-1(9) two']


def test_the_same_folder_twice_is_an_error(two_runs):
  model = command.ModelArgument(two_runs[0])
  with pytest.raises(ValueError, match='two models are called .*/vit'):
    runs_lib.load([model, model])


def test_folders_that_are_no_trainings_are_errors(digits_dir, tmp_path):
  with pytest.raises(ValueError, match='there is no params.yaml'):
    load(A=str(tmp_path))
  logged_runs.write_params(tmp_path, digits_dir)
  with pytest.raises(ValueError, match='there are no event files'):
    load(A=str(tmp_path))


@pytest.mark.parametrize('accuracies, train_steps, shortfall, progress', [
    ([0.5, 0.25, 0.25], 100, 'stopped early', 'step 30 of 100, stopped early'),
    ([0.5, 0.25, 0.75], 100, 'not finished', 'step 30 of 100'),
    # Its last evaluation came with its last step.
    ([0.5, 0.25, 0.25], 30, '', 'step 30 of 30')])
def test_a_training_that_stopped_early_is_finished(
    digits_dir, tmp_path, capsys, accuracies, train_steps, shortfall, progress):
  stopping = 'trainer.early_stopping'
  path = logged_runs.write_run(
      tmp_path / 'run', digits_dir, accuracies, **{
          'trainer.train_steps': train_steps,
          'trainer.validation_interval': 10,
          f'{stopping}.metric': 'accuracy',
          f'{stopping}.patience_evaluations': 2})
  run, = load(A=path)
  assert run.is_finished == (shortfall != 'not finished')
  runs_lib.tell_progress([run])
  assert capsys.readouterr().out == f'A: {progress}\n'
  # The table of `compare`, and the legend of the curves.
  steps, = (column.cell(row, row) for row in [comparison.summarise(run)]
            for column in comparison.columns([row])
            if column.heading == 'Steps')
  assert steps.note == shortfall
  figure = curves.draw([run])
  text, = figure.legends[0].get_texts()
  assert ' '.join(text.get_text().split()) == (
      f'A: {progress}' if shortfall else 'A')
  figures.png(figure)
