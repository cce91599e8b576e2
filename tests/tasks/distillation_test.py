"""Distillation: losses by hand, and steps that learn from a teacher."""

import models
import numpy as np
from official.core import task_factory
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.params import experiment
from official_ext.tasks import distillation

TEACHER = np.array([[2., 0, -1], [0, 1, 3]], np.float32)
STUDENT = np.array([[0., 1, 0], [-2, 1, 0.5]], np.float32)
SETTING = 'task.distillation'


def softmax(logits):
  exp = np.exp(logits - logits.max(-1, keepdims=True))
  return exp / exp.sum(-1, keepdims=True)


def divergence(teacher, student, temperature):
  wanted, found = softmax(teacher / temperature), softmax(student / temperature)
  return temperature**2 * (wanted * np.log(wanted / found)).sum(-1)


@pytest.mark.parametrize('temperature', [1.0, 4.0])
def test_soft_answers(temperature):
  student = tf.constant(STUDENT)
  with tf.GradientTape() as tape:
    tape.watch(student)
    losses = distillation.answer_losses(TEACHER, student, 'soft', temperature)
  np.testing.assert_allclose(
      losses, divergence(TEACHER, STUDENT, temperature), rtol=1e-4)
  np.testing.assert_allclose(
      tape.gradient(losses, student),
      temperature * (softmax(STUDENT / temperature) -
                     softmax(TEACHER / temperature)), atol=1e-6)


def test_hard_answers():
  np.testing.assert_allclose(
      distillation.answer_losses(TEACHER, STUDENT, 'hard', 9.0),
      -np.log(softmax(STUDENT)[[0, 1], [0, 2]]), rtol=1e-5)


def test_the_angle_between_class_tokens():
  np.testing.assert_allclose(distillation.token_losses(
      tf.constant([[3., 4], [1, 0], [1, 1]]),
      tf.constant([[6., 8], [0, 7], [-2, -2]])), [0, 1, 2], atol=1e-6)


class Taught:
  """A task with a teacher of random weights, and a student of others."""

  def __init__(self, extra='', strategy=None, dtype='float32'):
    tf_keras.backend.clear_session()
    tf_keras.mixed_precision.set_global_policy(
        dtype if dtype == 'float32' else f'mixed_{dtype}')
    params = experiment.load('funnel_vit_digits', params_override=(
        "task.model.backbone.funnel_vit.layout='B1-1',"
        f'{SETTING}.teacher=teacher,{SETTING}.weight=0.25,'
        f'{SETTING}.representation_weight=0.5,{SETTING}.temperature=2.0,'
        f'task.losses.loss_weight=3.0{extra}'))
    self.strategy = strategy or tf.distribute.get_strategy()
    with self.strategy.scope():
      self.task = task_factory.get_task(params.task)
      self.model = self.task.build_model()
      models.randomize(self.model)
      self.task.teacher = distillation.Teacher(
          'teacher', 'teacher/ckpt-3', params.task, {}, self._restore)
      self.task.teacher.begin(params.task.distillation, self.model)
      self.metrics = self.task.build_metrics(training=True)
      self.optimizer = tf_keras.optimizers.legacy.SGD(0.5)
      if dtype == 'float16':
        self.optimizer = tf_keras.mixed_precision.LossScaleOptimizer(
            self.optimizer, initial_scale=2.0**10)
    self.images = models.random_images(12)
    self.labels = tf.nn.softmax(tf.random.stateless_normal([12, 10], [1, 2]))

  def _restore(self):
    task = task_factory.get_task(experiment.load(
        'funnel_vit_digits', params_override=(
            "task.model.backbone.funnel_vit.layout='B2',"
            # An evaluation drops nothing.
            'task.model.dropout_rate=0.5')).task)
    self.teacher = task.build_model()
    models.randomize(self.teacher, seed=5)
    return self.teacher

  def step(self, compiled=lambda step: step):
    """Takes a step; returns its loss, the parts and the weights after it.

    Args:
      compiled: how it is run; as it is, operation by operation.
    """
    size = 12 // self.strategy.num_replicas_in_sync

    @compiled
    def replica_step(images, labels):
      replica = tf.distribute.get_replica_context().replica_id_in_sync_group
      begin = replica * size
      return self.task.train_step(
          (images[begin:begin + size], labels[begin:begin + size]),
          self.model, self.optimizer, self.metrics)['loss']

    if self.strategy.num_replicas_in_sync == 1:
      loss = replica_step(self.images, self.labels)
    else:
      loss = self.strategy.reduce('MEAN', tf.function(
          lambda: self.strategy.run(
              replica_step, [self.images, self.labels]))(), axis=None)
    parts = {metric.name: float(metric.result()) for metric in self.metrics}
    return float(loss), parts, [
        variable.numpy() for variable in self.model.trainable_variables]


def tokens(model, images):
  """The class tokens of a model after its last layer."""
  backbone = model.backbone
  return tf_keras.Model(
      backbone.inputs, backbone.get_layer('encoder').output)(
          images, training=False)[:, 0]


@pytest.fixture(scope='module')
def whole():
  """What a step does, and what it is made of before it."""
  taught = Taught()
  found = {
      'student': taught.model(taught.images, training=False).numpy(),
      'teacher': taught.teacher(taught.images, training=False).numpy(),
      'cosines': 1 + tf_keras.losses.cosine_similarity(
          tokens(taught.teacher, taught.images),
          tokens(taught.model, taught.images)).numpy(),
      'answer': taught.task.teacher.answer(taught.images),
      'before': [one.numpy() for one in taught.teacher.variables],
  }
  found['loss'], found['parts'], found['after'] = taught.step()
  return taught, found


def test_the_loss_of_a_step(whole):
  taught, found = whole
  by_label = -(taught.labels.numpy() * np.log(
      softmax(found['student']))).sum(-1)
  parts = {
      'label_loss': 3 * by_label.mean(),
      'teacher_loss': 3 * divergence(
          found['teacher'], found['student'], 2.0).mean(),
      'representation_loss': 3 * found['cosines'].mean()}
  for name, value in parts.items():
    assert found['parts'][name] == pytest.approx(value, rel=1e-4), name
  assert found['loss'] == pytest.approx(
      0.75 * parts['label_loss'] + 0.25 * parts['teacher_loss'] +
      0.5 * parts['representation_loss'], rel=1e-4)
  assert min(parts.values()) > 0.01


def test_the_teacher_answers_as_alone_and_stays_as_it_is(whole):
  taught, found = whole
  logits, token = found['answer']
  np.testing.assert_allclose(logits, found['teacher'], atol=1e-5)
  np.testing.assert_allclose(
      token, tokens(taught.teacher, taught.images), atol=1e-5)
  assert taught.teacher.trainable_variables == []
  for variable, before in zip(
      taught.teacher.variables, found['before'], strict=True):
    np.testing.assert_array_equal(variable, before)
  with tf.GradientTape() as tape:
    tape.watch(taught.teacher.variables)
    with taught.task.teacher.of_batch(taught.images, taught.model) as student:
      loss = taught.task.build_losses(
          taught.labels, student(taught.images, training=True))
  assert tape.gradient(loss, taught.teacher.variables) == [None] * len(
      taught.teacher.variables)


def test_only_the_student_is_saved(whole):
  taught, _ = whole
  plain = task_factory.get_task(experiment.load(
      'funnel_vit_digits', params_override=(
          "task.model.backbone.funnel_vit.layout='B1-1'")).task).build_model()
  assert [one.shape for one in taught.model.variables] == [
      one.shape for one in plain.variables]
  assert len(taught.optimizer.variables()) == 1  # Its step.


def assert_same_step(outcome, found, dtype='float32'):
  loss, parts, after = outcome
  rtol = {'float32': 1e-4, 'bfloat16': 5e-2, 'float16': 1e-2}[dtype]
  assert loss == pytest.approx(found['loss'], rel=rtol)
  for name, value in found['parts'].items():
    assert parts[name] == pytest.approx(value, rel=rtol), name
  for got, wanted in zip(after, found['after'], strict=True):
    tolerances.assert_close(got, wanted, depth=2, length=128, dtype=dtype,
                            scale=max(1e-2, np.abs(wanted).max()))


@pytest.mark.long
def test_microbatches_compiled_by_xla_are_one_batch(whole):
  taught = Taught(',task.gradient_accumulation_steps=3')
  assert_same_step(
      taught.step(tf.function(jit_compile=True)), whole[1])


@pytest.mark.long
def test_two_replicas_are_one_batch(whole):
  assert_same_step(
      Taught(strategy=models.mirrored(2)).step(tf.function), whole[1])


@pytest.mark.long
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_mixed_precision(whole, dtype):
  taught = Taught(dtype=dtype)
  images = taught.images
  logits, token = taught.task.teacher.answer(images)
  assert logits.dtype == token.dtype == tf.float32
  assert taught.teacher.layers[-1].compute_dtype == dtype
  tolerances.assert_close(
      logits, whole[1]['teacher'], depth=2, length=128, dtype=dtype)
  assert_same_step(taught.step(), whole[1], dtype)


def test_images_count_for_the_teacher_as_for_the_labels(whole):
  taught, found = whole
  weights = np.arange(1, 11, dtype=np.float32)
  of_images = (taught.labels.numpy() * weights).sum(-1)
  expected = 3 * (of_images * divergence(
      found['teacher'], found['student'], 2.0)).mean()
  batch = distillation.Batch(
      taught.task.task_config.distillation, tf.constant(found['teacher']))
  reset = distillation._batch.set(batch)
  taught.task._class_weights = weights
  try:
    taught.task.build_losses(taught.labels, tf.constant(found['student']))
  finally:
    taught.task._class_weights = None
    distillation._batch.reset(reset)
  assert float(batch.losses['teacher_loss']) == pytest.approx(
      expected, rel=1e-4)


def test_an_evaluation_knows_no_teacher(whole):
  taught, _ = whole
  logits = taught.model(taught.images, training=False)
  labels = tf.range(12) % 10
  found = taught.task.validation_step(
      (taught.images, (labels, tf.ones([12]))), taught.model)['loss']
  expected = -np.log(softmax(logits.numpy())[np.arange(12), labels]).mean()
  assert float(found) == pytest.approx(3 * expected, rel=1e-4)
  assert [one.name for one in taught.task.build_metrics(training=False)] == [
      'accuracy', 'top_5_accuracy', 'mean_recall']


def test_a_step_without_its_teacher_is_no_step():
  task = experiment.load('funnel_vit_digits').task
  teacher = distillation.Teacher('a', 'a/ckpt-1', task, {}, None)
  with pytest.raises(ValueError, match='call its `begin` before'):
    teacher.answer(models.random_images(1))
  taught = experiment.load(
      'funnel_vit_digits', params_override=f'{SETTING}.teacher=a').task
  with pytest.raises(ValueError, match="teacher is 'a', but the task has no t"):
    distillation.taught(None, taught.distillation, None)


def test_classes_of_other_names():
  task = experiment.load('funnel_vit_digits').task
  teacher = distillation.Teacher(
      'a', 'a/ckpt-1', task, {'class_names': ['cat', 'dog']}, None)
  teacher.check_classes(['cat', 'dog'])
  teacher.check_classes(None)
  # Two forms of Unicode are the same name.
  distillation.Teacher('a', 'a/ckpt-1', task, {
      'class_names': ['caf\u00e9', 'dog']}, None).check_classes(
          ['cafe\u0301', 'dog'])
  with pytest.raises(ValueError, match="class 1 is 'dog', and that of this tr"):
    teacher.check_classes(['cat', 'fox'])


def test_what_a_teacher_costs_is_said():
  config = experiment.load('funnel_vit_digits', params_override=(
      "task.model.backbone.funnel_vit.layout='B2'")).task
  task = task_factory.get_task(config)
  task.teacher = distillation.Teacher('a', 'a/ckpt-1', config, {}, None)
  # A student of the same size goes forward once, and twice backward.
  assert task.describe() == (
      'Funnel-ViT vit-nano4, B2(17): 0.1 M parameters, 0.00179 GMACs per '
      'image; teacher a/ckpt-1: vit-nano4, B2(17): 0.1 M parameters, 0.00179 '
      'GMACs per image, 25 % of a step')
