"""Tests of exports that segment: what an evaluation counts is what they say."""

import json

import masks
import numpy as np
from official.core import task_factory
from official.vision.evaluation import segmentation_metrics
import pytest
import tensorflow as tf

from data_prep import rgb_pixels
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.serving.runtimes import classifier
from official_ext.trained import trained_model


@pytest.mark.long
@pytest.mark.numerics
def test_an_export_answers_as_the_evaluation_does(tmp_path):
  records = masks.write(tmp_path / 'valid-00000-of-00001')
  params, _ = masks.save(tmp_path, records)
  with pytest.raises(ValueError, match='segments images, and this is of mod'):
    trained_model.find(str(tmp_path))
  with pytest.raises(ValueError, match='takes images of any size'):
    trained_model.find(str(tmp_path), trained_model.Selection(
        image_size=[64, 64]), may_segment=True)
  trained = trained_model.find(str(tmp_path), may_segment=True)
  with pytest.raises(ValueError, match='--format=onnx: a model that segments'):
    write.export(trained, names.ONNX, str(tmp_path / 'onnx'))
  path = write.export(trained, names.SAVED_MODEL, str(tmp_path / 'export'))
  with pytest.raises(ValueError, match='segments images, and this is of mod'):
    classifier.Classifier(path)
  signatures = tf.saved_model.load(path).signatures
  assert sorted(signatures) == ['image_tensor', 'serving_default', 'with_probs']
  task = task_factory.get_task(params.task)
  compared = 0
  for images, labels in task.build_inputs(params.task.validation_data):
    logits, _, _ = segmentation_metrics.preprocess_inputs(
        labels, trained.model(images)['logits'], rescale_predictions=True)
    counted = np.argmax(logits, -1)
    for index, info in enumerate(labels['image_info'].numpy()):
      height, width = map(int, info[0])
      image = masks.image_of(masks.mask_of(height, width))
      encoded = tf.constant(masks.encode(image))
      found = signatures['serving_default'](image_bytes=encoded)
      assert list(found) == ['mask'] and found['mask'].dtype == tf.uint8
      # Pixel for pixel, whatever the shape of the image.
      np.testing.assert_array_equal(
          found['mask'], counted[index, :height, :width])
      np.testing.assert_array_equal(
          signatures['image_tensor'](image_tensor=tf.constant(image))['mask'],
          found['mask'])
      both = signatures['with_probs'](image_bytes=encoded)
      np.testing.assert_array_equal(both['mask'], found['mask'])
      np.testing.assert_allclose(
          both['probs'], tf.nn.softmax(logits[index, :height, :width]),
          atol=1e-5)
      compared += 1
  assert compared == len(masks.SIZES)
  _check_transparency(signatures['with_probs'])
  with pytest.raises(tf.errors.InvalidArgumentError):
    signatures['serving_default'](image_bytes=tf.constant(b'no image'))
  with open(f'{path}/assets/model.json', encoding='utf-8') as file:
    described = json.load(file)
  assert described['classes'] == ['none', 'right', 'below', 'other']
  assert described['model']['task'] == 'semantic_segmentation'
  assert described['preprocessing']['resize_mode'] == 'resize_then_pad'
  assert described['preprocessing']['transparency'] == 'over white'
  assert tf.io.gfile.exists(
      f'{path}/assets.extra/tf_serving_warmup_requests')


def _check_transparency(segment):
  """A PNG is segmented as what is seen of it, on white as in a conversion."""
  image = masks.image_of(masks.mask_of(32, 32))
  alpha = np.full((32, 32, 1), 255, np.uint8)
  alpha[:16, 16:], alpha[16:, :16] = 0, 100
  transparent = np.concatenate([image, alpha], -1)
  seen = rgb_pixels.over_white(transparent)
  assert (seen[:16, 16:] == 255).all()
  hidden, found, expected = (
      segment(image_bytes=tf.constant(masks.encode(pixels)))
      for pixels in (image, transparent, seen))
  for name in ('mask', 'probs'):
    np.testing.assert_array_equal(found[name], expected[name])
  assert np.abs(hidden['probs'] - found['probs']).max() > 1e-3
