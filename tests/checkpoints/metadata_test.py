"""Tests of the metadata in checkpoints."""

import json

import commands
import models
import pytest
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.params import experiment

pytestmark = pytest.mark.addons


def describe(overrides=''):
  return metadata.describe(
      experiment.load('funnel_vit_imagenet', params_override=overrides))


def save(path, values):
  checkpoint = tf.train.Checkpoint(
      **{metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata(values)})
  return checkpoint.save(str(path / 'ckpt'))


def test_describes_the_model():
  described = describe()
  versions = described.pop('versions')
  assert versions['tensorflow'] == tf.__version__
  assert set(versions) == {'funnel_vit', 'tensorflow', 'tf_models_official'}
  assert described == {
      'format_version': 1,
      'backbone': 'funnel_vit',
      'model_name': 'vit-b16',
      'layout': 'B4(197)-4(99)-4(50)',
      'hidden_sizes': [768, 768, 768],
      'mlp_dims': [3072, 3072, 3072],
      'num_heads': [12, 12, 12],
      'patch_size': 16,
      'grid': [14, 14],
      'pooler': 'token',
      'pooling': 'mean',
      'pool_axes': 'sequence',
      'pool_query_only': True,
      'representation_size': 768,
      'has_layer_scale': False,
      'activation': 'gelu_tanh',
      'norm_epsilon': 1e-6,
      'has_class_token': True,
      'class_token_position': True,
      'has_distillation_token': False,
      'num_registers': 0,
      'patch_bias': True,
      'norm_before_layers': False,
      'final_norm': 'tokens',
      'projection_size': 0,
      'attention_bias': 'none',
      'feature_maps': {'levels': [], 'source': 'blocks', 'recovery_layers': 0,
                       'pyramid_filters': 0},
      'position_embedding': 'learned',
      'num_classes': 1001,
      'input_size': [224, 224, 3],
      'preprocessing': {
          'center_crop_fraction': 0.875, 'resize_mode': 'crop_then_resize',
          'resize_method': 'bilinear', 'resize_antialias': False,
          'mean': pytest.approx([123.675, 116.28, 103.53]),
          'stddev': pytest.approx([58.395, 57.12, 57.375])},
  }


def test_reads_what_was_saved(tmp_path):
  path = save(tmp_path, describe())
  assert metadata.read(path) == describe()
  metadata.check_same_architecture(path, describe())


def test_the_data_are_a_block_of_their_own(tmp_path, repository):
  # As many as ImageNet-21k has.
  data = {'class_names': [f'n{index:08} Φωκαία' for index in range(21_841)]}
  described = metadata.describe(
      experiment.load('funnel_vit_imagenet'), data)
  path = save(tmp_path, described)
  assert metadata.read_data(path) == data
  assert metadata.read(path) == describe() | {'data': data}
  # Nobody reads so many on a screen.
  shown = commands.run('-m', 'official_ext.checkpoints.describe', path,
                       cwd=repository)
  assert json.loads(shown.stdout)['data']['class_names'] == [
      *data['class_names'][:15], '... 21825 more ...', data['class_names'][-1]]
  # Not part of the architecture, and nothing of earlier versions.
  metadata.check_same_architecture(path, describe())
  (tmp_path / 'former').mkdir()
  assert metadata.read_data(save(tmp_path / 'former', describe())) == {}


def test_an_asynchronous_checkpoint_has_it_too(tmp_path):
  checkpoint = tf.train.Checkpoint(
      variable=tf.Variable(1.0),
      **{metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata(describe())})
  manager = tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=3)
  options = tf.train.CheckpointOptions(enable_async=True)
  for number in (1, 2):
    manager.save(number, options=options)
  manager.sync()
  for number in (1, 2):
    assert metadata.read(f'{tmp_path}/ckpt-{number}') == describe()


def test_restoring_keeps_the_metadata_of_this_run(tmp_path):
  path = save(tmp_path, {'layout': 'B12'})
  state = metadata.CheckpointMetadata({'layout': 'B6-6'})
  status = tf.train.Checkpoint(metadata=state).restore(path)
  status.assert_consumed()
  assert 'B6-6' in state.serialize()


@pytest.mark.parametrize('override, message', [
    ("task.model.backbone.funnel_vit.layout='B6-6'",
     r'layout is B4\(197\)-4\(99\)-4\(50\) there and B6\(197\)-6\(99\) here'),
    ("task.model.backbone.funnel_vit.pooling='max'", 'pooling is mean there'),
    ("task.model.backbone.funnel_vit.model_name='vit-s16'", 'hidden_sizes is'),
    ('task.model.num_classes=10', 'num_classes is 1001 there and 10 here'),
    ('task.model.input_size=[384,384,3]', r'grid is \[14, 14\] there'),
    ('task.model.backbone.funnel_vit.representation_size=0',
     'representation_size is 768 there and 0 here'),
    # Resumed, its gammas would be fresh.
    ('task.model.backbone.funnel_vit.layer_scale_init_value=0.1',
     'has_layer_scale is False there and True here'),
    ("task.model.backbone.funnel_vit.transformer.activation='gelu_erf'",
     'activation is gelu_tanh there and gelu_erf here'),
    ('task.model.backbone.funnel_vit.transformer.norm_epsilon=1e-5',
     'norm_epsilon is 1e-06 there and 1e-05 here'),
    ('task.model.backbone.funnel_vit.attention_bias=proportional',
     'attention_bias is none there and proportional here'),
    ('task.model.backbone.funnel_vit.position_embedding=sin_cos',
     'position_embedding is learned there and sin_cos here'),
    ('task.model.backbone.funnel_vit.pooling=weighted',
     'pooling is mean there and weighted here'),
    ('task.model.backbone.funnel_vit.num_registers=4',
     'num_registers is 0 there and 4 here'),
    # The variables are the same.
    ('task.model.backbone.funnel_vit.final_norm=pooled',
     'final_norm is tokens there and pooled here'),
])
def test_another_architecture_is_refused(tmp_path, override, message):
  path = save(tmp_path, describe())
  with pytest.raises(ValueError, match=message):
    metadata.check_same_architecture(path, describe(override))


@pytest.mark.parametrize('init_value', [0.0, 0.1])
def test_metadata_from_before_layer_scale_was_in_it(tmp_path, init_value):
  """What a checkpoint of an earlier version does not say, its variables do."""
  setting = 'task.model.backbone.funnel_vit.layer_scale_init_value='
  former = describe()
  for key in ('has_layer_scale', 'activation', 'norm_epsilon',
              'attention_bias', 'position_embedding'):
    del former[key]
  path = tf.train.Checkpoint(
      model=models.build_backbone(
          layout='B1', layer_scale_init_value=init_value),
      **{metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata(former)}).save(
          str(tmp_path / 'ckpt'))
  metadata.check_same_architecture(path, describe(f'{setting}{init_value}'))
  with pytest.raises(ValueError, match='has_layer_scale is'):
    metadata.check_same_architecture(
        path, describe(f'{setting}{0.1 - init_value}'))


@pytest.mark.parametrize('pooler', ['token', 'gap'])
def test_metadata_from_before_there_were_registers(tmp_path, pooler):
  setting = 'task.model.backbone.funnel_vit'
  expected = describe(f'{setting}.pooler={pooler}')
  former = dict(expected)
  for key in ('has_class_token', 'class_token_position', 'num_registers',
              'has_distillation_token', 'patch_bias', 'norm_before_layers',
              'final_norm', 'projection_size'):
    del former[key]
  path = save(tmp_path, former)
  assert metadata.read(path) == expected
  other = 'class_token=true' if pooler == 'gap' else 'patch_bias=false'
  with pytest.raises(ValueError, match='there and .* here'):
    metadata.check_same_architecture(
        path, describe(f'{setting}.pooler={pooler},{setting}.{other}'))


def test_a_checkpoint_without_metadata(tmp_path):
  path = tf.train.Checkpoint(step=tf.Variable(1)).save(str(tmp_path / 'ckpt'))
  assert metadata.read(path) is None
  metadata.check_same_architecture(path, describe())


def test_a_broken_checkpoint(tmp_path):
  path = save(tmp_path, describe())
  (tmp_path / 'ckpt-1.index').write_bytes(b'broken')
  for bad in (path, str(tmp_path / 'missing')):
    with pytest.raises(ValueError, match='is not a checkpoint that can be read'
                       ):
      metadata.read(bad)


def test_variables_are_compared_where_there_is_no_metadata(tmp_path):
  model = models.build_backbone(layout='B1-1')
  optimizer = tf.Variable(tf.zeros([7, 7]))
  path = tf.train.Checkpoint(model=model, optimizer=optimizer).save(
      str(tmp_path / 'ckpt'))
  metadata.check_same_variables(path, model)
  with pytest.raises(ValueError, match='variables are not the'):
    metadata.check_same_variables(path, models.build_backbone(layout='B1'))
