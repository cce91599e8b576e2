"""A training that is killed ends in the bits of one that never was."""

import pathlib
import shutil

import models
import numpy as np
import proofs
import pytest
import short_runs
import tensorflow as tf

from official_ext.training import session

_BACKBONE = 'task.model.backbone.funnel_vit'
_SETTINGS = {
    'trainer.seed': 5,
    'trainer.deterministic': True,
    'trainer.steps_per_loop': 2,
    'trainer.checkpoint_interval': 4,
    'trainer.validation_interval': 4,
    'trainer.max_to_keep': 100,
    'trainer.best_checkpoint_export_subdir': 'best',
    'trainer.best_checkpoint_eval_metric': 'accuracy',
    'trainer.optimizer_config.ema.average_decay': 0.9,
    'task.train_data.global_batch_size': 32,
    'task.validation_data.global_batch_size': 180,
    'task.train_data.color_jitter': 0.3,
    'task.train_data.random_erasing.probability': 0.5,
    'task.train_data.mixup_and_cutmix.mixup_alpha': 0.8,
    f'{_BACKBONE}.transformer.dropout_rate': 0.1,
    f'{_BACKBONE}.transformer.attention_dropout_rate': 0.1,
    f'{_BACKBONE}.init_stochastic_depth_rate': 0.2,
}


def _train(digits_dir, model_dir, strategy=None, **settings):
  params = short_runs.parameters(digits_dir, **settings)
  session.prepare(
      params, 'train_and_eval', str(model_dir), strategy=strategy).execute(
          enable_async_checkpointing=False)


def _variables(prefix):
  """All that a checkpoint holds, but how often this process saved."""
  reader = tf.train.load_checkpoint(str(prefix))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name.endswith('VARIABLE_VALUE') and
          not name.startswith('save_counter')}


def _steps(model_dir):
  return sorted(int(path.stem.removeprefix('ckpt-'))
                for path in pathlib.Path(model_dir).glob('ckpt-*.index'))


def _check_killed_after_each_checkpoint(
    digits_dir, tmp_path, strategy=None, **settings):
  """Begins again from each checkpoint; all must end alike."""
  whole = tmp_path / 'whole'
  _train(digits_dir, whole, strategy, **settings)
  *begins, end = _steps(whole)
  assert begins
  for begin in begins:
    killed = tmp_path / f'killed_{begin}'
    killed.mkdir()
    for path in whole.glob(f'ckpt-{begin}.*'):
      shutil.copy(path, killed)
    _train(digits_dir, killed, strategy, **settings)
    expected = _variables(whole / f'ckpt-{end}')
    found = _variables(killed / f'ckpt-{end}')
    assert found.keys() == expected.keys()
    for name, value in expected.items():
      np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.long
def test_killed_after_the_checkpoint(digits_dir, tmp_path):
  _check_killed_after_each_checkpoint(
      digits_dir, tmp_path, **_SETTINGS | {'trainer.train_steps': 6})


_AUGMENTED = _SETTINGS | {
    'trainer.train_steps': 12,
    'task.train_data.aug_type.type': 'randaug',
    'task.train_data.aug_type.randaug.magnitude': 9,
    'task.train_data.mixup_and_cutmix.cutmix_alpha': 1.0,
    'task.train_data.three_augment': True,
    'task.train_data.repeated_augment': 2,
}


@pytest.mark.long
def test_killed_with_all_augmentation(digits_dir, tmp_path):
  _check_killed_after_each_checkpoint(digits_dir, tmp_path, **_AUGMENTED)


_LAYERWISE = 'trainer.optimizer_config.optimizer.adamw_layerwise'
_FROZEN = {'trainer.optimizer_config.optimizer.type': 'adamw_layerwise',
           f'{_LAYERWISE}.gradient_clip_norm': 0.0,
           f'{_LAYERWISE}.frozen_backbone_steps': 4}


@pytest.mark.long
@pytest.mark.parametrize('settings', proofs.choose([
    _FROZEN | {'task.gradient_accumulation_steps': 2},
], [
    {'task.gradient_accumulation_steps': 2},
    # The backbone begins to learn where it is killed, and after it.
    _FROZEN | {'task.gradient_accumulation_steps': 2},
    _FROZEN | {f'{_LAYERWISE}.frozen_backbone_steps': 5},
    _FROZEN | {'runtime.mixed_precision_dtype': 'float16'},
    {'runtime.mixed_precision_dtype': 'float16'},
    {'trainer.optimizer_config.optimizer.type': 'lamb',
     'task.train_data.cache': True},
]), ids=str)
def test_killed_with(settings, digits_dir, tmp_path):
  settings = _SETTINGS | {'trainer.train_steps': 6} | settings
  if 'runtime.mixed_precision_dtype' in settings:
    # Model Garden averages no weights where the loss is scaled.
    del settings['trainer.optimizer_config.ema.average_decay']
  _check_killed_after_each_checkpoint(digits_dir, tmp_path, **settings)


@pytest.mark.long
def test_killed_on_two_replicas(digits_dir, tmp_path):
  _check_killed_after_each_checkpoint(
      digits_dir, tmp_path, models.mirrored(2),
      **_SETTINGS | {'trainer.train_steps': 6})


@pytest.mark.long
def test_a_frozen_backbone_trains_as_one_that_is_never_to_learn(
    digits_dir, tmp_path):
  settings = _SETTINGS | _FROZEN | {
      'trainer.train_steps': 6, 'trainer.validation_interval': 6,
      'task.gradient_accumulation_steps': 2}
  _train(digits_dir, tmp_path / 'first', **settings)
  del settings[f'{_LAYERWISE}.frozen_backbone_steps']
  _train(digits_dir, tmp_path / 'always', **settings | {
      'task.freeze_backbone': True})
  first = _variables(tmp_path / 'first' / 'ckpt-4')
  always = _variables(tmp_path / 'always' / 'ckpt-4')
  ends = [_variables(tmp_path / of / 'ckpt-6') for of in ('first', 'always')]
  names = [name for name in always if name.startswith(('model/', 'backbone/'))]
  of_backbone = [name for name in names
                 if (ends[1][name] == always[name]).all()]
  assert 0 < len(of_backbone) < len(names)
  for name in names:
    if name in of_backbone:
      np.testing.assert_array_equal(first[name], always[name], err_msg=name)
    else:
      # Of the head: without the backbone's gradients the kernels are others.
      np.testing.assert_allclose(
          first[name], always[name], rtol=1e-3, atol=1e-6, err_msg=name)
  assert any((ends[0][name] != first[name]).any() for name in of_backbone)
