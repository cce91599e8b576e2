"""Settings of what a training leaves behind: exports and logs."""

import dataclasses

from official.modeling import hyperparams


@dataclasses.dataclass
class ExportConfig(hyperparams.Config):
  """What train.py exports for TensorFlow Serving, as numbered versions.

  Attributes:
    at_end: whether a training that reaches its last step exports its weights
      to `last` in the export_dir.
    at_best: whether each new best checkpoint is exported, to `best` in the
      export_dir; needs trainer.best_checkpoint_export_subdir.
    export_dir: folder of the two; empty: `export` in the model_dir.
  """
  at_end: bool = True
  at_best: bool = False
  export_dir: str = ''


@dataclasses.dataclass
class LoggingConfig(hyperparams.Config):
  """What TensorBoard gets on demand, and who else gets it.

  Attributes:
    training_images: how many images of the first batch of a start are shown as
      the model sees them; 0: none.
    confusion_matrix: whether every evaluation draws which classes are taken for
      which.
    wandb: project of Weights & Biases to log to, or ENTITY/PROJECT; empty:
      none.
    mlflow: experiment of MLflow to log to; empty: none.
  """
  training_images: int = 16
  confusion_matrix: bool = False
  wandb: str = ''
  mlflow: str = ''
