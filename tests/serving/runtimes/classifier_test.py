"""Tests of the classifier that needs nothing but TensorFlow."""

import pytest
import tensorflow as tf

from official_ext.serving.runtimes import classifier as classifier_lib


def test_a_path_that_is_no_folder(tmp_path):
  (tmp_path / 'model.onnx').write_text('')
  with pytest.raises(ValueError, match='model.onnx is a file, but a SavedMode'):
    classifier_lib.find_version(str(tmp_path / 'model.onnx'))
  with pytest.raises(ValueError, match='nowhere does not exist'):
    classifier_lib.find_version(str(tmp_path / 'nowhere'))


def test_another_saved_model(tmp_path):
  class Doubler(tf.Module):

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def __call__(self, x):
      return 2 * x

  tf.saved_model.save(Doubler(), str(tmp_path / 'doubler'))
  with pytest.raises(ValueError, match="no signature 'serving_default'"):
    classifier_lib.Classifier(str(tmp_path / 'doubler'))
  with pytest.raises(ValueError, match='holds no SavedModel'):
    classifier_lib.Classifier(str(tmp_path))
