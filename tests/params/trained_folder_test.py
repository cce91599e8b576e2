"""An experiment that begins from the model of a folder, named once."""

from official.core import train_utils
import pytest

from official_ext.configs import preprocessing
from official_ext.modeling import specs
from official_ext.params import experiment

BACKBONE = 'task.model.backbone.funnel_vit'
DATA = 'task.train_data.num_examples=6400,task.model.num_classes=3'
MODEL = (
    f'{BACKBONE}.layout=B2-1,{BACKBONE}.pooling=max,{BACKBONE}.pooler=token,'
    f'{BACKBONE}.transformer.norm_epsilon=1e-5,'
    f'{BACKBONE}.transformer.dropout_rate=0.3,'
    'task.model.input_size=[24,32,3],task.train_data.mean_rgb=[1,2,3],'
    'task.train_data.resize_antialias=true,'
    'task.validation_data.tf_resize_method=bicubic,'
    'task.validation_data.resize_mode=squash_then_crop,'
    'task.validation_data.aug_crop=true,'
    'task.validation_data.center_crop_fraction=0.5')


@pytest.fixture
def folder(tmp_path):
  train_utils.serialize_config(
      experiment.load('funnel_vit_digits', params_override=MODEL),
      str(tmp_path))
  return str(tmp_path)


def load(*arguments):
  return experiment.load('funnel_vit_finetune', *arguments)


def test_the_model_and_its_images_are_taken_over(folder):
  trained = experiment.load_saved(folder).task
  alone, params = load([], DATA), load([folder], DATA)
  task = params.task
  assert task.init_checkpoint == folder
  assert task.init_checkpoint_modules == 'backbone'
  spec = specs.of_model(task.model)
  assert spec == specs.of_model(trained.model)
  assert spec.layout_with_tokens == 'B2(49)-1(25)'
  assert task.model.input_size == [24, 32, 3]
  for data in (task.train_data, task.validation_data):
    assert data.mean_rgb == [1, 2, 3]
    assert data.resize_antialias is True
  validation = task.validation_data
  assert validation.tf_resize_method == 'bicubic'
  assert validation.resize_mode == 'squash_then_crop'
  assert validation.center_crop_fraction == 0.5
  # The classes, the recipe and the data are not.
  assert task.model.num_classes == 3
  backbone = task.model.backbone.funnel_vit
  assert backbone.transformer.dropout_rate == 0
  assert backbone.init_stochastic_depth_rate == 0.1
  assert task.train_data.input_path == alone.task.train_data.input_path
  assert task.train_data.crop_area_range == [0.25, 1.0]
  assert task.losses == alone.task.losses
  trainer = params.trainer.as_dict()
  expected = alone.trainer.as_dict()
  for one in (trainer, expected):
    del one['derived']
    del one['optimizer_config']['optimizer']['adamw_layerwise']['num_layers']
  assert trainer == expected


def test_what_comes_after_it_wins(folder):
  params = load([folder], f'{DATA},{BACKBONE}.layout=B3')
  assert specs.of_model(params.task.model).layout_with_tokens == 'B3(49)'


def test_where_it_comes_from_is_said(folder):
  params, origins = experiment.load_with_origins(
      'funnel_vit_finetune', [folder], DATA)
  assert f'init_checkpoint: {folder}  # --config_file={folder}' in (
      origins.as_yaml(params))


def test_a_segmentation_begins_from_a_classifier(folder):
  experiment_name = 'funnel_vit_segmentation'
  trained = specs.of_model(experiment.load_saved(folder).task.model)
  task = experiment.load(experiment_name, [folder]).task
  assert task.init_checkpoint == folder
  assert task.init_checkpoint_modules == 'backbone'
  spec = specs.of_model(task.model)
  # Of the size of its own images, 512 px, with what decoders read.
  assert (spec.layout, spec.patch_size, spec.pooling, spec.norm_epsilon) == (
      trained.layout, trained.patch_size, 'max', 1e-5)
  assert spec.grid == (128, 128) and spec.pooler == 'none'
  assert spec.has_class_token and spec.feature_maps.levels == (2,)
  assert task.model.head.level == 2
  for data in (task.train_data, task.validation_data):
    assert list(data.image_feature.mean) == [1, 2, 3]
    assert list(data.image_feature.stddev) == list(preprocessing.STDDEV_RGB)
  with pytest.raises(ValueError, match='another kind of task. To begin from '
                     f'its model, give its folder: --config_file={folder}$'):
    experiment.load(experiment_name, [f'{folder}/params.yaml'])


def test_a_segmentation_begins_from_one_without_a_class_token(tmp_path):
  train_utils.serialize_config(experiment.load(
      'funnel_vit_digits', params_override=f'{BACKBONE}.pooler=gap,'
      f'{BACKBONE}.final_norm=pooled,{BACKBONE}.projection_size=8,'
      f'{BACKBONE}.patch_size=2'), str(tmp_path))
  task = experiment.load('funnel_vit_segmentation', [str(tmp_path)]).task
  backbone = task.model.backbone.funnel_vit
  assert backbone.class_token is False and backbone.feature_maps.levels == [1]
  assert backbone.final_norm == 'tokens' and not backbone.projection_size
  assert task.model.head.level == 1
