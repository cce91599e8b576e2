"""Folders that vanish, and disks that are full, while a training runs."""

import errno
import os
import re
import shutil
import subprocess

import commands
import damaged_checkpoints
import pytest
import short_runs
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.serving import export_during_training
from official_ext.training import checkpoint_folder
from official_ext.training import controller
from official_ext.training import session
from official_ext.training import trainer

MIB = 2 ** 20


def manage(folder, step):
  """A manager of checkpoints of 400 bytes and their names."""
  weights = tf.Variable(tf.zeros([100]))
  return controller.CheckpointManager(
      tf.train.Checkpoint(weights=weights), directory=str(folder),
      max_to_keep=None, step_counter=step, checkpoint_interval=1,
      folder=checkpoint_folder.CheckpointFolder(str(folder)))


@pytest.fixture(name='step')
def _step():
  return tf.Variable(1, dtype=tf.int64)


def test_a_folder_that_is_removed(tmp_path, step):
  folder = tmp_path / 'run'
  folder.mkdir()
  manager = manage(folder, step)
  assert manager.save(1)
  shutil.rmtree(folder)
  step.assign(2)
  with pytest.raises(errors.UserError, match=(
      f'^{folder} was removed while the training ran')):
    manager.save(2)
  assert not folder.exists()


def test_a_folder_that_is_replaced(tmp_path, step):
  folder = tmp_path / 'run'
  folder.mkdir()
  manager = manage(folder, step)
  folder.rename(tmp_path / 'moved')
  folder.mkdir()
  with pytest.raises(errors.UserError, match=f'^{folder} was replaced while'):
    manager.save(1)
  assert list(folder.iterdir()) == []


def test_no_room_for_the_next_checkpoint(tmp_path, step, monkeypatch):
  manager = manage(tmp_path, step)
  free = [399]
  monkeypatch.setattr(checkpoint_folder, 'free_bytes', lambda _: free[0])
  # Of the first one the variables are known.
  with pytest.raises(errors.UserError, match=(
      f'^{tmp_path} has 0.0 MiB free, but the checkpoint of step 1 takes about '
      '0.0 MiB. With more space, the same command begins at step 0: no '
      'checkpoint is there.$')):
    manager.save(1)
  assert list(tmp_path.iterdir()) == []
  free[0] = 10 * MIB
  assert manager.save(1)
  # Of those after it, the one before.
  size = sum(path.stat().st_size for path in tmp_path.glob('ckpt-1.*'))
  step.assign(2)
  free[0] = size - 1
  with pytest.raises(errors.UserError, match=(
      f'the same command goes on from {tmp_path}/ckpt-1, which is whole.$')):
    manager.save(2)
  free[0] = size
  assert manager.save(2)


def test_bytes_of_variables():
  checkpoint = tf.train.Checkpoint(
      a=tf.Variable(tf.zeros([3, 5])), b=tf.Variable(1, dtype=tf.int64),
      c=tf.train.Checkpoint(d=tf.Variable(tf.zeros([7], tf.bfloat16))))
  assert checkpoint_folder.size_of_variables(checkpoint) == 60 + 8 + 14


@pytest.mark.parametrize('error, expected', [
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 'the disk of {} is f'),
    (tf.errors.ResourceExhaustedError(
        None, None, '{}/ckpt-5.index; No space left on device'),
     'the disk of {} is full: {}/ckpt-5.index; No space left on device. '),
    (tf.errors.ResourceExhaustedError(None, None, 'OOM on GPU'), None),
    (tf.errors.UnknownError(None, None, '{}/a; Input/output error'),
     '{} cannot be written: {}/a; Input/output error. '),
    (tf.errors.PermissionDeniedError(None, None, '{}/a; Read-only file system'),
     '{} cannot be written: {}/a; Read-only file system. '),
    (OSError(errno.EPERM, os.strerror(errno.EPERM), '{}/a'),
     '{} cannot be written: [Errno 1] Operation not permitted: '),
    (tf.errors.PermissionDeniedError(None, None, '/b; Permission denied'),
     None),
    (tf.errors.NotFoundError(None, None, 'no such record'), None),
])
def test_what_an_error_means(tmp_path, error, expected):
  folder = str(tmp_path)
  if isinstance(error, tf.errors.OpError):
    error = type(error)(None, None, error.message.format(folder))
  elif error.filename:
    error.filename = error.filename.format(folder)
  said = checkpoint_folder.explain(error, folder)
  if expected is None:
    assert said is None
  else:
    assert said.startswith(expected.format(folder, folder))


def test_an_error_in_a_folder_that_is_gone(tmp_path):
  error = tf.errors.NotFoundError(None, None, 'x; No such file or directory')
  assert checkpoint_folder.explain(error, str(tmp_path / 'gone')).startswith(
      f'{tmp_path}/gone was removed while the training ran')
  assert checkpoint_folder.explain(error, 'gs://bucket/run') is None


def changed(run, change):
  """Removes, moves or exchanges the folder of a training."""
  run.rename(run.with_name('moved'))
  if change == 'replaced':
    run.mkdir()
  elif change == 'a file':
    run.write_text('')


@pytest.mark.parametrize('change', ['removed', 'replaced', 'a file'])
@pytest.mark.parametrize('moment', ['before the check', 'before it is written'])
def test_a_folder_that_changes_in_the_moment_of_a_save(
    tmp_path, step, monkeypatch, change, moment):
  folder = tmp_path / 'run'
  folder.mkdir()
  manager = manage(folder, step)
  assert manager.save(1)
  if moment == 'before the check':
    original = checkpoint_folder.size_of
    monkeypatch.setattr(checkpoint_folder, 'size_of', lambda prefix: (
        changed(folder, change), original(prefix))[1])
  else:
    monkeypatch.setattr(
        checkpoint_folder.CheckpointFolder, 'check_space',
        lambda *_: changed(folder, change))
  step.assign(2)
  with pytest.raises((OSError, tf.errors.OpError, errors.UserError)) as stopped:
    manager.save(2)
    # What it did not see while it wrote, it sees at the end.
    manager.sync()
  said = str(stopped.value)
  if not isinstance(stopped.value, errors.UserError):
    said = checkpoint_folder.explain(stopped.value, str(folder))
  assert re.match(
      rf'{folder} was (removed|replaced)( while|, or files in it)', said)
  assert '\n' not in said


def test_a_file_that_is_gone_from_the_folder(tmp_path, step):
  assert manage(tmp_path, step).save(7)
  error = FileNotFoundError(
      errno.ENOENT, os.strerror(errno.ENOENT), f'{tmp_path}/ckpt-8.index')
  assert checkpoint_folder.explain(error, str(tmp_path)) == (
      f'{tmp_path} was replaced, or files in it were removed, while it was in '
      f"use: [Errno 2] No such file or directory: '{tmp_path}/ckpt-8.index'. "
      f'The same command goes on from {tmp_path}/ckpt-7, which is whole.')


def test_a_folder_below_that_is_gone(tmp_path, step):
  assert manage(tmp_path, step).save(7)
  error = tf.errors.NotFoundError(
      None, None, f'{tmp_path}/best/info.json; No such file or directory')
  assert checkpoint_folder.explain(error, str(tmp_path)) == (
      f'{tmp_path}/best was removed while it was in use: {error.message}. '
      f'The same command goes on from {tmp_path}/ckpt-7, which is whole.')


@pytest.fixture(name='small_disk')
def _small_disk(tmp_path):
  """A function that mounts a disk of some MiB, if it may; its folder."""
  folder = tmp_path / 'disk'
  folder.mkdir()

  def mount(size_mib):
    done = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', f'size={size_mib}m', 'tmpfs', folder],
        check=False, capture_output=True)
    if done.returncode:
      pytest.skip('file systems may not be mounted here')
    return folder

  yield mount
  subprocess.run(['umount', '-l', folder], check=False, capture_output=True)


def fill(folder, left_bytes):
  """Fills a disk but for some bytes."""
  with open(folder / 'filler', 'ab') as file:
    file.write(bytes(shutil.disk_usage(folder).free - left_bytes))


@pytest.mark.long
def test_an_evaluation_of_a_read_only_folder(
    repository, digits_dir, small_disk):
  run = small_disk(16) / 'run'
  short_runs.train(digits_dir, run, **{'trainer.train_steps': 2})
  subprocess.run(['mount', '-o', 'remount,ro', run.parent], check=True)
  before = sorted(run.rglob('*'))
  result = commands.run(
      'train.py', '--experiment=funnel_vit_digits', '--mode=eval',
      f'--model_dir={run}', f'--config_file={run}/params.yaml',
      '--params_override=trainer.best_checkpoint_export_subdir=best,'
      'trainer.best_checkpoint_eval_metric=accuracy', cwd=repository)
  assert (result.returncode, result.stderr) == (0, (
      f'warning: {run} is read-only: nothing of the evaluation is written\n'))
  assert re.search(r'\ntop-1 +.*%', result.stdout)
  assert sorted(run.rglob('*')) == before


SETTINGS = {
    'trainer.train_steps': 6, 'trainer.steps_per_loop': 2,
    'trainer.summary_interval': 2, 'trainer.checkpoint_interval': 2,
    'trainer.validation_interval': 2, 'trainer.export.at_end': False,
    'trainer.best_checkpoint_export_subdir': 'best',
    'trainer.best_checkpoint_eval_metric': 'accuracy'}
# Before which of its calls the disk is filled, and what is left of it.
FAULTS = {
    'checkpoint': ('train_loop_end', 2, 100_000),
    # The check of the space is passed, the write is not.
    'event file': ('train_loop_end', 2, 0),
    # The first evaluation is the best so far.
    'best checkpoint': ('eval_end', 1, 50_000),
}


@pytest.mark.long
@pytest.mark.parametrize('fault', FAULTS)
def test_a_disk_that_is_full_as_it_trains(
    digits_dir, small_disk, monkeypatch, fault):
  folder = small_disk(16)
  method, call, left = FAULTS[fault]
  original, calls = getattr(trainer.Trainer, method), []

  def filling(self, *arguments):
    calls.append(1)
    if len(calls) == call:
      fill(folder, left)
    return original(self, *arguments)

  monkeypatch.setattr(trainer.Trainer, method, filling)
  run = folder / 'run'
  with pytest.raises(errors.UserError, match=(
      f'({run} has .* free, but|the disk of {run} is full: ).*the same command '
      f'goes on from {run}/ckpt-[24], which is whole')) as stopped:
    short_runs.train(digits_dir, run, 'train_and_eval', **SETTINGS)
  assert '\n' not in str(stopped.value)
  assert damaged_checkpoints.values(run / 'ckpt-2')
  if fault != 'best checkpoint':
    return  # One that goes on is enough.
  (folder / 'filler').unlink()
  resumed = short_runs.train(digits_dir, run, 'train_and_eval', **SETTINGS)
  assert int(resumed.global_step.numpy()) == 6


@pytest.mark.long
@pytest.mark.parametrize('method, expected', [
    ('at_end', 'error: the training is done and its checkpoint is kept, but it '
     'was not exported: .*No space left on device'),
    # What the training is told about itself, before that.
    ('_summary', 'error: .*operative_config.*No space left on device')])
def test_a_disk_that_is_full_at_the_end(
    repository, digits_dir, small_disk, monkeypatch, method, expected):
  folder = small_disk(16)
  owner = (export_during_training.TrainingExport if method == 'at_end' else
           session.Session)
  original = getattr(owner, method)

  def filling(self, *arguments, **keywords):
    fill(folder, 0)
    return original(self, *arguments, **keywords)

  monkeypatch.setattr(owner, method, filling)
  settings = SETTINGS | {
      'task.data_dir': digits_dir, 'trainer.export.at_end': True,
      'task.model.backbone.funnel_vit.layout': short_runs.LAYOUT,
      'trainer.optimizer_config.warmup.linear.warmup_steps': 1}
  result = commands.run(
      'train.py', '--experiment=funnel_vit_digits', '--mode=train',
      f'--model_dir={folder}/run', '--params_override=' + ','.join(
          f'{key}={value!r}' for key, value in settings.items()),
      cwd=repository)
  assert result.returncode == 1
  *warnings, message = result.stderr.splitlines()
  assert re.search(expected, message)
  assert all(line.startswith('warning: ') for line in warnings)
  assert damaged_checkpoints.values(folder / 'run/ckpt-6')


@pytest.mark.long
@pytest.mark.parametrize('change', ['removed', 'replaced', 'a file'])
def test_a_folder_that_changes_as_it_trains(
    digits_dir, tmp_path, monkeypatch, change):
  run = tmp_path / 'run'
  original, calls = trainer.Trainer.train_loop_end, []

  def changing(self):
    calls.append(1)
    if len(calls) == 2:
      changed(run, change)
    return original(self)

  monkeypatch.setattr(trainer.Trainer, 'train_loop_end', changing)
  with pytest.raises(errors.UserError, match=(
      f'^{run} was re(moved|placed) while the training ran')) as stopped:
    short_runs.train(digits_dir, run, 'train_and_eval', **SETTINGS)
  assert '\n' not in str(stopped.value)
  # It went no further than to the next save.
  assert len(calls) == 2
  assert damaged_checkpoints.values(tmp_path / 'moved/ckpt-2')
