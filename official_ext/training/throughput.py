"""Steps and images per second, of training steps alone.

The first step, which compiles, is kept apart; evaluation, checkpoints and
summaries happen between the loops that are timed.
"""

from __future__ import annotations

# A device is asked for its result about this often, which costs well under
# one per cent of the step rate.
_UPDATE_SECONDS = 1.0


class Throughput:
  """Counts timed steps: of the current loop, and of the whole run."""

  def __init__(self, global_batch_size: int):
    """Initialises the counters.

    Args:
      global_batch_size: images per step, over all replicas.
    """
    self._global_batch_size = global_batch_size
    self._loop_steps, self._loop_seconds = 0, 0.0
    self._run_steps, self._run_seconds = 0, 0.0
    self.compile_seconds: float | None = None

  def begin_loop(self) -> None:
    """Starts a new loop."""
    self._loop_steps, self._loop_seconds = 0, 0.0

  def add_first_step(self, seconds: float) -> None:
    """Takes the step that compiled; it is not counted."""
    self.compile_seconds = seconds

  def add(self, num_steps: int, seconds: float) -> None:
    """Takes `num_steps` steps that took `seconds` together."""
    self._loop_steps += num_steps
    self._loop_seconds += seconds
    self._run_steps += num_steps
    self._run_seconds += seconds

  @property
  def loop_steps_per_second(self) -> float | None:
    """The rate of the current loop; None before its first timed step."""
    return _rate(self._loop_steps, self._loop_seconds)

  @property
  def run_steps_per_second(self) -> float | None:
    """The rate of the whole run; None before its first timed step."""
    return _rate(self._run_steps, self._run_seconds)

  def images_per_second(self, steps_per_second: float | None) -> float | None:
    """Returns the images per second at a step rate."""
    if steps_per_second is None:
      return None
    return steps_per_second * self._global_batch_size

  def steps_until_update(self) -> int:
    """Returns how many steps to run before the next look at the result."""
    rate = self.loop_steps_per_second or self.run_steps_per_second
    return max(1, round(rate * _UPDATE_SECONDS)) if rate else 1


def _rate(steps: int, seconds: float) -> float | None:
  return steps / seconds if steps and seconds else None
