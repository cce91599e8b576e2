"""The models to look at, by name, all with the same classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import os

import numpy as np
import tensorflow as tf

from official_ext.analysis import command
from official_ext.checkpoints import object_graph
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.tasks import class_names
from official_ext.tasks import normalization as normalization_lib
from official_ext.trained import trained_model


@dataclasses.dataclass(frozen=True)
class NamedModel:
  """A trained model and what to call it and its classes.

  Attributes:
    name: unique among the models that were loaded together.
    trained: the model, in float32.
    class_names: a name for each class.
  """
  name: str
  trained: trained_model.TrainedModel
  class_names: list[str]

  @property
  def image_size(self) -> tuple[int, int]:
    """Height and width of its images, px."""
    return tuple(self.trained.params.task.model.input_size[:2])

  @property
  def normalization(self) -> normalization_lib.Normalization:
    """What its images were normalised with."""
    return normalization_lib.of_task(self.trained.params.task)

  def logits(self, images: tf.Tensor) -> tf.Tensor:
    """Returns the logits, float32 [B, C], of images as models take them."""
    return tf.cast(self.trained.model(images, training=False), tf.float32)


def load(models: Sequence[command.ModelArgument],
         checkpoint: str = trained_model.LATEST, ema: bool | None = None,
         config_file: str | None = None) -> list[NamedModel]:
  """Loads models that are to be compared.

  Args:
    models: what to load.
    checkpoint: which one of a model_dir, LATEST or BEST.
    ema: whether to take the moving averages of the weights; None: where
      a training keeps them.
    config_file: configuration of checkpoints that have none beside them.

  Returns:
    The models.

  Raises:
    ValueError: if one has no checkpoint or no configuration, or they have
      different classes.
  """
  trained = [_load(model.path, checkpoint, ema, config_file)
             for model in models]
  names = unique_names(models, [item.params for item in trained])
  named = []
  for name, item in zip(names, trained, strict=True):
    classes = item.class_names or class_names.numbered(
        item.params.task.model.num_classes)
    named.append(NamedModel(name, item, classes))
  check_same_classes(named)
  return named


def unique_names(models: Sequence[command.ModelArgument],
                 params: Sequence[experiment.cfg.ExperimentConfig]
                 ) -> list[str]:
  """Names models as typed, by their layouts, or else by their paths.

  Args:
    models: as typed.
    params: their configurations.

  Returns:
    The names, no two of them the same.

  Raises:
    ValueError: if two were typed with the same name or path.
  """
  short = [model.name or layout_name(item)
           for model, item in zip(models, params, strict=True)]
  names = [
      name if model.name or short.count(name) == 1
      else f'{name} {os.path.basename(os.path.normpath(model.path))}'
      for model, name in zip(models, short)]
  if len(set(names)) < len(names):
    names = [model.name or model.path for model in models]
  twice = sorted({name for name in names if names.count(name) > 1})
  if twice:
    raise ValueError(
        f'two models are called {twice[0]!r}. Name them, as in '
        'A=runs/one B=runs/two.')
  return names


def layout_name(params: experiment.cfg.ExperimentConfig) -> str:
  """Returns the layout with its token counts, or the backbone's name."""
  spec = specs.of_model(params.task.model)
  return spec.layout_with_tokens if spec else params.task.model.backbone.type


def _load(path: str, checkpoint: str, ema: bool | None,
          config_file: str | None) -> trained_model.TrainedModel:
  """Loads a model by its model_dir or the prefix of a checkpoint."""
  has_config = tf.io.gfile.exists(os.path.join(path, experiment.SAVED_FILE))
  # Without one, a folder is an error that says so.
  if has_config or (tf.io.gfile.isdir(path) and not config_file):
    return trained_model.find(
        path, trained_model.Selection(checkpoint, ema))
  prefix = object_graph.find(path)
  model_dir = trained_model.model_dir_of(prefix)
  if not model_dir and not config_file:
    raise ValueError(
        f'there is no {experiment.SAVED_FILE} beside the checkpoint {prefix}. '
        'Give the configuration of its training with --config_file.')
  return trained_model.find(
      model_dir, trained_model.Selection(prefix, ema), config_file)


def check_same_classes(models: Sequence[NamedModel]) -> None:
  """Makes sure that models can be compared.

  Args:
    models: at least one.

  Raises:
    ValueError: if two have different classes.
  """
  first = models[0]
  check_same_counts({model.name: len(model.class_names) for model in models})
  for other in models[1:]:
    for index, (mine, theirs) in enumerate(
        zip(first.class_names, other.class_names)):
      if mine != theirs:
        raise ValueError(
            f'class {index} is {mine!r} of {first.name} and {theirs!r} of '
            f'{other.name}. Compare models of the same data set.')


def check_same_counts(num_classes: Mapping[str, int]) -> None:
  """Makes sure that models have as many classes.

  Args:
    num_classes: by the name of the model.

  Raises:
    ValueError: if two have different numbers of classes.
  """
  (first, expected), *others = num_classes.items()
  for name, count in others:
    if count != expected:
      raise ValueError(
          f'{first} has {expected} classes and {name} {count}. Compare models '
          'of the same data set.')


def softmax(logits: tf.Tensor) -> np.ndarray:
  """Returns the probabilities, float64 [B, C], of logits [B, C]."""
  return tf.nn.softmax(tf.cast(logits, tf.float64)).numpy()
