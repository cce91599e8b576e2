"""A folder of checkpoints is put in order, and loses nothing by it."""

import os
import shutil

import damaged_checkpoints
import pytest
import tensorflow as tf

from official_ext.checkpoints import tidy
from official_ext.command_line import errors

DATA = damaged_checkpoints.DATA
HOUR = 3600


def names(folder):
  return sorted(path.name for path in folder.iterdir())


def kept_after(folder, step, max_to_keep, **settings):
  """Saves once more; returns the steps that are still there."""
  damaged_checkpoints.save(folder, [step], max_to_keep, **settings)
  return sorted(int(path.stem.split('-')[1])
                for path in folder.glob('ckpt-*.index'))


NOTE = 'model_checkpoint_path: "{}"\n'
ALL = 'all_model_checkpoint_paths: "{}"\n'
# What the file `checkpoint` of ckpt-9, ckpt-10 and ckpt-100 may hold.
NOTES = [
    None, b'', b' \n', b'\0' * 100, b'garbage', b'\xff\xfe\x00\xd8', b'{}',
    NOTE.format(''), 'model_checkpoint_path: "ckpt-100',
    'model_checkpoint_path:', NOTE.format('ckpt-100')[:12],
    NOTE.format('ckpt-100'),
    NOTE.format('ckpt-9'), NOTE.format('ckpt-9') + ALL.format('ckpt-9'),
    NOTE.format('ckpt-10') + ALL.format('ckpt-9') + ALL.format('ckpt-10'),
    NOTE.format('ckpt-500') + ALL.format('ckpt-400') + ALL.format('ckpt-500'),
    NOTE.format('ckpt-500') + ALL.format('ckpt-100') + ALL.format('ckpt-500'),
    NOTE.format('/elsewhere/ckpt-100') + ALL.format('/elsewhere/ckpt-100'),
    NOTE.format('best_ckpt-3') + ALL.format('best_ckpt-3'),
    ALL.format('ckpt-100'),
    NOTE.format('ckpt-100') + 'last_preserved_timestamp: 1e12\n',
    NOTE.format('ckpt-9') + NOTE.format('ckpt-10'),
]


@pytest.mark.parametrize('note', NOTES)
def test_the_note_of_tensorflow_is_written_anew(tmp_path, note):
  damaged_checkpoints.save(tmp_path, [9, 10, 100])
  (tmp_path / 'checkpoint').unlink()
  if note is not None:
    (tmp_path / 'checkpoint').write_bytes(
        note if isinstance(note, bytes) else note.encode())
  assert tidy.tidy(str(tmp_path)) == f'{tmp_path}/ckpt-100'
  assert tf.train.latest_checkpoint(tmp_path) == f'{tmp_path}/ckpt-100'
  # All are known again, so that the oldest are deleted as they should be.
  assert kept_after(tmp_path, 200, 2) == [100, 200]
  assert tidy.tidy(str(tmp_path)) == f'{tmp_path}/ckpt-200'


def test_a_note_that_is_right_stays(tmp_path):
  damaged_checkpoints.save(tmp_path, [9, 10])
  before = (tmp_path / 'checkpoint').stat()
  tidy.tidy(str(tmp_path))
  after = (tmp_path / 'checkpoint').stat()
  assert (after.st_mtime_ns, after.st_ino) == (
      before.st_mtime_ns, before.st_ino)


def test_relative_folders(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  damaged_checkpoints.save('runs/one', [9, 10])
  (tmp_path / 'runs/one/checkpoint').unlink()
  assert tidy.tidy('runs/one') == 'runs/one/ckpt-10'
  assert tf.train.latest_checkpoint('runs/one') == 'runs/one/ckpt-10'
  assert tf.train.latest_checkpoint(tmp_path / 'runs/one') == (
      f'{tmp_path}/runs/one/ckpt-10')


def test_what_was_kept_for_good_stays(tmp_path):
  # Not on the list of those that may be deleted, and older than all on it.
  damaged_checkpoints.save(tmp_path, [5])
  (tmp_path / 'checkpoint').unlink()
  damaged_checkpoints.save(tmp_path, [9, 10])
  # Newer than all on it.
  shutil.copytree(tmp_path, tmp_path / 'newer')
  damaged_checkpoints.save(tmp_path / 'newer', [20])
  for part in ('index', DATA):
    shutil.copy(tmp_path / f'newer/ckpt-20.{part}', tmp_path)
  tidy.tidy(str(tmp_path))
  assert kept_after(tmp_path, 30, 2) == [5, 20, 30]


def test_one_in_so_many_hours_stays_without_a_note(tmp_path):
  damaged_checkpoints.save(tmp_path, [1, 2, 3, 4, 5])
  start = (tmp_path / 'ckpt-1.index').stat().st_mtime - 10 * HOUR
  for step, hours in ((1, 0), (2, 0.5), (3, 2), (4, 2.5), (5, 4.1)):
    os.utime(tmp_path / f'ckpt-{step}.index', times=(start + hours * HOUR,) * 2)
  (tmp_path / 'checkpoint').unlink()
  tidy.tidy(str(tmp_path), keep_every_hours=2)
  assert kept_after(
      tmp_path, 6, 1, keep_checkpoint_every_n_hours=2) == [1, 3, 5, 6]


def test_damaged_ones_are_set_aside(tmp_path, caplog):
  damaged_checkpoints.save(tmp_path, [9, 10, 100, 200])
  damaged = (tmp_path / f'ckpt-100.{DATA}').read_bytes()[:-1]
  (tmp_path / f'ckpt-100.{DATA}').write_bytes(damaged)
  (tmp_path / 'ckpt-200.index').unlink()
  assert tidy.tidy(str(tmp_path)) == f'{tmp_path}/ckpt-10'
  assert names(tmp_path) == [
      'checkpoint', f'ckpt-10.{DATA}', 'ckpt-10.index', f'ckpt-9.{DATA}',
      'ckpt-9.index', f'damaged-ckpt-100.{DATA}', 'damaged-ckpt-100.index',
      f'damaged-ckpt-200.{DATA}']
  assert (tmp_path / f'damaged-ckpt-100.{DATA}').read_bytes() == damaged
  assert any(message.startswith(
      f'{tmp_path}/ckpt-100 is damaged') and message.endswith(
          f'its files are kept as {tmp_path}/damaged-ckpt-100.*')
             for message in caplog.messages)
  # Once more, with the same step: nothing that was set aside is lost.
  damaged_checkpoints.save(tmp_path, [100])
  (tmp_path / 'ckpt-100.index').write_bytes(b'broken')
  assert tidy.tidy(str(tmp_path)) == f'{tmp_path}/ckpt-10'
  assert {f'damaged-ckpt-100.{DATA}', f'damaged-2-ckpt-100.{DATA}',
          'damaged-2-ckpt-100.index'} <= set(names(tmp_path))


@pytest.mark.long
def test_the_one_before_is_restored_whatever_the_damage(tmp_path):
  damaged_checkpoints.save(tmp_path / 'run', [9, 10, 100])
  whole = damaged_checkpoints.values(tmp_path / 'run/ckpt-100')
  num_before = 0
  for seed in range(1000, 1250):
    folder = shutil.copytree(tmp_path / 'run', tmp_path / str(seed))
    done = damaged_checkpoints.damage(folder, 'ckpt-100', 'ckpt-10', seed)
    expected = 10
    # The index has bytes that nothing reads, such as the padding of its end.
    if damaged_checkpoints.values(folder / 'ckpt-100') == whole:
      expected = 100
    num_before += expected == 10
    tidy.tidy(str(folder))
    manager = damaged_checkpoints.save(folder, [])
    assert manager.restore_or_initialize() == f'{folder}/ckpt-{expected}', done
    assert int(manager.checkpoint.global_step) == expected, done
    assert manager.checkpoint.weights.numpy().tolist() == [expected] * 50, done
    assert (folder / 'damaged-ckpt-100.index').exists() + (
        folder / f'damaged-ckpt-100.{DATA}').exists() == (
            0 if expected == 100 else 1 if '_remove' in done else 2), done
    shutil.rmtree(folder)
  assert num_before >= 200


def test_nothing_changes_where_none_is_whole(tmp_path):
  damaged_checkpoints.save(tmp_path, [9, 10])
  for step in (9, 10):
    (tmp_path / f'ckpt-{step}.index').write_bytes(b'broken')
  before = names(tmp_path)
  with pytest.raises(errors.UserError, match='holds no checkpoint that is'):
    tidy.tidy(str(tmp_path))
  assert names(tmp_path) == before
  # But where the training can go on without.
  assert tidy.tidy(str(tmp_path), is_needed=False) is None
  assert names(tmp_path) == [
      f'damaged-ckpt-10.{DATA}', 'damaged-ckpt-10.index',
      f'damaged-ckpt-9.{DATA}', 'damaged-ckpt-9.index']


def test_leftovers_of_interrupted_saves_go(tmp_path):
  damaged_checkpoints.save(tmp_path, [9, 10])
  (tmp_path / 'ckpt-20_temp').mkdir()
  for name in ('ckpt-20_temp/part-00000-of-00001.index',
               f'ckpt-30.{DATA}.tempstate123', 'checkpoint.tmp0af3',
               'checkpoint.tmp'):
    (tmp_path / name).write_text('half')
  # What is not TensorFlow's is nobody's to remove.
  (tmp_path / 'my_temp').mkdir()
  assert tidy.tidy(str(tmp_path)) == f'{tmp_path}/ckpt-10'
  assert names(tmp_path) == [
      'checkpoint', 'checkpoint.tmp', f'ckpt-10.{DATA}', 'ckpt-10.index',
      f'ckpt-9.{DATA}', 'ckpt-9.index', 'my_temp']


def test_the_first_save_was_interrupted(tmp_path):
  (tmp_path / 'ckpt-5_temp').mkdir()
  (tmp_path / f'ckpt-5.{DATA}').write_text('whole')
  (tmp_path / 'ckpt-5.index').write_text('ha')
  assert tidy.tidy(str(tmp_path)) is None
  assert names(tmp_path) == [
      f'damaged-ckpt-5.{DATA}', 'damaged-ckpt-5.index']


def test_an_old_one_without_its_index(tmp_path):
  # As when a process ends while it deletes.
  damaged_checkpoints.save(tmp_path, [9, 10])
  (tmp_path / 'ckpt-9.index').unlink()
  assert tidy.tidy(str(tmp_path)) == f'{tmp_path}/ckpt-10'
  assert names(tmp_path) == [
      'checkpoint', f'ckpt-10.{DATA}', 'ckpt-10.index',
      f'damaged-ckpt-9.{DATA}']


def test_a_folder_without_checkpoints(tmp_path):
  assert tidy.tidy(str(tmp_path / 'missing')) is None
  assert not (tmp_path / 'missing').exists()
  # A note that is empty names nothing that could be lost.
  (tmp_path / 'checkpoint').write_text('')
  assert tidy.tidy(str(tmp_path)) is None
  assert names(tmp_path) == []


def test_those_of_another_step_and_folders_are_set_aside(tmp_path):
  damaged_checkpoints.save(tmp_path, [9, 10, 100])
  for name in ('ckpt-50', 'ckpt-100000'):
    for part in ('index', DATA):
      shutil.copy(tmp_path / f'ckpt-10.{part}', tmp_path / f'{name}.{part}')
  (tmp_path / 'ckpt-200.index').mkdir()
  assert tidy.tidy(str(tmp_path)) == f'{tmp_path}/ckpt-100'
  assert [name for name in names(tmp_path) if name.endswith('.index')] == [
      'ckpt-10.index', 'ckpt-100.index', 'ckpt-9.index',
      'damaged-ckpt-100000.index', 'damaged-ckpt-200.index',
      'damaged-ckpt-50.index']
