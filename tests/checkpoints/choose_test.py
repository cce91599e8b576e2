"""The newest whole checkpoint, whatever lies in the folder."""

import pathlib
import shutil

import damaged_checkpoints
import pytest
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.command_line import errors

DATA = damaged_checkpoints.DATA


@pytest.fixture(name='run', scope='module')
def _run(tmp_path_factory):
  """Checkpoints of the steps 9, 10 and 100."""
  folder = tmp_path_factory.mktemp('run')
  damaged_checkpoints.save(folder, [9, 10, 100])
  return folder


@pytest.fixture(name='copy')
def _copy(run, tmp_path):
  """A copy of `run` that a test may change."""
  return pathlib.Path(shutil.copytree(run, tmp_path / 'run'))


def rewrite(path, content):
  path.unlink()
  path.write_bytes(content)


def test_the_newest_by_its_step_as_a_number(run, tmp_path):
  assert choose.newest(str(run)) == f'{run}/ckpt-100'
  assert [one.name for one in choose.saved(str(run))] == [
      'ckpt-100', 'ckpt-10', 'ckpt-9']
  assert choose.newest(str(tmp_path)) is None
  assert choose.newest(str(tmp_path / 'missing')) is None


@pytest.mark.parametrize('state', [
    None, b'', b'\n', b'garbage', b'\xff\x00\xfe', b'model_checkpoint_path: ',
    b'model_checkpoint_path: "ckpt-9"', b'model_checkpoint_path: "ckpt-5"',
    b'model_checkpoint_path: "/elsewhere/ckpt-500"', b'{}'])
def test_the_note_of_tensorflow_decides_nothing(copy, state):
  (copy / 'checkpoint').unlink()
  if state is not None:
    (copy / 'checkpoint').write_bytes(state)
  assert choose.newest(str(copy)) == f'{copy}/ckpt-100'


def test_a_damaged_one_is_passed_over_and_named(copy, caplog):
  path = copy / f'ckpt-100.{DATA}'
  rewrite(path, path.read_bytes()[:-1])
  before = sorted(copy.iterdir())
  for _ in range(2):
    assert choose.newest(str(copy)) == f'{copy}/ckpt-10'
  # Once; and whoever only reads changes nothing.
  message, = caplog.messages
  assert message.startswith(f'{copy}/ckpt-100 is damaged: ')
  assert message.endswith('It is passed over, and ckpt-10 taken.')
  assert sorted(copy.iterdir()) == before


def test_one_that_holds_another_step(copy, caplog):
  for part in ('index', DATA):
    shutil.copy(copy / f'ckpt-10.{part}', copy / f'ckpt-100000.{part}')
  assert choose.newest(str(copy)) == f'{copy}/ckpt-100'
  assert caplog.messages == [
      f'{copy}/ckpt-100000 is damaged: it holds step 10, not that of its name. '
      'It is passed over, and ckpt-100 taken.']


def test_names_that_count_saves(tmp_path):
  step = tf.Variable(1_000, dtype=tf.int64)
  manager = tf.train.CheckpointManager(
      tf.train.Checkpoint(global_step=step), str(tmp_path), max_to_keep=None)
  manager.save()
  step.assign(2_000)
  assert choose.newest(str(tmp_path)) == f'{tmp_path}/ckpt-1'
  manager.save()
  assert choose.newest(str(tmp_path)) == f'{tmp_path}/ckpt-2'


@pytest.mark.parametrize('part, said', [
    ('index', 'its index is'), (DATA, 'its data are')])
def test_a_folder_in_the_place_of_a_file(copy, caplog, part, said):
  (copy / f'ckpt-100.{part}').unlink()
  (copy / f'ckpt-100.{part}').mkdir()
  assert choose.newest(str(copy)) == f'{copy}/ckpt-10'
  assert caplog.messages == [
      f'{copy}/ckpt-100 is damaged: {said} a folder. It is passed over, and '
      'ckpt-10 taken.']


def test_none_is_whole(copy):
  for number in (9, 10, 100):
    rewrite(copy / f'ckpt-{number}.index', b'broken')
  with pytest.raises(errors.UserError, match=(
      f'^{copy} holds no checkpoint that is whole '
      r'\(ckpt-100: its index cannot be read .*; ckpt-10: .*; ckpt-9: .*\)\. '
      'Copy one there from a backup, or choose another folder.$')):
    choose.newest(str(copy))


def test_all_are_lost_but_the_note(copy):
  for path in copy.glob('ckpt-*'):
    path.unlink()
  with pytest.raises(errors.UserError, match=(
      r'\(ckpt-100: the file `checkpoint` names it, but it is missing\)')):
    choose.newest(str(copy))


def test_a_prefix_that_was_asked_for(copy):
  choose.check(f'{copy}/ckpt-10')
  (copy / f'ckpt-10.{DATA}').unlink()
  with pytest.raises(errors.UserError, match=(
      f'^{copy}/ckpt-10 is damaged: its data are missing. '
      f'Give {copy}/ckpt-100, the newest whole one beside it.$')):
    choose.check(f'{copy}/ckpt-10')


def test_a_save_that_goes_on_is_not_seen(copy, caplog):
  other = copy / 'other'
  damaged_checkpoints.save(other, [200])
  shutil.copy(other / f'ckpt-200.{DATA}', copy / f'ckpt-200.{DATA}')
  (copy / 'ckpt-200_temp').mkdir()
  assert choose.newest(str(copy)) == f'{copy}/ckpt-100'
  # The index, cut as long as it is being written.
  (copy / 'ckpt-200.index').write_bytes(
      (other / 'ckpt-200.index').read_bytes()[:50])
  assert choose.newest(str(copy)) == f'{copy}/ckpt-100'
  assert not caplog.messages
  rewrite(copy / 'ckpt-200.index', (other / 'ckpt-200.index').read_bytes())
  assert choose.newest(str(copy)) == f'{copy}/ckpt-200'


def test_the_first_save_was_interrupted(tmp_path, run):
  shutil.copy(run / f'ckpt-100.{DATA}', tmp_path / f'ckpt-5.{DATA}')
  (tmp_path / 'ckpt-5_temp').mkdir()
  assert choose.newest(str(tmp_path)) is None
  (tmp_path / 'ckpt-5_temp').rmdir()
  with pytest.raises(errors.UserError, match='ckpt-5: its index is missing'):
    choose.newest(str(tmp_path))


def test_a_training_beside_deletes_what_was_found(copy, monkeypatch):
  original = integrity.damage

  def deleted(prefix):
    if prefix.endswith('-100'):
      for path in [*copy.glob('ckpt-100.*'), *copy.glob('ckpt-9.*'),
                   *copy.glob('ckpt-10.*')]:
        path.unlink()
      damaged_checkpoints.save(copy, [110])
    return original(prefix)

  monkeypatch.setattr(integrity, 'damage', deleted)
  assert choose.newest(str(copy)) == f'{copy}/ckpt-110'


def test_names_of_others(tmp_path, run):
  # Best checkpoints are numbered by the saves of a process, not by steps.
  for number, step in ((7, 9), (3, 100), (5, 10)):
    for part in ('index', DATA):
      shutil.copy(run / f'ckpt-{step}.{part}',
                  tmp_path / f'best_ckpt-{number}.{part}')
  assert choose.newest(str(tmp_path)) == f'{tmp_path}/best_ckpt-3'
  other = tmp_path / 'other'
  damaged_checkpoints.save(other, [3, 20], checkpoint_name='model.ckpt')
  assert choose.newest(str(other)) == f'{other}/model.ckpt-20'
  single = tf.train.Checkpoint(a=tf.Variable(1)).write(
      str(tmp_path / 'single' / 'weights'))
  (tmp_path / 'single' / 'checkpoint').write_text(
      'model_checkpoint_path: "weights"')
  assert choose.newest(str(tmp_path / 'single')) == single


def found_after_damage(run, folder, seed):
  """Damages the newest of a copy; what is chosen, and what was done."""
  shutil.copytree(run, folder)
  whole = damaged_checkpoints.values(folder / 'ckpt-100')
  done = damaged_checkpoints.damage(folder, 'ckpt-100', 'ckpt-10', seed)
  chosen = choose.newest(str(folder))
  # The index has bytes that nothing reads, such as the padding of its end.
  expected = 'ckpt-100' if (
      damaged_checkpoints.values(folder / 'ckpt-100') == whole) else 'ckpt-10'
  return chosen, f'{folder}/{expected}', done


@pytest.mark.parametrize('seed', range(20))
def test_the_one_before_whatever_the_damage(run, tmp_path, seed):
  chosen, expected, done = found_after_damage(run, tmp_path / 'copy', seed)
  assert chosen == expected, done
