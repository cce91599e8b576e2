"""Refuses distillation where it cannot be done."""

from __future__ import annotations

from official_ext.configs import image_classification


def check(task: image_classification.ImageClassificationTask) -> None:
  """Checks what can be known of `distillation` without the teacher.

  Args:
    task: the task's configuration.

  Raises:
    ValueError: naming the setting, and what to set instead.
  """
  settings = task.distillation
  if not settings.teacher:
    return
  if task.train_data.is_multilabel:
    raise ValueError(
        f'task.distillation.teacher is {settings.teacher!r}, but with '
        'task.train_data.is_multilabel images belong to several classes, and '
        'the probabilities of a teacher are those of one. Leave it out.')
  if not (settings.weight or settings.representation_weight):
    raise ValueError(
        f'task.distillation.teacher is {settings.teacher!r}, but '
        'task.distillation.weight and representation_weight are both 0, so '
        'nothing is learnt from it. Set one of them, or leave the teacher out.')
