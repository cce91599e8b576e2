"""Settings under the names that they had, for one release.

Every source of settings passes here before unknown keys are refused: the files
of an experiment, --params_override, and the params.yaml that an earlier version
left beside its checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
import dataclasses
from typing import Any

from absl import logging


@dataclasses.dataclass(frozen=True)
class Former:
  """A setting that was renamed or removed.

  Attributes:
    path: where it was, such as 'trainer.train_steps'.
    name: what its last part is called now; None if it was removed.
    default: of a removed setting, the only value that is still taken.
    reason: of a removed setting, why it is gone and what to do instead.
  """
  path: str
  name: str | None = None
  default: Any = None
  reason: str = ''


# Remove an entry in the release after the one whose CHANGELOG lists it.
_BACKBONE = 'task.model.backbone.funnel_vit'
SETTINGS: tuple[Former, ...] = (
    Former(f'{_BACKBONE}.recompute_layers', 'gradient_checkpointing'),
    Former(f'{_BACKBONE}.fast_path.float32_products', 'float32_matmuls'),
    Former(f'{_BACKBONE}.fast_path.bfloat16_gelu', default=False, reason=(
        'A GELU in bfloat16 was no faster anywhere. Leave it out.')),
)


def apply(settings: Mapping[str, Any], source: str,
          warns: bool = True) -> dict[str, Any]:
  """Brings the settings of a source up to date.

  Args:
    settings: nested, by name.
    source: where they come from, for the messages.
    warns: whether a renamed setting is warned of; of a params.yaml, which
      nobody wrote by hand, it is not.

  Returns:
    A copy in which settings have their names of today, and those that were
    removed are left out.

  Raises:
    ValueError: if a removed setting is not at its former default, or a setting
      is given by both its names.
  """
  result = copy.deepcopy(dict(settings))
  for one in SETTINGS:
    *names, key = one.path.split('.')
    group = _group(result, names)
    if key not in group:
      continue
    value = group.pop(key)
    if one.name is None:
      if value != one.default:
        raise ValueError(
            f'{source}: {one.path} is {value!r}, but there is no such setting '
            f'any more. {one.reason}')
      continue
    now = '.'.join([*names, one.name])
    if one.name in group:
      raise ValueError(
          f'{source}: {one.path} and {now} are one setting. Leave out the '
          'first, its former name.')
    group[one.name] = value
    if warns:
      logging.warning('%s: %s is now %s.', source, one.path, now)
  return result


def _group(settings: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
  """Returns the group of that path; an empty one where there is none."""
  for name in names:
    settings = settings.get(name)
    if not isinstance(settings, dict):
      return {}
  return settings
