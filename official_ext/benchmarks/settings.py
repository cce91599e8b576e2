"""What a benchmark process is asked to measure."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

# The layout that stands for Model Garden's own ViT, built by its own factory.
MODEL_GARDEN = 'vit'

MODES = ('train', 'eval')
DTYPES = ('float32', 'bfloat16')


@dataclasses.dataclass(frozen=True)
class Settings:
  """One model under one set of circumstances.

  Attributes:
    layout: a layout, or MODEL_GARDEN.
    model_name: the preset.
    image_size: side of the images, px.
    batch_size: images per replica.
    dtype: 'float32', or 'bfloat16' for mixed bfloat16.
    xla: whether XLA compiles the step.
    mode: 'train' or 'eval'.
    params_override: further settings of the experiment.
    tpu: address of the TPU, '' for none.
    memory_limit_gib: what the process may allocate on the host; 0 for no
      limit.
    dump_dir: folder for what XLA writes about its buffers; '' for none. Only
      the gradients are then computed, without the optimizer's update.
  """
  layout: str
  model_name: str = 'vit-b16'
  image_size: int = 224
  batch_size: int = 8
  dtype: str = 'float32'
  xla: bool = False
  mode: str = 'train'
  params_override: str = ''
  tpu: str = ''
  memory_limit_gib: float = 0.0
  dump_dir: str = ''

  def to_json(self) -> str:
    return json.dumps(dataclasses.asdict(self))

  @classmethod
  def from_json(cls, text: str) -> Settings:
    return cls(**json.loads(text))

  @property
  def circumstances(self) -> str:
    """Everything but the model, in words."""
    return (f'{self.mode}, {self.image_size} px, batch {self.batch_size}, '
            f'{self.dtype}, XLA {"on" if self.xla else "off"}')

  def replace(self, **changes: Any) -> Settings:
    return dataclasses.replace(self, **changes)


def describe(settings: Settings) -> Mapping[str, Any]:
  """The settings as columns of a table."""
  return {
      'model_name': settings.model_name,
      'image_size': settings.image_size,
      'batch_size': settings.batch_size,
      'dtype': settings.dtype,
      'xla': 'on' if settings.xla else 'off',
      'mode': settings.mode,
  }
