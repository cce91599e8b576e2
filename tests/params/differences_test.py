"""Tests of which settings differ between experiments."""

from official_ext.params import differences
from official_ext.params import experiment

LAYOUT = 'task.model.backbone.funnel_vit.layout'
POOLING = 'task.model.backbone.funnel_vit.pooling'
BIAS = 'task.model.backbone.funnel_vit.attention_bias'
RATE = 'trainer.optimizer_config.learning_rate'


def find(*overrides):
  return differences.find([
      experiment.load('funnel_vit_digits', params_override=override)
      for override in overrides])


def test_what_differs_is_named_once():
  found = find('', f'{LAYOUT}=B6,trainer.seed=7', 'trainer.train_epochs=2')
  # The steps and the decay follow from the epochs, the pooling has no effect.
  assert {one.setting: one.values for one in found} == {
      LAYOUT: ("'B2-2-2'", "'B6'", "'B2-2-2'"),
      'trainer.seed': ('1', '7', '1'),
      'trainer.train_epochs': ('60.0', '60.0', '2.0')}


def test_experiments_that_are_the_same():
  assert find('', '') == []
  assert find('trainer.seed=3') == []
  # A pooling that nothing reads: there is one block.
  assert find(f'{LAYOUT}=B6', f'{LAYOUT}=B6,{POOLING}=max') == []
  assert find(f'{LAYOUT}=B6', f'{LAYOUT}=B6,{BIAS}=proportional') == []
  assert len(find('', f'{BIAS}=proportional')) == 1


def test_a_setting_that_only_one_has():
  found = find('', f'{RATE}.type=constant,{RATE}.constant.learning_rate=0.5')
  assert {one.setting: one.values for one in found} == {
      f'{RATE}.type': ("'cosine'", "'constant'"),
      f'{RATE}.constant.learning_rate': (None, '0.5')}


def test_a_group_that_one_has_not():
  ema = 'trainer.optimizer_config.ema'
  values = {one.setting: one.values
            for one in find('', f'{ema}.average_decay=0.9')}
  assert values[ema] == ('null', 'set')
  assert values[f'{ema}.average_decay'] == (None, '0.9')
  assert not any(name for name in values if not name.startswith(ema))
