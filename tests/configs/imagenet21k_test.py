"""What pretraining on ImageNet-21k comes to."""

import pytest

from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment

NAME = 'funnel_vit_imagenet21k'


def test_the_recipe_of_vit_b16():
  trainer = experiment.load(NAME).trainer
  # 14,055,151 images in batches of 4,096.
  assert trainer.train_steps == 90 * 3_431
  config = trainer.optimizer_config
  rate = config.learning_rate.get()
  assert (rate.initial_learning_rate, rate.end_learning_rate, rate.power,
          rate.decay_steps) == (1e-3, 1e-5, 1.0, trainer.train_steps)
  assert config.optimizer.get().weight_decay_rate == 0.03
  assert config.warmup.get().warmup_steps == 10_000


def cost(file):
  model = experiment.load(NAME, [f'imagenet21k/{file}']).task.model
  assert (model.backbone.funnel_vit.representation_size ==
          specs.of_model(model).blocks[0].hidden_size)
  return costs.count_multiply_adds(
      specs.of_model(model), model.num_classes) / 1e9


@pytest.mark.parametrize('files', [
    ('b12', 'b8-8', 'b6-8-8'), ('l24', 'l16-16', 'l15-12-12')])
def test_what_is_spent_on_depth_is_what_pooling_saves(files):
  full, *others = map(cost, files)
  for other in others:
    assert other == pytest.approx(full, rel=0.005)


def test_the_registered_layout_is_a_file_too():
  found = experiment.load(NAME, ['imagenet21k/b4-4-4']).as_dict()
  assert found == experiment.load(NAME).as_dict()
