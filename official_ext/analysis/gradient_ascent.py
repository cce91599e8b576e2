"""Activation maximisation: the image that a model finds most like a class.

Paper, figure 5; arXiv 1312.6034, section 2, which calls it class
visualisation. From grey with a little noise, an
image climbs the gradient of a class's logit. What keeps it a picture: it is
shifted at random before every step (jitter), blurred now and then, pulled
towards grey (L2), and its values stay displayable.

Legend: N classes, H x W the image size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses

from matplotlib import figure as figure_lib
import numpy as np
from scipy import ndimage
import tensorflow as tf
import tqdm

from official_ext import figures
from official_ext.analysis import models as models_lib
from official_ext.analysis import pixels
from official_ext.analysis import saliency_maps
from official_ext.tasks import normalization as normalization_lib

# Images are RGB values from 0, black, to 1, white.
_GREY = 0.5
_START_NOISE = 0.02
_TINY = 1e-12
# The default jitter is this part of the side of an image.
_JITTER_PART = 16


@dataclasses.dataclass(frozen=True)
class Settings:
  """How an image climbs.

  Attributes:
    steps: how many.
    step_size: the root mean square of the first step, as a fraction of the
      range from black to white. It falls linearly to a tenth.
    jitter: largest shift before a step, px; 0 for none; None: a sixteenth of
      the image.
    blur: standard deviation of the Gaussian blur, px; 0 for none.
    blur_every: steps from one blur to the next.
    l2: how strongly values are pulled to grey: the fraction of their distance
      that a step of size 1 would take away.
    is_colored: whether the channels may differ.
    seed: of the noise and the jitter.
  """
  steps: int = 256
  step_size: float = 0.05
  jitter: int | None = 0
  blur: float = 0.0
  blur_every: int = 4
  l2: float = 0.0
  is_colored: bool = True
  seed: int = 0


def maximize(logits_fn: saliency_maps.LogitsFn, image_size: Sequence[int],
              classes: Sequence[int], settings: Settings,
              on_step: Callable[[], None] = lambda: None,
              normalization: normalization_lib.Normalization = (
                  normalization_lib.IMAGENET)) -> np.ndarray:
  """Lets an image climb for each class.

  Args:
    logits_fn: from normalised images to logits.
    image_size: (H, W), px.
    classes: N of them.
    settings: how.
    on_step: called after every step.
    normalization: what the images of `logits_fn` are normalised with.

  Returns:
    RGB values from 0 to 1, float32 [N, H, W, 3].
  """
  generator = np.random.default_rng(settings.seed)
  # The same start and the same shifts for every class and model.
  start = _GREY + generator.normal(0, _START_NOISE, [*image_size, 3])
  images = np.repeat(start[np.newaxis].astype(np.float32), len(classes), 0)
  targets = tf.constant(classes, tf.int32)
  gradient = tf.function(
      lambda images: saliency_maps.gradient(
          lambda rgb: logits_fn(pixels.normalize(rgb, normalization)), images,
          targets))
  jitter = settings.jitter
  if jitter is None:
    jitter = min(image_size) // _JITTER_PART
  for step in range(settings.steps):
    shift = generator.integers(-jitter, jitter + 1, 2)
    images = np.roll(images, shift, axis=(1, 2))
    ascent = gradient(tf.constant(images)).numpy()
    if not settings.is_colored:
      images = np.repeat(images.mean(axis=-1, keepdims=True), 3, -1)
      ascent = np.repeat(ascent.mean(axis=-1, keepdims=True), 3, -1)
    ascent /= _TINY + np.sqrt(
        np.mean(ascent ** 2, axis=(1, 2, 3), keepdims=True))
    step_size = settings.step_size * (1 - 0.9 * step / settings.steps)
    images += step_size * (ascent - settings.l2 * (images - _GREY))
    images = np.roll(images, -shift, axis=(1, 2))
    if settings.blur and (step + 1) % settings.blur_every == 0:
      images = ndimage.gaussian_filter(
          images, sigma=(0, settings.blur, settings.blur, 0), mode='nearest')
    images = np.clip(images, 0, 1)
    on_step()
  return images


def draw(models: Sequence[models_lib.NamedModel], classes: Sequence[int],
         settings: Settings) -> figure_lib.Figure:
  """Draws the images that models find most like some classes.

  Args:
    models: a row for each.
    classes: a column for each.
    settings: of the ascent.

  Returns:
    The figure.
  """
  figure, axes = figures.grid(
      len(models), len(classes), [model.name for model in models])
  names = models[0].class_names
  with tqdm.tqdm(total=settings.steps * len(models), unit='step',
                 disable=None) as bar:
    found = [maximize(model.logits, model.image_size, classes, settings,
                      bar.update, model.normalization) for model in models]
  for model, images, cells in zip(models, found, axes):
    probabilities = models_lib.softmax(model.logits(
        pixels.normalize(images, model.normalization)))
    for index, cell in enumerate(cells):
      cell.imshow(images[index])
      name = figures.shorten(names[classes[index]])
      probability = probabilities[index, classes[index]]
      figures.caption(cell, f'{name}\n{figures.percent(probability)}')
  return figure
