"""Tests of the confusion matrix that evaluations count."""

import numpy as np
import pytest
import tensorflow as tf

from official_ext.params import experiment
from official_ext.training import confusion_counts

LABELS = [0, 1, 2, 2, 0, 1]
# Taken for 0, 2, 2, 1; of equal ones the first; what fills up.
LOGITS = np.float32([[3, 1, 0], [0, 1, 5], [0, 0, 1], [0, 2, 1], [1, 1, 1],
                     [9, 0, 0]])
WEIGHTS = [1, 1, 1, 1, 1, 0]
EXPECTED = [[2, 0, 0], [0, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize('labels', [
    tf.constant(LABELS), tf.one_hot(LABELS, 3)], ids=['numbers', 'one-hot'])
def test_counts_by_hand(labels):
  counts = confusion_counts.ConfusionCounts(3)
  for _ in range(2):
    counts.update_state(labels, tf.constant(LOGITS), tf.constant(
        WEIGHTS, tf.float32))
  np.testing.assert_array_equal(counts.result(), 2 * np.array(EXPECTED))
  counts.reset_states()
  assert not counts.result().numpy().any()


def test_replicas_add_their_counts():
  strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
  with strategy.scope():
    counts = confusion_counts.ConfusionCounts(3)
  inputs = next(iter(strategy.experimental_distribute_dataset(
      tf.data.Dataset.from_tensor_slices(
          (LABELS, LOGITS, np.float32(WEIGHTS))).batch(6))))
  strategy.run(counts.update_state, inputs)
  np.testing.assert_array_equal(counts.result(), EXPECTED)


@pytest.mark.parametrize('settings, message', [
    ('task.model.num_classes=4001', 'num_classes is 4,001: all pairs of more'),
    ('task.train_data.is_multilabel=true,task.losses.soft_labels=false,'
     'task.train_data.mixup_and_cutmix=null,'
     'task.losses.use_binary_cross_entropy=true',
     r'images have several labels \(task.train_data.is_multilabel\)'),
])
def test_what_has_no_confusion_matrix_is_refused(settings, message):
  params = experiment.load('funnel_vit_digits', params_override=(
      f'trainer.logging.confusion_matrix=true,{settings}'))
  with pytest.raises(ValueError, match=(
      f'trainer.logging.confusion_matrix is true, but .*{message}.*Set it to '
      'false; python -m official_ext.evaluate')):
    confusion_counts.check(params)
  off = params.replace(trainer=params.trainer.replace(
      logging=params.trainer.logging.replace(confusion_matrix=False)))
  confusion_counts.check(off)
  assert confusion_counts.create(off) == []
