"""The flags of commands that read checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import arguments
from official_ext.command_line import library_logs

CHECKPOINT = flags.DEFINE_enum(
    'checkpoint', 'latest', ['latest', 'best'],
    'Which checkpoint of a model_dir.')
EMA = flags.DEFINE_bool(
    'ema', None,
    'Whether to take the moving averages of the weights; by default where the '
    'training keeps them.')
flags.DEFINE_alias('averaged', 'ema')
CONFIG_FILE = flags.DEFINE_string(
    'config_file', None,
    'A params.yaml, for checkpoints that have none beside them.')
# So that --help shows it.
flags.adopt_module_key_flags(library_logs)


def load(models: Sequence[arguments.ModelArgument]):
  """Loads models as the flags say.

  Args:
    models: as they were typed.

  Returns:
    What `models.load` returns.

  Raises:
    ValueError: as `models.load`.
  """
  # Only once the flags are parsed: it imports TensorFlow.
  from official_ext.analysis import models as models_lib  # pylint: disable=g-import-not-at-top
  with library_logs.without_prints():
    return models_lib.load(
        models, CHECKPOINT.value, EMA.value, CONFIG_FILE.value)
