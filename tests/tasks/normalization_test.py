"""Tests of the normalisation of images."""

import numpy as np
from official.core import train_utils
from official.modeling import hyperparams
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import normalization

MEAN, STDDEV = (100.0, 127.5, 50.0), (64.0, 127.5, 10.0)


def test_there_and_back():
  images = np.random.default_rng(0).uniform(
      0, 255, (2, 5, 4, 3)).astype(np.float32)
  normalized = normalization.IMAGENET.normalize(tf.constant(images)).numpy()
  np.testing.assert_allclose(
      normalized[..., 0], (images[..., 0] - 123.675) / 58.395, atol=1e-5)
  np.testing.assert_allclose(
      normalization.IMAGENET.denormalize(normalized), images, atol=1e-4)
  other = normalization.Normalization(MEAN, STDDEV)
  np.testing.assert_allclose(
      other.normalize(tf.constant(images)), (images - MEAN) / STDDEV, atol=1e-5)
  np.testing.assert_allclose(
      other.denormalize((images - MEAN) / STDDEV), images, atol=1e-4)
  np.testing.assert_allclose(
      other.from_imagenet(normalized), (images - MEAN) / STDDEV, atol=2e-5)
  assert normalization.IMAGENET.from_imagenet(normalized) is normalized


def test_the_file_of_a_version_that_had_no_choice(tmp_path):
  override = 'task.train_data.mean_rgb=[1,2,3]'
  train_utils.serialize_config(experiment.load(
      'funnel_vit_digits', params_override=override), str(tmp_path))
  path = tmp_path / 'params.yaml'
  now = experiment.load_saved(str(tmp_path))
  assert normalization.of_task(now.task).mean == (1, 2, 3)
  saved = hyperparams.override_params_dict(
      hyperparams.ParamsDict({}), str(path), is_strict=False).as_dict()
  for name in ('train_data', 'validation_data'):
    for setting in ('mean_rgb', 'stddev_rgb', 'resize_antialias',
                    'resize_mode'):
      del saved['task'][name][setting]
  hyperparams.save_params_dict_to_yaml(
      hyperparams.ParamsDict(saved), str(path))
  former = experiment.load_saved(str(tmp_path))
  assert normalization.of_task(former.task) == normalization.IMAGENET
