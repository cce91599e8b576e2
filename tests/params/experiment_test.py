"""Tests of reading, checking and completing a configuration."""

import re

from official.core import exp_factory
from official.core import train_utils
from official.modeling import hyperparams
from official.vision.ops import preprocess_ops
import pytest

from official_ext.configs import image_classification as configs
from official_ext.params import experiment

OURS = ['funnel_vit_imagenet', 'vit_imagenet', 'funnel_vit_imagenet_finetune',
        'funnel_vit_cifar10_finetune', 'funnel_vit_cifar100_finetune',
        'funnel_vit_digits']
LAYOUT = 'task.model.backbone.funnel_vit.layout'


@pytest.mark.parametrize('name, steps, interval, layout, size', [
    # 300 epochs of 312 steps at batch 4096; 20,000 steps at batch 512.
    ('funnel_vit_imagenet', 93_600, 312, 'B4-4-4', 224),
    ('vit_imagenet', 93_600, 312, 'B12', 224),
    ('funnel_vit_imagenet_finetune', 20_000, 2_502, 'B4-4-4', 384),
    ('funnel_vit_cifar10_finetune', 10_000, 97, 'B4-4-4', 384),
    ('funnel_vit_cifar100_finetune', 10_000, 97, 'B4-4-4', 384),
    ('funnel_vit_digits', 60 * 22, 10 * 22, 'B2-2-2', 16),
])
def test_registered_experiments(name, steps, interval, layout, size):
  params = experiment.load(name)
  trainer = params.trainer
  assert trainer.train_steps == steps
  assert trainer.steps_per_loop == interval
  assert trainer.summary_interval == interval
  assert trainer.checkpoint_interval == interval
  assert trainer.validation_interval == interval
  assert trainer.optimizer_config.learning_rate.cosine.decay_steps == steps
  assert params.task.model.backbone.funnel_vit.layout == layout
  assert params.task.model.backbone.funnel_vit.pooling == 'mean'
  assert params.task.model.input_size == [size, size, 3]


def test_the_recipe_of_the_paper():
  params = experiment.load('funnel_vit_imagenet')
  optimizer = params.trainer.optimizer_config
  assert optimizer.optimizer.get().weight_decay_rate == 0.3
  assert optimizer.learning_rate.get().initial_learning_rate == 0.003
  assert optimizer.warmup.get().warmup_steps == 10_000
  assert params.task.train_data.global_batch_size == 4_096
  assert params.task.model.num_classes == 1_001
  assert params.task.train_data.input_path == 'imagenet-2012-tfrecord/train*'
  assert params.task.validation_data.input_path == (
      'imagenet-2012-tfrecord/valid*')
  fine_tuning = experiment.load('funnel_vit_imagenet_finetune')
  sgd = fine_tuning.trainer.optimizer_config.optimizer.get()
  assert (sgd.momentum, sgd.global_clipnorm) == (0.9, 1.0)


def test_only_the_layout_tells_vit_from_funnel_vit():
  funnel = experiment.load('funnel_vit_imagenet').as_dict()
  vit = experiment.load('vit_imagenet').as_dict()
  assert vit['task']['model']['backbone']['funnel_vit'].pop('layout') == 'B12'
  funnel['task']['model']['backbone']['funnel_vit'].pop('layout')
  assert funnel == vit


def test_steps_follow_the_batch_size():
  params = experiment.load(
      'funnel_vit_imagenet',
      params_override='task.train_data.global_batch_size=1024')
  assert params.trainer.train_steps == 300 * 1_251
  assert params.trainer.validation_interval == 1_251
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.decay_steps == 300 * 1_251


def test_what_is_set_explicitly_wins():
  params = experiment.load(
      'funnel_vit_digits',
      params_override='trainer.train_steps=100,trainer.steps_per_loop=10,'
      'trainer.optimizer_config.learning_rate.cosine.decay_steps=50')
  trainer = params.trainer
  assert trainer.train_steps == 100
  assert (trainer.steps_per_loop, trainer.summary_interval) == (10, 10)
  assert (trainer.checkpoint_interval, trainer.validation_interval) == (
      100, 100)
  assert trainer.optimizer_config.learning_rate.get().decay_steps == 50


def test_one_seed_for_everything():
  params = experiment.load(
      'funnel_vit_digits',
      params_override='trainer.seed=5,task.validation_data.seed=7')
  assert params.task.train_data.seed == 5
  assert params.task.validation_data.seed == 7
  assert experiment.load('vit_imagenet').task.train_data.seed is None


@pytest.mark.parametrize('override, expected', [
    ('', 0),
    ("task.data_dir='',task.train_data.tfds_name='imagenet2012',"
     "task.train_data.tfds_split='train'", 1),
    ("task.data_dir='',task.train_data.tfds_name='imagenet2012',"
     'task.model.num_classes=1000', 0),
    ("task.data_dir='',task.train_data.tfds_name='cifar10'", 0),
    ('task.train_data.label_offset=3', 3),
    ("task.data_dir='',task.train_data.tfds_name='imagenet2012',"
     'task.train_data.label_offset=0', 0),
])
def test_label_offset(override, expected):
  params = experiment.load('vit_imagenet', params_override=override)
  assert params.task.train_data.label_offset == expected


def test_tfds_or_files_but_not_both():
  params = experiment.load('funnel_vit_cifar10_finetune')
  assert params.task.train_data.input_path == ''
  assert params.task.validation_data.tfds_split == 'test'
  with pytest.raises(ValueError, match="has both tfds_name='cifar10' and fil"):
    experiment.load('funnel_vit_cifar10_finetune',
                    params_override='task.data_dir=/data/cifar10')
  params = experiment.load('funnel_vit_cifar10_finetune', params_override=(
      "task.data_dir=/data/cifar10,task.train_data.tfds_name='',"
      "task.validation_data.tfds_name=''"))
  assert params.task.train_data.input_path == '/data/cifar10/train*'


@pytest.mark.parametrize('scaling, expected', [
    ('none', 0.003), ('linear', 0.00075), ('sqrt', 0.0015)])
def test_learning_rate_scaling_is_explicit(scaling, expected):
  params = experiment.load('funnel_vit_imagenet', params_override=(
      'task.train_data.global_batch_size=1024,'
      f'trainer.learning_rate_scaling={scaling},'
      'trainer.reference_batch_size=4096'))
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.initial_learning_rate == pytest.approx(expected)
  # What is saved for Model Garden is scaled.
  assert params.trainer.learning_rate_scaling == 'none'


@pytest.mark.parametrize('layout', [
    'B6(197)-6(99)', 'B6(197, m4096)-6(99)-2(50, m1536)'])
def test_a_quoted_layout_passes_as_an_override(layout):
  params = experiment.load(
      'funnel_vit_imagenet',
      params_override=f"{LAYOUT}='{layout}',trainer.seed=3")
  assert params.task.model.backbone.funnel_vit.layout == layout
  assert params.trainer.seed == 3


def test_values_of_every_kind_pass():
  params = experiment.load('vit_imagenet', params_override=(
      'trainer.seed=null,trainer.train_epochs=5,runtime.enable_xla=true,'
      'task.train_data.color_jitter=1e-1,task.train_data.aug_type=null,'
      "task.train_data.input_path=['a*','b*'],task.model.input_size=[32,32,3],"
      'trainer.optimizer_config.learning_rate.cosine.alpha=0.5'))
  assert params.trainer.seed is None and params.trainer.train_epochs == 5
  assert params.task.train_data.color_jitter == 0.1
  assert params.task.train_data.input_path == ['a*', 'b*']


def test_files_come_before_the_override(tmp_path):
  first, second = tmp_path / 'first.yaml', tmp_path / 'second.yaml'
  first.write_text('trainer: {seed: 1, train_steps: 10}')
  second.write_text('trainer: {train_steps: 20}')
  params = experiment.load(
      'funnel_vit_digits', [str(first), str(second)], 'trainer.seed=3')
  assert (params.trainer.seed, params.trainer.train_steps) == (3, 20)


@pytest.mark.parametrize('name', OURS)
def test_the_settings_that_a_training_saves_are_a_file_too(tmp_path, name):
  params = experiment.load(name)
  train_utils.serialize_config(params, str(tmp_path))
  again = experiment.load(name, [str(tmp_path / experiment.SAVED_FILE)])
  assert again.as_dict() == params.as_dict()


@pytest.mark.parametrize('name', ['runtime/tpu', 'runtime/gpu'])
@pytest.mark.parametrize('experiment_name', OURS)
def test_the_files_of_machines_go_with_every_experiment(name, experiment_name):
  params = experiment.load(experiment_name, [name])
  assert params.runtime.mixed_precision_dtype == 'bfloat16'


def test_shipped_files_are_found_by_name_and_by_path(repository):
  files = experiment.shipped_config_files()
  assert {'runtime/tpu', 'runtime/gpu'} <= set(files)
  for name in ('tpu', 'tpu.yaml', 'runtime/tpu', str(
      repository / 'experiments/runtime/tpu.yaml')):
    assert experiment.find_config_file(name).endswith('runtime/tpu.yaml')
  with pytest.raises(ValueError, match='mean runtime/tpu.*runtime/gpu'):
    experiment.find_config_file('runtime/tpuu')
  with pytest.raises(ValueError, match='several files: .*table2/b12, table4/b'):
    experiment.find_config_file('b12')


@pytest.mark.parametrize('override, message', [
    ('trainer.train_step=5',
     r'no key trainer.train_step. Did you mean trainer.train_steps\?.*'
     'Keys of trainer: .*validation_steps'),
    ('tasks.model=1', 'no key tasks. Did you mean task.*runtime, task, tra'),
    ('task.model.backbone.funnel_vit.layouts=B12', 'Did you mean.*layout'),
    # Unset by default, where Model Garden takes any key without a word.
    ('task.train_data.mixup_and_cutmix.mixup_alfa=1', 'mixup_alpha'),
    ('task.train_data.aug_type.randaug.magnitud=1', 'magnitude'),
    ('trainer.seed=None',
     "seed is 'None', but must be a whole number.*Did you mean null"),
    ('trainer.train_steps=1.5', 'train_steps is 1.5, but must be a whole'),
    ('trainer.deterministic=1', 'deterministic is 1, but must be true or'),
    ('task.train_data.mixup_and_cutmix=None', 'must be a group of settings'),
    ('task.data_dir=5', 'task.data_dir is 5, but must be text'),
    ('nonsense', "'nonsense' cannot be read"),
    (f'{LAYOUT}=B6(197, m4096)-6', f"quotes.*{LAYOUT}='B6.197, m4096.-6'$"),
    ('task.data_dir=photos, 2024,trainer.train_steps=1',
     r"cannot be read\. A value .*shell: task.data_dir='photos, 2024'$"),
    ("task.data_dir=it's, 1", 'shell: task.data_dir="it\'s, 1"$'),
    ('trainer.train_steps=1, task.data_dir=a: #1', "data_dir='a: #1'$"),
    (f"{LAYOUT}='C12'", "layout 'C12' does not begin with 'B'"),
    (f"{LAYOUT}='B6(197)-6(98)'", '98 tokens cannot be reached'),
    ('task.model.backbone.funnel_vit.hidden_size=770', 'not divisible by 12'),
    ('task.model.input_size=[224]', r'input_size is \[224\]'),
    ('task.model.num_classes=0', 'num_classes is 0'),
    ('task.train_data.global_batch_size=0', 'global_batch_size is 0'),
    ('task.train_data.mixup_and_cutmix.mixup_alpha=0.8', 'makes labels soft'),
    ('task.losses.soft_labels=true', 'labels are not soft'),
    ('trainer.learning_rate_scaling=half', "is 'half', but must be one of"),
    ('trainer.learning_rate_scaling=linear', 'reference_batch_size is not set'),
    ('task.init_checkpoint_modules=bogus', 'must be one of all, backbone'),
    ('task.init_checkpoint_resize_method=bogus', 'must be one of bilinear'),
    ('task.init_checkpoint_grid=[16]', r'is \[16\], but must be'),
    ('trainer.optimizer_config.optimizer.type=sgd_layerwise,'
     'trainer.optimizer_config.optimizer.sgd_layerwise.layer_decay=0',
     'layer_decay is 0, but must be a number above 0'),
    ('trainer.train_steps=-5', 'train_steps is -5, but must be a whole'),
    ('trainer.steps_per_loop=3,trainer.summary_interval=10',
     'must be a multiple of steps_per_loop, 3'),
    ('task.model.input_size=32', 'input_size is 32, but must be'),
    ("task.model.input_size=[32,'x',3]", 'but must be .height, width, 3'),
    ('task.model.backbone.type=bogus', "type is 'bogus', but must be one of"),
    ('task.model.backbone.funnel_vit.transformer.dropout_rate=2.0',
     'dropout_rate is 2.0, but must be a number of at least 0 and below 1'),
    ('runtime.mixed_precision_dtype=bogus',
     "dtype is 'bogus', but must be one of float32, bfloat16, .*or null"),
    ('trainer.deterministic=true', 'trainer.seed is not. Set a seed'),
    ('trainer.train_epochs=0', 'both 0: set one'),
    ('task.train_data.num_examples=0', 'num_examples is 0'),
    ('task.train_data.global_batch_size=1000000,'
     'task.train_data.num_examples=9',
     'at least one batch: lower global_batch_size to 9 or less'),
    ('task.train_data.num_examples=0',
     'num_examples is 0.*Set num_examples to the number'),
    ('task.gradient_accumulation_steps=0', 'is 0, but must be a whole number'),
    ('task.gradient_accumulation_steps=null', 'is null, but must be a whole'),
    ('task.gradient_accumulation_steps=4,'
     'runtime.mixed_precision_dtype=float16', 'not accumulated in float16'),
    ('trainer.optimizer_config.ema.average_decay=0.9,'
     'runtime.mixed_precision_dtype=float16', 'not averaged in float16'),
    ('task.validation_data.enable_tf_data_service=true', 'every image once'),
    ('task.validation_data.mixup_and_cutmix.mixup_alpha=0.8', 'mixed images'),
])
def test_bad_overrides(override, message):
  with pytest.raises(ValueError, match=message):
    experiment.load('vit_imagenet', params_override=override)


def test_an_unknown_key_in_a_file(tmp_path):
  path = tmp_path / 'mine.yaml'
  path.write_text('trainer: {train_epoch: 5}')
  with pytest.raises(ValueError, match='mine.yaml: there is no key trainer.tr'):
    experiment.load('vit_imagenet', [str(path)])


@pytest.mark.parametrize('content, message', [
    ('', 'must hold keys and values'), ('- 1', 'must hold keys and values'),
    ('just text', 'must hold keys and values'), ('a: [1', 'is not YAML'),
    ('trainer:', "has nothing under 'trainer'"),
])
def test_a_file_that_is_no_configuration(tmp_path, content, message):
  path = tmp_path / 'mine.yaml'
  path.write_text(content)
  with pytest.raises(ValueError, match=f'mine.yaml.* {message}') as raised:
    experiment.load('vit_imagenet', [str(path)])
  assert '\n' not in str(raised.value)


def test_an_unknown_experiment_lists_ours():
  with pytest.raises(ValueError, match='mean vit_.*vit_imagenet, vit_'):
    experiment.load('vit_imagene')


def test_warnings_of_settings_that_do_little(caplog):
  experiment.load('vit_imagenet', params_override='trainer.train_steps=100')
  assert 'does not get to its peak' in caplog.text
  assert 'linear.warmup_steps=10.' in caplog.text
  caplog.clear()
  experiment.load('vit_imagenet')
  assert not caplog.text


@pytest.mark.parametrize('name', [
    'vit_imagenet_pretrain', 'deit_imagenet_pretrain', 'resnet_imagenet'])
def test_model_gardens_own_experiments_stay_what_they_are(name):
  theirs = exp_factory.get_exp_config(name)
  ours = experiment.load(name)
  assert isinstance(ours.task, configs.ImageClassificationTask)
  assert isinstance(ours.trainer, configs.TrainerConfig)
  # What is ours is off.
  data = {
      'num_examples': 0, 'label_offset': 0, 'max_corrupt_records': 0,
      'mean_rgb': list(preprocess_ops.MEAN_RGB),
      'stddev_rgb': list(preprocess_ops.STDDEV_RGB),
      'resize_antialias': False, 'resize_mode': 'crop_then_resize'}
  neutral = {
      'trainer': {
          'train_epochs': 0, 'interval_epochs': 1, 'seed': None,
          'deterministic': False, 'learning_rate_scaling': 'none',
          'reference_batch_size': 0,
          # The normalisation, which Model Garden holds fixed.
          'derived': ours.as_dict()['trainer']['derived'],
          'keep_checkpoint_every_n_hours': None,
          'preemption_metadata_server': None, 'loss_spike_factor': None,
          'export': {'at_end': False, 'at_best': False, 'export_dir': ''},
          'early_stopping': {
              'patience_evaluations': 0, 'metric': 'accuracy',
              'min_delta': 0.0},
          'logging': {'training_images': 16, 'confusion_matrix': False,
                      'wandb': '', 'mlflow': ''},
          'warmup_share': 0.0, 'frozen_backbone_epochs': 0.0},
      'task': {
          'class_weights': 'none', 'class_sampling': 'none',
          'distillation': configs.distillation_lib.Distillation().as_dict(),
          'data_dir': '', 'init_checkpoint_grid': None,
          'init_checkpoint_resize_method': 'bilinear', 'class_names_path': '',
          'gradient_accumulation_steps': 1,
          'train_data': data, 'validation_data': data}}
  expected = hyperparams.ParamsDict(theirs.as_dict())
  expected.override(neutral, is_strict=False)
  assert ours.as_dict() == expected.as_dict()
  assert {one.setting for one in ours.trainer.derived} == {
      f'task.{of}_data.{setting}' for of in ('train', 'validation')
      for setting in ('mean_rgb', 'stddev_rgb', 'resize_antialias')}


def test_an_experiment_is_built_once_and_nobody_changes_it(monkeypatch):
  built, build = [], exp_factory.get_exp_config
  monkeypatch.setattr(exp_factory, 'get_exp_config', lambda name: (
      built.append(name), build(name))[1])
  for layout in ('B3', 'B2-1'):
    experiment.load('vit_imagenet', params_override=(
        f'task.model.backbone.funnel_vit.layout={layout}'))
  first = experiment.base('vit_imagenet')
  first.task.model.backbone.funnel_vit.layout = 'B4'
  first.trainer.optimizer_config.optimizer.adamw.weight_decay_rate = 7
  again = experiment.base('vit_imagenet')
  assert len(built) <= 1
  assert again.as_dict() == build('vit_imagenet').as_dict()


def test_the_configuration_is_locked():
  params = experiment.load('vit_imagenet')
  with pytest.raises(ValueError, match='locked'):
    params.trainer = None


MEAN = 'task.train_data.mean_rgb'


def test_an_evaluation_prepares_images_as_the_training(tmp_path):
  params = experiment.load('funnel_vit_digits', params_override=(
      f'{MEAN}=[127.5,127,128],task.train_data.resize_antialias=true'))
  for data in (params.task.train_data, params.task.validation_data):
    assert data.mean_rgb == [127.5, 127, 128]
    assert data.stddev_rgb == pytest.approx([58.395, 57.12, 57.375])
    assert data.resize_antialias is True
  # Both may say so.
  experiment.load('funnel_vit_digits', params_override=(
      f'{MEAN}=[1,2,3],task.validation_data.mean_rgb=[1,2,3]'))
  # The file of a training is changed in one place as well.
  train_utils.serialize_config(params, str(tmp_path))
  again = experiment.load(
      'funnel_vit_digits', [str(tmp_path / 'params.yaml')], f'{MEAN}=[1,2,3]')
  assert again.task.validation_data.mean_rgb == [1, 2, 3]
  assert again.task.validation_data.resize_antialias is True


@pytest.mark.parametrize('override, message', [
    ('task.validation_data.mean_rgb=[1,2,3]', (
        'task.validation_data.mean_rgb is [1.0, 2.0, 3.0], but task.train_data.'
        'mean_rgb is [123.675, 116.28, 103.53]: a model is evaluated as it is '
        'trained. Set that of train_data alone.')),
    ('task.train_data.resize_antialias=true,'
     'task.train_data.tf_resize_method=nearest', (
         "task.train_data.resize_antialias is true, but tf_resize_method "
         "'nearest' takes pixels as they are. Set it to bilinear or bicubic, "
         'or resize_antialias=false.')),
])
def test_preparations_that_do_not_go_together(override, message):
  with pytest.raises(ValueError, match=re.escape(message)):
    experiment.load('funnel_vit_digits', params_override=override)
