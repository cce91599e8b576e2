"""What a model says of image files, and how it is shown.

Legend: H, W sides of an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import itertools
import math
import os
import re

import numpy as np
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.serving import image_paths
from official_ext.serving.runtimes import classifier as classifier_lib
from official_ext.tasks import file_forms

# In a grid; more would be too small to see, and their picture too large.
MOST_DRAWN = 60
_NUM_COLUMNS = 6
_DRAWN_SIDE_PX = 224
# With the probability behind it, it must not reach the next one.
_NAME_LENGTH = 15
# Line feeds and what else moves a cursor.
_CONTROL = re.compile(r'[\x00-\x1f\x7f-\x9f]')


@dataclasses.dataclass(frozen=True)
class Result:
  """What a model says of a file.

  Attributes:
    image: the name of the file.
    predictions: the most probable class first; empty where there is an error.
    error: why there is no prediction, or ''.
    thumbnail: uint8 [H, W, 3]; None if it was not asked for.
  """
  image: str
  predictions: Sequence[classifier_lib.Prediction] = ()
  error: str = ''
  thumbnail: np.ndarray | None = None


def classify(classifier: classifier_lib.Classifier,
             images: Iterable[image_paths.ImageFile], top_k: int,
             batch_size: int, num_drawn: int = 0) -> Iterator[Result]:
  """Classifies image files.

  Args:
    classifier: the model.
    images: files of every form that the conversion takes.
    top_k: how many classes to name at most.
    batch_size: how many images are computed at once.
    num_drawn: how many get a thumbnail at most: the first with a prediction.

  Yields:
    What comes of each, in their order, also of those that are no image.
  """
  images = iter(images)
  while some := list(itertools.islice(images, batch_size)):
    read = [_read(image) for image in some]
    encoded = [one for one in read if isinstance(one, bytes)]
    answers = iter(
        classifier.classify_all(encoded, top_k) if encoded else ())
    for image, one in zip(some, read):
      found = next(answers) if isinstance(one, bytes) else one
      if isinstance(found, Exception):
        yield Result(image.name, error=_reason(image, one, found))
        continue
      thumbnail = _thumbnail(one) if num_drawn > 0 else None
      num_drawn -= thumbnail is not None
      yield Result(image.name, found, thumbnail=thumbnail)


def _read(image: image_paths.ImageFile) -> bytes | Exception:
  """Returns a file as a model takes it, or why it has none."""
  try:
    return file_forms.as_served(image.read())
  except (OSError, ValueError, tf.errors.OpError) as error:
    return error


def _reason(image: image_paths.ImageFile, read: bytes | Exception,
            error: Exception) -> str:
  """Says why a file has no prediction, as the conversion would."""
  # A graph that serves tells no more than that it cannot decode it.
  fault = file_forms.fault(read) if isinstance(read, bytes) else ''
  # TensorFlow names the file as well.
  return fault or errors.message(error).removeprefix(f'{image.name}; ')


def _thumbnail(encoded: bytes) -> np.ndarray | None:
  """Returns an image to be looked at; None of one that only a model reads."""
  try:
    return file_forms.thumbnail(encoded, _DRAWN_SIDE_PX)
  except ValueError:
    return None


def as_text(result: Result) -> str:
  """Returns the lines for a person; empty where there is no prediction."""
  if not result.predictions:
    return ''
  return '\n'.join([on_one_line(result.image), *(
      f'  {100 * one.probability:6.2f} %  {one.name}'
      for one in result.predictions)])


def on_one_line(name: str) -> str:
  """Returns the name of a file with its control characters escaped."""
  return _CONTROL.sub(
      lambda found: found[0].encode('unicode_escape').decode(), name)


def draw(results: Sequence[Result]):
  """Draws images with the names of their files and their classes.

  Args:
    results: those with a thumbnail are drawn; at least one.

  Returns:
    The figure.
  """
  # Only here: Matplotlib takes a second to load.
  from official_ext import figures  # pylint: disable=g-import-not-at-top
  drawn = [result for result in results if result.thumbnail is not None]
  num_columns = min(_NUM_COLUMNS, len(drawn))
  num_rows = math.ceil(len(drawn) / num_columns)
  figure, rows = figures.grid(num_rows, num_columns, [''] * num_rows)
  cells = [cell for row in rows for cell in row]
  for cell, result in zip(cells, drawn):
    best = result.predictions[0]
    cell.imshow(result.thumbnail)
    name = on_one_line(os.path.basename(result.image))
    cell.set_title(figures.shorten(name), fontsize=8, parse_math=False)
    figures.caption(cell, f'{figures.shorten(best.name, _NAME_LENGTH)}: '
                    f'{figures.percent(best.probability)}')
  for cell in cells[len(drawn):]:
    cell.set_visible(False)
  return figure
