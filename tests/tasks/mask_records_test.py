"""Tests of what is wrong with a record of an image and its mask."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import mask_records

TASK = experiment.load('funnel_vit_segmentation', params_override=(
    'task.model.num_classes=3,task.model.input_size=[32,32,3]')).task
MASK = np.array([[0, 1, 2], [255, 1, 0]], np.uint8)
IMAGE = np.zeros((2, 3, 3), np.uint8)


def encode(pixels, mode=None, **settings):
  encoded = io.BytesIO()
  image = pixels if isinstance(pixels, Image.Image) else (
      Image.fromarray(pixels))
  (image.convert(mode) if mode else image).save(
      encoded, format='PNG', **settings)
  return encoded.getvalue()


def record(image=IMAGE, mask=MASK, height=2, width=3, without=()):
  values = {
      'image/encoded': image, mask_records.MASK_KEY: mask,
      'image/height': height, 'image/width': width}
  features = {}
  for name, value in values.items():
    if name in without:
      continue
    if isinstance(value, int):
      features[name] = tf.train.Feature(
          int64_list=tf.train.Int64List(value=[value]))
      continue
    if not isinstance(value, bytes):
      value = encode(value)
    features[name] = tf.train.Feature(
        bytes_list=tf.train.BytesList(value=[value]))
  return tf.train.Example(features=tf.train.Features(
      feature=features)).SerializeToString()


def check(decodes=True, **settings):
  mask_records.check_record(
      record(**settings), TASK, TASK.validation_data, 'record 7 of a', decodes)


def test_a_record_that_is_right():
  check()
  check(mask=encode(MASK, 'L'))


@pytest.mark.parametrize('settings, message', [
    ({'without': ('image/encoded',)}, "has no image under 'image/encoded'"),
    ({'without': (mask_records.MASK_KEY,)},
     f"has no mask under '{mask_records.MASK_KEY}'; its keys are image/encoded,"
     ' image/height, image/width'),
    ({'without': ('image/width',)}, 'lacks image/height or image/width'),
    ({'mask': np.zeros((3, 3), np.uint8)},
     'holds a mask 3 px high and 3 px wide, but says image/height 2 and '
     'image/width 3'),
    ({'image': np.zeros((2, 4, 3), np.uint8)},
     'holds an image 2 px high and 4 px wide, but says image/height 2 and '
     'image/width 3'),
    ({'height': 3, 'width': 2}, 'holds an image 2 px high and 3 px '
     'wide, but says'),
    ({'mask': np.full((2, 3), 3, np.uint8)},
     'holds a mask with the value 3, but task.model.num_classes is 3: classes '
     'are 0 to 2, and 255 is ignored'),
    ({'mask': encode(MASK, 'RGB')}, r'is in colours \(RGB\)'),
    ({'mask': encode(Image.fromarray(MASK).quantize(4))}, 'has a palette'),
    ({'mask': encode(MASK.astype(np.uint16))}, 'has 16 bits'),
    ({'mask': encode(MASK, '1')}, 'has 1 bit'),
    ({'image': b'no image'}, 'an image that cannot be decoded'),
    ({'mask': encode(MASK)[:40]}, 'an image that cannot be decoded'),
    ({'height': 33, 'width': 2},
     'an image 33 px high and 2 px wide, but .* padded to be 32 px high and '
     r'32 px wide. Set .*_size to the largest .*: \[33,32\] by this one, the '
     'first that is found'),
])
def test_what_is_wrong_is_named(settings, message):
  with pytest.raises(ValueError, match=message) as refused:
    check(**settings)
  assert str(refused.value).startswith('record 7 of a ')


def test_what_is_not_decoded_is_not_checked():
  check(decodes=False, mask=b'no image')


def test_the_assertion_of_the_pipeline_is_explained():
  masks = tf.constant([[1.0, 7.0], [255.0, 0.0]])
  with pytest.raises(tf.errors.InvalidArgumentError) as raised:
    mask_records.check_masks(masks, masks != 255, TASK)
  # In a graph TensorFlow writes it so.
  error = tf.errors.InvalidArgumentError(
      None, None, 'assertion failed: [A mask has the value] [7] '
      '[, but task.model.num_classes is 3.]\n\t [[{{node Assert}}]]')
  assert mask_records.explain(error) == (
      'A mask has the value 7, but task.model.num_classes is 3.')
  assert 'A mask has the value' in str(raised.value)
  assert mask_records.explain(ValueError('A mask has the value')) is None
  # An image of eight pixels less is allowed; 255 does not count.
  mask_records.check_masks(masks % 3, masks != 7, TASK)
