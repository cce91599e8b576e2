"""Tests of the answers: as the evaluation's, for images of every kind."""

import collections
import io
import itertools

import handmade_images
import numpy as np
from official.core import task_factory
from PIL import Image
import pytest
import records_for_tests
import short_runs
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl
import tf_keras

from data_prep import exif_orientation as conversion
from official_ext.params import experiment
from official_ext.serving.formats import signatures


def encode(image, image_format='JPEG', **options):
  encoded = io.BytesIO()
  image.save(encoded, format=image_format, **options)
  return encoded.getvalue()


def smooth(width, height, mode='RGB', seed=0):
  """An image with structure, as every pixel its own colour would not have."""
  small = records_for_tests.pixels(seed, (7, 5, 3))
  return Image.fromarray(small).resize(
      (width, height), Image.Resampling.BICUBIC).convert(mode)


IMAGES = {
    'portrait': encode(smooth(90, 160)),
    'landscape': encode(smooth(160, 90)),
    'square': encode(smooth(100, 100)),
    'grayscale': encode(smooth(120, 80, 'L')),
    'CMYK': encode(smooth(80, 120, 'CMYK')),
    '2 x 2 px': encode(smooth(2, 2)),
    '2 px wide': encode(smooth(2, 50)),
    '2 px high': encode(smooth(50, 2)),
    '6,000 px': encode(smooth(6000, 6000)),
    'progressive': encode(smooth(90, 70), progressive=True),
}


def evaluated_logits(trained, tmp_path, encoded, **data_settings):
  """Through a TFRecord, the task's own pipeline and its model."""
  records_for_tests.write(
      tmp_path / 'validation-00000-of-00001',
      [records_for_tests.example(3, image) for image in encoded])
  task = task_factory.get_task(trained.params.task)
  data = trained.params.task.validation_data.replace(
      input_path=str(tmp_path / 'validation-*'),
      global_batch_size=len(encoded), **data_settings)
  (images, (labels, weights)), = task.build_inputs(data)
  assert labels.numpy().tolist() == [3] * len(encoded)
  assert weights.numpy().tolist() == [1] * len(encoded)
  return trained.model(images, training=False).numpy()


@pytest.mark.slow
def test_the_validation_set(trained, serve, digits_dir):
  task = task_factory.get_task(trained.params.task)
  images, _ = next(iter(task.build_inputs(
      trained.params.task.validation_data)))
  expected = trained.model(images, training=False).numpy()
  encoded = short_runs.held_out_images(digits_dir)[:len(expected)]
  output = serve['default'](encoded)
  np.testing.assert_allclose(output['logits'], expected, rtol=0, atol=1e-4)
  probs = tf.nn.softmax(expected).numpy()
  np.testing.assert_allclose(output['probs'], probs, rtol=0, atol=1e-5)
  ranked = np.argsort(-probs, axis=-1, kind='stable')[:, :5]
  np.testing.assert_array_equal(output['top_indices'], ranked)
  np.testing.assert_allclose(
      output['top_probs'], np.take_along_axis(probs, ranked, -1), atol=1e-5)
  assert output['top_classes'].numpy().tolist() == [
      [str(index).encode() for index in row] for row in ranked]


def test_classes_are_ranked_by_their_logits(digits_dir):
  # All probabilities but one round to 0; two logits are equal.
  logits = tf.constant([0., 200, 600, 400, 400])
  inputs = tf_keras.Input([16, 16, 3])
  model = tf_keras.Model(inputs, tf_keras.layers.Lambda(
      lambda images: 0 * images[:, 0, 0, :1] + logits)(inputs))
  module = signatures.ServingModule(
      short_runs.parameters(digits_dir), model, [*'abcde'], top_k=4)
  output = module.serve(
      tf.zeros([1, 8, 8, 3], tf.uint8), module.preprocess_tensor)
  assert output['top_indices'].numpy().tolist() == [[2, 3, 4, 1]]
  assert output['top_classes'].numpy().tolist() == [[b'c', b'd', b'e', b'b']]
  assert output['top_probs'].numpy().tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize('xla', [False, True])
def test_xla_compiles_the_model_if_asked_for(digits_dir, xla):
  inputs = tf_keras.Input([16, 16, 3])
  model = tf_keras.Model(inputs, tf_keras.layers.Lambda(
      lambda images: tf.stack([images[:, 0, 0, 0], images[:, 1, 1, 1]], 1))(
          inputs))
  module = signatures.ServingModule(
      short_runs.parameters(digits_dir), model, ['a', 'b'], xla=xla)
  function = module.get_inference_signatures({'image_tensor': 'pixels'})[
      'pixels']
  compiled = [one for one in function.graph.as_graph_def().library.function
              if one.attr['_XlaMustCompile'].b]
  assert bool(compiled) == xla
  # Decoding and resizing, which XLA knows nothing of, are not in it.
  assert not any('Resize' in node.op
                 for one in compiled for node in one.node_def)
  pixels = np.full([2, 8, 8, 3], [[[[0, 100, 200]]], [[[255, 50, 1]]]],
                   np.uint8)
  expected = np.stack([
      [image[0, 0, 0], image[1, 1, 1]] for image in map(
          module.preprocess_tensor, tf.constant(pixels))])
  np.testing.assert_allclose(
      function(image_tensor=tf.constant(pixels))['logits'], expected,
      rtol=1e-5)


# Several images a test: the first answer after a new seed takes a second.
def test_served_as_evaluated(trained, serve, tmp_path):
  encoded = list(IMAGES.values())
  expected = evaluated_logits(trained, tmp_path, encoded)
  output = serve['default'](encoded)['logits']
  for name, found, wanted in zip(IMAGES, output, expected, strict=True):
    np.testing.assert_allclose(
        found, wanted, rtol=0, atol=1e-4, err_msg=name)


def test_the_three_signatures_agree(serve):
  for name in ('portrait', 'CMYK', '2 x 2 px'):
    encoded = IMAGES[name]
    expected = serve['default']([encoded, encoded])['logits']
    pixels = tf.stack([tf.io.decode_jpeg(encoded, channels=3)] * 2)
    np.testing.assert_allclose(
        serve['image_tensor'](image_tensor=pixels)['logits'], expected,
        rtol=0, atol=1e-4, err_msg=name)
    example = records_for_tests.example(None, encoded)
    np.testing.assert_allclose(
        serve['tf_example'](tf_example=tf.constant([example] * 2))['logits'],
        expected, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_lossless_formats(trained, serve, tmp_path):
  kinds = list(itertools.product(
      ('PNG', 'BMP'), [(1, 1), (2, 2), (8, 8), (9, 400)]))
  encoded = [encode(smooth(*size), kind) for kind, size in kinds]
  expected = evaluated_logits(
      trained, tmp_path, encoded, decode_jpeg_only=False)
  for (kind, size), image, wanted in zip(kinds, encoded, expected, strict=True):
    message = f'{kind} {size}'
    # A file of one pixel is refused; pixels and records are taken whole.
    if min(size) > 1:
      np.testing.assert_allclose(
          serve['default']([image])['logits'][0], wanted, rtol=0, atol=1e-4,
          err_msg=message)
    pixels = np.asarray(smooth(*size))[np.newaxis]
    np.testing.assert_allclose(
        serve['image_tensor'](image_tensor=pixels)['logits'][0], wanted,
        rtol=0, atol=1e-4, err_msg=message)


def test_served_with_another_preprocessing(trained):
  # As CLIP's, at 16 px: the short side first, which becomes 20 px.
  mean, stddev = [122.5, 116.5, 104.5], [68.5, 66.5, 70.5]
  task = trained.params.task
  task = task.replace(
      train_data=task.train_data.replace(mean_rgb=mean, stddev_rgb=stddev),
      validation_data=task.validation_data.replace(
          resize_antialias=True, resize_mode='resize_then_crop',
          center_crop_fraction=0.8, tf_resize_method='bicubic'))
  module = signatures.ServingModule(
      trained.params.replace(task=task), trained.model, [*'0123456789'])
  image = smooth(90, 60)
  for encoded in (encode(image), encode(image, 'PNG')):
    pixels = np.asarray(Image.open(io.BytesIO(encoded)))
    expected = np.asarray(Image.fromarray(pixels).resize(
        (30, 20), Image.Resampling.BICUBIC).crop((7, 2, 23, 18)), float)
    for found in (module.preprocess(tf.constant(encoded)),
                  module.preprocess_tensor(tf.constant(pixels))):
      assert np.abs(found * stddev + mean - expected).max() < 1.001


def test_a_png_of_any_kind_is_answered(serve):
  images = [smooth(20, 20).convert(mode)
            for mode in ('L', 'P', 'RGBA', 'LA', '1')]
  # In 16 bits.
  images.append(Image.fromarray(
      np.arange(400, dtype=np.uint16).reshape(20, 20)))
  probs = serve['default'](
      [encode(image, 'PNG') for image in images])['probs'].numpy()
  np.testing.assert_allclose(probs.sum(-1), np.ones(6), atol=1e-5)


def turned(orientation, image_format):
  """A file that says how it is to be turned, and what is seen of it."""
  image = smooth(90, 60)
  exif = handmade_images.exif(orientation)
  if image_format == 'PNG':
    data = handmade_images.with_png_chunk(encode(image, 'PNG'), b'eXIf', exif)
  else:
    data = handmade_images.with_exif(encode(image, quality=100), exif)
  decoded = Image.fromarray(tf.io.decode_image(data).numpy())
  return data, np.asarray(conversion.turn(decoded, orientation))


@pytest.mark.slow
@pytest.mark.parametrize('orientations', ['apply', 'ignore'])
def test_turned_as_the_training_data_were(trained, serve, orientations):
  module = signatures.ServingModule(
      trained.params, trained.model, [str(digit) for digit in range(10)],
      orientations=orientations)
  turn = module.get_inference_signatures({'image_bytes': 'bytes'})['bytes']
  for image_format in ('JPEG', 'PNG'):
    for orientation in (1, 2, 6, 8):
      encoded, seen = turned(orientation, image_format)
      stored = tf.io.decode_image(encoded).numpy()
      found = turn(tf.constant([encoded]))['logits']
      by_what = {name: np.abs(found - serve['image_tensor'](
          image_tensor=pixels[np.newaxis])['logits']).max()
                 for name, pixels in (('seen', seen), ('stored', stored))}
      wanted = 'seen' if orientations == 'apply' else 'stored'
      assert by_what[wanted] < 1e-4
      if orientation != 1:
        assert max(by_what.values()) > 1e-3


def test_transparency_is_over_white(serve):
  image = smooth(40, 30).convert('RGBA')
  image.putalpha(smooth(40, 30, 'L', seed=1))
  white = Image.new('RGBA', image.size, 'white')
  white.alpha_composite(image)
  served = serve['default']([encode(image, 'PNG')])['logits']
  over_white, dropped = (
      np.abs(served - serve['image_tensor'](
          image_tensor=np.asarray(pixels.convert('RGB'))[np.newaxis])[
              'logits']).max() for pixels in (white, image))
  # Pillow rounds otherwise, by one of 255 at most.
  assert over_white < 0.1 * dropped


def test_a_batch_is_its_images(serve):
  encoded = list(IMAGES.values())
  together = serve['default'](encoded)['logits'].numpy()
  for index, image in enumerate(encoded):
    np.testing.assert_allclose(
        serve['default']([image])['logits'][0], together[index],
        rtol=0, atol=1e-5)


def test_the_signatures_share_what_they_have_in_common(export_dir):
  meta_graph, = loader_impl.parse_saved_model(f'{export_dir}/1').meta_graphs
  nodes = [node for function in meta_graph.graph_def.library.function
           for node in function.node_def]
  count = collections.Counter(node.op for node in nodes)
  # The patches are cut once for three signatures, a crop decoded once for two.
  assert count['Conv2D'] == count['DecodeAndCropJpeg'] == 1
  assert {node.device for node in nodes
          if 'Jpeg' in node.op or 'Resize' in node.op} == {
              '/device:CPU:0'}


def test_several_labels_per_image(trained_dir, trained):
  params = experiment.load_saved(trained_dir)
  params.task.train_data.is_multilabel = True
  module = signatures.ServingModule(
      params, trained.model, [str(digit) for digit in range(10)], top_k=2)
  output = module.serve(tf.constant([IMAGES['square']]), module.preprocess)
  np.testing.assert_allclose(
      output['probs'], tf.math.sigmoid(output['logits']), atol=1e-6)
