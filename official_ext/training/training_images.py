"""The first images that a start trains on, as the model sees them.

They are kept inside the loop of steps, out of the batch that a step has taken
anyway: nothing is read or drawn a second time, so the order of the images and
all random numbers stay as they are.

Legend: B images of a replica's batch, N images that are shown, H and W their
sides, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Any

from matplotlib import font_manager
import numpy as np
from official.core import config_definitions as cfg
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont
import tensorflow as tf

from official_ext import figures
from official_ext.tasks import normalization
from official_ext.tasks import protocol

TAG = 'training_images'
# Smaller images are enlarged by a whole factor up to about this side, px.
_SIDE = 224
# Of the two lines below an image.
_CAPTION_HEIGHT = 32
_FONT_SIZE = 12
# Wide enough to tell images apart, of whatever color their edges are.
_GAP = 16
_FRAME = (160, 160, 160)
# Labels that were smoothed say of every class a little.
_LEAST_SHARE = 0.05
_MAX_CLASSES = 2


@dataclasses.dataclass(frozen=True)
class Batch:
  """Images and labels as a step has taken them.

  Attributes:
    images: normalised, float32 [N, H, W, 3].
    labels: float32 [N], or [N, C] where they are soft or several.
  """
  images: np.ndarray
  labels: np.ndarray


class TrainingImages:
  """Keeps images of the first batch.

  Attributes:
    write: takes them once they are there; None: nobody wants them.
  """

  def __init__(self, num_images: int, strategy: tf.distribute.Strategy):
    """Initialises it; not in the scope of a strategy.

    Args:
      num_images: N, at most.
      strategy: of the training; of several replicas, the first is looked at.
    """
    self.write: Callable[[Batch], None] | None = None
    self._num_images = num_images
    self._strategy = strategy
    with tf.device('CPU:0'):
      self._is_asked = tf.Variable(True, trainable=False)
      self._kept = [
          tf.Variable(tf.zeros([0]), shape=tf.TensorShape(None),
                      trainable=False) for _ in range(2)]

  def keep(self, inputs: Sequence[Any]) -> None:
    """Keeps what is to be shown; is called in every step.

    Args:
      inputs: images [B, H, W, 3] and labels [B] or [B, C] of every replica.
    """
    first = [self._strategy.experimental_local_results(one)[0]
             for one in inputs]

    def assign():
      for variable, values in zip(self._kept, first, strict=True):
        variable.assign(tf.cast(values[:self._num_images], tf.float32))
      return self._is_asked.assign(False)

    tf.cond(self._is_asked, assign, lambda: self._is_asked)

  def show(self) -> None:
    """Hands on what the first step has kept."""
    if self.write:
      self.write(Batch(*(one.numpy() for one in self._kept)))


def create(params: cfg.ExperimentConfig, strategy: tf.distribute.Strategy
           ) -> TrainingImages | None:
  """Returns what keeps images for a training.

  Args:
    params: the experiment's configuration.
    strategy: of the training.

  Returns:
    None if none are asked for, or on a TPU, whose steps would wait for it.
  """
  num_images = params.trainer.logging.training_images
  if not num_images or isinstance(strategy, tf.distribute.TPUStrategy):
    return None
  return TrainingImages(num_images, strategy)


def picture(batch: Batch, task: protocol.Task) -> Image.Image:
  """Draws images in a grid, with their classes below them.

  Args:
    batch: the images.
    task: which made them.

  Returns:
    The picture.
  """
  pixels = normalization.of_task(task.task_config).denormalize(batch.images)
  pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
  num_images, height, width, _ = pixels.shape
  scale = max(1, _SIDE // max(height, width))
  num_columns = math.ceil(math.sqrt(num_images))
  num_rows = math.ceil(num_images / num_columns)
  cell = (max(_SIDE, scale * width) + _GAP,
          scale * height + _CAPTION_HEIGHT + _GAP)
  grid = Image.new('RGB', (num_columns * cell[0] + _GAP,
                           num_rows * cell[1] + _GAP), 'white')
  draw = ImageDraw.Draw(grid)
  font = ImageFont.truetype(
      font_manager.findfont('DejaVu Sans'), _FONT_SIZE)
  names = task.class_names()
  for index, (image, label) in enumerate(zip(pixels, batch.labels)):
    row, column = divmod(index, num_columns)
    x, y = _GAP + column * cell[0], _GAP + row * cell[1]
    # Of one px, outside of the image: a white one has an edge too.
    draw.rectangle((x - 1, y - 1, x + scale * width, y + scale * height),
                   outline=_FRAME)
    grid.paste(Image.fromarray(image).resize(
        (scale * width, scale * height), Image.Resampling.NEAREST), (x, y))
    draw.multiline_text(
        (x, y + scale * height + 1), caption(label, lambda one: (
            names[one] if names else f'class {one}')), fill='black', font=font)
  return grid


def caption(label: np.ndarray, name: Callable[[int], str]) -> str:
  """Names the classes of an image, at most two.

  Args:
    label: the class, []; or how much of each the image has, [C].
    name: of a class.

  Returns:
    A line for each.
  """
  if not label.ndim:
    return figures.shorten(name(int(label)))
  order = [int(one) for one in np.argsort(-label, kind='stable')
           if label[one] >= _LEAST_SHARE] or [int(np.argmax(label))]
  shown, more = order[:_MAX_CLASSES], len(order) - _MAX_CLASSES
  lines = [figures.shorten(name(one)) + (
      f': {figures.percent(label[one])}' if label[one] < 1 else '')
           for one in shown]
  if more > 0:
    lines[-1] += f', {more} more'
  return '\n'.join(lines)
