"""Distillation where it cannot be done is refused by name."""

import pytest

from official_ext.params import experiment

TEACHER = 'task.distillation.teacher=runs/vit'
SEVERAL = ('task.train_data.is_multilabel=true,'
           'task.train_data.mixup_and_cutmix=null,'
           'task.losses.soft_labels=false,task.losses.one_hot=false')


@pytest.mark.parametrize('override, match', [
    (f'{TEACHER},{SEVERAL}', "^task.distillation.teacher is 'runs/vit', but "
     'with task.train_data.is_multilabel images belong to several classes'),
    (f'{TEACHER},task.distillation.weight=0',
     'weight and representation_weight are both 0, so nothing is learnt'),
    (f'{TEACHER},task.distillation.kind=firm', 'one of soft, hard'),
    (f'{TEACHER},task.distillation.temperature=0', 'temperature'),
    (f'{TEACHER},task.distillation.weight=1.5', 'weight'),
    (f'{TEACHER},task.distillation.representation_weight=-1', 'representation'),
])
def test_what_is_refused(override, match):
  with pytest.raises(ValueError, match=match):
    experiment.load('funnel_vit_digits', params_override=override)


def test_the_home_folder_of_a_teacher(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  params = experiment.load(
      'funnel_vit_digits', params_override='task.distillation.teacher=~/vit')
  assert params.task.distillation.teacher == '/home/me/vit'


@pytest.mark.parametrize('override, setting, reason', [
    ('kind=hard', 'kind', 'there is no task.distillation.teacher'),
    ('temperature=2.0', 'temperature', 'there is no task.distillation.teacher'),
    ('weight=0.3', 'weight', 'there is no task.distillation.teacher'),
    ('representation_weight=0.3', 'representation_weight',
     'there is no task.distillation.teacher'),
    ('teacher=a,task.distillation.kind=hard,task.distillation.temperature=2.0',
     'temperature', 'of kind hard, have no temperature'),
    ('teacher=a,task.distillation.weight=0,task.distillation.kind=hard,'
     'task.distillation.representation_weight=0.1', 'kind', 'weight is 0'),
    ('teacher=a,task.distillation.temperature=2.0,'
     'task.distillation.weight=0.3', None, None),
])
def test_what_is_set_without_effect(caplog, override, setting, reason):
  experiment.load(
      'funnel_vit_digits', params_override=f'task.distillation.{override}')
  if setting is None:
    assert not caplog.messages
  else:
    text, = caplog.messages
    assert text.startswith(f'task.distillation.{setting} is ')
    assert reason in text
