"""Settings for data that are few or uneven: when to stop, what counts more."""

import dataclasses

from official.core import config_definitions as cfg
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


@dataclasses.dataclass
class TrainerConfig(cfg.TrainerConfig):
  """Model Garden's trainer settings, and how few data are trained on.

  Attributes:
    early_stopping: when the training ends before its last step.
    warmup_share: the warm-up's share of the steps; 0: warmup_steps says it.
    frozen_backbone_epochs: for so long the head alone learns; 0: the optimizer
      says it in steps.
  """
  early_stopping: EarlyStopping = dataclasses.field(
      default_factory=EarlyStopping)
  warmup_share: float = 0.0
  frozen_backbone_epochs: float = 0.0
