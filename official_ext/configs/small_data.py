"""Settings for data that are few or uneven: when to stop, what counts more."""

import dataclasses

from official.modeling import hyperparams

# How much the images of a class count, or how often they come: all the same; in
# inverse proportion to how many they are; in inverse proportion to the square
# root of that.
CLASS_WEIGHTS = ('none', 'balanced', 'square_root')


@dataclasses.dataclass
class EarlyStopping(hyperparams.Config):
  """When a training ends before its last step.

  Attributes:
    patience_evaluations: it ends after so many evaluations in a row that were
      no better than the best before them; 0: it goes on to its last step.
    metric: what decides: the smaller the better of a loss, else the larger.
    min_delta: an evaluation is better if it is so by more than this.
  """
  patience_evaluations: int = 0
  metric: str = 'accuracy'
  min_delta: float = 0.0
