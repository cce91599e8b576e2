"""Which services a training is logged to, and what they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
from typing import Any

from PIL import Image
import tensorflow as tf

from official_ext.configs import outputs
from official_ext.training import mlflow_runs
from official_ext.training import preemption
from official_ext.training import trackers
from official_ext.training import weights_and_biases


def check(config: outputs.LoggingConfig, begins: bool) -> None:
  """Finds what would keep a training from being logged, before it starts.

  Args:
    config: what is logged.
    begins: whether the training has no checkpoint yet. One that goes on is not
      refused because a server is away.

  Raises:
    ValueError: naming the setting, what is missing and what to do.
  """
  if config.wandb:
    weights_and_biases.check(config.wandb)
  if config.mlflow:
    mlflow_runs.check(config.mlflow, reaches=begins)


class Tracking:
  """The services of a training, of which there may be none."""
  # What begins with the first that is logged, and who hears of it.
  _expected: tuple[trackers.Training, Callable[[str], None]] | None = None

  def __init__(self, config: outputs.LoggingConfig | None = None):
    """Initialises it; nothing is sent.

    Args:
      config: what is logged; None: nothing is sent by this process.
    """
    self._trackers: list[trackers.Tracker] = []
    if config and config.wandb:
      self._trackers.append(weights_and_biases.WeightsAndBiases(config.wandb))
    if config and config.mlflow:
      self._trackers.append(mlflow_runs.Mlflow(config.mlflow))
    self._running: list[trackers.Running] = []

  @property
  def is_on(self) -> bool:
    """Whether there is any."""
    return bool(self._trackers)

  def expect(self, training: trackers.Training,
             tell: Callable[[str], None]) -> None:
    """Has the runs begin with the first that is logged of the training.

    A start that is refused before its first step so leaves no run.

    Args:
      training: the training.
      tell: takes a line for a person for each run that has begun.
    """
    self._expected = training, tell

  def begin(self, training: trackers.Training) -> list[str]:
    """Begins or resumes the runs.

    Args:
      training: the training.

    Returns:
      A line for each, for a person.
    """
    lines = []
    for tracker in self._trackers:
      running = trackers.begin(tracker, training)
      if running:
        self._running.append(running)
        lines.append(f'{tracker.name}: {tracker.where()}')
    return lines

  def scalars(self, folder: str, values: Mapping[str, Any], step: int) -> None:
    """Logs the numbers among some values.

    Args:
      folder: of TensorBoard's files, which comes before their names.
      values: by name.
      step: of the training.
    """
    if not self._begun():
      return
    numbers = {f'{folder}/{name}': float(tf.convert_to_tensor(value))
               for name, value in values.items()
               if not isinstance(value, Mapping)}
    for one in self._running:
      one.scalars(numbers, step)

  def image(self, folder: str, name: str, image: Image.Image, step: int
            ) -> None:
    """Logs a picture; the arguments are those of `scalars`."""
    for one in self._begun():
      one.image(f'{folder}/{name}', image, step)

  def _begun(self) -> list[trackers.Running]:
    """Returns what is told, and begins it if it was expected."""
    if self._expected:
      (training, tell), self._expected = self._expected, None
      for line in self.begin(training):
        tell(line)
    return self._running

  @contextlib.contextmanager
  def ended(self) -> Iterator[None]:
    """Ends what was begun inside as that ends."""
    how = trackers.FAILED
    try:
      yield
      how = trackers.FINISHED
    except preemption.Preempted:
      how = trackers.PREEMPTED
      raise
    finally:
      for one in self._running:
        one.end(how)
      self._running = []
