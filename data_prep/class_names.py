"""Names of classes: which are taken, and the labels that a list gives them.

`class_names.txt` has one name per line, so a name that some program would read
as two lines, or as none, is refused before it gets there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import difflib
import re
import unicodedata

from . import storage
from . import wording

# Control characters, line and paragraph separators: all that str.splitlines
# splits at is among them.
_REFUSED_CATEGORIES = frozenset({'Cc', 'Zl', 'Zp'})
# Readers drop it where a file begins.
_BYTE_ORDER_MARK = '\ufeff'


@dataclasses.dataclass(frozen=True)
class ImageClass:
  """A class.

  Attributes:
    name: readable.
    synset: WordNet identifier, or ''.
  """
  name: str
  synset: str = ''


def fault(name: str) -> str:
  """Says what is wrong with the name of a class, or ''."""
  for character in name:
    if (unicodedata.category(character) in _REFUSED_CATEGORIES or
        character == _BYTE_ORDER_MARK):
      # What has no name in Unicode are the control characters.
      called = unicodedata.name(character, 'a control character')
      return f'holds U+{ord(character):04X} ({called.lower()})'
  if not any(character.isprintable() and not character.isspace()
             for character in name):
    return 'has no character that can be seen'
  return ''


def check(names: Iterable[str], where: str = 'the class folder',
          fix: str = 'Rename it.') -> None:
  """Checks the names of classes.

  Args:
    names: the names.
    where: what has such a name, for the message.
    fix: what to do about it, a sentence.

  Raises:
    ValueError: if a name cannot stand on a line of its own, naming it.
  """
  for name in names:
    found = fault(name)
    if found:
      raise ValueError(
          f'{where} {name!a} {found}, which no line of class_names.txt can '
          f'have. {fix}')


def lookalikes(names: Iterable[str]) -> Iterator[str]:
  """Yields a note for each two names that a person may take for one.

  Args:
    names: of the classes.

  Yields:
    What their difference is: Unicode form, case, spaces around them, or zeros
    in front of a number.
  """
  by_look = {}
  for name in sorted(names):
    look = ' '.join(unicodedata.normalize('NFC', name).casefold().split())
    other = by_look.setdefault(look, name)
    if other == name:
      continue
    if unicodedata.normalize('NFC', name) == unicodedata.normalize(
        'NFC', other):
      yield (f'the classes {other!a} and {name!a} differ in their Unicode form '
             'alone and look the same: if one is meant, merge their folders')
    else:
      yield (f'the classes {other!a} and {name!a} differ in case or spaces '
             'alone: if one is meant, merge their folders')
  by_number = {}
  for name in sorted(filter(is_number, names)):
    other = by_number.setdefault(int(name), name)
    if other != name:
      yield (f'the classes {other!a} and {name!a} are the same number: if one '
             'is meant, merge their folders')


def is_number(name: str) -> bool:
  """Says whether the name of a class is a number, which has a value.

  That is of the digits 0 to 9 alone: not '-1', '1.5' or '1e3', nor the digits
  of other scripts, which Python's int() takes as well.

  Args:
    name: of the class.
  """
  return re.fullmatch('[0-9]+', name) is not None


def in_order(names: Iterable[str]) -> list[str]:
  """Returns the names of classes in the order of their labels.

  Args:
    names: of the classes.

  Returns:
    By value if all are numbers, 10 after 9, else as text.
  """
  names = sorted(names)
  return sorted(names, key=int) if all(map(is_number, names)) else names


def numbers(ordered: Sequence[str]) -> Iterator[str]:
  """Yields a note where a person may expect other labels of numbers.

  Args:
    ordered: names of classes, in the order of their labels.

  Yields:
    How the labels follow from the names.
  """
  if all(map(is_number, ordered)):
    yield 'the class names are numbers: labels follow their value'
    moved = [(label, name) for label, name in enumerate(ordered)
             if int(name) != label]
    if moved:
      label, name = moved[0]
      yield (f'labels count from 0, so they are not the numbers that the '
             f'folders are called: {name!r} has label {label}')
    return
  try:
    by_value = sorted(ordered, key=float)
  except ValueError:
    return
  if by_value != list(ordered):
    other = next(name for name in ordered if not is_number(name))
    yield (f'the class names are sorted as text, not by value: {other!a} is '
           'not of the digits 0 to 9 alone')


def repeated(classes: Sequence[ImageClass]) -> Iterator[str]:
  """Yields a note for each class that is called as one before it.

  Args:
    classes: by label; synsets tell apart what has the same name.

  Yields:
    Which two labels have one name, so that a folder of it is neither.
  """
  labels = {}
  for label, item in enumerate(classes):
    other = labels.setdefault(item, label)
    if other != label:
      yield (f'the labels {other} and {label} are both called {item.name!r} by '
             '--class_names: correct it if one is meant')


def read(path: str) -> list[str]:
  """Reads a list of names, one per line; blank lines may follow the last.

  Args:
    path: a class_names.txt.

  Returns:
    The names by label.

  Raises:
    ValueError: if it is no such list, naming the line.
  """
  flag = f'--class_names={path}'
  if storage.is_folder(path):
    raise ValueError(
        f'{flag} is a folder. Give the class_names.txt that lies beside the '
        'training shards.')
  if not storage.exists(path):
    raise ValueError(f'{flag} does not exist.')
  try:
    text = storage.read_bytes(path).decode('utf-8-sig')
  except UnicodeDecodeError:
    raise ValueError(f'{flag} is not UTF-8 text. Save it as such.') from None
  if not text.strip():
    raise ValueError(f'{flag} names no class: it is empty.')
  names = [line.removesuffix('\r') for line in text.rstrip('\r\n').split('\n')]
  for number, name in enumerate(names, start=1):
    if not name:
      raise ValueError(
          f'{flag}: line {number} is blank. Each line must be the name of one '
          'class: remove it, or write the name that is missing.')
    check([name], f'{flag}: line {number}', 'Correct it.')
  return names


def label_of(wanted: Sequence[str], classes: Sequence[ImageClass]) -> int:
  """Finds the label of a folder.

  Args:
    wanted: what the folder may be called: its name and, of a synset, words.
    classes: the classes by label.

  Returns:
    The label of the one class that is called so.

  Raises:
    ValueError: if it is none of them, naming one that is like it, or several.
  """
  folder = wanted[0]
  labels = [label for label, item in enumerate(classes)
            if item.synset == folder] or [
                label for label, item in enumerate(classes)
                if item.name in wanted]
  if len(labels) == 1:
    return labels[0]
  if labels:
    raise ValueError(
        f'the folder {folder!r} may be label {labels[0]} or {labels[1]}: '
        '--class_names gives both this name. Tell them apart there.')
  names = [item.name for item in classes]
  alike = [name for name in names if unicodedata.normalize('NFC', name) ==
           unicodedata.normalize('NFC', folder)]
  if alike:
    raise ValueError(
        f'the folder {folder!a} is no class of --class_names, which has '
        f'{alike[0]!a}: the same in another Unicode form. Rename the folder.')
  near = [name for name in names if name.lower() == folder.lower() or (
      is_number(name) and is_number(folder) and int(name) == int(folder))] or (
          difflib.get_close_matches(folder, names, n=1))
  nearest = f'; the nearest is {near[0]!r}' if near else ''
  raise ValueError(
      f'the folder {folder!r} is none of the '
      f'{wording.counted(len(names), "class", "classes")} of '
      f'--class_names{nearest}. Rename the folder, or leave it out.')
