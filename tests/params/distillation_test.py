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
