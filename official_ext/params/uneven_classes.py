"""Refuses to weigh or sample classes where that cannot be done."""

from __future__ import annotations

from official_ext.configs import image_classification


def check(task: image_classification.ImageClassificationTask) -> None:
  """Checks `class_weights` and `class_sampling` of a task.

  Args:
    task: the task's configuration.

  Raises:
    ValueError: naming the setting, and what to set instead.
  """
  data = task.train_data
  for name in ('class_weights', 'class_sampling'):
    value = getattr(task, name)
    if value == 'none':
      continue
    where = f'task.{name} is {value!r}, but'
    if data.is_multilabel:
      raise ValueError(
          f'{where} with task.train_data.is_multilabel images belong to '
          'several classes. Set it to none.')
    if data.tfds_name:
      raise ValueError(
          f'{where} the images of classes are counted in TFRecords alone, not '
          "in TFDS. Set it to none, or task.train_data.tfds_name='' and "
          'task.data_dir.')
  if task.class_sampling == 'none':
    return
  for name in ('cache', 'enable_tf_data_service'):
    if getattr(data, name):
      raise ValueError(
          f'task.class_sampling is {task.class_sampling!r}, which draws from '
          f'the records, but with task.train_data.{name}=true they have an '
          'order of their own. Set that to false.')
  if task.class_weights == task.class_sampling == 'balanced':
    raise ValueError(
        "task.class_weights and task.class_sampling are both 'balanced': rare "
        'classes would count for their number twice. Set one of them to none, '
        'or both to square_root.')
