"""What a run does: the values of train.py's --mode."""

MODES = ('train', 'eval', 'train_and_eval', 'continuous_eval')


def trains(mode: str) -> bool:
  """Returns whether a run of this mode trains."""
  return 'train' in mode


def evaluates(mode: str) -> bool:
  """Returns whether a run of this mode evaluates."""
  return 'eval' in mode


def data_sets(mode: str) -> list[str]:
  """Returns the settings of the data sets that a mode reads."""
  return (['train_data'] * trains(mode) + ['validation_data'] * evaluates(mode))
