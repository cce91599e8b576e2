"""What is set otherwise than before when a training goes on.

Every difference is put into one table, by what it means for the training
(`params.change_kinds`). What makes it another training has to be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import dataclasses
from typing import Any

from official.core import config_definitions as cfg
from official.modeling import hyperparams
from official.modeling import optimization
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.command_line import tables
from official_ext.params import change_kinds
from official_ext.params import tree
from official_ext.params import without_effect
from official_ext.params.fields import rules
from official_ext.training import settings_history

FLAG = '--allow_changes'
Kind = change_kinds.Kind
_IMPOSSIBLE = (Kind.ARCHITECTURE, Kind.VARIABLES)
_MAX_NAMED = 4
_SCHEDULE = 'trainer.optimizer_config.learning_rate.'


@dataclasses.dataclass(frozen=True)
class Change:
  """A setting that is other than before.

  Attributes:
    setting: its path.
    before: its value before, as a person types it.
    now: and now.
    kind: what that means.
  """
  setting: str
  before: str
  now: str
  kind: change_kinds.Kind

  def __str__(self) -> str:
    return f'{self.setting} was {self.before} and is {self.now}'


@dataclasses.dataclass(frozen=True)
class Changes:
  """All that is set otherwise than before.

  Attributes:
    model_dir: folder of the training.
    step: that it goes on from.
    changes: the settings, those that matter most first.
    before: the configuration before; None: nothing was compared.
    now: the configuration now.
  """
  model_dir: str
  step: int
  changes: tuple[Change, ...]
  before: cfg.ExperimentConfig | None
  now: cfg.ExperimentConfig

  @classmethod
  def none(cls, params: cfg.ExperimentConfig, model_dir: str,
           step: int = 0) -> Changes:
    """Returns that of a run that nothing is compared with."""
    return cls(model_dir, step, (), None, params)

  def lines(self) -> list[str]:
    """Returns what to tell of changes that were accepted.

    Only once the devices are set up: TensorFlow computes the learning rates.
    """
    if not self.changes:
      return []
    return [self.table(), *filter(None, [self._learning_rates()])]

  def table(self) -> str:
    """Returns the differences, a line for each below a heading."""
    rows = [(one.setting, one.before, one.now, one.kind.value)
            for one in self.changes]
    return (f'{self.model_dir} goes on at step {self.step} with other '
            'settings:\n' + tables.aligned(
                ('setting', 'before', 'now', 'what that is'), rows))

  def _learning_rates(self) -> str:
    """Says what the learning rate becomes; empty if it is the same."""
    before, now = (_learning_rate(params, self.step)
                   for params in (self.before, self.now))
    return '' if before == now else (
        f'learning rate of the next step: {before:g} before, {now:g} now')

  def check(self, allows_changes: bool) -> None:
    """Refuses what makes it another training, unless that is asked for.

    Args:
      allows_changes: whether it is.

    Raises:
      ValueError: naming the settings, and what to type instead.
    """
    impossible = self._named(_IMPOSSIBLE)
    if impossible:
      raise ValueError(
          f'{self.model_dir} holds another model: {impossible}. Choose another '
          f'--model_dir; task.init_checkpoint={self.model_dir} begins from its '
          'weights.')
    changed = self._named((Kind.TRAINING,))
    if changed and not allows_changes:
      raise ValueError(
          f'{self.model_dir} was trained to step {self.step} with other '
          f'settings: {changed}. To go on with those of now, add {FLAG}; or '
          'choose another --model_dir.')

  def refuses(self, allows_changes: bool) -> bool:
    """Returns whether `check` raises."""
    kinds = _IMPOSSIBLE if allows_changes else (*_IMPOSSIBLE, Kind.TRAINING)
    return any(one.kind in kinds for one in self.changes)

  def _named(self, kinds: tuple[change_kinds.Kind, ...]) -> str:
    """Names the settings of some kinds on one line; empty if there are none."""
    named = [str(one) for one in self.changes if one.kind in kinds]
    if len(named) > _MAX_NAMED:
      named[_MAX_NAMED:] = [
          f'and {len(named) - _MAX_NAMED} more, see the table']
    return '; '.join(named)


def find(params: cfg.ExperimentConfig, model_dir: str,
         checkpoint: str | None) -> Changes:
  """Compares a configuration with that which a checkpoint was trained with.

  What an earlier version did not write is not compared, and neither is what
  follows from other settings: those are.

  Args:
    params: the configuration of now, locked.
    model_dir: folder of the training.
    checkpoint: the checkpoint to go on from; None: there is none.

  Returns:
    The differences; none if there is nothing to compare with.

  Raises:
    ValueError: if the configuration that is there cannot be read.
  """
  step = metadata.read_step(checkpoint) if checkpoint else None
  former = settings_history.read(model_dir, step) if step else None
  if former is None:
    return Changes.none(params, model_dir, step or 0)
  found = sorted(_compare(former, params),
                 key=lambda one: list(Kind)[::-1].index(one.kind))
  return Changes(model_dir, step, tuple(found), former.params, params)


def _compare(former: settings_history.Former, now: cfg.ExperimentConfig
             ) -> Iterator[Change]:
  before = former.params
  was, is_now = _settings(before), _settings(now)
  known = former.paths
  known |= {path.rpartition('.')[0] for path in known}
  formerly, today = _given(before), _given(now)
  for path in [*is_now, *(path for path in was if path not in is_now)]:
    if path not in was or path not in is_now or path not in known:
      continue
    values = [_plain(settings[path].value) for settings in (was, is_now)]
    if _is_same_or_within(*values):
      continue
    given = [_plain(derived.get(path, value))
             for derived, value in zip((formerly, today), values)]
    if given[0] == given[1] or (
        not formerly and path in today and
        _followed_formerly(path, values[0], before)):
      continue
    yield Change(path, *map(_show, values), _kind(
        path, before, now, was[path], is_now[path]))


def _settings(params: cfg.ExperimentConfig) -> dict[str, tree.Setting]:
  """Returns the settings in use by their paths, groups among them."""
  return {one.path: one for one in tree.walk(params)
          if one.is_chosen and one.path != 'trainer.derived'}


def _given(params: cfg.ExperimentConfig) -> dict[str, Any]:
  """Returns what derived settings were given as, by their paths."""
  return {one.setting: one.given for one in params.trainer.derived}


def _is_same_or_within(before: Any, now: Any) -> bool:
  """Returns whether two values are equal, or groups whose fields follow."""
  return before == now or (
      isinstance(before, Mapping) and isinstance(now, Mapping))


def _followed_formerly(path: str, value: Any,
                       before: cfg.ExperimentConfig) -> bool:
  """Returns whether a decay followed from the steps, of a file that is silent.

  Versions that did not write what they derived are extended as others are.
  """
  if not path.startswith(_SCHEDULE) or not path.endswith('decay_steps'):
    return False
  schedule = before.trainer.optimizer_config.learning_rate.get()
  offset = getattr(schedule, 'offset', 0) or 0
  return value == before.trainer.train_steps - offset


def _kind(path: str, before: cfg.ExperimentConfig, now: cfg.ExperimentConfig,
          *settings: tree.Setting) -> change_kinds.Kind:
  """Returns what a difference means, seen together with the others."""
  kind = change_kinds.of_setting(path)
  if all(map(without_effect.reason, (before, now), settings)):
    return Kind.HARMLESS
  if kind is Kind.ARCHITECTURE and _same(
      before, now, lambda params: [metadata.describe(params).get(key)
                                   for key in metadata.ARCHITECTURE_KEYS]):
    return Kind.HARMLESS
  if path in change_kinds.OF_GRID and not _same(before, now, _patches):
    return Kind.ARCHITECTURE
  if kind is Kind.LENGTH:
    if _same(before, now, _decay_ends):
      return Kind.HARMLESS
    if now.trainer.train_steps < before.trainer.train_steps:
      return Kind.TRAINING
  return kind


def _patches(params: cfg.ExperimentConfig) -> Any:
  """Returns what the position embedding has a variable's length of."""
  model = params.task.model
  if model.backbone.type == 'vit':
    # Model Garden's own: the metadata know no grid of it.
    return model.input_size
  return metadata.describe(params).get('grid')


def _decay_ends(params: cfg.ExperimentConfig) -> list[Any]:
  """Returns where the learning rate ends to decay."""
  schedule = params.trainer.optimizer_config.learning_rate.get()
  return [getattr(schedule, name, None)
          for name in ('decay_steps', 'total_decay_steps')]


def _same(before: cfg.ExperimentConfig, now: cfg.ExperimentConfig,
          of: Callable[[cfg.ExperimentConfig], Any]) -> bool:
  return of(before) == of(now)


def _plain(value: Any) -> Any:
  """Returns a value as it is written to a file and read again."""
  if isinstance(value, hyperparams.ParamsDict):
    return value.as_dict()
  if isinstance(value, (list, tuple)):
    return [_plain(one) for one in value]
  return value


def _show(value: Any) -> str:
  if isinstance(value, Mapping):
    return '{' + ', '.join(f'{name}: {_show(one)}'
                           for name, one in value.items()) + '}'
  return rules.show(value)


def _learning_rate(params: cfg.ExperimentConfig, step: int) -> float:
  rate = optimization.OptimizerFactory(
      params.trainer.optimizer_config).build_learning_rate()
  return float(rate(tf.constant(step)) if callable(rate) else rate)
