"""Tests of the presets: their sizes pinned, explicit sizes winning."""

import dataclasses
import json

import models
from official.vision.configs import image_classification
from official.vision.configs import semantic_segmentation
import pytest
from tf_keras.src.dtensor import lazy_variable

from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import feature_levels
from official_ext.modeling import specs

# Backbone parameters at 224 px. With a 1,000-class head, vit-ti16 to vit-l32
# are the published sizes: 5.7, 22.1, 86.6, 88.2, 304.3 and 306.5 M.
PINNED_PARAMETERS = {
    'vit-ti16': 5_524_416,
    'vit-s16': 21_665_664,
    'vit-b16': 85_798_656,
    'vit-b32': 87_455_232,
    'vit-l16': 303_301_632,
    'vit-l32': 305_510_400,
    'vit-h14': 630_764_800,
    'vit-g14': 953_510_272,
    'vit-G14': 1_842_775_680,
    'vit-e14': 3_805_421_312,
    'vit-nano4': 504_000,
}


def resolve(image_size=(224, 224), **settings):
  return specs.resolve(backbones.FunnelViT(**settings), image_size)


def test_every_preset_is_pinned():
  assert set(PINNED_PARAMETERS) == set(specs.PRESETS)


@pytest.mark.parametrize('model_name', PINNED_PARAMETERS)
def test_parameters(model_name):
  assert costs.count_parameters(
      resolve(model_name=model_name)) == PINNED_PARAMETERS[model_name]


@pytest.mark.parametrize('model_name', [
    name if name in ('vit-ti16', 'vit-nano4') else
    pytest.param(name, marks=pytest.mark.long) for name in PINNED_PARAMETERS])
def test_the_model_has_these_parameters(model_name):
  # Variables with shapes but no memory: vit-e14 would need 15 GB.
  with lazy_variable.lazy_init_scope():
    backbone = models.build_backbone((224, 224), model_name=model_name)
    assert backbone.count_params() == PINNED_PARAMETERS[model_name]


def test_the_default_is_the_vit_of_the_preset():
  spec = resolve(model_name='vit-l16')
  assert str(spec.layout) == 'B24'
  block, = spec.blocks
  assert (block.hidden_size, block.mlp_dim, block.num_heads) == (1024, 4096, 16)
  assert spec.patch_size == 16 and spec.grid == (14, 14)


def test_the_sizes_of_a_classifier():
  model = image_classification.ImageClassificationModel(
      input_size=[32, 48, 3], backbone=backbones.Backbone(
          funnel_vit=backbones.FunnelViT(model_name='vit-s16')))
  assert specs.of_model(model) == resolve((32, 48), model_name='vit-s16')
  model.backbone.type = 'vit'
  assert specs.of_model(model) is None


@pytest.mark.parametrize('settings, kind', [
    ({}, 'vit-b16'),
    ({'model_name': 'vit-ti16', 'layout': 'B4-4-4'}, 'vit-ti16'),
    # As an import says its sizes.
    ({'hidden_size': 192, 'layout': 'B12', 'transformer': {
        'mlp_dim': 768, 'num_heads': 3}}, 'vit-ti16'),
    ({'hidden_size': 192}, 'of width 192'),
], ids=str)
def test_a_model_is_called_what_its_sizes_are(settings, kind):
  config = backbones.FunnelViT(**settings)
  assert specs.kind(specs.resolve(config, (224, 224))) == kind


def test_an_explicit_size_wins_over_the_preset_and_the_layout_over_both():
  spec = resolve(
      model_name='vit-b16', layout='B2-2(m100)', hidden_size=384, patch_size=32,
      transformer=backbones.FunnelTransformer(mlp_dim=1000, num_heads=6))
  assert spec.patch_size == 32 and spec.grid == (7, 7)
  assert [(b.hidden_size, b.mlp_dim, b.num_heads) for b in spec.blocks] == [
      (384, 1000, 6), (384, 100, 6)]


def test_resolving_leaves_the_configuration_as_it_was():
  config = backbones.FunnelViT(model_name='vit-s16', layout='B6-6')
  before = config.as_dict()
  specs.resolve(config, (224, 224))
  assert config.as_dict() == before


@pytest.mark.parametrize('settings, has_class_token, layout', [
    (dict(pooler='token_and_mean'), True, 'B6(197)-6(99)'),
    (dict(pooler='gap'), False, 'B6(196)-6(98)'),
    (dict(pooler='map', class_token=True), True, 'B6(197)-6(99)'),
    (dict(pooler='none', num_registers=4), False, 'B6(200)-6(102)'),
    (dict(distillation_token=True, num_registers=4), True, 'B6(202)-6(104)'),
])
def test_the_class_token_is_as_the_pooler_needs_it_or_as_set(
    settings, has_class_token, layout):
  spec = resolve(layout='B6-6', **settings)
  assert spec.has_class_token == has_class_token
  assert spec.layout_with_tokens == layout


def test_sizes_come_back_from_json_that_says_less():
  spec = specs.resolve(backbones.FunnelViT(
      layout='B6-6', pooling='conv', attention_bias='proportional'),
      (224, 224))
  saved = json.loads(json.dumps(specs.as_dict(spec)))
  assert specs.from_dict(saved) == spec
  # From before there was a choice.
  del saved['attention_bias']
  assert specs.from_dict(saved) == dataclasses.replace(
      spec, attention_bias='none')


def test_feature_maps_come_back_from_json():
  spec = resolve(layout='B6-6', feature_maps=backbones.FeatureMaps(
      levels=[3, 2], source='pyramid'))
  assert spec.feature_maps == feature_levels.FeatureMapsSpec(
      (2, 3), 'pyramid', 2, 256)
  assert spec.recovers_tokens
  saved = json.loads(json.dumps(specs.as_dict(spec)))
  assert specs.from_dict(saved) == spec
  del saved['feature_maps']
  assert specs.from_dict(saved) == resolve(layout='B6-6')


def test_a_grid_need_not_be_square():
  spec = resolve((112, 224), layout='B6-6')
  assert spec.grid == (7, 14)
  assert spec.layout_with_tokens == 'B6(99)-6(50)'


@pytest.mark.parametrize('settings, message', [
    (dict(model_name='vit-b17'), "model_name is 'vit-b17'.*vit-b16"),
    (dict(pooler='cls'), "pooler is 'cls', but must be one of token, gap"),
    (dict(pooling='avg'), "pooling is 'avg', but must be one of mean, max"),
    (dict(position_embedding='sine'), "position_embedding is 'sine', but must"),
    (dict(position_embedding='sin_cos', hidden_size=66,
          transformer=backbones.FunnelTransformer(num_heads=2)),
     'the hidden size is 66. Use a multiple of 4 from 8, or '),
    (dict(attention_bias='log'),
     "attention_bias is 'log', but must be one of none, proportional"),
    (dict(pool_axes='2d'), "pool_axes is '2d'"),
    (dict(hidden_size=0), 'hidden_size is 0'),
    (dict(patch_size=-16), 'patch_size is -16'),
    (dict(patch_size=300), 'smaller than a patch'),
    (dict(hidden_size=770), '770 is not divisible by 12 heads'),
    (dict(final_norm='all'), "is 'all', but must be one of tokens, pooled, "),
    (dict(num_registers=-1), 'num_registers is -1, but must be at least 0'),
    (dict(class_token=False), 'class_token is false, but pooler token reads the'
     ' class token. Leave class_token out, or set pooler=gap.'),
    (dict(pooler='token_and_distillation'),
     'distillation_token is false, but .* Set distillation_token=true, or p'),
    (dict(pooler='gap', distillation_token=True),
     'with pooler gap there is none. Set class_token=true, or distillation'),
    (dict(pooler='none', final_norm='pooled'),
     "final_norm is 'pooled', but pooler none pools nothing"),
    (dict(pooler='none', projection_size=8),
     'projection_size is 8, but pooler none leaves no features'),
    (dict(projection_size=8, representation_size=9),
     'projection_size is 8 and representation_size 9, but only one layer'),
])
def test_what_does_not_fit_is_named(settings, message):
  with pytest.raises(ValueError, match=message):
    resolve(**settings)


def test_the_head_of_a_segmentation_is_not_counted():
  assert specs.count_classes(
      image_classification.ImageClassificationModel(num_classes=21)) == 21
  assert specs.count_classes(
      semantic_segmentation.SemanticSegmentationModel(num_classes=21)) == 0
