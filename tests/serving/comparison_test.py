"""Tests of the comparison of exports with their checkpoint."""

import numpy as np
import pytest

from official_ext.serving import comparison


def test_accuracy_is_counted_image_by_image():
  accuracy = comparison.Accuracy()
  logits = np.eye(8, dtype=np.float32)[[0, 1, 2]] + np.linspace(0, 0.1, 8)
  # Right; not the first but among five; not among five.
  accuracy.add(logits, np.array([0, 7, 0]), logits + [[0.5], [0], [0]])
  assert (accuracy.num_images, accuracy.num_top_1, accuracy.num_top_5) == (
      3, 1, 2)
  assert accuracy.max_difference == pytest.approx(0.5)
  accuracy.add(logits, np.array([0, 1, 2]), logits)
  assert (accuracy.num_images, accuracy.num_top_1) == (6, 4)
  assert accuracy.max_difference == pytest.approx(0.5)
  accuracy.add(logits * np.nan, np.array([0, 1, 2]), logits)
  assert np.isnan(accuracy.max_difference)
  accuracy.add(logits, np.array([0, 1, 2]), logits)
  assert not accuracy.max_difference <= 1


def test_exports_of_different_weights():
  class Export:

    def __init__(self, path, step):
      self.path = path
      self.description = {'source': {'step': step}, 'preprocessing': {}}

  same = [Export('a', 1), Export('b', 1)]
  assert comparison.common_source(same) == {'step': 1}
  with pytest.raises(ValueError, match='a and c are not exports of the same'):
    comparison.common_source([*same, Export('c', 2)])


def test_a_training_that_has_moved(tmp_path):
  (tmp_path / 'best').mkdir()
  for name in ('ckpt-10', 'best/best_ckpt-2'):
    (tmp_path / f'{name}.index').touch()
    assert comparison.locate(f'/gone/{name}', str(tmp_path)) == (
        f'{tmp_path}/{name}', str(tmp_path))
  with pytest.raises(ValueError, match='has no checkpoint ckpt-11, of which'):
    comparison.locate('/gone/ckpt-11', str(tmp_path))


def test_where_the_training_is(trained_dir, tmp_path):
  for checkpoint in (f'{trained_dir}/ckpt-10', f'{trained_dir}/best/ckpt-10'):
    assert comparison.locate(checkpoint, None) == (checkpoint, trained_dir)
  with pytest.raises(ValueError, match='with --model_dir'):
    comparison.locate(str(tmp_path / 'gone' / 'ckpt-1'), None)
