"""The flag of commands that draw curves of trainings."""

from __future__ import annotations

from absl import flags

# TensorBoard's slider ends there too.
_MOST = 0.999

SMOOTHING = flags.DEFINE_float(
    'smoothing', 0.0,
    "How much to smooth the curves, as TensorBoard's slider does; values as "
    'logged stay visible.', lower_bound=0.0, upper_bound=_MOST)
