"""What a run asks of a task, beyond what Model Garden's tasks answer.

A task that train.py can run inherits from Model Garden's task and from `Task`.
Everything that depends on the kind of task is behind these methods, so that
another kind needs no change in `official_ext.training`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
import types
from typing import Any

from official.core import config_definitions as cfg

from official_ext.tasks import class_names
from official_ext.tasks import distillation

# A validation step returns under this name how many examples it counted.
NUM_EXAMPLES = 'num_examples'


class Task(abc.ABC):
  """A task of Model Garden that a run can check, describe and explain.

  It is built before the strategy, so its constructor must run no TensorFlow
  operation: several workers can no longer be joined after the first one.

  Attributes:
    kind: what the task is called in messages.
    task_config: the task's configuration, as Model Garden's tasks have it.
    data_description: what the model must know of the data that it is trained
      on; every checkpoint carries it.
    seed: of what is random in a train step, so that a run that is resumed goes
      on as one that never stopped; None: it depends on the process.
    teacher: whose answers the training learns from; None: from labels alone.
  """
  kind: str
  task_config: cfg.TaskConfig
  data_description: Mapping[str, Any] = types.MappingProxyType({})
  seed: int | None = None
  teacher: distillation.Teacher | None = None

  @abc.abstractmethod
  def check_files(self, names: Sequence[str]) -> None:
    """Checks that data sets exist; runs no TensorFlow operation.

    Args:
      names: which to check, 'train_data' or 'validation_data'.

    Raises:
      ValueError: naming the setting, its value and what to type instead.
    """

  @abc.abstractmethod
  def check_records(self, names: Sequence[str],
                    follows_epochs: bool = False,
                    model_dir: str = '') -> None:
    """Reads records of data sets, checks them one by one and counts them.

    Args:
      names: which to check, 'train_data' or 'validation_data'.
      follows_epochs: whether steps follow from the number of training images.
      model_dir: folder of the training; empty: there is none.

    Raises:
      ValueError: naming the record or the file, what is wrong with it and the
        fix.
    """

  def describe_data(self, known: Mapping[str, Any],
                    trains: bool) -> dict[str, Any]:
    """Describes the training data, as far as the model must know them.

    Args:
      known: what the model knows already from the checkpoint to resume; that
        stays.
      trains: whether the run trains the model; else the model knows only what
        comes with its `init_checkpoint`.

    Returns:
      Values that JSON can hold, by their names in a checkpoint's metadata.

    Raises:
      ValueError: if what the data say of themselves does not fit the model.
    """
    del trains
    return dict(known)

  def save_data_description(self, folder: str) -> None:
    """Writes `data_description` into a folder, for people and their tools."""
    del folder

  def saved_data_description(self, folder: str) -> dict[str, Any]:
    """Reads what `save_data_description` wrote; empty where it did not."""
    del folder
    return {}

  def class_names(self) -> Sequence[str] | None:
    """Returns a name for each class; None: they are not known."""
    return self.data_description.get(class_names.KEY)

  def compare_data(self, names: Sequence[str], model_dir: str) -> None:
    """Compares data sets with what the model knows of its own.

    Runs no TensorFlow operation.

    Args:
      names: which to compare, 'train_data' or 'validation_data'.
      model_dir: folder of the training, for the message.

    Raises:
      ValueError: if they do not belong together, and what to type instead.
    """
    del names, model_dir

  def enter_data(self, position: int, known: Mapping[str, Any],
                 num_workers: int) -> dict[str, Any]:
    """Begins the training data at an image; says what is not exact.

    The datasets that `build_inputs` makes from now on begin there.

    Args:
      position: how many images are trained on already, over all workers.
      known: what this returned when the training was begun; empty: nothing.
      num_workers: how many workers share the images.

    Returns:
      What decides on the order of the images, as values of JSON.
    """
    del position, known, num_workers
    return {}

  def notes(self, train_logs: Mapping[str, float]) -> Sequence[str]:
    """Returns lines to add to the table that a run ends with.

    Args:
      train_logs: metrics of the last training interval; empty if none ran.
    """
    del train_logs
    return ()

  @abc.abstractmethod
  def describe(self) -> str:
    """Returns the model on one line, which a run begins with."""

  @abc.abstractmethod
  def metrics(self) -> Sequence[tuple[str, str, str]]:
    """Returns the rows of the table that a run ends with.

    Returns:
      Of each a label, the metric of training and that of validation.
    """

  @abc.abstractmethod
  def best_checkpoint_metrics(self) -> Sequence[str] | None:
    """Returns the metrics that can decide on the best checkpoint.

    Returns:
      Their names; None where there is no telling before an evaluation.
    """

  def check_batches(self, num_replicas: int) -> None:
    """Checks that every replica gets as many examples.

    Args:
      num_replicas: how many share a batch.

    Raises:
      ValueError: naming the batch, and of what to take a multiple.
    """
    for name in ('train_data', 'validation_data'):
      batch_size = getattr(self.task_config, name).global_batch_size
      if batch_size % num_replicas:
        raise ValueError(
            f'task.{name}.global_batch_size is {batch_size}, which the '
            f'{num_replicas} replicas do not divide. Use a multiple of '
            f'{num_replicas}.')

  def explain(self, error: Exception) -> str | None:
    """Explains an error of a training or evaluation step.

    Args:
      error: what TensorFlow raised.

    Returns:
      What was wrong with which record; None if it was something else.
    """
    del error
    return None

  def find_record(self, error: Exception, names: Sequence[str]) -> str | None:
    """Finds the record that an error of a step is about.

    Args:
      error: what TensorFlow raised.
      names: the data sets that it may be in.

    Returns:
      What is wrong with which record of which file; None if the error is about
      something else, or the record is not found.
    """
    del error, names
    return None
