"""Published models are read as their libraries mean them.

`make parity` writes the models anew, at tiny and at base size, and runs this
file on them; a tiny one of each family is kept in tests/pretrained/golden.
"""

import json

import numpy as np
import published_models
import pytest
import tensorflow as tf
import tf_keras

from official_ext.command_line import errors
from official_ext.pretrained import hugging_face_images
from official_ext.pretrained import published

# Relative to the largest value: the issue's own figure for float32.
TOLERANCE = 1e-4
HALF = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)


def close(what, found, expected):
  error = np.abs(found - expected).max() / np.abs(expected).max()
  # `make parity` shows it.
  print(f'{what} within {error:.1e} of the largest value')
  assert error < TOLERANCE, error


@pytest.mark.parametrize('name', [
    pytest.param(name, marks=pytest.mark.addons if (
        name in published_models.IN_SUITE) else pytest.mark.long)
    for name in published_models.names()])
def test_answers_are_those_of_the_library(name):
  source = published.read(str(published_models.folder(name)))
  model = published_models.ours(source)
  expected = published_models.answers(name)
  backbone = model.backbone
  tokens, features = tf_keras.Model(backbone.inputs, [
      backbone.get_layer('encoder').output, backbone.output['pre_logits']])(
          tf.constant(expected['images']), training=False)
  close(f'{name}: tokens', tokens.numpy(), expected['tokens'])
  found = (model(expected['images'], training=False)
           if source.model.num_classes else features[:, 0, 0])
  close(f'{name}: output', found.numpy(), expected['output'])
  # Nothing is left out but what an image classifier does not have.
  assert set(source.left_out.values()) <= {
      'of masked pretraining', 'of the text tower',
      'which its head does not read'}


def read_images(folder, content, model_type='vit', image_size=(12, 12)):
  path = folder / hugging_face_images.FILE
  path.write_text(json.dumps(content))
  return hugging_face_images.read(str(path), image_size, model_type)


@pytest.mark.parametrize('named, model_type, squashes', [
    ({'feature_extractor_type': 'CLIPFeatureExtractor'}, 'clip', False),
    ({'image_processor_type': 'CLIPImageProcessor'}, 'vit', False),
    ({'image_processor_type': 'BitImageProcessorFast'}, 'dinov2', False),
    ({}, 'clip_vision_model', False),
    ({}, 'dinov2', False),
    ({}, 'deit', True),
    ({}, 'vit_msn', True),
    ({'feature_extractor_type': 'ViTFeatureExtractor'}, 'clip', True),
    ({'image_processor_type': 'DeiTImageProcessor'}, 'vit', True)])
def test_a_number_is_the_shortest_edge_or_a_square(
    tmp_path, named, model_type, squashes):
  found = read_images(tmp_path, {
      **named, **HALF, 'resample': 3, 'size': 14, 'crop_size': 12,
      'do_center_crop': True}, model_type)
  assert found.squashes == squashes
  assert found.crop_fraction == pytest.approx(12 / 14)


@pytest.mark.parametrize('processor, method, fraction, squashes, mean', [
    ('ViT', 'bilinear', 1, True, 0.5),
    ('DeiT', 'bicubic', 224 / 256, True, 0.5),
    ('CLIP', 'bicubic', 1, False, 0.48145466),
    ('Bit', 'bicubic', 1, False, 0.48145466),
    ('Siglip', 'bicubic', 1, True, 0.5)])
def test_what_is_left_out_is_what_the_processor_takes(
    tmp_path, processor, method, fraction, squashes, mean):
  found = read_images(
      tmp_path, {'image_processor_type': f'{processor}ImageProcessor'},
      image_size=(224, 224))
  assert (found.resize_method, found.crop_fraction, found.squashes,
          found.mean[0]) == (method, fraction, squashes, mean)


def test_lanczos(tmp_path):
  assert read_images(tmp_path, {
      **HALF, 'resample': 1, 'size': 12}).resize_method == 'lanczos3'


def test_sides_of_one_shape(tmp_path):
  found = read_images(tmp_path, {
      **HALF, 'size': [14, 19], 'crop_size': {'height': 12, 'width': 16},
      'do_center_crop': True}, image_size=(12, 16))
  assert found.squashes and found.crop_fraction == pytest.approx(16 / 19)


@pytest.mark.parametrize('content, words', [
    ({'size': {'height': 14, 'width': 18}, 'crop_size': 12,
      'do_center_crop': True}, ['18', '12 x 12']),
    ({'size': 14, 'crop_size': {'height': 12, 'width': 10},
      'do_center_crop': True}, ["'width': 10", '12 x 12']),
    ({'size': {'height': 12, 'width': 16}}, ["'width': 16", '12 x 12']),
    ({'size': 12, 'crop_size': 16, 'do_center_crop': True}, ['no larger']),
    ({'size': {'shortest_edge': 12}, 'crop_size': 16, 'do_center_crop': True},
     ['no larger']),
    ({'image_processor_type': 'ConvNextImageProcessor', 'size': 12},
     ['ConvNextImageProcessor', 'ViTImageProcessor'])])
def test_sizes_that_are_refused(tmp_path, content, words):
  with pytest.raises(errors.UserError) as error:
    read_images(tmp_path, {**HALF, **content})
  for word in words:
    assert word in str(error.value), error.value
