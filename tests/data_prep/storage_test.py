"""Tests of files on the local disk and on a remote store, in memory here."""

import os
import uuid

import pytest

from data_prep import storage


@pytest.fixture(name='folder', params=['local', 'remote'])
def _folder(request, tmp_path):
  if request.param == 'local':
    return str(tmp_path / 'new')
  return f'memory://{uuid.uuid4().hex}/new'


def test_files_and_folders(folder):
  assert not storage.exists(folder)
  assert storage.list_names(folder) == []
  storage.make_folder(folder)
  storage.make_folder(folder)
  assert storage.is_folder(folder)
  storage.write_bytes(f'{folder}/train-1', b'0123456789')
  storage.write_bytes(f'{folder}/train-1', b'abcdefghij')
  storage.write_bytes(f'{folder}/other', b'')
  assert storage.list_names(folder) == ['other', 'train-1']
  assert storage.list_names(folder, 'train*') == ['train-1']
  assert storage.read_bytes(f'{folder}/train-1') == b'abcdefghij'
  assert storage.read_range(f'{folder}/train-1', 3, 4) == b'defg'
  assert storage.read_range(f'{folder}/train-1', 8, 4) == b'ij'
  assert storage.file_size(f'{folder}/train-1') == 10
  assert storage.file_size(f'{folder}/missing') is None
  storage.rename(f'{folder}/other', f'{folder}/train-1')
  assert storage.list_names(folder) == ['train-1']
  assert storage.read_bytes(f'{folder}/train-1') == b''
  storage.remove(f'{folder}/train-1')
  storage.remove(f'{folder}/train-1')
  storage.remove(folder)
  assert not storage.exists(folder)


def test_a_folder_is_written_by_one_run_at_a_time(folder):
  with storage.lock(folder):
    with pytest.raises(ValueError, match='another run is writing'):
      with storage.lock(folder):
        pass
  with storage.lock(folder):
    pass


def test_the_lock_goes_with_an_error(folder):
  with pytest.raises(KeyError):
    with storage.lock(folder):
      raise KeyError
  with storage.lock(folder):
    pass


def test_an_unknown_store_is_said():
  with pytest.raises(ValueError, match='nowhere://x cannot be reached'):
    storage.exists('nowhere://x')


def test_free_space(tmp_path):
  assert storage.free_bytes(str(tmp_path)) > 0
  assert storage.free_bytes('memory://x') is None


def test_a_folder_whose_name_is_not_utf8(tmp_path):
  path = os.path.join(tmp_path, os.fsdecode(b'caf\xe9'))
  with pytest.raises(ValueError, match=(
      r"^the name of the folder b'.*/caf\\xe9' is not UTF-8, so that no "
      'training could read what is in it. Choose another.$')):
    with storage.lock(path):
      pass
  assert not os.listdir(tmp_path)
  storage.make_folder(os.path.join(tmp_path, 'caf\xe9'))
