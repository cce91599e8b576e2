"""The checkpoints that a training writes beside an evaluation."""

import damaged_checkpoints
import pytest

from official_ext.training import new_checkpoints
from official_ext.training import preemption


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
  monkeypatch.setattr(new_checkpoints, '_POLL_SECONDS', 0)


def watch():
  return preemption.Watch(lambda value: value)


def test_each_newest_one_comes_once(tmp_path):
  found = new_checkpoints.watch(str(tmp_path), watch(), 0, None)
  damaged_checkpoints.save(tmp_path, [9])
  assert next(found) == f'{tmp_path}/ckpt-9'
  damaged_checkpoints.save(tmp_path, [10, 100])
  # What is not whole, or is being written, does not come.
  damaged_checkpoints.save(tmp_path, [200, 300])
  (tmp_path / 'ckpt-200.index').write_bytes(b'')
  (tmp_path / 'ckpt-300.index').write_bytes(b'')
  (tmp_path / 'ckpt-300_temp').mkdir()
  assert next(found) == f'{tmp_path}/ckpt-100'
  assert list(found) == []


def test_the_first_one_is_waited_for(tmp_path):
  damaged_checkpoints.save(tmp_path, [9])
  assert new_checkpoints.wait_for_first(str(tmp_path), watch()) == (
      f'{tmp_path}/ckpt-9')
  interrupts = watch()
  interrupts.receive(preemption.Notice('SIGTERM'))
  with pytest.raises(preemption.Preempted, match='no checkpoint in .* yet'):
    new_checkpoints.wait_for_first(str(tmp_path / 'not yet'), interrupts)


def test_a_timeout_is_no_end_while_the_training_runs(tmp_path):
  answers = iter([False, False, True])
  found = new_checkpoints.watch(
      str(tmp_path / 'not yet'), watch(), 0, lambda: next(answers))
  assert list(found) == []
  assert list(answers) == []


def test_waiting_is_interrupted(tmp_path):
  interrupts = watch()
  found = new_checkpoints.watch(str(tmp_path), interrupts, None, None)
  damaged_checkpoints.save(tmp_path, [9])
  assert next(found)
  interrupts.receive(preemption.Notice('SIGTERM'))
  with pytest.raises(preemption.Interrupt):
    next(found)
