"""Rules of what a field takes, each in words and as a check of a value."""

from __future__ import annotations

from collections.abc import Callable, Collection
import dataclasses
import difflib
import math
import re
from typing import Any

import numpy as np
from official.modeling import hyperparams

from official_ext.params import tree

# What a tensor of 32 bits holds: a larger number becomes infinite, or negative.
_MAX_NUMBER = float(np.finfo(np.float32).max)
_MAX_WHOLE = int(np.iinfo(np.int32).max)


@dataclasses.dataclass(frozen=True)
class Rule:
  """What a field takes.

  Attributes:
    expected: in words, after "must be".
    accepts: whether a value other than null is taken.
    null: what null stands for, empty where that is not worth a word; None: null
      is not taken.
    choices: the names that can be meant where the value is another.
    convert: makes an accepted value the type that Model Garden computes with.
    nearest: the accepted value nearest to one that is not; None: there is
      none to be named.
    limit: the largest number that can be computed with, which is named where
      a value is beyond it.
  """
  expected: str
  accepts: Callable[[Any], bool]
  null: str | None = None
  choices: Collection[str] = ()
  convert: Callable[[Any], Any] = lambda value: value
  nearest: Callable[[Any], Any] = lambda value: None
  limit: float | None = None

  def problem(self, value: Any) -> str | None:
    """Says what is wrong with a value.

    Args:
      value: of the field.

    Returns:
      "is ..., but must be ...", with what is nearest; None if nothing is.
    """
    if self.null is not None if value is None else self.accepts(value):
      return None
    null = f', or null: {self.null}' if self.null else ''
    limit = ''
    if self.limit is not None and type(value) in (int, float) and (
        value > self.limit):
      limit = f', and at most {_written(self.limit)}'
    return f'is {show(value)}, but must be {self.expected}{limit}{null}.' + (
        self._hint(value))

  def _hint(self, value: Any) -> str:
    """Returns what may be meant, as a sentence after a space; or nothing."""
    nearest = self.nearest(value)
    if nearest is None and isinstance(value, str):
      if value.lower() in ('none', 'null') and self.null is not None:
        return ' Did you mean null, without quotes?'
      close = difflib.get_close_matches(value, self.choices, n=1, cutoff=0.5)
      nearest = close[0] if close else None
    if nearest is None or not self.accepts(nearest):
      return ''
    return f' Did you mean {show(nearest)}?'


def show(value: Any) -> str:
  """Returns a value as a person types it, cut where it is long."""
  if value is None or isinstance(value, bool):
    return {None: 'null', True: 'true', False: 'false'}[value]
  text = repr(value)
  return text if len(text) <= 80 else f'{text[:77]}...'


def _written(limit: float) -> str:
  return f'{limit:.3g}' if isinstance(limit, float) else f'{limit:,}'


def number(at_least: float | None = None, above: float | None = None,
           at_most: float | None = None, below: float | None = None,
           **settings: Any) -> Rule:
  """A finite number; a whole one is converted.

  Args:
    at_least: the smallest.
    above: what it must exceed.
    at_most: the largest.
    below: what it must stay under.
    **settings: of the rule.

  Returns:
    The rule.
  """
  def accepts(value):
    return (type(value) in (int, float) and abs(value) <= _MAX_NUMBER and
            _is_within(value, at_least, above, at_most, below))

  return Rule(
      'a number' + _range(at_least, above, at_most, below), accepts,
      convert=float, nearest=_nearest_number(float, at_least, at_most),
      limit=_MAX_NUMBER if at_most is None and below is None else None,
      **settings)


def fraction(**settings: Any) -> Rule:
  """A number of [0, 1), such as a rate that must leave something over."""
  return number(at_least=0, below=1, **settings)


def probability(**settings: Any) -> Rule:
  """A number of [0, 1]."""
  return number(at_least=0, at_most=1, **settings)


def whole(at_least: int, at_most: int = _MAX_WHOLE, meaning: str = '',
          **settings: Any) -> Rule:
  """A whole number.

  Args:
    at_least: the smallest.
    at_most: the largest.
    meaning: what a number stands for that is more than a count.
    **settings: of the rule.

  Returns:
    The rule.
  """
  shown_limit = None if at_most >= _MAX_WHOLE else at_most
  words = 'a whole number' + _range(at_least, None, shown_limit, None)

  def accepts(value):
    return type(value) is int and at_least <= value <= at_most

  return Rule(
      words + (f' ({meaning})' if meaning else ''), accepts,
      nearest=_nearest_number(int, at_least, at_most),
      limit=at_most if shown_limit is None else None, **settings)


def flag(**settings: Any) -> Rule:
  """True or false."""
  def nearest(value):
    if value in (0, 1) and not isinstance(value, (list, dict)):
      return bool(value)
    return {'true': True, 'false': False, 'yes': True, 'no': False,
            'on': True, 'off': False}.get(str(value).lower())

  return Rule('true or false', lambda value: type(value) is bool,
              nearest=nearest, **settings)


def text(**settings: Any) -> Rule:
  """Any text."""
  return Rule('text', lambda value: isinstance(value, str) and
              '\0' not in value, **settings)


def pattern(**settings: Any) -> Rule:
  """A regular expression."""
  def accepts(value):
    try:
      re.compile(value)
    except (re.error, TypeError):
      return False
    return isinstance(value, str)

  return Rule('a regular expression', accepts, **settings)


def matching(form: str, expected: str, **settings: Any) -> Rule:
  """Text of a form.

  Args:
    form: a regular expression of the whole text.
    expected: the form in words.
    **settings: of the rule.

  Returns:
    The rule.
  """
  return Rule(
      expected, lambda value: isinstance(value, str) and
      re.fullmatch(form, value) is not None, **settings)


def choice(names: Collection[str | int], **settings: Any) -> Rule:
  """One of a few names, or of a few numbers.

  Args:
    names: all there are.
    **settings: of the rule.

  Returns:
    The rule.
  """
  return Rule(
      f'one of {", ".join(map(str, names))}',
      # True is 1 to Python.
      lambda value: type(value) in (str, int) and value in names,
      choices=[name for name in names if isinstance(name, str)],
      # A number in quotes, or a name without them.
      nearest=lambda value: next(
          (name for name in names if str(name) == str(value)), None),
      **settings)


def one_of(config: hyperparams.OneOfConfig, **settings: Any) -> Rule:
  """The type of a one-of: the name of one of its groups.

  Args:
    config: the one-of.
    **settings: of the rule.

  Returns:
    The rule.
  """
  return choice(
      [name for name in tree.names(config) if name != 'type'], **settings)


def several(rule: Rule, of: str, length: int | None = None,
            also_one: bool = False, **settings: Any) -> Rule:
  """A list in which every entry follows a rule.

  Args:
    rule: of the entries.
    of: what the list holds, in words.
    length: how many entries it has; None: any number.
    also_one: whether an entry can stand without a list.
    **settings: of the rule.

  Returns:
    The rule.
  """
  def accepts(value):
    if isinstance(value, (list, tuple)):
      return (length is None or len(value) == length) and all(
          one is not None and rule.accepts(one) for one in value)
    return also_one and rule.accepts(value)

  def convert(value):
    if isinstance(value, (list, tuple)):
      return type(value)(rule.convert(one) for one in value)
    return rule.convert(value)

  return Rule(of, accepts, convert=convert, **settings)


def nothing(reason: str) -> Rule:
  """Null alone, of what this project does not read.

  Args:
    reason: what makes the field useless here.

  Returns:
    The rule.
  """
  return Rule(f'left out: {reason}', lambda value: False, null='')


def _is_within(value: float, at_least: float | None, above: float | None,
               at_most: float | None, below: float | None) -> bool:
  # A comparison with NaN is false.
  return ((at_least is None or value >= at_least) and
          (above is None or value > above) and
          (at_most is None or value <= at_most) and
          (below is None or value < below) and not math.isnan(value))


def _range(at_least: float | None, above: float | None, at_most: float | None,
           below: float | None) -> str:
  """Returns a range in words, with a space before it."""
  words = [f'{name} {limit:,}' for name, limit in (
      ('of at least', at_least), ('above', above), ('at most', at_most),
      ('below', below)) if limit is not None]
  return f' {" and ".join(words)}' if words else ''


def _nearest_number(kind: type, at_least: float | None,
                    at_most: float | None) -> Callable[[Any], Any]:
  """Returns what finds the nearest number, also to one in quotes."""
  def nearest(value):
    if isinstance(value, bool):
      return None
    try:
      value = float(value)
      result = kind(round(value) if kind is int else value)
    except (TypeError, ValueError, OverflowError):
      return None
    if at_least is not None:
      result = max(result, at_least)
    if at_most is not None:
      result = min(result, at_most)
    return result

  return nearest
