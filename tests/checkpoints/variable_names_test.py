"""Tests of the names of variables, of models and of our neighbours'."""

import classifiers
import models
from official.vision.configs import backbones as garden_backbones
from official.vision.configs import image_classification as garden_configs
from official.vision.modeling import factory
import pytest
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import variable_names

LAYER = {
    f'{name}/{part}'
    for name, parts in {
        'attention_norm': ('gamma', 'beta'),
        'attention/query': ('kernel', 'bias'),
        'attention/key': ('kernel', 'bias'),
        'attention/value': ('kernel', 'bias'),
        'attention/output': ('kernel', 'bias'),
        'mlp_norm': ('gamma', 'beta'),
        'mlp/dense_0': ('kernel', 'bias'),
        'mlp/dense_1': ('kernel', 'bias'),
    }.items() for part in parts}
AROUND = {'embedding/kernel', 'embedding/bias', 'position_embedding',
          'norm/gamma', 'norm/beta', 'head/kernel', 'head/bias'}


def expected(num_layers, *more):
  return AROUND | set(more) | {
      f'layer_{number}/{name}' for number in range(1, num_layers + 1)
      for name in LAYER}


def name_all(model):
  """The variables of a model by name, every one of them named."""
  names = variable_names.of_model(model)
  named = {names[id(variable)]: variable for variable in model.variables}
  assert len(named) == len(model.variables)
  return named


@pytest.mark.slow
@pytest.mark.parametrize('settings, more', [
    (dict(layout='B2'), {'class_token'}),
    (dict(layout='B1-1', pooler='gap'), ()),
    (dict(layout='B1-1', representation_size=64),
     {'class_token', 'pre_logits/kernel', 'pre_logits/bias'}),
    (dict(layout='B1-1', layer_scale_init_value=0.1),
     {'class_token', *(f'layer_{number}/{where}_scale/gamma'
                       for number in (1, 2) for where in ('attention', 'mlp'))
      }),
    (dict(layout='B1-1', pooling='conv'), {'class_token', 'pool_1/kernel'}),
    (dict(layout='B1-1', pooling='weighted'),
     {'class_token', 'pool_1/projection'}),
    (dict(layout='B1-1(h128)'),
     {'class_token', 'projection_1/kernel', 'projection_1/bias'}),
    (dict(layout='B1-1', distillation_token=True, num_registers=3,
          norm_before_layers=True, projection_size=64),
     {'class_token', 'distillation_token', 'registers',
      'norm_before_layers/gamma', 'norm_before_layers/beta',
      'projection/kernel'}),
    (dict(layout='B1-1', pooler='map', final_norm='pooled'),
     {'map_head/probe', *(f'map_head/{name}' for name in LAYER
                          if not name.endswith(('gamma', 'beta'))),
      'map_head/norm/gamma', 'map_head/norm/beta'}),
])
def test_every_variable_of_a_model_has_a_name(settings, more):
  model, _ = classifiers.build(1, **settings)
  named = name_all(model)
  assert set(named) == expected(2, *more)
  assert named['layer_2/attention/query/kernel'].name.endswith(
      'layer_2/self_attention/query/kernel:0')
  assert named['layer_1/mlp/dense_1/kernel'].name.endswith(
      'layer_1/output/kernel:0')
  width = named['norm/gamma'].shape[0]
  head = more and 'pre_logits/kernel' in more
  assert named['head/kernel'].shape == (64 if head else width, 10)


@pytest.mark.slow
@pytest.mark.parametrize('maps, more', [
    (dict(levels=[2, 3], recovery_layers=1), {
        *(f'recovery/layer_1/{name}' for name in LAYER),
        'recovery/projection/kernel', 'recovery/projection/bias',
        'recovery/first_norm/gamma', 'recovery/first_norm/beta',
        'recovery/norm/gamma', 'recovery/norm/beta',
        'level_3/norm/gamma', 'level_3/norm/beta'}),
    (dict(levels=[1, 2], source='pyramid', recovery_layers=0,
          pyramid_filters=6), {
        'recovery/projection/kernel', 'recovery/projection/bias',
        'recovery/first_norm/gamma', 'recovery/first_norm/beta',
        'level_1/up_0/kernel', 'level_1/up_0/bias',
        *(f'level_{level}/out_{number}/{name}' for level in (1, 2)
          for number, names in enumerate(
              [('kernel',), ('gamma', 'beta')] * 2) for name in names)}),
])
def test_the_variables_of_feature_maps_have_names(maps, more):
  model = classifiers.build_dense(
      maps, layout='B1-1(s4)-1(s4, h128)', pool_axes='grid')
  assert set(name_all(model)) == expected(
      3, 'class_token', 'projection_2/kernel', 'projection_2/bias',
      *(f'feature_maps/{name}' for name in more))


@pytest.mark.parametrize('num_replicas', [1, 2])
def test_in_mixed_precision_and_on_several_replicas(num_replicas):
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  with models.mirrored(num_replicas).scope():
    model, _ = classifiers.build(1, layout='B1-1')
  assert set(name_all(model)) == expected(2, 'class_token')


@pytest.mark.slow
def test_model_gardens_vit_has_the_same_names():
  model = factory.build_classification_model(
      tf_keras.layers.InputSpec(shape=[None, 32, 32, 3]),
      garden_configs.ImageClassificationModel(
          num_classes=10, input_size=[32, 32, 3],
          backbone=garden_backbones.Backbone(
              type='vit', vit=garden_backbones.VisionTransformer(
                  model_name='vit-ti16'))))
  assert set(name_all(model)) == expected(12, 'class_token')


def test_layers_before_the_head_are_of_the_head():
  model, _ = classifiers.build(1, layout='B1')
  norm = tf_keras.layers.BatchNormalization()
  norm.build([None, 64])
  children = dict(tf.train.TrackableView.children(model))
  layers = {'layer_with_weights-0': model.backbone,
            'layer_with_weights-1': norm,
            'layer_with_weights-2': children['layer_with_weights-1']}

  def look(node):
    return layers if node is model else tf.train.TrackableView.children(node)

  named = variable_names.of_graph(look, model.backbone, model)
  assert named['head/norm_0/moving_mean'] is norm.moving_mean
  assert named['head/kernel'] is model.variables[-2]


@pytest.mark.parametrize('name, number', [
    ('layer_12/mlp_norm/gamma', 12), ('layer_norm/gamma', None),
    ('norm/gamma', None), ('layer_1', None), ('class_token', None)])
def test_the_number_of_a_layer(name, number):
  assert variable_names.layer_number(name) == number
