"""Where a worker writes, when several train together."""

import os

import pytest

from official_ext.training import worker_folder


def test_the_chief_writes_to_the_folder_of_the_training(tmp_path):
  with worker_folder.enter(str(tmp_path), 'best', is_chief=True) as folder:
    assert folder == str(tmp_path)


@pytest.mark.parametrize('has_best', [True, False])
def test_the_others_have_a_folder_that_knows_the_best(tmp_path, has_best):
  if has_best:
    (tmp_path / 'best').mkdir()
    (tmp_path / 'best' / 'info.json').write_text('{"accuracy": 0.5}')
  before = sorted(tmp_path.rglob('*'))
  with worker_folder.enter(str(tmp_path), 'best', is_chief=False) as folder:
    assert folder != str(tmp_path)
    metrics = os.path.join(folder, 'best', 'info.json')
    assert os.path.exists(metrics) == has_best
    if has_best:
      with open(metrics, encoding='utf-8') as file:
        assert file.read() == '{"accuracy": 0.5}'
  assert not os.path.exists(folder)
  assert sorted(tmp_path.rglob('*')) == before
