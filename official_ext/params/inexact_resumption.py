"""What of a deterministic training is not exact once it is resumed.

The layers of Funnel-ViT draw their masks as functions of seed and step
(`modeling.random_masks`). Those of Keras and Model Garden keep a state that no
checkpoint has: it begins anew with each start.
"""

from __future__ import annotations

import re

from absl import logging
from official.core import config_definitions as cfg

from official_ext.params import tree

_DRAWS = re.compile(
    r'task\.model\.(?!backbone\.funnel_vit\.).*'
    r'(dropout_rate|drop_rate|stochastic_depth_rate)')


def warn(params: cfg.ExperimentConfig) -> None:
  """Warns of what keeps interrupted runs from agreeing to the last bit.

  Args:
    params: an experiment of ours, every value derived.
  """
  if not params.trainer.deterministic:
    return
  found = [f'{one.path}={one.value}' for one in tree.walk(params)
           if one.is_chosen and _DRAWS.fullmatch(one.path) and
           isinstance(one.value, float) and one.value]
  if found:
    logging.warning(
        'trainer.deterministic is true, but the masks of %s begin anew with '
        'each start: a run that is interrupted ends in other bits than one '
        'that is not.', ', '.join(found))
