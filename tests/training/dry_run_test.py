"""A training is tried, and nothing is left of it."""

import pathlib
import re
import tempfile

import commands
import pytest
import short_runs

from official_ext.params import experiment
from official_ext.training import dry_run
from official_ext.training import session


@pytest.mark.long
def test_what_to_expect_of_a_training(
    digits_dir, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  taken = []
  execute = session.Session.execute
  monkeypatch.setattr(
      session.Session, 'execute', lambda *args, **settings: (
          taken.append(execute(*args, **settings)), taken[-1])[1])
  params = short_runs.parameters(digits_dir, **{
      'trainer.train_steps': 0, 'trainer.train_epochs': 5,
      'trainer.best_checkpoint_export_subdir': 'best',
      'trainer.best_checkpoint_eval_metric': 'accuracy',
      'trainer.export.at_best': True})
  model, first, time, memory, last = dry_run.run(params, None).split('\n')
  assert model.startswith('Funnel-ViT vit-nano4, B1(17)-1(9): 0.')
  # Nothing of its own folder is told, and of what goes on a line.
  assert capsys.readouterr() == ('', (
      'taking 2 steps, the first of which compiles\n'))
  # 22 steps of 64 images are an epoch of 1,437.
  assert first == (
      'dry run: 110 steps of 64 images, 4.9 epochs of 1,437 images')
  assert re.match(r'time    about \d\d:\d\d: the first step takes \d+ s, the '
                  r'next took \S+ s; start-up, evaluations', time)
  assert re.match(r'memory  \d+\.\d\d GiB \(resident\)', memory)
  assert last == 'nothing of it is kept'
  assert int(taken[0].global_step.numpy()) == 2
  assert taken[0].validation_logs['num_images'] == 120
  # TensorFlow keeps files of its own there, until the process ends.
  assert not [path for path in tmp_path.iterdir() if path.is_dir()]
  # The schedule is that of the whole training.
  rate = params.trainer.optimizer_config.learning_rate.get()
  assert taken[0].config.trainer.optimizer_config.learning_rate.get(
      ).decay_steps == rate.decay_steps == 110


@pytest.mark.parametrize('mode, strategy, message', [
    ('eval', 'mirrored', '--mode=eval does not train'),
    ('train', 'multi_worker_mirrored', 'in one process')])
def test_what_cannot_be_tried(digits_dir, mode, strategy, message):
  params = short_runs.parameters(
      digits_dir, **{'runtime.distribution_strategy': strategy})
  with pytest.raises(ValueError, match=message):
    dry_run.run(params, mode)


@pytest.mark.parametrize('stop', [KeyboardInterrupt, SystemExit])
def test_nothing_is_left_where_it_is_stopped(
    stop, digits_dir, tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))

  def interrupted(run, **_):
    assert pathlib.Path(run.model_dir).parent == tmp_path
    (pathlib.Path(run.model_dir) / 'ckpt-2.index').touch()
    # So that the signals are not taken for a training's.
    assert not run.params.trainer.preemption_on_demand_checkpoint
    raise stop

  monkeypatch.setattr(session.Session, 'execute', interrupted)
  with pytest.raises(stop):
    dry_run.run(short_runs.parameters(digits_dir), 'train')
  assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_the_flags_that_it_needs(repository, digits_dir, monkeypatch):
  tried = []
  monkeypatch.setattr(dry_run, 'run', lambda params, mode, in_background: (
      tried.append((params.trainer.train_steps, mode, in_background)),
      'what to expect')[1])
  arguments = (
      'train.py', '--experiment=funnel_vit_digits', '--dry_run',
      f'--params_override=task.data_dir={digits_dir},trainer.train_steps=10')
  done = commands.run(*arguments, cwd=repository)
  assert (done.returncode, done.stdout) == (0, 'what to expect\n'), done.stderr
  assert tried == [(10, None, True)]
  done = commands.run(*arguments, '--profile', cwd=repository)
  assert done.returncode == 1
  assert '--profile writes into the --model_dir, but --dry_run' in done.stderr
  assert len(tried) == 1


@pytest.mark.parametrize('flags, said', [
    ([], 'interrupted. The same command resumes'),
    (['--dry_run'], 'interrupted. Nothing of the dry run is kept.')])
def test_what_is_said_of_one_that_is_interrupted(
    flags, said, repository, tmp_path, monkeypatch):
  def interrupt(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(experiment, 'load_with_origins', interrupt)
  done = commands.run(
      'train.py', '--experiment=funnel_vit_digits', '--mode=train',
      f'--model_dir={tmp_path}', *flags, cwd=repository)
  assert done.returncode == 130
  assert said in done.stderr


def test_what_does_not_evaluate_has_no_short_evaluation(digits_dir):
  params = short_runs.parameters(
      digits_dir, **{'trainer.validation_steps': 3})
  assert dry_run._shortened(params, 'train').trainer.validation_steps == 3
  assert dry_run._shortened(
      params, 'train_and_eval').trainer.validation_steps == 1
