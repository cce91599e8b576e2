"""Tests of what an export says of itself."""

import json

import pytest
import tensorflow as tf

from official_ext.checkpoints import integrity
from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.serving.formats import description


def test_the_export_knows_what_it_is(trained_dir, export_dir):
  checkpoint = tf.train.latest_checkpoint(trained_dir)
  known = dict(metadata.read(checkpoint))
  # Where a training stands among its images is no matter of what serves.
  known.pop('data_position')
  assert metadata.read(object_graph.find(export_dir)) == known
  described = description.read_newest(export_dir)
  assert described['model'] == known
  preprocessing = dict(described['preprocessing'])
  for name, values in (('mean', [123.675, 116.28, 103.53]),
                       ('stddev', [58.395, 57.12, 57.375])):
    assert preprocessing.pop(name) == pytest.approx(values)
  assert preprocessing == {
      'color_space': 'RGB', 'transparency': 'over white',
      'exif_orientation': 'ignore', 'center_crop_fraction': 0.7,
      'image_size': [16, 16], 'resize_method': 'bicubic',
      'resize_mode': 'crop_then_resize', 'resize_antialias': False}
  assert described['source'] == {
      'checkpoint': checkpoint,
      'fingerprint': integrity.fingerprint(checkpoint),
      'step': 10, 'ema': False}
  assert described['classes'] == [str(digit) for digit in range(10)]


def test_a_description_of_the_version_before(trained):
  described = description.describe(trained)
  former = json.loads(description.as_json(described))
  former['source']['averaged'] = former['source'].pop('ema')
  del former['preprocessing']['transparency']
  for name in ('exif_orientation', 'resize_mode', 'resize_antialias'):
    del former['preprocessing'][name]
  described['preprocessing']['transparency'] = 'dropped'
  assert description.parse(json.dumps(former)) == described
  former['source']['averaged'] = True
  assert description.parse(json.dumps(former))['source']['ema'] is True
