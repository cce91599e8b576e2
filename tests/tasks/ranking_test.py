"""Tests of when a label counts as right, by hand-made logits."""

import numpy as np
import pytest
import short_runs
import tensorflow as tf
import tf_keras

from official_ext.serving import comparison
from official_ext.tasks import image_classification
from official_ext.tasks import ranking

NAN = float('nan')
INF = float('inf')

# Logits of six classes, and in which place each of them stands.
CASES = [
    ([0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5]),
    ([1, 3, 2, 3, 0, 2], [4, 0, 2, 1, 5, 3]),
    ([-INF, INF, INF, 0, 0, 0], [5, 0, 1, 2, 3, 4]),
    # Equal in bfloat16, whose next number after 1 is 1.0078125.
    ([1, 1.003, 0, 0, 0, 0], [1, 0, 2, 3, 4, 5]),
]
# As they are in bfloat16.
ROUNDED_CASES = [*CASES[:3], ([1, 1.003, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5])]


@pytest.mark.parametrize('dtype, cases', [
    (tf.float32, CASES), (tf.bfloat16, ROUNDED_CASES)])
def test_ties_are_ranked_by_the_lower_class(dtype, cases):
  for logits, places in cases:
    logits = tf.cast(tf.constant([logits], tf.float32), dtype)
    # As they would be shown.
    shown = tf.math.top_k(tf.cast(logits, tf.float32), 6).indices[0].numpy()
    assert [list(shown).index(label) for label in range(6)] == places
    for k in (1, 2, 5, 6, 9):
      found = [bool(ranking.is_among_first(logits, tf.constant([label]), k))
               for label in range(6)]
      assert found == [place < k for place in places]


@pytest.mark.parametrize('logits', [[NAN] * 3, [1, NAN, 0], [NAN, 1, 0]])
def test_what_is_no_number_is_never_right(logits):
  for label in range(3):
    for k in (1, 3):
      assert not ranking.is_among_first(
          tf.constant([logits], tf.float32), tf.constant([label]), k)


def metrics(digits_dir, has_mixed_labels, **data):
  """The metrics of a train step and of an evaluation, by name."""
  task = image_classification.ImageClassificationTask(
      short_runs.parameters(digits_dir).task.replace(
          losses={'soft_labels': has_mixed_labels}, train_data=data))
  return [{metric.name: metric for metric in task.build_metrics(training)}
          for training in (True, False)]


EQUAL = np.zeros([10, 10], np.float32)
LABELS = np.arange(10)


@pytest.mark.parametrize('one_hot', [False, True])
def test_equal_logits_are_counted_alike_everywhere(digits_dir, one_hot):
  """Ten images, one of each class, whose logits are all the same."""
  # The first class is right, and no other.
  for found, mean_recall in zip(
      metrics(digits_dir, has_mixed_labels=one_hot), (
          {}, {'mean_recall': 0.1})):
    for metric in found.values():
      metric.update_state(
          np.eye(10, dtype=np.float32) if one_hot else LABELS, EQUAL)
    assert {name: float(metric.result()) for name, metric in found.items()} == (
        pytest.approx({'accuracy': 0.1, 'top_5_accuracy': 0.5} | mean_recall))
  accuracy = comparison.Accuracy()
  accuracy.add(EQUAL, LABELS, None)
  assert (accuracy.num_top_1, accuracy.num_top_5) == (1, 5)
  accuracy.add(EQUAL * NAN, LABELS, None)
  assert (accuracy.num_images, accuracy.num_top_1, accuracy.num_top_5) == (
      20, 1, 5)


def test_of_several_labels_one_must_be_among_the_first():
  logits = np.float32([[3, 2, 1], [3, 3, 1], [3, 2, 1]])
  labels = np.float32([[0, 1, 1], [1, 1, 0], [0, 0, 1]])
  for k, expected in ((1, [False, True, False]), (2, [True, True, False]),
                      (3, [True, True, True])):
    found = ranking.is_among_first(logits, labels, k)
    assert found.numpy().tolist() == expected


def test_the_metric_weighs_images():
  metric = ranking.TopKAccuracy(2, 'top_2_accuracy')
  logits = tf.constant([[3., 2, 1], [3, 2, 1], [3, 2, 1]])
  metric.update_state(tf.constant([0, 1, 2]), logits, tf.constant([1., 1, 0]))
  assert float(metric.result()) == 1
  metric.update_state(tf.constant([2, 2]), logits[:2])
  assert float(metric.result()) == 0.5
  # Of mixed labels the largest counts.
  metric.reset_state()
  metric.update_state(tf.constant([[.3, .1, .6], [.4, .6, 0]]), logits[:2])
  assert float(metric.result()) == 0.5
  again = ranking.TopKAccuracy.from_config(metric.get_config())
  assert again.name == 'top_2_accuracy'
  again.update_state(tf.constant([1]), logits[:1])
  assert float(again.result()) == 1


def test_several_labels_per_image_keep_their_metrics(digits_dir):
  for found in metrics(digits_dir, False, is_multilabel=True):
    assert not any(isinstance(metric, ranking.TopKAccuracy)
                   for metric in found.values())


@pytest.mark.parametrize('k, num_classes, labels', [
    (5, 10, ['top-1', 'top-5']), (5, 4, ['top-1', 'top-3']),
    (5, 5, ['top-1', 'top-4']), (5, 2, ['top-1']), (5, 1, ['top-1']),
    (1, 10, ['top-1'])])
def test_an_accuracy_that_is_always_right_is_not_shown(k, num_classes, labels):
  assert [row[0] for row in ranking.rows(k, num_classes)] == labels


def test_the_accuracy_that_is_shown_ranks_among_fewer():
  first, kept, shown = ranking.ranked(
      [tf_keras.metrics.Mean('accuracy'),
       tf_keras.metrics.Mean('top_5_accuracy')], 5, 4)
  logits = tf.constant([[4., 3, 2, 1]] * 4)
  for metric in (first, kept, shown):
    metric.update_state(tf.constant([0, 1, 2, 3]), logits)
  assert [metric.name for metric in (first, kept, shown)] == [
      'accuracy', 'top_5_accuracy', 'top_3_accuracy']
  assert [float(metric.result()) for metric in (first, kept, shown)] == [
      0.25, 1, 0.75]
