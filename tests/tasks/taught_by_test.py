"""Tests of what a training notes of its teacher."""

import pytest
import tensorflow as tf

from official_ext.tasks import taught_by


def test_the_teacher_is_the_same_to_the_end():
  known = taught_by.noted({'b': 1}, 'a', 'a/ckpt-1')
  assert known == {'b': 1, 'teacher': {'path': 'a', 'checkpoint': 'ckpt-1'}}
  assert taught_by.noted(known, 'a', 'a/ckpt-1') == known
  assert taught_by.noted(known, 'c', 'c/ckpt-2')['teacher']['path'] == 'c'
  with pytest.raises(ValueError, match='is ckpt-2 now, but this training was '
                     'begun with ckpt-1. Give a/ckpt-1, or a/ckpt-2'):
    taught_by.noted(known, 'a', 'a/ckpt-2')


def test_a_teacher_that_was_trained_anew_is_another(tmp_path):
  def write(value):
    return tf.train.Checkpoint(weight=tf.Variable([1.0, value])).write(
        str(tmp_path / 'ckpt-4'))

  path = str(tmp_path)
  known = taught_by.noted({}, path, write(2.0))
  assert taught_by.noted(known, path, write(2.0)) == known
  # Of a version that did not note the weights.
  before = {'teacher': {'path': path, 'checkpoint': 'ckpt-4'}}
  assert taught_by.noted(before, path, write(2.0)) == known
  with pytest.raises(ValueError, match='is still ckpt-4, but holds other weig'):
    taught_by.noted(known, path, write(3.0))
