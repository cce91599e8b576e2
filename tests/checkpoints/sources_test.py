"""Tests of what a checkpoint says of itself, in all the forms it has."""

import classifiers
import numpy as np
import pytest
import tensorflow as tf

from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names


def values_of(model):
  names = variable_names.of_model(model)
  return {names[id(variable)]: variable.numpy()
          for variable in model.variables}


def assert_holds(source, values):
  assert source.shapes == {
      name: value.shape for name, value in values.items()}
  for name, value in values.items():
    np.testing.assert_array_equal(source.read(name), value, err_msg=name)


def test_a_training(tmp_path):
  model, params = classifiers.build(
      1, representation_size=64, layer_scale_init_value=0.1)
  prefix = classifiers.save(tmp_path, model, params)
  source = sources.CheckpointSource(str(tmp_path))
  assert_holds(source, values_of(model))
  assert source.path == prefix
  assert source.description['grid'] == [4, 4]
  assert source.origin('layer_2/mlp/dense_0/bias') == (
      'backbone/layer_with_weights-2/_encoder_layers/1/_intermediate_dense/bias'
      '/.ATTRIBUTES/VARIABLE_VALUE')


@pytest.mark.slow
@pytest.mark.parametrize('form', [
    'no metadata', 'exporter', 'saved_model', 'backbone', 'bare'])
def test_other_forms(tmp_path, form):
  model, _ = classifiers.build(1, layout='B1-1')
  values = values_of(model)
  if form == 'no metadata':
    classifiers.save(tmp_path, model)
  elif form == 'exporter':
    tf.train.Checkpoint(model=model).save(str(tmp_path / 'checkpoint/ckpt'))
  elif form == 'saved_model':
    module = tf.Module()
    module.model = model
    tf.saved_model.save(module, str(tmp_path))
  else:
    checkpoint = (tf.train.Checkpoint(backbone=model.backbone)
                  if form == 'backbone' else tf.train.Checkpoint(model.backbone)
                  )
    checkpoint.save(str(tmp_path / 'ckpt'))
    values = {name: value for name, value in values.items()
              if not name.startswith('head/')}
  source = sources.CheckpointSource(str(tmp_path))
  assert_holds(source, values)
  assert source.description == {}


def test_what_has_no_name_is_not_lost_sight_of(tmp_path):
  model, _ = classifiers.build(1, layout='B1')
  model.backbone.get_layer('encoder').extra = tf.Variable([1.0, 2.0])
  model.layers[-1].extra = tf.Variable([3.0])
  tf.train.Checkpoint(model=model).save(str(tmp_path / 'ckpt'))
  source = sources.CheckpointSource(str(tmp_path))
  extra = {name: source.read(name).tolist() for name in source.shapes
           if 'extra' in name}
  key, = (name for name in extra if not name.startswith('head/'))
  assert extra == {key: [1.0, 2.0], 'head/extra': [3.0]}
  assert key.endswith('extra/.ATTRIBUTES/VARIABLE_VALUE')


def test_another_kind_of_model(tmp_path):
  tf.train.Checkpoint(step=tf.Variable(1)).save(str(tmp_path / 'ckpt'))
  with pytest.raises(ValueError, match='holds no Vision Transformer'):
    sources.CheckpointSource(str(tmp_path))
