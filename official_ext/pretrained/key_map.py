"""Which arrays of a published file are which variables of our model."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from official_ext.command_line import errors
from official_ext.pretrained import arrays as arrays_lib
from official_ext.pretrained import conversions


@dataclasses.dataclass(frozen=True)
class Place:
  """An array of a file, or a part of one.

  Attributes:
    name: of the array.
    index: which of the equal parts of its first axis is meant.
    count: how many these are.
    stacked: whether the parts are whole arrays, stacked in a new first axis.
  """
  name: str
  index: int = 0
  count: int = 1
  stacked: bool = False

  def shape(self, found: arrays_lib.Arrays) -> tuple[int, ...]:
    """Returns the shape of what is meant.

    Args:
      found: the arrays, among them this.

    Returns:
      The shape.

    Raises:
      errors.UserError: if the array has no such parts.
    """
    whole = found.stored[self.name].shape
    if self.count == 1 and not self.stacked:
      return whole
    if not whole or whole[0] % self.count or (
        self.stacked and whole[0] != self.count):
      raise errors.UserError(
          f'{found.path}: {self.name} is {whole}, whose first axis is not '
          f'{self.count} equal parts. The config and the weights beside it are '
          'not of one model.')
    return whole[1:] if self.stacked else (whole[0] // self.count, *whole[1:])

  def read(self, found: arrays_lib.Arrays) -> np.ndarray:
    """Reads what is meant, float32."""
    if self.count == 1 and not self.stacked:
      return found.read(self.name)
    rows = found.stored[self.name].shape[0] // self.count
    value = found.read(
        self.name, slice(self.index * rows, (self.index + 1) * rows))
    return value[0] if self.stacked else value


@dataclasses.dataclass(frozen=True)
class Entry:
  """One variable of our model.

  Attributes:
    ours: its name in `variable_names`.
    places: where its values are in the file.
    conversion: between the two.
  """
  ours: str
  places: tuple[Place, ...]
  conversion: conversions.Conversion = conversions.SAME

  def shape(self, found: arrays_lib.Arrays) -> tuple[int, ...]:
    """Returns the shape that the variable has.

    Args:
      found: the arrays of the file.

    Returns:
      The shape.

    Raises:
      errors.UserError: if the arrays cannot be converted, naming them.
    """
    shapes = [place.shape(found) for place in self.places]
    try:
      return self.conversion.shape(*shapes)
    except ValueError as error:
      raise errors.UserError(
          f'{found.path}: {self.origin} has the shape '
          f'{" and ".join(map(str, shapes))}, which cannot be that of '
          f'{self.ours}. The config and the weights beside it are not of one '
          'model.') from error

  def read(self, found: arrays_lib.Arrays) -> np.ndarray:
    """Reads the value of the variable, float32."""
    return self.conversion.to_ours(
        *(place.read(found) for place in self.places))

  @property
  def origin(self) -> str:
    """What its values are called in the file."""
    return ' and '.join(place.name for place in self.places)


def to_theirs(entries: Sequence[Entry],
              values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Puts the variables of a model under the names of a published file.

  Args:
    entries: of the file's kind.
    values: of our variables by name.

  Returns:
    The arrays of the file, each in one piece of memory.
  """
  parts: dict[str, dict[int, np.ndarray]] = {}
  for entry in entries:
    for place, value in zip(
        entry.places, entry.conversion.to_theirs(values[entry.ours])):
      parts.setdefault(place.name, {})[place.index] = value
  return {
      name: np.ascontiguousarray(
          np.concatenate([found[index] for index in sorted(found)])
          if len(found) > 1 else found[0])
      for name, found in parts.items()}
