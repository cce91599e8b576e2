"""Says of a training that it has become worse than no training at all.

A model that takes all classes for equally probable has a cross-entropy of the
logarithm of their number, whatever the images and however labels are mixed or
smoothed. A loss far above that is finite, so nothing ends the training; but
what it has learnt is of no use.
"""

from __future__ import annotations

import math

from official_ext.configs import image_classification as configs

# Between a loss that a bad start may have and one that nobody wants.
_FACTOR = 2


def loss(task: configs.ImageClassificationTask) -> float | None:
  """Returns the training loss of a model that does not tell classes apart.

  Args:
    task: the task's configuration.

  Returns:
    The loss; None where it is not the cross-entropy of one class alone.
  """
  losses = task.losses
  if (task.train_data.is_multilabel or losses.use_binary_cross_entropy or
      losses.l2_weight_decay or task.distillation.teacher):
    return None
  return losses.loss_weight * math.log(task.model.num_classes)


def notes(task: configs.ImageClassificationTask,
          training_loss: float | None) -> list[str]:
  """Warns of a training loss that is far above that of guessing.

  Args:
    task: the task's configuration.
    training_loss: of the last interval; None: there was no training.

  Returns:
    A line for the table that a run ends with, or none.
  """
  guessed = loss(task)
  if not guessed or training_loss is None or training_loss <= (
      _FACTOR * guessed):
    return []
  return [
      f'{"warning":12}the training loss is {training_loss:.4g}, and that of a '
      f'model that guesses {guessed:.4g}: it has learnt nothing. A lower '
      'learning rate, or a longer warm-up, may help']
