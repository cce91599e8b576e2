"""What a published model is, in the settings of our backbone and data."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from official_ext.configs import backbones
from official_ext.modeling import layout as layout_lib


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """What is done to an image before the model sees it.

  Attributes:
    mean: of each channel, of values in 0 to 1.
    stddev: of each channel.
    resize_method: 'bilinear' or 'bicubic'.
    crop_fraction: side of the square in the middle that is kept, as a fraction
      of the image's shorter side.
    squashes: whether the whole image becomes a square, whatever its shape was,
      before the middle is taken.
  """
  mean: tuple[float, ...]
  stddev: tuple[float, ...]
  resize_method: str
  crop_fraction: float = 1.0
  squashes: bool = False


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A published Vision Transformer.

  Attributes:
    kind: what it is, for people, such as 'Hugging Face vit'.
    backbone: the settings of `funnel_vit` that are this model; its layout is
      one block.
    image_size: (height, width) that it was trained at, px.
    num_classes: that its head has; 0: it has no head.
    preprocessing: of its images.
    class_names: of its classes; empty if they are not known.
    license: as its authors name it; empty if they do not.
  """
  kind: str
  backbone: backbones.FunnelViT
  image_size: tuple[int, int]
  num_classes: int
  preprocessing: Preprocessing
  class_names: tuple[str, ...] = ()
  license: str = ''

  @property
  def num_layers(self) -> int:
    """How many transformer layers it has."""
    return layout_lib.parse(self.backbone.layout).num_layers

  @property
  def grid(self) -> tuple[int, int]:
    """Rows and columns of its patches."""
    height, width = self.image_size
    return (height // self.backbone.patch_size,
            width // self.backbone.patch_size)


def backbone(hidden_size: int, num_layers: int, num_heads: int, mlp_dim: int,
             patch_size: int, activation: str, norm_epsilon: float,
             **settings) -> backbones.FunnelViT:
  """Returns the settings of a backbone of one block, all sizes given.

  Args:
    hidden_size: width of the hidden states.
    num_layers: of the one block.
    num_heads: of each layer.
    mlp_dim: inner width of each MLP.
    patch_size: side of a patch, px.
    activation: one of `gelu.BY_NAME`.
    norm_epsilon: of every LayerNorm.
    **settings: other fields of `backbones.FunnelViT`.

  Returns:
    The settings.
  """
  return backbones.FunnelViT(
      layout=f'B{num_layers}', hidden_size=hidden_size, patch_size=patch_size,
      transformer=backbones.FunnelTransformer(
          mlp_dim=mlp_dim, num_heads=num_heads, activation=activation,
          norm_epsilon=norm_epsilon),
      **settings)


def crop_fraction(crop: Sequence[int], resized: Sequence[int]) -> float:
  """Returns which part of a resized image a crop keeps, 1 at the most."""
  return min(1.0, min(side / whole for side, whole in zip(crop, resized)))
