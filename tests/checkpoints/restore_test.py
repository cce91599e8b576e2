"""Tests of loading a trained model into a new one."""

import classifiers
import models
import numpy as np
from official.core import task_factory
from official.vision.configs import backbones as garden_backbones
from official.vision.configs import image_classification as garden_configs
from official.vision.modeling import factory
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.checkpoints import position_embedding
from official_ext.checkpoints import restore
from official_ext.modeling import sin_cos_positions
from official_ext.params import experiment

MAPS = dict(levels=[2], recovery_layers=1)


@pytest.mark.slow
def test_feature_maps_of_a_classifier_begin_anew(saved, pretrained):
  model = classifiers.build_dense(MAPS, seed=2, layout='B1-1')
  before = classifiers.arrays(model)
  plan = restore.load(model, str(saved))
  loaded, after = classifiers.arrays(pretrained[0]), classifiers.arrays(model)
  assert set(after) - set(loaded) == {
      name for name in after if name.startswith('feature_maps/')}
  for name, value in after.items():
    np.testing.assert_array_equal(value, loaded.get(name, before[name]))
  assert len(plan.initial) == 16 + 2 * 2
  assert plan.initial[0].endswith(' (feature maps)')
  assert str(plan).splitlines()[-1] == (
      '  initial   20 variables (feature maps)')


@pytest.mark.long
def test_a_classifier_drops_feature_maps(tmp_path):
  dense = classifiers.build_dense(MAPS, layout='B1-1')
  classifiers.save(tmp_path, dense)
  model, _ = classifiers.build(2)
  plan = restore.load(model, str(tmp_path))
  assert plan.dropped == (
      '20 variables of feature maps (this model has none)',)
  named = classifiers.arrays(dense)
  for name, value in classifiers.arrays(model).items():
    np.testing.assert_array_equal(value, named[name])


def assert_same(source, target, but=()):
  sources = {strip(v.name): v for v in source}
  targets = {strip(v.name): v for v in target}
  assert set(sources) - set(but) == set(targets) - set(but)
  for name, variable in targets.items():
    if name not in but:
      np.testing.assert_array_equal(variable, sources[name], err_msg=name)


def strip(name):
  """Without the number that Keras adds to a second layer of a kind."""
  parts = name.split('/')
  if parts[0].startswith(('conv2d', 'dense')):
    parts[0] = parts[0].split('_')[0]
  return '/'.join(parts)


POSITION = 'encoder/posembed_input/pos_embedding:0'


@pytest.fixture(name='pretrained', scope='module')
def _pretrained():
  """A classifier that no test changes."""
  return classifiers.build(1)


@pytest.fixture(name='saved', scope='module')
def _saved(pretrained, tmp_path_factory):
  """The folder with a checkpoint of it."""
  folder = tmp_path_factory.mktemp('saved')
  classifiers.save(folder, *pretrained)
  return folder


@pytest.mark.parametrize('source, target', [
    pytest.param('B2', 'B2', marks=pytest.mark.long),
    ('B2', 'B1-1'), ('B1-1', 'B2'), ('B2-1', 'B1-1-1')])
def test_the_crosses_at_one_resolution(tmp_path, source, target):
  pretrained, params = classifiers.build(1, layout=source)
  classifiers.save(tmp_path, pretrained, params)
  model, _ = classifiers.build(2, layout=target)
  report = restore.load(model, str(tmp_path))
  assert_same(pretrained.variables, model.variables)
  assert len(report.loaded) == len(model.variables)
  assert not (report.resampled or report.dropped or report.initial)


@pytest.mark.parametrize('with_metadata', [
    # In make test, of a grid that is not square, and of arrays.
    True, pytest.param(False, marks=pytest.mark.long)])
def test_the_crosses_at_a_higher_resolution(tmp_path, with_metadata):
  pretrained, params = classifiers.build(1, layout='B2', size=16)
  classifiers.save(tmp_path, pretrained, params if with_metadata else None)
  model, _ = classifiers.build(2, layout='B1-1', size=24)
  report = restore.load(model, str(tmp_path))
  assert_same(pretrained.variables, model.variables, but=[POSITION])
  how = ('its metadata says so' if with_metadata
         else 'without metadata, a square is taken')
  assert report.position == (f'4 x 4 patches: {how}',)
  assert report.resampled == (
      f'{POSITION}: 4 x 4 -> 6 x 6 patches, bilinear',)
  source = pretrained.backbone.get_layer('encoder')._pos_embed.pos_embedding
  found = model.backbone.get_layer('encoder')._pos_embed.pos_embedding.numpy()
  np.testing.assert_array_equal(found[:, 0], source[:, 0])
  expected = tf.image.resize(
      tf.reshape(source[:, 1:], [1, 4, 4, 64]), [6, 6])
  tolerances.assert_close(
      found[:, 1:], tf.reshape(expected, [1, 36, 64]), length=4)
  assert '4 x 4 -> 6 x 6' in str(report)


@pytest.mark.parametrize('modules', ['backbone', 'all_but_head'])
def test_another_number_of_classes(pretrained, saved, modules):
  model, _ = classifiers.build(2, num_classes=7)
  head = [v.numpy() for v in model.variables[-2:]]
  report = restore.load(model, str(saved), modules)
  assert_same(pretrained[0].backbone.variables, model.backbone.variables)
  for variable, before in zip(model.variables[-2:], head):
    np.testing.assert_array_equal(variable, before)
  assert report.initial == tuple(v.name for v in model.variables[-2:])
  assert report.dropped == (f'head (init_checkpoint_modules={modules})',)
  with pytest.raises(restore.LoadError, match=(
      r'dense.*kernel:0 is \(64, 10\) there and \(64, 7\) here.*all_but_head')):
    restore.load(model, str(saved), 'all')


@pytest.mark.slow
def test_pre_logits_are_dropped_with_the_head(saved, tmp_path):
  pretrained, params = classifiers.build(1, representation_size=64)
  classifiers.save(tmp_path, pretrained, params)
  model, _ = classifiers.build(2)
  report = restore.load(model, str(tmp_path), 'backbone')
  assert report.dropped == ('pre-logits (this model has none)',
                            'head (init_checkpoint_modules=backbone)')
  # The head behind them has the right shape, and would be wrong all the same.
  with pytest.raises(restore.LoadError, match=(
      'has a pre-logits layer, and this model has none. Set '
      'task.model.backbone.funnel_vit.representation_size=64.$')):
    restore.load(model, str(tmp_path), 'all')
  # The other way round they are missing.
  other, _ = classifiers.build(3, representation_size=64)
  with pytest.raises(restore.LoadError, match=(
      'no pre-logits layer, and this model has one. Set .*tion_size=0.$')):
    restore.load(other, str(saved), 'backbone')


@pytest.mark.parametrize('settings, message', [
    (dict(hidden_size=32), r'kernel:0 is \(4, 4, 3, 64\) there and \(4, 4, 3, 3'
     ),
    (dict(layout='B1-2'), r'has 2 layers, and B1\(17\)-2\(9\) has 3'),
    (dict(layout='B1'), r'has 2 layers, and B1\(17\) has 1. Use a layout of 2 '
     r'layers\.$'),
    (dict(layout='B1', hidden_size=32), r'Use a layout of 2 layers and .*'
     r'its width is 64, and that of this model is 32\.$'),
    (dict(patch_size=2), r'is \(4, 4, 3, 64\) there and \(2, 2, 3, 64\) here'),
    (dict(layout='B1-1(h128)'), r'\(64,\) there and \(128,\) here'),
    (dict(pooler='gap'), 'has a class token, and this model has no class token'
     r'\. Set task\.model\.backbone\.funnel_vit\.class_token=true\.$'),
    (dict(class_token_position=False), 'has a position of the class token, and '
     'this model has none. Set .*class_token_position=true'),
    (dict(layer_scale_init_value=0.1), 'has no LayerScale, and this model has '
     'it. Set task.model.backbone.funnel_vit.layer_scale_init_value=0.$'),
])
def test_what_does_not_fit_is_named_and_nothing_is_changed(
    saved, settings, message):
  model, _ = classifiers.build(2, **settings)
  before = [variable.numpy() for variable in model.variables]
  with pytest.raises(restore.LoadError, match=message):
    restore.load(model, str(saved), 'backbone')
  for variable, value in zip(model.variables, before):
    np.testing.assert_array_equal(variable, value)


@pytest.mark.long
def test_every_form_of_a_checkpoint(tmp_path):
  pretrained, params = classifiers.build(1)
  prefix = classifiers.save(tmp_path / 'run', pretrained, params)
  # Model Garden's exporter, its best checkpoint, a SavedModel, a backbone.
  tf.train.Checkpoint(model=pretrained).save(
      str(tmp_path / 'export/checkpoint/ckpt'))
  tf.train.CheckpointManager(
      tf.train.Checkpoint(model=pretrained), str(tmp_path / 'best'),
      max_to_keep=1, checkpoint_name='best_ckpt').save()
  module = tf.Module()
  module.model = pretrained
  tf.saved_model.save(module, str(tmp_path / 'saved_model'))
  tf.saved_model.save(module, str(tmp_path / 'versions' / '12'))
  for path in (tmp_path / 'run', prefix, tmp_path / 'export', tmp_path / 'best',
               tmp_path / 'saved_model', tmp_path / 'versions'):
    model, _ = classifiers.build(2)
    restore.load(model, str(path))
    assert_same(pretrained.variables, model.variables)
  tf.train.Checkpoint(backbone=pretrained.backbone).save(
      str(tmp_path / 'backbone/ckpt'))
  tf.train.Checkpoint(pretrained.backbone).save(str(tmp_path / 'bare/ckpt'))
  for path in (tmp_path / 'backbone', tmp_path / 'bare'):
    model, _ = classifiers.build(2)
    restore.load(model, str(path), 'backbone')
    assert_same(pretrained.backbone.variables, model.backbone.variables)
    with pytest.raises(restore.LoadError, match='dense.* is not in it'):
      restore.load(model, str(path), 'all')


@pytest.mark.long
def test_model_gardens_vit_from_224_to_384_px(tmp_path):
  garden = factory.build_classification_model(
      tf_keras.layers.InputSpec(shape=[None, 224, 224, 3]),
      garden_configs.ImageClassificationModel(
          num_classes=1001, input_size=[224, 224, 3],
          backbone=garden_backbones.Backbone(
              type='vit', vit=garden_backbones.VisionTransformer(
                  model_name='vit-ti16', representation_size=192))))
  garden.build([None, 224, 224, 3])
  classifiers.save(tmp_path, garden)
  params = experiment.load('funnel_vit_imagenet_finetune', params_override=(
      "task.model.backbone.funnel_vit.model_name='vit-ti16'"))
  model = task_factory.get_task(params.task).build_model()
  report = restore.load(
      model, str(tmp_path), params.task.init_checkpoint_modules)
  assert report.resampled == (
      f'{POSITION}: 14 x 14 -> 24 x 24 patches, bilinear',)
  assert [text.split()[0] for text in report.dropped] == ['pre-logits', 'head']
  assert len(report.initial) == 2
  assert len(report.loaded) == len(model.backbone.variables) - 1
  # In the same order, under Model Garden's names of the layers and ours.
  for theirs, ours in zip(
      garden.backbone.variables[:-2], model.backbone.variables):
    if ours.name != POSITION:
      np.testing.assert_array_equal(theirs, ours, err_msg=ours.name)


@pytest.mark.slow
def test_a_grid_that_is_not_square(tmp_path):
  def build_wide(seed, height, width):
    params = experiment.load('funnel_vit_digits', params_override=(
        f"{classifiers.SETTING}.layout='B1',task.model.input_size=[{height},{width},3]"))
    model = task_factory.get_task(params.task).build_model()
    models.randomize(model, seed)
    return model, params

  pretrained, params = build_wide(1, 8, 12)
  classifiers.save(tmp_path / 'with', pretrained, params)
  classifiers.save(tmp_path / 'without', pretrained)
  model, _ = build_wide(2, 12, 20)
  report = restore.load(model, str(tmp_path / 'with'))
  assert '2 x 3 -> 3 x 5 patches' in report.resampled[0]
  with pytest.raises(restore.LoadError, match=(
      r'6 patches are no square. Set task.init_checkpoint_grid')):
    restore.load(model, str(tmp_path / 'without'))
  report = restore.load(model, str(tmp_path / 'without'), source_grid=[2, 3])
  assert '2 x 3 -> 3 x 5 patches' in report.resampled[0]
  with pytest.raises(restore.LoadError, match=r'grid is \[3, 3\], but the che'):
    restore.load(model, str(tmp_path / 'without'), source_grid=[3, 3])
  with pytest.raises(restore.LoadError, match=r'metadata .* says \[2, 3\]'):
    restore.load(model, str(tmp_path / 'with'), source_grid=[3, 2])
  # As many patches in another arrangement are resampled too.
  model, _ = build_wide(2, 12, 8)
  report = restore.load(model, str(tmp_path / 'with'))
  assert '2 x 3 -> 3 x 2 patches' in report.resampled[0]


def test_a_damaged_file(pretrained, tmp_path):
  prefix = classifiers.save(tmp_path, *pretrained)
  data = tmp_path / f'{prefix.split("/")[-1]}.data-00000-of-00001'
  data.write_bytes(data.read_bytes()[:1000])
  model, _ = classifiers.build(2)
  before = [variable.numpy() for variable in model.variables]
  with pytest.raises(ValueError, match='ckpt-1: .* cannot be read'):
    restore.load(model, str(tmp_path))
  for variable, value in zip(model.variables, before):
    np.testing.assert_array_equal(variable, value)


def test_an_unknown_choice_of_modules(pretrained, saved):
  with pytest.raises(ValueError, match="modules is 'head', but must be one of"):
    restore.load(pretrained[0], str(saved), 'head')


def test_another_kind_of_model(pretrained, tmp_path):
  model = tf_keras.Sequential([tf_keras.layers.Dense(3)])
  model.build([None, 2])
  tf.train.Checkpoint(model=model).save(str(tmp_path / 'ckpt'))
  with pytest.raises(ValueError, match='holds no Vision Transformer'):
    restore.load(pretrained[0], str(tmp_path))


def test_what_is_computed_otherwise_is_told(saved):
  model, _ = classifiers.build(2, **{'transformer.activation': 'gelu_erf'})
  assert restore.load(model, str(saved)).otherwise == (
      f'{saved}/ckpt-1 was trained with transformer.activation=gelu_tanh, and '
      'this model has gelu_erf. Set task.model.backbone.funnel_vit.transformer.'
      'activation=gelu_tanh, unless it is meant.',)


@pytest.mark.slow
def test_any_source_of_arrays_is_loaded_by_the_same_plan():
  pretrained, _ = classifiers.build(1, layout='B2', size=16)
  source = classifiers.Arrays(classifiers.arrays(pretrained))
  model, _ = classifiers.build(2, layout='B1-1', size=24)
  before = classifiers.arrays(model)
  plan = restore.make_plan(model, source, 'backbone')
  # A plan is made from shapes, and changes nothing.
  assert source.num_read == 0
  for name, value in classifiers.arrays(model).items():
    np.testing.assert_array_equal(value, before[name])
  assert str(plan).splitlines() == [
      'initialised from memory:',
      f'  loaded    {len(model.backbone.variables) - 1} variables',
      '  position  4 x 4 patches: without metadata, a square is taken',
      f'  resampled {POSITION}: 4 x 4 -> 6 x 6 patches, bilinear',
      '  dropped   head (init_checkpoint_modules=backbone)',
      f'  initial   {model.variables[-2].name}; {model.variables[-1].name}']
  restore.apply(plan, model, source)
  assert source.num_read == len(model.backbone.variables)
  found = classifiers.arrays(model)
  for name, value in source.arrays.items():
    if name == 'position_embedding':
      value = position_embedding.Resampling(
          (4, 4), (6, 6), True).apply(value)
    expected = before[name] if name.startswith('head/') else value
    np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_a_plan_with_problems_is_not_carried_out(pretrained):
  arrays = classifiers.arrays(pretrained[0])
  arrays['layer_2/attention/query/bias'] = np.zeros([4, 8], np.float32)
  arrays['layer_1/register'] = np.zeros([5], np.float32)
  del arrays['norm/gamma']
  model, _ = classifiers.build(2)
  before = classifiers.arrays(model)
  source = classifiers.Arrays(arrays, {'grid': [4, 4]})
  plan = restore.make_plan(model, source)
  assert plan.problems == (
      'encoder/layer_2/self_attention/query/bias:0 is (4, 8) there and (4, 16) '
      'here',
      f'{model.backbone.variables[-2].name} (64,) is not in it',
      'layer_1/register (5,) has no place here')
  with pytest.raises(restore.LoadError, match=(
      'memory does not fit vit-nano4, .*query/bias.*layer_1/register')):
    restore.apply(plan, model, source)
  for name, value in classifiers.arrays(model).items():
    np.testing.assert_array_equal(value, before[name])


def test_an_array_that_cannot_be_read_leaves_the_model_unchanged(pretrained):
  class Damaged(classifiers.Arrays):

    def read(self, name):
      if name == 'head/bias':
        raise ValueError('head/bias is damaged')
      return super().read(name)

  source = Damaged(classifiers.arrays(pretrained[0]))
  model, _ = classifiers.build(2)
  before = classifiers.arrays(model)
  with pytest.raises(ValueError, match='head/bias is damaged'):
    restore.apply(restore.make_plan(model, source), model, source)
  assert source.num_read == len(source.arrays) - 1
  for name, value in classifiers.arrays(model).items():
    np.testing.assert_array_equal(value, before[name])


@pytest.mark.slow
def test_fixed_positions_are_those_of_the_new_grid(tmp_path):
  fixed = dict(pooler='gap', position_embedding='sin_cos')
  pretrained, params = classifiers.build(1, size=16, **fixed)
  classifiers.save(tmp_path, pretrained, params)
  task = task_factory.get_task(classifiers.load_params(size=24, **fixed).task)
  model = task.build_model()
  report = restore.load(model, str(tmp_path))
  assert report.initial == (f'{POSITION} (sines and cosines)',)
  assert not report.resampled
  position, = [one for one in model.variables if one.name == POSITION]
  np.testing.assert_array_equal(
      position[0], sin_cos_positions.of_grid((6, 6), 64))
  # They may be learned from there on, and not the other way round.
  learned, params = classifiers.build(2, size=16, pooler='gap')
  report = restore.load(learned, str(tmp_path))
  assert_same(pretrained.variables, learned.variables)
  classifiers.save(tmp_path / 'learned', learned, params)
  with pytest.raises(restore.LoadError, match=(
      'has a learned position embedding, and this model has fixed positions. '
      'Set .*position_embedding=learned')):
    restore.load(model, str(tmp_path / 'learned'))
