"""Writers of small TFRecords, good and bad."""

import io

import numpy as np
from PIL import Image
import tensorflow as tf


def encode(image_format='JPEG', size=(20, 16), color=(200, 30, 40)):
  """The bytes of an image of one colour; `size` is (width, height)."""
  encoded = io.BytesIO()
  Image.new('RGB', size, color).save(encoded, format=image_format)
  return encoded.getvalue()


def example(label, image=None, label_key='image/class/label'):
  """A serialized record; `label` may be None, or several in a list."""
  feature = {'image/encoded': tf.train.Feature(
      bytes_list=tf.train.BytesList(
          value=[encode() if image is None else image]))}
  if label is not None:
    feature[label_key] = tf.train.Feature(
        int64_list=tf.train.Int64List(
            value=label if isinstance(label, list) else [label]))
  return tf.train.Example(
      features=tf.train.Features(feature=feature)).SerializeToString()


def write(path, serialized):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in serialized:
      writer.write(record)
  return str(path)


def pixels(seed, shape):
  return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
