"""Patterns of names of variables that match none of a model's.

Model Garden's optimizers look for them in the name of every variable, and a
misspelt one changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
import re

from absl import logging
from official.modeling import optimization

from official_ext.optimization import layerwise

_PATH = 'trainer.optimizer_config.optimizer'
_DECAY = ('include_in_weight_decay', 'exclude_from_weight_decay')
_ADAPTATION = ('exclude_from_layer_adaptation',)
# LAMB takes the number of the output from a name before it looks.
_OUTPUT = re.compile(r':[0-9]+$')


def warn(config: optimization.OptimizerConfig, names: Iterable[str]) -> None:
  """Warns of patterns without effect, but for those of our own recipes.

  Args:
    config: the choice of the optimizer.
    names: of the trainable variables, such as 'cls/cls:0'.
  """
  chosen = config.get()
  names = list(names)
  if config.type == 'lamb':
    names = [_OUTPUT.sub('', name) for name in names]
  for field in (*(_DECAY if getattr(chosen, 'weight_decay_rate', 0) else ()),
                *_ADAPTATION):
    patterns = getattr(chosen, field, None) or ()
    path = f'{_PATH}.{config.type}.{field}'
    if isinstance(patterns, str):
      logging.warning(
          '%s is %r, a text, of which every character is a pattern. Put it '
          'into a list: [%r].', path, patterns, patterns)
      continue
    unmatched = [
        pattern for pattern in patterns
        if pattern not in layerwise.NOT_DECAYED and
        not any(re.search(pattern, name) for name in names)]
    if unmatched:
      logging.warning(
          '%s holds %s, but no variable has such a name: it changes nothing. '
          'Names are such as %s.', path, ', '.join(map(repr, unmatched)),
          ' and '.join(map(repr, (names[0], names[-1]))))
