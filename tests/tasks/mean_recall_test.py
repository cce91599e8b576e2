"""The mean of the classes' recalls, against scikit-learn."""

import json

import event_files
import models
import numpy as np
import pytest
import short_runs
from sklearn import metrics as sklearn_metrics
import tensorflow as tf

from official_ext.tasks import image_classification
from official_ext.tasks import mean_recall

NUM_CLASSES = 7


def logits_of(predicted):
  return tf.one_hot(predicted, NUM_CLASSES, on_value=2.0, off_value=-1.0)


@pytest.mark.parametrize('one_hot', [False, True], ids=['numbers', 'one-hot'])
def test_it_is_scikit_learns_balanced_accuracy(one_hot):
  generator = np.random.default_rng(1)
  # Uneven, and one class has no image; it is predicted all the same.
  labels = generator.choice(
      NUM_CLASSES, 400, p=[0.6, 0.2, 0.1, 0.06, 0.03, 0.01, 0])
  predicted = np.where(generator.random(400) < 0.6, labels,
                       generator.integers(0, NUM_CLASSES, 400))
  expected = sklearn_metrics.recall_score(
      labels, predicted, average='macro', labels=np.unique(labels))
  with pytest.warns(UserWarning, match='y_pred contains classes not in'):
    assert expected == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(labels, predicted))
  metric = mean_recall.MeanRecall(NUM_CLASSES)
  for _ in range(2):
    for start in range(0, 400, 80):
      batch = slice(start, start + 80)
      # What fills a batch up is wrong, and does not count.
      given = np.append(labels[batch], 0)
      metric.update_state(
          tf.one_hot(given, NUM_CLASSES) if one_hot else tf.constant(given),
          logits_of(np.append(predicted[batch], 1)),
          tf.constant([1.0] * 80 + [0.0]))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0
  assert abs(expected - np.mean(labels == predicted)) > 0.02


def test_ties_go_to_the_lower_class():
  metric = mean_recall.MeanRecall(3)
  metric.update_state(tf.constant([0, 2, 2]), tf.zeros([3, 3]))
  assert float(metric.result()) == 0.5


def test_replicas_are_added_up():
  strategy = models.mirrored(2)
  with strategy.scope():
    metric = mean_recall.MeanRecall(3)
  # Class 0: 3 of 4; class 1: 1 of 2; the mean of the replicas is not 0.625.
  labels = [tf.constant([0, 0, 0, 1]), tf.constant([0, 1])]
  predicted = [tf.constant([0, 0, 2, 1]), tf.constant([0, 2])]

  def update():
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return metric.update_state(*strategy_inputs[int(replica)])

  strategy_inputs = [(one, tf.one_hot(other, 3)) for one, other in zip(
      labels, predicted)]
  strategy.run(update)
  assert float(metric.result()) == 0.625


@pytest.mark.parametrize('is_multilabel', [False, True])
def test_evaluations_have_it_where_images_have_one_class(
    digits_dir, is_multilabel):
  task = image_classification.ImageClassificationTask(
      short_runs.parameters(digits_dir).task.replace(
          train_data={'is_multilabel': is_multilabel}))
  assert task.best_checkpoint_metrics() == (
      None if is_multilabel else
      ['accuracy', 'top_5_accuracy', 'validation_loss', 'mean_recall'])
  names = [[metric.name for metric in task.build_metrics(training)]
           for training in (True, False)]
  assert mean_recall.NAME not in names[0]
  assert (mean_recall.NAME in names[1]) != is_multilabel


@pytest.mark.long
def test_the_best_checkpoint_and_the_end_go_by_it(digits_dir, tmp_path):
  trainer = short_runs.train(digits_dir, tmp_path, 'train_and_eval', **{
      'trainer.train_steps': 40,
      'trainer.steps_per_loop': 2,
      'trainer.validation_interval': 2,
      'trainer.checkpoint_interval': 2,
      'trainer.max_to_keep': 100,
      'trainer.logging.confusion_matrix': True,
      'trainer.best_checkpoint_export_subdir': 'best',
      'trainer.best_checkpoint_eval_metric': 'mean_recall',
      'trainer.early_stopping.metric': 'mean_recall',
      'trainer.early_stopping.patience_evaluations': 2,
      'trainer.early_stopping.min_delta': 0.99})
  assert trainer.is_stopped_early
  counts = trainer.confusion[0].result().numpy()
  assert trainer.validation_logs['mean_recall'] == pytest.approx(
      np.mean(counts.diagonal() / counts.sum(axis=1)), rel=1e-6)
  logged = event_files.scalars(tmp_path / 'validation')
  assert list(logged['mean_recall']) == [2, 4, 6]
  best = json.loads((tmp_path / 'best/info.json').read_text())
  assert best['mean_recall'] == pytest.approx(
      max(logged['mean_recall'].values()))
  assert logged['mean_recall'] != logged['accuracy']
