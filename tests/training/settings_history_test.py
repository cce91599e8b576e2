"""Tests of the configurations that a training leaves behind."""

import pytest

from official_ext.params import experiment
from official_ext.training import settings_history


def load(seed):
  return experiment.load(
      'funnel_vit_digits', params_override=f'trainer.seed={seed}')


def seed_at(model_dir, step):
  return settings_history.read(str(model_dir), step).params.trainer.seed


def names(model_dir):
  return sorted(path.name for path in (
      model_dir / settings_history.FOLDER).iterdir())


def test_a_checkpoint_knows_what_it_was_trained_with(tmp_path):
  for step, seed in ((0, 1), (10, 1), (20, 2), (20, 3)):
    settings_history.save(load(seed), str(tmp_path), step)
  assert names(tmp_path) == ['from_step_0.yaml', 'from_step_20.yaml']
  assert [seed_at(tmp_path, step) for step in (10, 20, 21)] == [1, 1, 3]
  # Whatever somebody has made of the newest.
  (tmp_path / experiment.SAVED_FILE).write_text('trainer: {seed: 9}')
  assert seed_at(tmp_path, 30) == 3


def test_a_training_that_goes_back_leaves_what_it_will_not_reach(tmp_path):
  for step, seed in ((0, 1), (20, 2), (10, 3)):
    settings_history.save(load(seed), str(tmp_path), step)
  assert names(tmp_path) == [
      'from_step_0.yaml', 'from_step_10.yaml', 'from_step_20.yaml.superseded']
  assert seed_at(tmp_path, 30) == 3
  settings_history.save(load(4), str(tmp_path), 0)
  assert seed_at(tmp_path, 30) == 4


def test_a_training_of_a_former_version_has_its_newest_alone(tmp_path):
  newest = tmp_path / experiment.SAVED_FILE
  newest.write_text('trainer: {seed: 7}')
  former = settings_history.read(str(tmp_path), 5)
  assert former.path == str(newest)
  assert former.paths == {'trainer.seed'}
  settings_history.save(load(8), str(tmp_path), 5)
  assert [seed_at(tmp_path, step) for step in (5, 6)] == [7, 8]


def test_a_damaged_file_is_named(tmp_path):
  settings_history.save(load(1), str(tmp_path), 0)
  path = tmp_path / settings_history.FOLDER / 'from_step_0.yaml'
  path.write_bytes(b'\x80')
  with pytest.raises(ValueError, match='from_step_0.yaml cannot be read, so'):
    settings_history.read(str(tmp_path), 1)
  path.unlink()
  (tmp_path / experiment.SAVED_FILE).unlink()
  assert settings_history.read(str(tmp_path), 1) is None
