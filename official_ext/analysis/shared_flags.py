"""The flags that several commands share, each defined by whom it serves.

A command creates the groups that it has a use for, so that it knows no other
flags. Imports no TensorFlow before a flag is read, so that a typo is told at
once.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from official_ext.analysis import command
from official_ext.command_line import library_logs

# TensorBoard's slider ends there too.
_MOST_SMOOTHING = 0.999


class Models:
  """Flags that say which weights of a training are meant."""

  def __init__(self):
    self._checkpoint = flags.DEFINE_enum(
        'checkpoint', 'latest', ['latest', 'best'],
        'Which checkpoint of a model_dir.')
    self._ema = flags.DEFINE_bool(
        'ema', None,
        'Whether to take the moving averages of the weights; by default where '
        'the training keeps them.')
    flags.DEFINE_alias('averaged', 'ema')
    self._config_file = flags.DEFINE_string(
        'config_file', None,
        'A params.yaml, for checkpoints that have none beside them.')

  def load(self, models: Sequence[command.ModelArgument]):
    """Loads models.

    Args:
      models: as they were typed.

    Returns:
      What `models.load` returns.

    Raises:
      ValueError: as `models.load`.
    """
    from official_ext.analysis import models as models_lib  # pylint: disable=g-import-not-at-top
    with library_logs.without_prints():
      return models_lib.load(
          models, self._checkpoint.value, self._ema.value,
          self._config_file.value)


class Images:
  """Flags that name a few images."""

  def __init__(self):
    self.patterns = flags.DEFINE_list(
        'images', [],
        'Image files, folders of them or TFRecords, with commas between; '
        'patterns are fine.')
    self._num_images = flags.DEFINE_integer(
        'num_images', 6, 'How many of them to draw at most.', lower_bound=1)

  def require(self) -> None:
    """Refuses a command line that names no images."""
    if not self.patterns.value:
      raise app.UsageError(
          'name images with --images: files, folders of them or TFRecords')

  def read(self, model):
    """Reads the images; see `examples.read`.

    Args:
      model: a `models.NamedModel`, whose classes are meant.
    """
    from official_ext.analysis import examples  # pylint: disable=g-import-not-at-top
    return examples.read(self.patterns.value, self._num_images.value, model)


class ValidationSet:
  """Flags that name the images of a validation set."""

  def __init__(self):
    self.data = flags.DEFINE_string(
        'data', None,
        "Pattern of validation TFRecords; by default the first model's own.")
    self.num_images = flags.DEFINE_integer(
        'num_images', None, 'How many images to take; by default all.',
        lower_bound=1)


class Saliency:
  """Flags that say how saliency is computed."""

  def __init__(self):
    self.method = flags.DEFINE_enum(
        'method', command.SALIENCY_METHODS[0],
        list(command.SALIENCY_METHODS), 'How saliency is computed.')
    self.seed = flags.DEFINE_integer('seed', 0, 'Of the noise of smoothgrad.')

  def draw(self, models: Sequence, examples: Sequence,
           target: str = command.PREDICTION, titles: Sequence[str] = ()):
    """Draws the saliency of images; see `saliency_grid.draw`."""
    from official_ext.analysis import saliency_grid  # pylint: disable=g-import-not-at-top
    return saliency_grid.draw(
        models, examples, self.method.value, target, self.seed.value, titles)


def define_smoothing() -> flags.FlagHolder[float]:
  """Defines the flag of commands that draw curves of trainings."""
  return flags.DEFINE_float(
      'smoothing', 0.0,
      "How much to smooth the curves, as TensorBoard's slider does; values as "
      'logged stay visible.', lower_bound=0.0, upper_bound=_MOST_SMOOTHING)


# --help lists a flag under the command that asked for it.
flags.disclaim_key_flags()
