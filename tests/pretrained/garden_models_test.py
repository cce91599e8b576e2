"""A checkpoint of Model Garden's vit is read without any config."""

import numpy as np
from official.core import task_factory
import published_models
import pytest
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.params import experiment
from official_ext.pretrained import find_source


@pytest.mark.long
def test_the_sizes_are_those_of_the_variables(tmp_path):
  params = experiment.base('vit_imagenet_pretrain')
  params.task.model.backbone.vit.model_name = 'vit-ti16'
  params.task.model.backbone.vit.representation_size = 0
  params.task.model.input_size = [32, 32, 3]
  params.task.model.num_classes = 3
  model = task_factory.get_task(params.task).build_model()
  tf.train.Checkpoint(model=model).save(str(tmp_path / 'vit' / 'ckpt'))
  source = find_source.open_source(str(tmp_path / 'vit'))
  ours = published_models.ours(source)
  images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype('f4')
  np.testing.assert_allclose(
      ours(images, training=False), model(images, training=False),
      rtol=1e-4, atol=1e-5)
  assert source.model.image_size == (32, 32)
  assert source.model.preprocessing.crop_fraction == 0.875


def test_what_does_not_exist(tmp_path):
  with pytest.raises(errors.UserError, match='does not exist'):
    find_source.open_source(str(tmp_path / 'a' / 'b'))


@pytest.mark.long
def test_a_training_of_ours_needs_no_import(trained_dir):
  with pytest.raises(errors.UserError, match='task.init_checkpoint='):
    find_source.open_source(trained_dir)
