"""What a config.json that stands beside weights says, with checked types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import tempfile
from typing import Any

from official_ext.command_line import errors
from official_ext.tasks import class_names

# Larger than any model's sizes, and small enough to compute with.
_MAX_SIZE = 1 << 20
_WHITE = 255
# Of numbers that are no sizes.
_MAX_NUMBER = 1e9


class ConfigSettings:
  """The settings of one JSON object.

  Attributes:
    path: of the file, for messages.
    values: the object.
  """

  def __init__(self, path: str, values: Mapping[str, Any],
               defaults: Mapping[str, Any] | None = None):
    """Initialises the settings.

    Args:
      path: of the file.
      values: the object.
      defaults: what the library takes where a setting is left out.
    """
    self.path = path
    self.values = values
    self._defaults = defaults or {}

  def get(self, name: str) -> Any:
    """Returns a setting as it is; None if there is none."""
    value = self.values.get(name)
    return self._defaults.get(name) if value is None else value

  def part(self, name: str, defaults: Mapping[str, Any] | None = None
           ) -> ConfigSettings:
    """Returns the settings below one; none if it is left out."""
    value = self.values.get(name)
    if value is not None and not isinstance(value, dict):
      raise self._wrong(name, 'an object')
    return ConfigSettings(self.path, value or {}, defaults)

  def mapping(self, name: str) -> Mapping[str, Any]:
    """Returns the object that a setting or its default is; {}: there is none.

    Raises:
      errors.UserError: if it is something else.
    """
    value = self.get(name)
    if value is not None and not isinstance(value, dict):
      raise self._wrong(name, 'an object')
    return value or {}

  def integer(self, name: str, smallest: int = 1) -> int:
    """Returns a whole number.

    Args:
      name: of the setting.
      smallest: that it may be.

    Returns:
      The number.

    Raises:
      errors.UserError: if it is none, or not in the file.
    """
    value = self.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not (
        smallest <= value <= _MAX_SIZE):
      raise self._wrong(name, f'a whole number from {smallest}')
    return value

  def number(self, name: str) -> float:
    """Returns a number above 0, or says what is wrong with it."""
    value = self.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (
        0 < value < _MAX_NUMBER):
      raise self._wrong(name, 'a number above 0')
    return float(value)

  def numbers(self, name: str, count: int) -> tuple[float, ...]:
    """Returns so many numbers, or says what is wrong with them."""
    value = self.get(name)
    if not isinstance(value, Sequence) or len(value) != count or not all(
        isinstance(item, (int, float)) and abs(item) < _MAX_NUMBER
        for item in value):
      raise self._wrong(name, f'{count} numbers')
    return tuple(float(item) for item in value)

  def mean_and_stddev(self, mean: str, stddev: str
                      ) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns what is done to the channels of images of values in 0 to 1.

    Args:
      mean: the name of the setting of the means.
      stddev: that of the standard deviations.

    Returns:
      Both, of three channels.

    Raises:
      errors.UserError: if they are not of such values.
    """
    found = self.numbers(mean, 3), self.numbers(stddev, 3)
    for name, values, smallest, shown in (
        (mean, found[0], 0, '0'), (stddev, found[1], 1 / _WHITE, '1/255')):
      if min(values) < smallest or max(values) > 1:
        raise self._wrong(
            name, f'of values in 0 to 1: each from {shown} to 1')
    return found

  def text(self, name: str) -> str:
    """Returns a text, or says what is wrong with it."""
    value = self.get(name)
    if not isinstance(value, str):
      raise self._wrong(name, 'a text')
    return value

  def sides(self, name: str) -> tuple[int, int]:
    """Returns (height, width) of what is one side or both, px."""
    value = self.get(name)
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(
        isinstance(side, int) and not isinstance(side, bool) and
        1 <= side <= _MAX_SIZE for side in sides):
      raise self._wrong(name, 'one side in px, or height and width')
    return tuple(sides)

  def must_be(self, name: str, wanted: Any, why: str) -> None:
    """Refuses a model whose setting is another.

    Args:
      name: of the setting.
      wanted: the only value that is taken.
      why: a model with another is not taken.

    Raises:
      errors.UserError: if it is another.
    """
    value = self.get(name)
    if value != wanted:
      raise errors.UserError(
          f'{self.path}: {name} is {value!r}, but only {wanted!r} is taken: '
          f'{why}.')

  def agrees(self, name: str, said: Any, found: Any) -> None:
    """Refuses weights that are not what the config says.

    Args:
      name: of the setting.
      said: its value.
      found: what the weights are.

    Raises:
      errors.UserError: if the two differ.
    """
    if said != found:
      raise errors.UserError(
          f'{self.path} says {name}={said}, but the weights beside it have '
          f'{found}. Get config and weights of one model.')

  def class_names(self, name: str, num_classes: int,
                  takes_list: bool = False) -> tuple[str, ...]:
    """Returns the names of all classes.

    Args:
      name: of the setting, an object of names by number.
      num_classes: of the head.
      takes_list: whether a list of the names is taken too.

    Returns:
      The names by class; none where the setting is left out or empty.

    Raises:
      errors.UserError: if it does not name every class, each by one line.
    """
    names = self.get(name)
    if names is None or names in ([], {}):
      return ()
    if isinstance(names, list) and takes_list:
      names = {str(label): one for label, one in enumerate(names)}
    if not isinstance(names, dict):
      raise self._wrong(
          name, 'a list of names' if takes_list else
          'an object of names such as {"0": "cat", "1": "dog"}')
    self.agrees(name, len(names), num_classes)
    by_class = tuple(names.get(str(label)) for label in range(num_classes))
    if not all(isinstance(one, str) for one in by_class):
      raise errors.UserError(
          f'{self.path}: {name} does not name all of 0 to {num_classes - 1}. '
          'Get the file anew.')
    return by_class

  def check_class_names(self, name: str, names: Sequence[str]) -> None:
    """Refuses names of classes that a file of one line each cannot keep.

    Args:
      name: of the setting.
      names: by class.

    Raises:
      errors.UserError: naming the first such class.
    """
    if _are_read_back(names):
      return
    label = next(
        label for label, one in enumerate(names) if not _are_read_back([one]))
    raise errors.UserError(
        f'{self.path}: {name} calls class {label} {names[label]!a}, but a name '
        'must be one line that can be seen. Correct it there.')

  def _wrong(self, name: str, expected: str) -> errors.UserError:
    value = self.get(name)
    found = ('is missing' if value is None else f'is {value!r}'[:80])
    return errors.UserError(
        f'{self.path}: {name} {found}, but must be {expected}. Get the file '
        'anew.')


def _are_read_back(names: Sequence[str]) -> bool:
  """Says whether `class_names.txt` gives back the names that it is given."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, class_names.FILE)
    try:
      class_names.write(path, names)
      return class_names.read(path) == list(names)
    except ValueError:
      return False
