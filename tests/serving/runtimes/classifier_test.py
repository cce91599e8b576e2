"""Tests of the classifier that needs nothing but TensorFlow."""

import pytest
import records_for_tests
import tensorflow as tf

from official_ext.serving.runtimes import classifier as classifier_lib


def test_a_path_that_is_no_folder(tmp_path):
  (tmp_path / 'model.onnx').write_text('')
  with pytest.raises(ValueError, match='model.onnx is a file, but a SavedMode'):
    classifier_lib.find_version(str(tmp_path / 'model.onnx'))
  (tmp_path / 'exports/3').mkdir(parents=True)
  (tmp_path / 'exports/3/model_float32.tflite').touch()
  for path in ('model.onnx', 'exports', 'exports/3'):
    with pytest.raises(ValueError, match=r'\. LiteRT and ONNX files run elsewh'
                       r'ere: export the training with --format=saved_model'):
      classifier_lib.find_version(str(tmp_path / path))
  with pytest.raises(ValueError, match='nowhere does not exist'):
    classifier_lib.find_version(str(tmp_path / 'nowhere'))


def test_equal_classes_in_their_order(tmp_path):
  class Export(tf.Module):

    @tf.function(input_signature=[
        tf.TensorSpec([None], tf.string, 'image_bytes')])
    def serve(self, image_bytes):
      del image_bytes
      logits = tf.constant([[0., 300, 900, 300, 600]])
      return {'logits': logits, 'probs': tf.nn.softmax(logits)}

  export = Export()
  tf.saved_model.save(
      export, str(tmp_path), signatures={'serving_default': export.serve})
  classifier = classifier_lib.Classifier(str(tmp_path))
  assert list(classifier.classify(b'', 4)) == [
      ('class 2', 1), ('class 4', 0), ('class 1', 0), ('class 3', 0)]


def test_one_of_a_batch_that_cannot_be_decoded(export_dir):
  classifier = classifier_lib.Classifier(export_dir)
  images = [records_for_tests.encode('PNG', (8, 8), color)
            for color in ((10, 200, 90), (0, 0, 0))]
  first, bad, second = classifier.classify_all(
      [images[0], b'text', images[1]], 2)
  assert isinstance(bad, ValueError)
  assert str(bad).startswith('not a JPEG, PNG or BMP')
  for image, found in zip(images, (first, second)):
    assert [(one.name, one.probability) for one in found] == list(
        classifier.classify(image, 2))
    # The classes of the digits are named by their numbers.
    assert [str(one.number) for one in found] == [one.name for one in found]
  assert first != second


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
