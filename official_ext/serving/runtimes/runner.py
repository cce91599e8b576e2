"""The interface of an export that is loaded: images in, logits out.

Legend: B images, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
from typing import Any, Protocol

import numpy as np


class Runner(Protocol):
  """An export that is loaded.

  Attributes:
    name: what it is.
    path: where it is.
    num_bytes: of all its files.
    description: what it says of itself.
    takes_bytes: whether it takes the bytes of image files; else, resized
      images, float32 [B, height, width, 3] of 0 to 255.
    is_exact: whether its arithmetic is the training's, in float32.
  """
  name: str
  path: str
  num_bytes: int
  description: dict[str, Any]
  takes_bytes: bool
  is_exact: bool

  def logits(self, batch: Sequence[bytes] | np.ndarray) -> np.ndarray:
    """Returns the logits of a batch, float32 [B, C]."""


@contextlib.contextmanager
def naming_damaged(path: str, kind: str) -> Iterator[None]:
  """Names the file that a runtime fails on.

  Args:
    path: the file.
    kind: what it should be.

  Yields:
    Nothing.

  Raises:
    ValueError: if the block raises anything.
  """
  try:
    yield
  # A damaged file ends in whatever its bytes happen to mean.
  except Exception as error:  # pylint: disable=broad-exception-caught
    raise ValueError(
        f'{path} is not the {kind} file of an export, or is damaged '
        f'({type(error).__name__}). Export it again.') from error
