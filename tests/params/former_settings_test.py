"""Tests of settings under the names that they had."""

import functools

import pytest
import yaml

from official_ext.params import experiment
from official_ext.params import former_settings

FORMER = (
    former_settings.Former('trainer.passes', 'train_epochs'),
    former_settings.Former(
        'task.model.backbone.funnel_vit.fast_path.quick', default=False,
        reason='It was never quicker. Leave it out.'))
QUICK = 'task.model.backbone.funnel_vit.fast_path.quick'

# Of the digits, as the version 0.1.0 wrote it; the sections that say nothing
# new are left out.
VERSION_0_1 = """
task:
  model:
    backbone:
      funnel_vit:
        fast_path:
          bfloat16_gelu: false
          class_token_only: true
          float32_products: true
          fused_layers: true
        hidden_size: null
        init_stochastic_depth_rate: 0.0
        layer_scale_init_value: 0.0
        layout: B2-2-2
        model_name: vit-nano4
        original_init: true
        patch_size: null
        pool_axes: sequence
        pool_query_only: true
        pooler: token
        pooling: mean
        recompute_layers: true
        representation_size: 0
        transformer:
          attention_dropout_rate: 0.0
          dropout_rate: 0.0
          mlp_dim: null
          num_heads: null
      type: funnel_vit
    input_size: [16, 16, 3]
    num_classes: 10
  train_data:
    crop_area_range: !!python/tuple
    - 0.08
    - 1.0
    label_offset: 0
trainer:
  optimizer_config:
    learning_rate:
      cosine:
        decay_steps: 1320
        initial_learning_rate: 0.001
      type: cosine
    warmup:
      linear:
        warmup_steps: 100
      type: linear
  seed: 1
  train_steps: 1320
"""


@pytest.fixture(autouse=True)
def _former(monkeypatch):
  monkeypatch.setattr(former_settings, 'SETTINGS', FORMER)


def test_a_renamed_setting_in_every_source(tmp_path, caplog):
  path = tmp_path / 'mine.yaml'
  path.write_text('trainer: {passes: 5}')
  params = experiment.load('vit_imagenet', [str(path)])
  assert params.trainer.train_epochs == 5
  assert caplog.messages[0] == (
      f'{path}: trainer.passes is now trainer.train_epochs.')
  params = experiment.load(
      'vit_imagenet', [str(path)], 'trainer.passes=7,trainer.seed=3')
  assert (params.trainer.train_epochs, params.trainer.seed) == (7, 3)
  assert ('--params_override: trainer.passes is now trainer.train_epochs.'
          in caplog.messages)


def test_a_setting_by_both_its_names():
  with pytest.raises(ValueError, match='trainer.train_epochs are one setting'):
    experiment.load('vit_imagenet', params_override=(
        'trainer.passes=7,trainer.train_epochs=3'))


def test_a_removed_setting_passes_at_its_default_alone():
  experiment.load('vit_imagenet', params_override=f'{QUICK}=false')
  with pytest.raises(ValueError, match=(
      f'^--params_override: {QUICK} is True, but there is no such setting any '
      'more. It was never quicker')):
    experiment.load('vit_imagenet', params_override=f'{QUICK}=true')


def test_the_params_file_of_a_former_version(tmp_path, caplog):
  saved = experiment.load('funnel_vit_digits').as_dict()
  saved['trainer']['passes'] = saved['trainer'].pop('train_epochs')
  fast_path = saved['task']['model']['backbone']['funnel_vit']['fast_path']
  fast_path['quick'] = False
  path = tmp_path / 'params.yaml'
  path.write_text(yaml.dump(saved))
  params = experiment.load_saved(str(tmp_path))
  assert params.as_dict() == experiment.load('funnel_vit_digits').as_dict()
  assert not caplog.messages
  fast_path['quick'] = True
  path.write_text(yaml.dump(saved))
  with pytest.raises(ValueError, match='params.yaml: .*quick is True, but'):
    experiment.load_saved(str(tmp_path))


def test_what_was_given_is_not_changed():
  given = {'trainer': {'passes': 5}}
  assert former_settings.apply(given, 'here') == {
      'trainer': {'train_epochs': 5}}
  assert given == {'trainer': {'passes': 5}}


def test_every_entry_names_settings_as_they_are(monkeypatch):
  monkeypatch.undo()
  params = experiment.load('vit_imagenet')
  for one in former_settings.SETTINGS:
    *names, key = one.path.split('.')
    group = functools.reduce(getattr, names, params)
    assert not hasattr(group, key), one.path
    assert one.name is None or hasattr(group, one.name), one.path
    assert (one.name is None) == bool(one.reason)


def test_the_params_file_of_version_0_1(monkeypatch, tmp_path, caplog):
  monkeypatch.undo()
  (tmp_path / 'params.yaml').write_text(VERSION_0_1)
  params = experiment.load_saved(str(tmp_path))
  backbone = params.task.model.backbone.funnel_vit
  assert (backbone.layout, backbone.model_name) == ('B2-2-2', 'vit-nano4')
  assert backbone.gradient_checkpointing and backbone.fast_path.float32_matmuls
  assert list(params.task.train_data.crop_area_range) == [0.08, 1.0]
  assert params.trainer.optimizer_config.warmup.get().warmup_steps == 100
  assert not caplog.messages
