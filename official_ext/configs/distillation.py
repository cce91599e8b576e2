"""Settings of distillation: whose answers a training learns from, and how."""

import dataclasses

from official.modeling import hyperparams

# What is learnt of a teacher: its probabilities (Hinton et al., arXiv
# 1503.02531); the class that it takes (DeiT, arXiv 2012.12877, section 4).
KINDS = ('soft', 'hard')


@dataclasses.dataclass
class Distillation(hyperparams.Config):
  """Whose answers a training learns from.

  Attributes:
    teacher: the folder of a training or of an import, the folder of a best
      checkpoint, or the prefix of a checkpoint; empty: there is no teacher.
    kind: one of `KINDS`.
    temperature: the logits of both are divided by it where `kind` is 'soft'.
    weight: of the loss by the teacher's answers; that by the labels has what is
      left of 1.
    representation_weight: of the distance between the class tokens of both,
      which is added; 0: they are not compared.
  """
  teacher: str = ''
  kind: str = 'soft'
  temperature: float = 1.0
  weight: float = 0.5
  representation_weight: float = 0.0
