"""The command that says which checkpoints of a folder are damaged."""

import pathlib
import shutil

import commands
import damaged_checkpoints
from official.core import train_utils
import short_runs
import tensorflow as tf

from official_ext.checkpoints import metadata


def verify(repository, folder):
  return commands.run(
      '-m', 'official_ext.checkpoints.verify', folder, cwd=repository)


def test_a_folder(repository, tmp_path):
  run = tmp_path / 'run'
  damaged_checkpoints.save(run, [9, 10, 100])
  result = verify(repository, run)
  assert (result.returncode, result.stderr) == (0, '')
  header, *rows = result.stdout.splitlines()
  assert header.split() == ['checkpoint', 'step', 'MiB', 'state']
  assert [row.split() for row in rows] == [
      [f'ckpt-{step}', str(step), '0.0', 'whole'] for step in (9, 10, 100)]
  data = run / f'ckpt-10.{damaged_checkpoints.DATA}'
  data.write_bytes(data.read_bytes()[:-1])
  (run / f'ckpt-9.{damaged_checkpoints.DATA}').unlink()
  before = sorted(run.iterdir())
  result = verify(repository, run)
  assert (result.returncode, result.stderr) == (1, '')
  *table, first, second, rest = result.stdout.splitlines()
  assert [row.split() for row in table[1:]] == [
      ['ckpt-9', '?', '0.0', 'DAMAGED'], ['ckpt-10', '10', '0.0', 'DAMAGED'],
      ['ckpt-100', '100', '0.0', 'whole']]
  assert first == 'ckpt-9: its data are missing.'
  assert second.startswith('ckpt-10: _CHECKPOINTABLE_OBJECT_GRAPH cannot be')
  assert rest.startswith('  ')
  assert max(map(len, result.stdout.splitlines())) <= 80
  assert sorted(run.iterdir()) == before


def write_over(run, name, other):
  """Puts the files of another checkpoint in the place of one."""
  for path in other.parent.glob(f'{other.name}.*'):
    shutil.copy(path, run / path.name.replace(other.name, name))


def save_model(folder, step, **settings):
  """Saves a step and the metadata of a model, as a training does."""
  params = short_runs.parameters('data', **settings)
  saved = tf.train.Checkpoint(
      global_step=tf.Variable(step, dtype=tf.int64),
      metadata=metadata.CheckpointMetadata(metadata.describe(params)))
  return pathlib.Path(saved.write(str(folder / f'ckpt-{step}')))


def test_files_of_another_training_are_found(repository, tmp_path):
  run, other = tmp_path / 'run', tmp_path / 'other'
  for step in (10, 20, 30):
    save_model(run, step)
  write_over(run, 'ckpt-10', save_model(other, 40))
  write_over(run, 'ckpt-20', save_model(other, 20, **{
      'task.model.backbone.funnel_vit.layout': 'B2',
      'task.model.num_classes': 11}))
  result = verify(repository, run)
  _, *lines = result.stdout.splitlines()
  assert [row.split()[::3] for row in lines[:3]] == [
      ['ckpt-10', 'OTHER'], ['ckpt-20', 'OTHER'], ['ckpt-30', 'whole']]
  assert lines[3] == 'ckpt-10: it holds step 40, not 10.'
  assert ' '.join(' '.join(lines[4:]).split()).startswith(
      'ckpt-20: it is of another model: layout is B2(17) there and '
      'B1(17)-1(9) in ckpt-30')
  assert result.returncode == 1
  # Where it is known, what was set decides, not which is newest.
  write_over(run, 'ckpt-30', save_model(other, 30, **{
      'task.model.num_classes': 11}))
  train_utils.serialize_config(short_runs.parameters('data'), str(run))
  result = verify(repository, run)
  assert ['ckpt-30', '30', '0.0', 'OTHER'] in [
      line.split() for line in result.stdout.splitlines()]
  assert ('ckpt-30: it is of another model: num_classes is 11 there and 10 in '
          'params.yaml.') in ' '.join(result.stdout.split())


def test_what_is_no_folder_of_checkpoints(repository, tmp_path):
  result = verify(repository, tmp_path)
  assert result.returncode == 1
  assert result.stderr == (
      f'error: {tmp_path}: the folder holds no checkpoint.\n')
  result = verify(repository, tmp_path / 'missing')
  assert result.stderr == (
      f'error: {tmp_path}/missing: there is no such folder.\n')
