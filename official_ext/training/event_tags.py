"""The names under which a training writes what it measures of itself."""

from official_ext.training import goodput

# Model Garden's.
TRAIN_LOSS = 'training_loss'
VALIDATION_LOSS = 'validation_loss'
ACCURACY = 'accuracy'

# Ours.
# Of the training and of its evaluations, in one chart.
LOSS = 'loss'
STEPS_PER_SECOND = 'throughput/steps_per_second'
IMAGES_PER_SECOND = 'throughput/images_per_second'
PEAK_MEMORY = 'memory/peak_gib'
GRADIENT_NORM = 'norm/gradient'
WEIGHT_NORM = 'norm/weights'
# How often the training has gone back to a checkpoint.
RECOVERIES = 'recovery/recoveries'
# Images that an evaluation counted.
NUM_IMAGES = 'num_images'

# How the names of event files begin, and how those end that hold no values:
# they say where a training went on.
PREFIX = 'events.out.tfevents.'
RESTART_SUFFIX = '.restart'
# The share of the time of all starts in steps that count, from 0 to 1.
GOODPUT = 'goodput/goodput'
_SECONDS = 'goodput/{}_seconds'


def seconds_in(phase: str) -> str:
  """Returns the name of the time of a phase of `goodput`, over all starts."""
  return _SECONDS.format(phase.replace(' ', '_').replace('-', '_'))


def of_time(totals: goodput.Totals) -> dict[str, float]:
  """Returns where the time of a training went, under its names."""
  return {GOODPUT: totals.goodput, **{
      seconds_in(phase): seconds for phase, seconds in totals.seconds.items()}}


def top_k_accuracy(k: int) -> str:
  """Returns Model Garden's name of a top-k accuracy other than top-1."""
  return f'top_{k}_accuracy'
