"""How images become the input of a model: what a published ViT brings along."""

import dataclasses
from typing import Optional

from official.vision.configs import common
from official.vision.configs import image_classification
from official.vision.ops import preprocess_ops

# ImageNet's, of red, green and blue from 0 to 255.
MEAN_RGB = tuple(preprocess_ops.MEAN_RGB)
STDDEV_RGB = tuple(preprocess_ops.STDDEV_RGB)
# What an evaluation crops and resizes, in this order.
CROP_THEN_RESIZE = 'crop_then_resize'
RESIZE_THEN_CROP = 'resize_then_crop'
SQUASH_THEN_CROP = 'squash_then_crop'
RESIZE_MODES = (CROP_THEN_RESIZE, RESIZE_THEN_CROP, SQUASH_THEN_CROP)


@dataclasses.dataclass
class MixupAndCutmix(common.MixupAndCutmix):
  """Model Garden's settings of what mixes images.

  Attributes:
    exact_labels: whether the labels of cut images are mixed as their pixels
      are; or else by the whole of the rectangle, of which a part may lie
      outside of the image, as in Model Garden.
  """
  exact_labels: bool = False


@dataclasses.dataclass
class DataConfig(image_classification.DataConfig):
  """Model Garden's input settings, and those that it holds fixed.

  Those of validation data that are None are as in the training data.

  Attributes:
    mean_rgb: what is subtracted from red, green and blue, 0 to 255; None:
      ImageNet's mean.
    stddev_rgb: what they are divided by then, in the same unit; None:
      ImageNet's standard deviation.
    resize_antialias: whether images are made smaller by all of their pixels, as
      Pillow does, and rounded as it does; None: by those around each point.
    resize_mode: what an evaluation does with an image, where it crops:
      'crop_then_resize' takes the square in the middle, of
      `center_crop_fraction` of the short side, and resizes it, as Model Garden
      does. 'resize_then_crop' resizes until the input is that fraction of the
      short side, and takes the middle, as torchvision and timm do.
      'squash_then_crop' resizes both sides so, whatever their ratio, and takes
      the middle; with a fraction of 1 that is Hugging Face's ViT.
    mixup_and_cutmix: what mixes the images of a batch.
  """
  mean_rgb: list[float] | None = None
  stddev_rgb: list[float] | None = None
  resize_antialias: bool | None = None
  resize_mode: str = CROP_THEN_RESIZE
  mixup_and_cutmix: Optional[MixupAndCutmix] = None  # noqa: UP045


def mean_rgb(trained: DataConfig) -> list[float]:
  """Returns the mean of training data, of which a version had no choice."""
  return list(MEAN_RGB if trained.mean_rgb is None else trained.mean_rgb)


def stddev_rgb(trained: DataConfig) -> list[float]:
  """Returns the standard deviation, as `mean_rgb` does."""
  return list(STDDEV_RGB if trained.stddev_rgb is None else trained.stddev_rgb)


def antialiases(data: DataConfig, trained: DataConfig) -> bool:
  """Says whether images are antialiased, if need be as training data are."""
  return bool(trained.resize_antialias if data.resize_antialias is None
              else data.resize_antialias)
