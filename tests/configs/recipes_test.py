"""Tests of the strong recipes, by the figures of their authors."""

import pytest

from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment

# 1,281,167 images in batches of 1,024.
STEPS_PER_EPOCH = 1_251




@pytest.mark.parametrize('name', ['funnel_vit_imagenet_strong',
                                  'vit_imagenet_strong'])
def test_better_plain_vit_baselines(name):
  params = experiment.load(name)
  trainer, data = params.trainer, params.task.train_data
  assert trainer.train_steps == 90 * STEPS_PER_EPOCH == 112_590
  assert data.global_batch_size == 1_024
  optimizer = trainer.optimizer_config.optimizer.adamw
  # Their weight decay is not multiplied by the learning rate.
  decay = trainer.optimizer_config.learning_rate.cosine
  assert optimizer.weight_decay_rate * decay.initial_learning_rate == (
      pytest.approx(1e-4))
  assert optimizer.gradient_clip_norm == 1.0
  assert decay.decay_steps == trainer.train_steps
  assert trainer.optimizer_config.warmup.linear.warmup_steps == 10_000
  assert trainer.optimizer_config.ema is None
  mixing = data.mixup_and_cutmix
  assert (mixing.mixup_alpha, mixing.cutmix_alpha, mixing.prob,
          mixing.label_smoothing) == (0.2, 0.0, 1.0, 0.0)
  augmentation = data.aug_type.get()
  assert (augmentation.num_layers, augmentation.magnitude) == (2, 10)
  spec = specs.of_model(params.task.model)
  assert (spec.pooler, spec.position_embedding) == ('gap', 'sin_cos')
  assert not spec.has_class_token
  backbone = params.task.model.backbone.funnel_vit
  assert not (backbone.transformer.dropout_rate or
              backbone.init_stochastic_depth_rate)


def test_the_baselines_are_vit_s16():
  strong = specs.of_model(experiment.load('vit_imagenet_strong').task.model)
  deit = specs.of_model(experiment.load('vit_imagenet_deit').task.model)
  # DeiT prints 22 M, with a head of 1,000 classes.
  assert costs.count_parameters(deit, 1_000) == 22_050_664
  # The same without positions and class token, and with a layer of 384 x 384.
  assert costs.count_parameters(strong, 1_000) == (
      22_050_664 - 197 * 384 - 384 + 385 * 384)
  funnel = specs.of_model(
      experiment.load('funnel_vit_imagenet_deit').task.model)
  assert costs.count_parameters(funnel, 1_000) == 22_050_664
  assert funnel.layout_with_tokens == 'B4(197)-4(99)-4(50)'


@pytest.mark.parametrize('name', ['funnel_vit_imagenet_deit',
                                  'vit_imagenet_deit'])
def test_deit(name):
  params = experiment.load(name)
  trainer, data = params.trainer, params.task.train_data
  assert trainer.train_steps == 300 * STEPS_PER_EPOCH
  assert trainer.optimizer_config.warmup.linear.warmup_steps == (
      5 * STEPS_PER_EPOCH)
  assert trainer.optimizer_config.warmup.linear.warmup_learning_rate == 1e-6
  decay = trainer.optimizer_config.learning_rate.cosine
  # 5e-4 x 1,024 / 512, down to 1e-5.
  assert decay.initial_learning_rate == 1e-3
  assert decay.alpha * decay.initial_learning_rate == pytest.approx(1e-5)
  assert trainer.optimizer_config.optimizer.adamw.weight_decay_rate == 0.05
  assert trainer.optimizer_config.ema.average_decay == 0.99996
  mixing = data.mixup_and_cutmix
  assert (mixing.mixup_alpha, mixing.cutmix_alpha, mixing.prob,
          mixing.switch_prob, mixing.label_smoothing, mixing.exact_labels) == (
              0.8, 1.0, 1.0, 0.5, 0.1, True)
  augmentation = data.aug_type.get()
  assert (augmentation.num_layers, augmentation.magnitude) == (2, 9)
  assert data.random_erasing.probability == 0.25
  assert data.repeated_augment == 3
  backbone = params.task.model.backbone.funnel_vit
  assert backbone.init_stochastic_depth_rate == 0.1
  assert not backbone.transformer.dropout_rate


def test_the_learning_rate_of_deit_follows_the_batch():
  params = experiment.load('funnel_vit_imagenet_deit', params_override=(
      'task.train_data.global_batch_size=256'))
  config = params.trainer.optimizer_config
  assert config.learning_rate.cosine.initial_learning_rate == 2.5e-4
  assert config.warmup.linear.warmup_learning_rate == 2.5e-7
