"""Tests of what a start that ends before its first step leaves behind."""

import os
import pathlib
import shutil

import pytest
import short_runs

from official_ext.checkpoints import restore
from official_ext.command_line import errors
from official_ext.configs import image_classification as configs
from official_ext.tasks import image_classification
from official_ext.training import new_files
from official_ext.training import trainer as trainer_lib

BEST = {'trainer.best_checkpoint_export_subdir': 'best',
        'trainer.best_checkpoint_eval_metric': 'accuracy'}


def config(subdir='validation'):
  return configs.TrainerConfig(
      validation_summary_subdir=subdir)


def train(digits_dir, model_dir, mode='train_and_eval', **settings):
  return short_runs.train(digits_dir, model_dir, mode, **BEST, **settings)


def fail_before_the_first_step(monkeypatch, see):
  begin = trainer_lib.Trainer.train_loop_begin

  def fail(self):
    begin(self)
    see()
    raise errors.UserError('out of memory')
  monkeypatch.setattr(trainer_lib.Trainer, 'train_loop_begin', fail)


@pytest.mark.slow
def test_a_refused_start_leaves_nothing(digits_dir, tmp_path, monkeypatch):
  seen = set()
  fail_before_the_first_step(monkeypatch, lambda: seen.update(
      path.name for path in (tmp_path / 'runs/new').iterdir()))
  with pytest.raises(errors.UserError, match='out of memory'):
    train(digits_dir, tmp_path / 'runs/new')
  assert {'.training.lock', 'class_names.txt', 'params.yaml', 'params_history',
          'history.jsonl', 'train'} <= seen
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('logging, left', [
    ({}, {'tracked_runs.json', 'wandb'}), ({'mlflow': 'a'}, {'wandb'}),
    ({'wandb': 'a'}, set()), ({'wandb': 'a', 'mlflow': 'a'}, set())])
def test_what_services_write_until_the_first_step(tmp_path, logging, left):
  with pytest.raises(KeyError), new_files.taken_back(
      str(tmp_path), configs.TrainerConfig(logging=logging), lambda: False):
    (tmp_path / 'wandb/offline-run-1').mkdir(parents=True)
    (tmp_path / 'tracked_runs.json').touch()
    raise KeyError
  assert set(os.listdir(tmp_path)) == left


@pytest.mark.slow
def test_what_was_there_before_stays(digits_dir, tmp_path, monkeypatch):
  def refuse(*_, **__):
    (tmp_path / 'mine.log').touch()
    raise restore.LoadError('it does not fit')

  monkeypatch.setattr(image_classification.ImageClassificationTask,
                      'initialize', refuse)
  (tmp_path / 'train').mkdir()
  (tmp_path / 'notes.txt').write_text('mine')
  with pytest.raises(errors.UserError, match='it does not fit'):
    train(digits_dir, tmp_path)
  # The lock is a file that others may wait for.
  assert sorted(os.listdir(tmp_path)) == [
      '.training.lock', 'mine.log', 'notes.txt', 'train']


@pytest.mark.parametrize('scheme', ['', 'file://'])
def test_what_is_written_until_the_first_step(tmp_path, scheme):
  def fail(has_stepped):
    with pytest.raises(KeyboardInterrupt), new_files.taken_back(
        f'{scheme}{tmp_path}', config('validation/a'), lambda: has_stepped):
      for name in ('class_names.txt', 'params.yaml', 'ckpt-1.index'):
        (tmp_path / name).write_text('new')
      for name in ('train', 'params_history', 'validation/a', 'other'):
        (tmp_path / name).mkdir(parents=True)
      raise KeyboardInterrupt
    return {path.name for path in tmp_path.iterdir()}

  (tmp_path / 'params.yaml').write_text('old')
  assert fail(False) == {'params.yaml', 'ckpt-1.index', 'other'}
  (tmp_path / 'other').rmdir()
  assert {'class_names.txt', 'train', 'validation'} < fail(True)


@pytest.mark.parametrize('subdir', ['', '..', '.', './x', '/x'])
def test_no_folder_of_others_is_taken_for_the_evaluations(tmp_path, subdir):
  model_dir = tmp_path / 'run'
  (model_dir / 'x').mkdir(parents=True)
  with pytest.raises(KeyError), new_files.taken_back(
      str(model_dir), config(subdir), lambda: False):
    (model_dir / 'mine').touch()
    raise KeyError
  assert sorted(os.listdir(model_dir)) == ['mine', 'x']


@pytest.mark.long
def test_a_start_that_was_killed_before_its_first_step_begins_again(
    digits_dir, tmp_path, monkeypatch):
  with monkeypatch.context() as patched:
    fail_before_the_first_step(patched, lambda: shutil.copytree(
        tmp_path / 'run', tmp_path / 'killed'))
    with pytest.raises(errors.UserError):
      train(digits_dir, tmp_path / 'run')
  assert (tmp_path / 'killed/class_names.txt').exists()
  model_dir = pathlib.Path(tmp_path, 'killed')
  trainer = train(digits_dir, model_dir, 'train', **{'trainer.train_steps': 1})
  assert int(trainer.global_step.numpy()) == 1
  assert (model_dir / 'ckpt-1.index').exists()
