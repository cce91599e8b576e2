"""Reads settings from YAML: every key once, every value as its field takes it.

PyYAML keeps the last of two equal keys without a word, and follows YAML 1.1:
`1e-3` and `1.0e6` are texts there, `010` is eight, `1:30` is ninety, `off` is
false and `2024-01-01` a date, whatever the field takes. Here what is not a
number or a boolean in both versions of YAML stays the text that was written,
until the field is known.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
import re
import typing
from typing import Any

from official.modeling import hyperparams
import yaml

from official_ext.params import tree
from official_ext.params.fields import rules

_NUMBER = re.compile(
    r'[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?')
_BOOLEANS = yaml.SafeLoader.bool_values
_STANDARD = 'tag:yaml.org,2002:'
_MERGE = f'{_STANDARD}merge'
# What YAML knows, and no setting is.
_FOREIGN = {f'{_STANDARD}{name}'
            for name in ('binary', 'omap', 'pairs', 'set', 'timestamp')}
# What no field holds by far; Python refuses to read some thousands of digits.
_MAX_DIGITS = 400


class Unquoted(str):
  """A text that was written without quotes, and may stand for a number."""


class _Loader(yaml.SafeLoader):
  """Keeps what the versions of YAML read differently as it was written."""
  yaml_implicit_resolvers: typing.ClassVar = {}


def _resolve(tag: str, pattern: str) -> None:
  _Loader.add_implicit_resolver(
      f'{_STANDARD}{tag}', re.compile(f'^(?:{pattern})$'), None)


_resolve('merge', '<<')
_resolve('null', '~|null|Null|NULL|')
_resolve('bool', 'true|True|TRUE|false|False|FALSE')
_resolve('int', rf'[-+]?(?:0|[1-9][0-9_]{{0,{_MAX_DIGITS}}}'
         rf'|0x[0-9a-fA-F]{{1,{_MAX_DIGITS}}})')
_resolve('float', r'[-+]?[0-9]+\.[0-9]*'
         r'|[-+]?\.[0-9]+(?:[eE][-+][0-9]+)?'
         r'|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)')


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
  text = loader.construct_scalar(node)
  return text if node.style else Unquoted(text)


_Loader.add_constructor(f'{_STANDARD}str', _text)
# Model Garden writes tuples into its params.yaml.
_Loader.add_constructor(
    f'{_STANDARD}python/tuple',
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)))


def load(text: str, source: str) -> Any:
  """Reads YAML.

  Args:
    text: the YAML.
    source: where it comes from, for the messages.

  Returns:
    What it holds; texts without quotes are `Unquoted`.

  Raises:
    ValueError: if a mapping has a key twice, naming the key and its lines, or
      holds itself, a key is no name, or a tag does not fit its value or is
      that of no setting.
    yaml.YAMLError: if it is not YAML.
  """
  loader = _Loader(text)
  try:
    node = loader.get_single_node()
    if node is None:
      return None
    _check_nodes(loader, node, source, is_of_lines='\n' in text.strip())
    return loader.construct_document(node)
  finally:
    loader.dispose()


def with_types(settings: Mapping[str, Any],
               group: hyperparams.Config) -> dict[str, Any]:
  """Turns texts without quotes into what their fields take.

  Args:
    settings: nested by name, as `load` reads them.
    group: the configuration that they are for; it is not changed. What it does
      not have stays a text.

  Returns:
    The settings: a number where the field takes numbers, a boolean where it
    takes booleans, and else the text.
  """
  result = {}
  for name, value in settings.items():
    below = getattr(group, name, None) if isinstance(name, str) else None
    # Unset groups are read by their class; those without fields take any key.
    config_class = tree.group_of(type(group), name) or hyperparams.Config
    if isinstance(value, Mapping):
      if not isinstance(below, hyperparams.Config):
        below = config_class()
      value = with_types(value, below)
    else:
      value = _typed(value, _leaves(tree.accepted_types(type(group), name)))
    result[_written(name)] = value
  return result


def _check_nodes(loader: _Loader, node: yaml.Node, source: str,
                 is_of_lines: bool, path: str = '',
                 above: tuple[yaml.Node, ...] = ()) -> None:
  """Raises ValueError on what cannot be read, or not without a loss.

  That is a mapping that has a key twice or holds itself, a key that is no name,
  and a tag that does not fit its value or that no setting has.
  """
  if node in above:
    raise ValueError(
        f'{source}: {path.rstrip(".")} refers to what it is part of.')
  above += (node,)
  if node.tag in _FOREIGN:
    raise ValueError(
        f'{source}: {path.rstrip(".") or "the whole"} is tagged '
        f'{node.tag.replace(_STANDARD, "!!")}, which no setting is. Write '
        'key: value, or a list; and leave the tag out.')
  if isinstance(node, yaml.SequenceNode):
    for item in node.value:
      _check_nodes(loader, item, source, is_of_lines, path, above)
  if isinstance(node, yaml.ScalarNode):
    _check_tag(loader, node, source, path)
  if not isinstance(node, yaml.MappingNode):
    return
  lines: dict[str, int] = {}
  for key, value in node.value:
    if not isinstance(key, yaml.ScalarNode):
      raise ValueError(
          f'{source}: {path.rstrip(".") or "the whole"} has a key that is a '
          'list or a mapping, but a key is the name of a setting.')
    name = str(key.value)
    line = key.start_mark.line + 1
    if name in lines:
      where = (f' in lines {lines[name]} and {line}' if is_of_lines else '')
      one = ('<<: [*first, *second], of which the first wins'
             if key.tag == _MERGE else 'one')
      raise ValueError(
          f'{source}: {path}{name} is given twice{where}. The last would win '
          f'and what the first holds be lost: make them {one}.')
    lines[name] = line
    _check_nodes(
        loader, value, source, is_of_lines, f'{path}{name}.', above)


def _check_tag(loader: _Loader, node: yaml.ScalarNode, source: str,
               path: str) -> None:
  try:
    loader.construct_object(node)
  except (ValueError, LookupError, AttributeError) as error:
    tag = node.tag.replace(_STANDARD, '!!')
    raise ValueError(
        f'{source}: {path.rstrip(".")} is tagged {tag}, which '
        f'{rules.show(node.value)} is not. Leave the tag out.') from error


def _leaves(types: typing.Iterable[Any]) -> set[Any]:
  """Returns the types of single values, those in lists and tuples too."""
  found = set()
  for one in types:
    inside = typing.get_args(one)
    found |= _leaves(inside) if inside else {one}
  return found


def _typed(value: Any, types: set[Any]) -> Any:
  """Returns a value, or the values of a list, as the types take them."""
  if isinstance(value, (list, tuple)):
    return type(value)(_typed(item, types) for item in value)
  if isinstance(value, Mapping):  # In a list.
    return {_written(name): _typed(item, set()) for name, item in value.items()}
  if not isinstance(value, Unquoted):
    return int(value) if _is_count(value, types) else value
  if bool in types and str not in types and value.lower() in _BOOLEANS:
    return _BOOLEANS[value.lower()]
  # A field without types may take numbers.
  takes_numbers = float in types or str not in types
  if takes_numbers and _NUMBER.fullmatch(value):
    number = float(value)
    if math.isinf(number):
      return str(value)
    return int(number) if _is_count(number, types) else number
  return str(value)


def _is_count(value: Any, types: set[Any]) -> bool:
  """Returns whether a whole number is written as a float, such as 10.0."""
  return (isinstance(value, float) and value.is_integer() and
          int in types and float not in types)


def _written(name: Any) -> Any:
  return str(name) if isinstance(name, Unquoted) else name
