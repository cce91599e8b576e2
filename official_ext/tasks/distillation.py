"""Distillation: a training learns from the answers of a trained model.

The teacher is given the very images of a step, mixed or not, in every replica
and microbatch, and what it answers is a constant: no gradient reaches it, and
no checkpoint of the student holds it. With the logits t of the teacher, s of
the student, and the temperature T, an image has beside the loss by its label

- of kind soft, T^2 * KL(softmax(t / T) || softmax(s / T)), whose gradient is
  about as large at any temperature (Hinton et al., arXiv 1503.02531),
- of kind hard, the cross-entropy of s and the class of the largest t, which is
  not smoothed (DeiT, arXiv 2012.12877, section 4, here with the class token
  alone),
- 1 - cos(class token of the teacher, of the student), after the last layer and
  before what belongs to the head (DistilBERT, arXiv 1910.01108, compares hidden
  states so).

The loss is (1 - weight) * by label + weight * by teacher +
representation_weight * of the class tokens, each a mean over images.

Legend: B batch, C classes, D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import contextvars
import dataclasses
from typing import Any

import numpy as np
from official.vision.configs import image_classification as garden
import tensorflow as tf
import tf_keras

from official_ext.configs import distillation as configs
from official_ext.configs import image_classification
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.tasks import class_names
from official_ext.tasks import class_weights
from official_ext.tasks import taught_by

LABEL_LOSS = 'label_loss'
TEACHER_LOSS = 'teacher_loss'
REPRESENTATION_LOSS = 'representation_loss'
# Multiply-adds of a training step, in forward passes: one backward has two.
_PASSES = 3

# Model Garden's: takes a batch, the model, the optimizer and the metrics.
TrainStep = Callable[..., Mapping[str, tf.Tensor]]


class _WithClassToken:
  """Calls a classifier, and gives the class token beside the logits.

  The layers are those of the classifier, in the same order, with no variable
  beside theirs.
  """

  def __init__(self, model: tf_keras.Model):
    """Finds the class token of a model.

    Args:
      model: Model Garden's ClassificationModel on our backbone.
    """
    backbone = model.backbone
    # Where there are maps of features, the outputs of the blocks come too.
    tokens = tf.nest.flatten(
        backbone.get_layer('encoder').output)[0]  # [B, T, D]
    endpoints = backbone.output
    self._backbone = tf_keras.Model(
        backbone.inputs, (endpoints[max(endpoints)], tokens[:, 0]))
    after = model.layers[model.layers.index(backbone) + 1]
    self._head = tf_keras.Model(after.input, model.output)

  def __call__(self, images: tf.Tensor,
               training: bool) -> tuple[tf.Tensor, tf.Tensor]:
    features, token = self._backbone(images, training=training)
    return self._head(features, training=training), tf.cast(token, tf.float32)


class Teacher:
  """A trained model whose answers a training learns from.

  Attributes:
    path: what the user calls it.
    checkpoint: prefix of the checkpoint that it is.
    task: its own configuration.
    data: what its checkpoint says of the data that it was trained on.
  """

  def __init__(self, path: str, checkpoint: str,
               task: image_classification.ImageClassificationTask,
               data: Mapping[str, Any],
               restore: Callable[[], tf_keras.Model]):
    """Initialises a teacher that is not restored yet.

    Args:
      path: see above.
      checkpoint: see above.
      task: see above.
      data: see above.
      restore: builds it with its weights, in the scope of the strategy.
    """
    self.path = path
    self.checkpoint = checkpoint
    self.task = task
    self.data = data
    self._restore = restore
    self._classify: Callable[..., Any] | None = None
    self._student: _WithClassToken | None = None
    self._settings: configs.Distillation | None = None

  def begin(self, settings: configs.Distillation,
            student: tf_keras.Model) -> None:
    """Restores the teacher; to be called in the scope of the strategy.

    Args:
      settings: how to learn from it.
      student: the model that is trained.
    """
    model = self._restore()
    model.trainable = False
    self._settings = settings
    self._classify = model
    if settings.representation_weight:
      self._classify = _WithClassToken(model)
      self._student = _WithClassToken(student)

  def answer(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Answers as in an evaluation, without a gradient.

    Args:
      images: [B, height, width, 3], as the student is given them.

    Returns:
      Logits, float32 [B, C]; and the class token, float32 [B, D], or None where
      it is not compared.
    """
    if self._classify is None:
      raise ValueError(
          'a train step with task.distillation.teacher needs the teacher: call '
          'its `begin` before.')
    found = self._classify(images, training=False)
    logits, token = found if self._student else (found, None)
    return tf.stop_gradient(tf.cast(logits, tf.float32)), (
        None if token is None else tf.stop_gradient(token))

  @contextlib.contextmanager
  def of_batch(self, images: tf.Tensor, student: tf_keras.Model
               ) -> Iterator[Callable[..., tf.Tensor]]:
    """Teaches a batch, which `current` returns meanwhile.

    Args:
      images: [B, height, width, 3].
      student: the model that is trained.

    Yields:
      What to call in the student's place, while the step is traced.
    """
    logits, token = self.answer(images)
    batch = Batch(self._settings, logits, token)
    called = student if token is None else _Student(
        student, self._student, batch)
    reset = _batch.set(batch)
    try:
      yield called
    finally:
      _batch.reset(reset)

  def check_classes(self, names: Sequence[str] | None) -> None:
    """Refuses a teacher whose classes have other names.

    Args:
      names: of the student's classes; None: they have none.

    Raises:
      ValueError: naming the first class that is another.
    """
    theirs = self.data.get(class_names.KEY)
    if not names or not theirs:
      return
    # In words, in one Unicode form: otherwise they are the same.
    here_and_there = [class_names.composed(class_names.readable(one))
                      for one in (names, theirs)]
    for index, (here, there) in enumerate(zip(*here_and_there, strict=True)):
      if here != there:
        raise ValueError(
            f'task.distillation.teacher={self.path}: its class {index} is '
            f'{there!r}, and that of this training {here!r}. Take a teacher '
            'that was trained on the same classes.')

  def described(self, known: Mapping[str, Any]) -> dict[str, Any]:
    """Adds which checkpoint teaches to what a student knows of its data.

    Args:
      known: what it knows.

    Returns:
      The same with the teacher.

    Raises:
      ValueError: if the training was begun with another one, see `taught_by`.
    """
    return taught_by.noted(known, self.path, self.checkpoint)

  def describe(self, student: garden.ImageClassificationModel) -> str:
    """Says which model teaches, and what it takes of a step.

    Args:
      student: the configuration of the model that is trained.

    Returns:
      A phrase.
    """
    spec = specs.of_model(self.task.model)
    if spec is None:
      return f'teacher {self.checkpoint}: {self.task.model.backbone.type}'
    num_classes = self.task.model.num_classes
    parameters = costs.count_parameters(spec, num_classes)
    forward = costs.count_multiply_adds(spec, num_classes)
    share, of_student = '', specs.of_model(student)
    if of_student:
      trained = costs.count_multiply_adds(of_student, num_classes)
      percent = 100 * forward / (forward + _PASSES * trained)
      share = f', {percent:.0f} % of a step'
    return (f'teacher {self.checkpoint}: {spec.model_name}, '
            f'{spec.layout_with_tokens}: {parameters / 1e6:.1f} M parameters, '
            f'{forward / 1e9:.3g} GMACs per image{share}')


@dataclasses.dataclass
class Batch:
  """What a teacher says of the images of a step.

  Attributes:
    settings: how to learn from it.
    logits: of the teacher, [B, C].
    token: class token of the teacher, [B, D], or None.
    student_token: that of the student, once it was called.
    losses: the parts of the loss, each [], by their names.
  """
  settings: configs.Distillation
  logits: tf.Tensor
  token: tf.Tensor | None = None
  student_token: tf.Tensor | None = None
  losses: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)

  def loss(self, by_label: tf.Tensor, labels: tf.Tensor, logits: tf.Tensor,
           weights: np.ndarray | None, factor: float) -> tf.Tensor:
    """Returns the loss of the batch, and keeps its parts.

    Args:
      by_label: the loss by labels, [], which has weights and factor already.
      labels: [B], or [B, C].
      logits: of the student, [B, C].
      weights: how much images of the classes count, [C]; None: all the same.
      factor: of the whole loss, `task.losses.loss_weight`.

    Returns:
      The loss, [].
    """
    def mean(losses):  # [B] -> []
      if weights is not None:
        losses *= class_weights.of_images(labels, weights)
      return factor * tf.reduce_mean(losses)

    settings = self.settings
    self.losses[LABEL_LOSS] = by_label
    self.losses[TEACHER_LOSS] = mean(answer_losses(
        self.logits, logits, settings.kind, settings.temperature))
    total = ((1 - settings.weight) * by_label +
             settings.weight * self.losses[TEACHER_LOSS])
    if self.token is not None:
      self.losses[REPRESENTATION_LOSS] = mean(
          token_losses(self.token, self.student_token))
      total += (settings.representation_weight *
                self.losses[REPRESENTATION_LOSS])
    return total


class _Student:
  """Stands in for the student, and keeps the class token of its call."""

  def __init__(self, model: tf_keras.Model, with_token: _WithClassToken,
               batch: Batch):
    self._model = model
    self._with_token = with_token
    self._batch = batch

  def __call__(self, images: tf.Tensor, training: bool) -> tf.Tensor:
    logits, self._batch.student_token = self._with_token(images, training)
    return logits

  def __getattr__(self, name: str) -> Any:
    return getattr(self._model, name)


class _PartOfLoss(tf_keras.metrics.Mean):
  """Averages a part of the loss over the steps of an interval."""

  def update_state(self, *args, **kwargs) -> None:
    """Takes the part of the batch that is trained on, whatever it is given."""
    del args, kwargs
    super().update_state(current().losses[self.name])


# Of the batch whose train step is traced, in the replica that traces it.
_batch: contextvars.ContextVar[Batch | None] = contextvars.ContextVar(
    'batch', default=None)


def current() -> Batch | None:
  """Returns what a teacher says of the batch that is trained on; or None."""
  return _batch.get()


def taught(step: TrainStep, settings: configs.Distillation,
           teacher: Teacher | None) -> TrainStep:
  """Returns a train step with a teacher; without one, the step itself.

  Args:
    step: Model Garden's.
    settings: whether there is a teacher.
    teacher: the teacher, restored.

  Returns:
    The step.

  Raises:
    ValueError: if the settings have a teacher, and none was found for them.
  """
  if not settings.teacher:
    return step
  if teacher is None:
    raise ValueError(
        f'task.distillation.teacher is {settings.teacher!r}, but the task has '
        'no teacher. Set its `teacher` to what training.teacher.find returns, '
        'and call the `begin` of that.')

  def taught_step(inputs, model, optimizer, metrics=None):
    with teacher.of_batch(inputs[0], model) as student:
      return step(inputs, student, optimizer, metrics)

  return taught_step


def metrics(settings: configs.Distillation) -> list[tf_keras.metrics.Metric]:
  """Builds the metrics of the parts of the loss; none without a teacher."""
  if not settings.teacher:
    return []
  names = [LABEL_LOSS, TEACHER_LOSS]
  if settings.representation_weight:
    names.append(REPRESENTATION_LOSS)
  return [_PartOfLoss(name, dtype=tf.float32) for name in names]


def answer_losses(teacher_logits: tf.Tensor, student_logits: tf.Tensor,
                  kind: str, temperature: float) -> tf.Tensor:
  """Returns how far the answers of a student are from those of a teacher.

  Args:
    teacher_logits: [B, C].
    student_logits: [B, C].
    kind: one of `configs.KINDS`.
    temperature: of the kind soft.

  Returns:
    The loss of every image, [B].
  """
  if kind == 'hard':
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.argmax(teacher_logits, axis=-1), logits=student_logits)
  wanted = tf.nn.log_softmax(teacher_logits / temperature)  # [B, C]
  found = tf.nn.log_softmax(student_logits / temperature)  # [B, C]
  divergence = tf.reduce_sum(tf.exp(wanted) * (wanted - found), axis=-1)
  return temperature**2 * divergence


def token_losses(teacher_tokens: tf.Tensor,
                 student_tokens: tf.Tensor) -> tf.Tensor:
  """Returns 1 - the cosine between tokens, [B, D] and [B, D] -> [B]."""
  return 1 - tf.reduce_sum(
      tf.math.l2_normalize(teacher_tokens, axis=-1) *
      tf.math.l2_normalize(student_tokens, axis=-1), axis=-1)
