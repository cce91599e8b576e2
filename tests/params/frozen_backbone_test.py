"""For how many steps the backbone is frozen, and where it cannot be."""

import pytest

from official_ext.params import experiment

OPTIMIZER = 'trainer.optimizer_config.optimizer'
EPOCHS = 'trainer.frozen_backbone_epochs'
STEPS = f'{OPTIMIZER}.adamw_layerwise.frozen_backbone_steps'
# 100 steps an epoch.
NEEDED = {'task.train_data.num_examples': 6400,
          'task.init_checkpoint': 'somewhere'}


def load(*settings):
  return experiment.load(
      'funnel_vit_finetune', params_override=','.join(
          f'{name}={value}' for name, value in (NEEDED | dict(
              one.split('=', 1) for one in settings)).items()))


def steps(*settings):
  optimizer = load(*settings).trainer.optimizer_config.optimizer
  return optimizer.get().frozen_backbone_steps


@pytest.mark.parametrize('settings, expected', [
    ((), 0), ((f'{EPOCHS}=2',), 200), ((f'{EPOCHS}=0.001',), 1),
    ((f'{EPOCHS}=1.5', 'task.train_data.global_batch_size=128'), 75),
    ((f'{STEPS}=7',), 7),
    ((f'{EPOCHS}=1', f'{OPTIMIZER}.type=sgd_layerwise'), 100)])
def test_the_steps(settings, expected):
  assert steps(*settings) == expected


def test_steps_beside_epochs_win_and_that_is_told(caplog):
  assert steps(f'{EPOCHS}=2', f'{STEPS}=7') == 7
  assert f'{EPOCHS} is 2.0, but has no effect: the optimizer' in caplog.text


def test_a_backbone_that_knows_nothing_is_warned_of(caplog):
  load(f'{EPOCHS}=1')
  assert not caplog.text
  load(f'{EPOCHS}=1', "task.init_checkpoint=''")
  assert 'for 100 steps the head learns on a backbone that' in caplog.text


@pytest.mark.parametrize('settings, message', [
    ((f'{OPTIMIZER}.type=adamw',), 'is 2.0, but the optimizer adamw has one'),
    (('task.freeze_backbone=true',), 'task.freeze_backbone is true'),
    (('trainer.train_epochs=2',),
     'the run has 200 steps, and the backbone would be frozen for 200'),
    (('task.train_data.num_examples=0', 'trainer.train_steps=9'),
     'num_examples is 0'),
    (('task.model.backbone.type=vit',
      f'{OPTIMIZER}.adamw_layerwise.num_layers=12'), 'funnel_vit alone can be'),
])
def test_what_is_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    load(f'{EPOCHS}=2', *settings)
