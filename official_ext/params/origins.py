"""Where the value of every setting comes from, for a person to read.

The order is that of `params.experiment`: the registered experiment, the files
in turn, the flags, `--params_override`, and at last what follows from these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from official.core import config_definitions as cfg
import yaml

from official_ext.modeling import specs
from official_ext.params import consistency
from official_ext.params import derived_settings

_FUNNEL_VIT = 'task.model.backbone.funnel_vit'


class Origins:
  """Knows of each setting where its value comes from."""

  def __init__(self, experiment: str,
               sources: Sequence[tuple[str, Mapping[str, Any]]]):
    """Initialises it.

    Args:
      experiment: name of the registered experiment.
      sources: what was set over it, by what it was given with; later ones win.
    """
    self._experiment = f'experiment {experiment}'
    self._sources = [
        (name, consistency.flat(settings)) for name, settings in sources]

  def as_yaml(self, params: cfg.ExperimentConfig) -> str:
    """Writes a configuration, each setting with its origin in a comment.

    Args:
      params: the configuration, every value derived.

    Returns:
      YAML; as a `--config_file` it gives the same configuration.
    """
    derived = {one.setting: one.given
               for one in getattr(params.trainer, 'derived', None) or ()}
    notes = _of_the_preset(params)

    def origin(path: str) -> str:
      found = next((name for name, settings in reversed(self._sources)
                    if path in settings), self._experiment)
      if path in derived:
        given = derived[path]
        return (f'derived; {found} leaves it open' if given in (None, 0, '')
                else f'derived from {given} of {found}')
      return found + notes.get(path, '')

    return '\n'.join(_lines(params.as_dict(), origin)) + '\n'


def _of_the_preset(params: cfg.ExperimentConfig) -> dict[str, str]:
  """Says of the sizes that are left to the preset what they are."""
  backbone = getattr(getattr(params.task, 'model', None), 'backbone', None)
  if getattr(backbone, 'type', None) != 'funnel_vit':
    return {}
  vit = backbone.funnel_vit
  preset = specs.PRESETS[vit.model_name]
  values = {name: preset[name] for name in ('patch_size', 'hidden_size')}
  values |= {f'transformer.{name}': preset['transformer'][name]
             for name in ('mlp_dim', 'num_heads')}
  given = derived_settings.values(params)
  return {path: f': the preset {vit.model_name} has {value}'
          for name, value in values.items()
          if given.get(path := f'{_FUNNEL_VIT}.{name}', value) is None}


def _lines(settings: Mapping[str, Any], origin: Callable[[str], str],
           path: str = '') -> Iterator[str]:
  """Yields the lines of nested settings."""
  indent = '  ' * path.count('.')
  for name, value in settings.items():
    if isinstance(value, Mapping) and value:
      yield f'{indent}{name}:'
      yield from _lines(value, origin, f'{path}{name}.')
      continue
    note = f'  # {origin(path + name)}'
    if value and isinstance(value, Sequence) and all(
        isinstance(one, Mapping) for one in value):
      # What was derived: dozens of settings, which no line can hold.
      yield f'{indent}{name}:{note}'
      yield from (f'{indent}- {_on_one_line(one)}' for one in value)
      continue
    yield f'{indent}{name}: {_on_one_line(value)}{note}'


def _on_one_line(value: Any) -> str:
  text = yaml.safe_dump(
      value, default_flow_style=True, width=float('inf'), allow_unicode=True)
  return text.removesuffix('...\n').rstrip()
