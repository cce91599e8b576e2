"""Tests of the digits: their split, their labels, their pixels."""

import collections
import io
import pathlib

import numpy as np
from PIL import Image
import pytest
from sklearn import datasets
import tensorflow as tf

from data_prep import digits


def read(folder, pattern):
  """(index, label, pixels) of every record."""
  for path in sorted(pathlib.Path(folder).glob(pattern)):
    for item in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
      feature = tf.train.Example.FromString(item).features.feature
      name = feature['image/filename'].bytes_list.value[0].decode()
      image = Image.open(io.BytesIO(
          feature['image/encoded'].bytes_list.value[0]))
      assert image.format == 'JPEG'
      yield (int(name.removeprefix('digit_').removesuffix('.jpg')),
             feature['image/class/label'].int64_list.value[0],
             np.asarray(image))


@pytest.mark.slow
def test_every_digit_is_there_once_with_its_label(digits_dir):
  target = datasets.load_digits().target
  train = list(read(digits_dir, 'train-*'))
  held_out = list(read(digits_dir, 'validation-*'))
  assert (len(train), len(held_out)) == (1437, 360)
  assert sorted(index for index, _, _ in train + held_out) == list(range(1797))
  assert all(label == target[index] for index, label, _ in train + held_out)
  assert {index % 5 for index, _, _ in held_out} == {0}
  counts = collections.Counter(label for _, label, _ in held_out)
  assert sorted(counts) == list(range(10)) and min(counts.values()) >= 25


def test_the_pixels_survive(digits_dir):
  images = datasets.load_digits().images * (255 / 16)
  for index, _, pixels in read(digits_dir, 'validation-*'):
    assert pixels.shape == (8, 8, 3)
    # JPEG of the highest quality is off by a few shades of 256.
    assert np.abs(pixels.mean(axis=-1) - images[index]).max() < 8


def test_samples_are_held_out_digits(digits_dir):
  target = datasets.load_digits().target
  paths = sorted(pathlib.Path(digits_dir, 'samples').iterdir())
  assert len(paths) == 6
  labels = set()
  for path in paths:
    _, index, _, label = path.stem.split('_')
    assert digits.is_held_out(int(index))
    assert target[int(index)] == int(label)
    assert Image.open(path).size == (8, 8)
    labels.add(label)
  assert len(labels) >= 4


def test_class_names(digits_dir):
  names = pathlib.Path(digits_dir, 'class_names.txt').read_text()
  assert names.split() == [str(digit) for digit in range(10)]
