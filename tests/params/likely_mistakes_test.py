"""Tests of what is taken with a warning, and of what is close to it."""

import pytest

from official_ext.params import experiment

OPTIMIZATION = 'trainer.optimizer_config'
RATE = f'{OPTIMIZATION}.learning_rate'
STEPWISE = f'{RATE}.type=stepwise,{RATE}.stepwise.values=[1,0.1]'
DATA = 'task.train_data'


def load(override):
  experiment.load('vit_imagenet', params_override=override)


@pytest.mark.parametrize('override, message', [
    (f'{DATA}.cache=true', f'{DATA}.cache is true, so every epoch has the same '
     'augmented images (aug_crop, aug_rand_hflip). Set it to false, or switch '
     'the augmentation off.'),
    (f'trainer.train_steps=10,{OPTIMIZATION}.warmup.type=null,{STEPWISE},'
     f'{RATE}.stepwise.boundaries=[10]',
     f'{RATE}.stepwise.boundaries is [10], but the run ends at step 10: the '
     'learning rates from there on are never reached.'),
    (f'{RATE}.cosine.offset=20000', f'{RATE}.cosine.offset is 20000, but the '
     'warm-up has 10000 steps. Until step 20000 Model Garden continues the '
     'schedule backwards, to other learning rates than the initial one. Set a '
     'warm-up of as many steps, or offset=0.'),
    (f'{RATE}.cosine.initial_learning_rate=0', f'{RATE}.cosine.'
     'initial_learning_rate is 0: after the warm-up, if there is one, the '
     'weights stay what they are.'),
    (f'{DATA}.mean_rgb=[0,0,0],{DATA}.stddev_rgb=[1,1,1]',
     f'{DATA}.stddev_rgb is [1.0, 1.0, 1.0] and mean_rgb is [0.0, 0.0, 0.0], '
     'so the model gets values from 0 to 255. Did you mean '
     f'{DATA}.stddev_rgb=[255, 255, 255]?'),
    (f'{DATA}.label_offset=-1', f'{DATA}.label_offset is -1, but '
     'task.validation_data.label_offset is not set and therefore 0: the same '
     'label means another class in each. Set it too.'),
    ('task.validation_data.label_offset=2', 'task.validation_data.label_offset '
     f'is 2, but {DATA}.label_offset is not set and therefore 0: the same '
     'label means another class in each. Set it too.'),
    (f'{OPTIMIZATION}.warmup.linear.warmup_learning_rate=0.1',
     f'{OPTIMIZATION}.warmup.linear.warmup_learning_rate is 0.1, but the '
     'learning rate after the warm-up is at most 0.003: it would fall from the '
     'first step. Lower it.'),
])
def test_what_is_probably_not_meant_is_warned_of(caplog, override, message):
  load(override)
  assert caplog.messages == [message]


@pytest.mark.parametrize('override', [
    f'{DATA}.cache=true,{DATA}.aug_crop=false,{DATA}.aug_rand_hflip=false',
    f'trainer.train_steps=10,{OPTIMIZATION}.warmup.type=null,{STEPWISE},'
    f'{RATE}.stepwise.boundaries=[9]',
    f'{RATE}.cosine.offset=10000',
    f'{DATA}.mean_rgb=[104,117,123],{DATA}.stddev_rgb=[1,1,1]',
    f'{DATA}.mean_rgb=[0,0,0],{DATA}.stddev_rgb=[255,255,255]',
    f'{DATA}.label_offset=-1,task.validation_data.label_offset=0',
    f'{DATA}.label_offset=0',
    f'{OPTIMIZATION}.warmup.linear.warmup_learning_rate=0.0029',
    'trainer.steps_per_loop=10,trainer.checkpoint_interval=25',
])
def test_what_is_close_to_it_is_not_warned_of(caplog, override):
  load(override)
  assert not caplog.text
