"""A configuration as a tree: its settings one by one, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import functools
import types
import typing
from typing import Any

from official.modeling import hyperparams


@dataclasses.dataclass(frozen=True)
class Setting:
  """One field of a configuration.

  Attributes:
    path: where it is, such as 'trainer.train_steps'.
    owner: the group that holds it; of an unset group that was opened, one with
      the default values.
    name: of the field, the last part of the path.
    is_chosen: whether every one-of on the way to it has chosen this way.
    is_set: whether it is in the configuration, and not in an unset group that
      was opened.
  """
  path: str
  owner: hyperparams.Config
  name: str
  is_chosen: bool
  is_set: bool

  @property
  def value(self) -> Any:
    return getattr(self.owner, self.name)

  @property
  def group(self) -> type[hyperparams.Config] | None:
    """The class of the group that the field takes; None: it takes values."""
    return group_of(type(self.owner), self.name)


def walk(config: hyperparams.Config, opens_unset: bool = False,
         path: str = '') -> Iterator[Setting]:
  """Goes through all settings of a configuration.

  Args:
    config: the configuration or a group of it.
    opens_unset: whether to go into a group that is None too, with its default
      values.
    path: where in the experiment `config` is, with a dot at its end.

  Yields:
    Every field, a group before what is inside it; of a one-of also what is not
    chosen.
  """
  yield from _walk(config, opens_unset, path, is_chosen=True, is_set=True)


def names(config: hyperparams.Config) -> list[str]:
  """Returns the names of a group's fields, in the order of its class."""
  # Not as_dict(), which of a one-of shows only the type that is chosen.
  return [name for name in vars(config) if name not in config.RESERVED_ATTR]


def accepted_types(owner: type, name: str) -> tuple[Any, ...]:
  """Returns the types that a field takes, those of a union one by one."""
  annotation = _type_hints(owner).get(name)
  if typing.get_origin(annotation) in (typing.Union, types.UnionType):
    return typing.get_args(annotation)
  return (annotation,)


def is_group(accepted: Any) -> bool:
  """Returns whether a type is that of a group of settings."""
  return isinstance(accepted, type) and issubclass(accepted, hyperparams.Config)


def group_of(owner: type, name: str) -> type[hyperparams.Config] | None:
  """Returns the group that a field takes, as `X | None` does, or None."""
  return next(filter(is_group, accepted_types(owner, name)), None)


# Python works them out anew each time, which takes a millisecond.
_type_hints = functools.cache(typing.get_type_hints)


def _walk(config: hyperparams.Config, opens_unset: bool, path: str,
          is_chosen: bool, is_set: bool) -> Iterator[Setting]:
  for name in names(config):
    is_way = (not isinstance(config, hyperparams.OneOfConfig) or
              name in ('type', config.type))
    setting = Setting(
        f'{path}{name}', config, name, is_chosen and is_way, is_set)
    yield setting
    below = setting.value
    if isinstance(below, hyperparams.Config):
      below_is_set = is_set
    elif below is None and opens_unset and setting.group:
      below, below_is_set = setting.group(), False
    else:
      continue
    yield from _walk(below, opens_unset, f'{setting.path}.',
                     setting.is_chosen, below_is_set)
