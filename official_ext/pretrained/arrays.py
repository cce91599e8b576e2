"""Arrays in a file of weights, read one at a time."""

from __future__ import annotations

import abc
from collections.abc import Mapping
import dataclasses
import json
from typing import Any

import numpy as np

from official_ext.command_line import errors

# What a weight may be stored as; all of it is taken as float32.
FLOAT_TYPES = ('float64', 'float32', 'float16', 'bfloat16')


@dataclasses.dataclass(frozen=True)
class Stored:
  """What a file says of an array.

  Attributes:
    shape: of the array.
    dtype: its type, by NumPy's name.
  """
  shape: tuple[int, ...]
  dtype: str


class Arrays(abc.ABC):
  """The arrays of one file, or of several that belong together.

  Attributes:
    path: of the file, for messages.
    stored: what is known of each array by name, before any is read.
  """
  path: str
  stored: Mapping[str, Stored]

  @abc.abstractmethod
  def _read(self, name: str, rows: slice | None) -> np.ndarray:
    """Reads an array, or rows of its first axis, as it is stored."""

  def check_bias(self, layer: str) -> None:
    """Refuses a layer whose weight is here and whose bias is not.

    Args:
      layer: its name.

    Raises:
      errors.UserError: naming both.
    """
    if f'{layer}.weight' in self.stored and f'{layer}.bias' not in self.stored:
      raise errors.UserError(
          f'{self.path} has {layer}.weight without {layer}.bias, and the head '
          'of such a model has both. Get the file anew.')

  def read(self, name: str, rows: slice | None = None) -> np.ndarray:
    """Reads an array.

    Args:
      name: one of `stored`.
      rows: which of its first axis; None: all.

    Returns:
      The values, float32.

    Raises:
      errors.UserError: if it is no array of finite numbers.
    """
    stored = self.stored[name]
    if stored.dtype not in FLOAT_TYPES:
      raise errors.UserError(
          f'{self.path}: {name} is of type {stored.dtype}, but weights are '
          f'taken from {", ".join(FLOAT_TYPES)}. Save it as float32.')
    value = np.asarray(self._read(name, rows)).astype(np.float32)
    if not np.isfinite(value).all():
      raise errors.UserError(
          f'{self.path}: {name} holds values that are not finite. The file is '
          'damaged, or its training diverged: get another.')
    return value


def read_json(path: str) -> dict[str, Any]:
  """Reads a JSON file that stands beside weights.

  Args:
    path: of the file.

  Returns:
    Its object.

  Raises:
    errors.UserError: if it is no JSON object.
  """
  try:
    with open(path, encoding='utf-8') as file:
      found = json.load(file)
  except (ValueError, RecursionError) as error:
    raise errors.UserError(
        f'{path} is not JSON that can be read: {errors.reason(error)}. Get the '
        'file anew.') from error
  if not isinstance(found, dict):
    raise errors.UserError(
        f'{path} holds a {type(found).__name__}, but must hold a JSON object. '
        'Get the file anew.')
  return found
