"""Whether a checkpoint is whole, by the bits of its files."""

import damaged_checkpoints
import pytest
import tensorflow as tf

from official_ext.checkpoints import integrity
from official_ext.command_line import errors


@pytest.fixture(name='prefix')
def _prefix(tmp_path):
  damaged_checkpoints.save(tmp_path, [10])
  return f'{tmp_path}/ckpt-10'


def rewrite(path, change):
  content = path.read_bytes()
  path.unlink()
  path.write_bytes(change(content))


def test_a_whole_checkpoint(prefix):
  assert integrity.damage(prefix) is None
  assert integrity.index_damage(prefix) is None


def test_every_bit_of_the_data_counts(prefix, tmp_path):
  path = tmp_path / f'ckpt-10.{damaged_checkpoints.DATA}'
  size = path.stat().st_size
  for place in range(0, size, size // 40):
    rewrite(path, lambda content, at=place: (
        content[:at] + bytes([content[at] ^ 16]) + content[at + 1:]))
    assert 'cannot be read (' in integrity.damage(prefix), place
    rewrite(path, lambda content, at=place: (
        content[:at] + bytes([content[at] ^ 16]) + content[at + 1:]))
    assert integrity.damage(prefix) is None


@pytest.mark.parametrize('part, change, expected', [
    ('index', lambda content: content[:-1], 'its index cannot be read (not an'),
    ('index', lambda content: b'', 'its index cannot be read (file is too sh'),
    (damaged_checkpoints.DATA, lambda content: content[:-1], ' cannot be read'),
    (damaged_checkpoints.DATA, lambda content: b'', ' cannot be read'),
])
def test_what_is_damaged(prefix, tmp_path, part, change, expected):
  rewrite(tmp_path / f'ckpt-10.{part}', change)
  assert expected in integrity.damage(prefix)
  assert (integrity.index_damage(prefix) is None) == (part != 'index')


def test_missing_files(prefix, tmp_path):
  (tmp_path / f'ckpt-10.{damaged_checkpoints.DATA}').unlink()
  assert integrity.damage(prefix) == 'its data are missing'
  (tmp_path / 'ckpt-10.index').unlink()
  assert integrity.damage(prefix) == 'its index is missing'
  assert integrity.files(prefix) == []


def test_nothing_is_read_twice(prefix, monkeypatch, tmp_path):
  read = []
  original = tf.train.load_checkpoint
  monkeypatch.setattr(
      tf.train, 'load_checkpoint',
      lambda path: read.append(path) or original(path))
  assert integrity.damage(prefix) is None
  assert len(read) == 2  # The index, and the data.
  assert integrity.damage(prefix) is None
  assert len(read) == 2
  rewrite(tmp_path / 'ckpt-10.index', lambda content: content)
  assert integrity.damage(prefix) is None
  assert len(read) == 4


def test_what_may_not_be_read_is_not_damaged(prefix, monkeypatch):
  def refuse(*_):
    raise tf.errors.PermissionDeniedError(None, None, 'Permission denied')
  monkeypatch.setattr(tf.io.gfile.GFile, 'read', refuse)
  with pytest.raises(errors.UserError, match=(
      r'ckpt-10\.index cannot be read: Permission denied\.$')):
    integrity.damage(prefix)
