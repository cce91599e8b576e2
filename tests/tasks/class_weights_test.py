"""Weights of classes: from counts, and in the loss, by value."""

import json

import numpy as np
from official.core import task_factory
import pytest
import records_for_tests
import short_runs
from sklearn.utils import class_weight
import tensorflow as tf

from official_ext.tasks import class_weights

# By hand: 12 images. Of 1/n they count 2/3, 1, 2 with 4 / (3 * n_c) * 3.
COUNTS = [6, 4, 0, 2]


def test_balanced_weights_are_scikit_learns():
  weights = class_weights.from_counts(COUNTS, 'balanced')
  np.testing.assert_allclose(weights, [12 / 18, 12 / 12, 0, 12 / 6], rtol=1e-6)
  labels = np.repeat([0, 1, 3], [6, 4, 2])
  np.testing.assert_allclose(
      weights[[0, 1, 3]], class_weight.compute_class_weight(
          'balanced', classes=np.array([0, 1, 3]), y=labels), rtol=1e-6)


def test_square_roots_and_none():
  roots = np.sqrt([6, 4, 2])
  np.testing.assert_allclose(
      class_weights.from_counts(COUNTS, 'square_root')[[0, 1, 3]],
      12 / roots / roots.sum(), rtol=1e-6)
  np.testing.assert_array_equal(
      class_weights.from_counts(COUNTS, 'none'), [1, 1, 0, 1])


@pytest.mark.parametrize('kind', ['balanced', 'square_root'])
def test_one_class_alone_counts_as_ever(kind):
  np.testing.assert_array_equal(
      class_weights.from_counts([0, 7, 0], kind), [0, 1, 0])


def parameters(folder, labels, is_mixed=False, **settings):
  path = records_for_tests.write(
      folder / 'train-00000-of-00001',
      [records_for_tests.example(label) for label in labels])
  return short_runs.parameters('', **{
      'task.train_data.input_path': str(path), 'task.model.num_classes': 4,
      'task.class_weights': 'balanced', **({} if is_mixed else {
          'task.train_data.mixup_and_cutmix': None,
          'task.losses.soft_labels': False}), **settings})


def test_labels_are_counted_in_the_records(tmp_path):
  params = parameters(tmp_path, [0] * 3 + [1] * 2 + [2], **{
      'task.train_data.label_offset': 1})
  np.testing.assert_allclose(
      class_weights.find(params.task, None, {}), [0, 6 / 9, 1, 2], rtol=1e-6)
  # Where a manifest says it of just these files, it is believed.
  (tmp_path / 'manifest.json').write_text(json.dumps({
      'splits': {'train': {'shards': [{'name': 'train-00000-of-00001'}]}},
      'num_unlabelled': {}, 'classes': [
          {'label': label, 'num_images': {'train': number, 'validation': 9}}
          for label, number in enumerate([1, 1, 4])]}))
  np.testing.assert_allclose(
      class_weights.find(params.task, None, {}), [0, 2, 2, 0.5], rtol=1e-6)


def test_a_label_outside_the_classes_is_named(tmp_path):
  params = parameters(tmp_path, [0, 4])
  with pytest.raises(ValueError, match='1 have the label 4.*classes 0 to 3'):
    class_weights.find(params.task, None, {})


LOGITS = np.array([[2, 1, 0, -1], [0, 0.5, 1, 3], [1, 1, 1, 0]], np.float32)


def cross_entropy(targets):
  log_sum = np.log(np.exp(LOGITS).sum(-1, keepdims=True))
  return (targets * (log_sum - LOGITS)).sum(-1)


@pytest.mark.parametrize('losses', [
    {}, {'task.losses.one_hot': True, 'task.losses.label_smoothing': 0.2}],
    ids=['sparse', 'smoothed'])
def test_the_loss_and_its_gradient_by_hand(tmp_path, losses):
  params = parameters(tmp_path, [0] * 6 + [1] * 4 + [3] * 2, **losses)
  task = task_factory.get_task(params.task)
  task._class_weights = class_weights.find(params.task, None, {})
  smoothing = losses.get('task.losses.label_smoothing', 0)
  hard = np.eye(4, dtype=np.float32)[[3, 0, 1]]
  targets = hard * (1 - smoothing) + smoothing / 4
  weights = np.array([2, 2 / 3, 1], np.float32)
  logits = tf.Variable(LOGITS)
  with tf.GradientTape() as tape:
    loss = task.build_losses(
        hard if losses else tf.constant([3, 0, 1]), logits,
        [tf.constant(0.25)])
  np.testing.assert_allclose(
      loss, (cross_entropy(targets) * weights).mean() + 0.25, rtol=1e-5)
  softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
  np.testing.assert_allclose(
      tape.gradient(loss, logits),
      (softmax - targets) * weights[:, np.newaxis] / 3, rtol=1e-4, atol=1e-6)


def test_a_mixed_image_counts_as_its_classes_do():
  targets = np.array(
      [[0.5, 0, 0, 0.5], [0, 1, 0, 0], [0.25, 0.75, 0, 0]], np.float32)
  loss = class_weights.weighted_loss(
      lambda labels, model_outputs: tf.reduce_mean(
          tf.nn.softmax_cross_entropy_with_logits(labels, model_outputs)),
      tf.constant(targets), tf.constant(LOGITS),
      np.array([2 / 3, 1, 0, 2], np.float32))
  np.testing.assert_allclose(
      loss, (cross_entropy(targets) * [4 / 3, 1, 11 / 12]).mean(), rtol=1e-5)


def test_mixed_labels_in_the_loss_of_the_task(tmp_path):
  params = parameters(
      tmp_path, [0] * 6 + [1] * 4 + [3] * 2, is_mixed=True)
  task = task_factory.get_task(params.task)
  task._class_weights = class_weights.find(params.task, None, {})
  # A tenth of each is spread over the classes, the empty one too.
  targets = 0.9 * np.array(
      [[0.5, 0, 0, 0.5], [0, 1, 0, 0], [0.25, 0.75, 0, 0]]) + 0.1 / 4
  spread = 0.1 / 4 * (2 / 3 + 1 + 2)
  weights = 0.9 * np.array([4 / 3, 1, 11 / 12]) + spread
  np.testing.assert_allclose(
      task.build_losses(tf.constant(targets, tf.float32), tf.constant(LOGITS)),
      (cross_entropy(targets) * weights).mean(), rtol=1e-5)


def test_the_evaluation_counts_all_images_the_same(tmp_path):
  params = parameters(tmp_path, [0, 3, 3, 3])
  task = task_factory.get_task(params.task)
  model = task.build_model()
  batch = tf.random.stateless_uniform([3, 16, 16, 3], [1, 2]), (
      tf.constant([3, 0, 1]), tf.ones([3]))
  before = task.validation_step(batch, model)['loss']
  task._class_weights = class_weights.find(params.task, None, {})
  assert task._class_weights[0] == 2
  assert task.validation_step(batch, model)['loss'] == before


def test_how_far_weights_are_apart_is_noted():
  assert class_weights.notes(None, 'none') == []
  assert class_weights.notes(
      class_weights.from_counts(COUNTS, 'balanced'), 'balanced') == [
          'classes     images of class 0 count 0.667 in the training loss, of '
          'class 3 2 (task.class_weights=balanced)']
  assert class_weights.notes(
      class_weights.from_counts(COUNTS, 'balanced'), 'balanced',
      ['cat', 'dog', 'eel', 'a fox']) == [
          "classes     images of class 'cat' count 0.667 in the training loss, "
          "of class 'a fox' 2 (task.class_weights=balanced)"]


SAMPLED = {'task.class_weights': 'none', 'task.class_sampling': 'balanced',
           'task.train_data.cache': False,
           'task.train_data.global_batch_size': 4}


def test_records_and_probabilities_of_the_classes(tmp_path):
  params = parameters(tmp_path, [2, 0, 0, 2, 0, 1, 0, 0, 0], **SAMPLED)
  sampling = class_weights.find_sampling(params.task, None, {})
  assert sampling.records == ((1, 2, 4, 6, 7, 8), (5,), (0, 3))
  np.testing.assert_allclose(sampling.probabilities, [1 / 3] * 3)
  params = parameters(tmp_path, [2] * 3, **SAMPLED)
  sampling = class_weights.find_sampling(params.task, None, {})
  assert (sampling.records, sampling.probabilities) == (((0, 1, 2),), (1.0,))
  params = parameters(tmp_path, [0] * 9 + [1] * 4, **SAMPLED | {
      'task.class_sampling': 'square_root'})
  np.testing.assert_allclose(
      class_weights.find_sampling(params.task, None, {}).probabilities,
      [3 / 5, 2 / 5], rtol=1e-6)


@pytest.mark.slow
def test_the_classes_of_a_training_and_of_one_that_goes_on(tmp_path):
  params = parameters(tmp_path, [0] * 57 + [3] * 3, **SAMPLED)

  def labels(position, num_batches):
    task = task_factory.get_task(params.task)
    task.check_records(['train_data'])
    known = task.enter_data(position, {}, 1)
    assert known['class_sampling'] == 'balanced'
    return np.concatenate([found.numpy() for _, found in task.build_inputs(
        params.task.train_data).take(num_batches)])

  undisturbed = labels(0, 45)
  # By the records it would be 9; the standard deviation is 6.7.
  assert 90 - 27 < (undisturbed == 3).sum() < 90 + 27
  # In the second of three epochs.
  np.testing.assert_array_equal(labels(92, 22), undisturbed[92:])


def test_more_records_than_are_shuffled_are_refused(tmp_path):
  params = parameters(tmp_path, [0] * 5, **SAMPLED | {
      'task.train_data.shuffle_buffer_size': 4})
  with pytest.raises(ValueError, match='size is 4 and they are 5. Set it'):
    class_weights.find_sampling(params.task, None, {})
