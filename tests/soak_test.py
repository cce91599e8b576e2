import pathlib

import pytest
import soak


@pytest.mark.long
def test_interrupted_trainings_end_as_an_undisturbed_one(digits_dir, tmp_path):
  assert soak.soak(
      pathlib.Path(digits_dir), tmp_path, kills=1, terms=1, seed=1)


@pytest.mark.long
def test_interrupted_trainings_of_two_workers(digits_dir, tmp_path):
  assert soak.soak(
      pathlib.Path(digits_dir), tmp_path, kills=1, terms=1,
      # Of the second worker, in the middle of the training.
      seed=10, num_workers=2)
