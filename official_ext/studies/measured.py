"""What a training of a study has reached and what it took, from its folder."""

from __future__ import annotations

import datetime
import statistics
from typing import Any

from official_ext.analysis import event_files
from official_ext.benchmarks import machine
from official_ext.studies import metrics
from official_ext.studies import plan as plan_lib
from official_ext.studies import results
from official_ext.training import event_tags
from official_ext.training import goodput
from official_ext.training import modes

_LOSS = 'validation_loss'


def line(run: plan_lib.Run, metric: metrics.Metric, threads: int,
         cpu_seconds: float | None = None,
         diverged: str = '') -> dict[str, Any]:
  """Returns the line of a training that has ended.

  Args:
    run: the training.
    metric: of the study.
    threads: how many its process used to compute.
    cpu_seconds: what its process took, all threads together; None: not known.
    diverged: why it diverged; empty: it is finished.

  Returns:
    Cells of `results.columns`.

  Raises:
    ValueError: if it is finished, but has not logged what it ended with.
  """
  time = goodput.read(run.folder)
  starts = time.num_starts if time else 1
  found = {
      'row': run.row, 'seed': run.seed,
      'status': results.DIVERGED if diverged else results.FINISHED,
      'reason': diverged, **run.described,
      'seconds': time.total_seconds if time else None,
      # A start that was killed took its figure along.
      'cpu_seconds': cpu_seconds if starts == 1 else None,
      'starts': starts, 'threads': threads,
      'machine': machine.cpu(), 'versions': machine.versions(),
      'ended': f'{datetime.datetime.now(datetime.timezone.utc):%F %T} UTC',
      'fingerprint': run.fingerprint}
  try:
    history = event_files.read(
        run.folder, run.params.trainer.validation_summary_subdir)
  except ValueError:
    if not diverged:
      raise
    return found  # In the first interval, before anything was logged.
  return found | _logged(run, metric, history, bool(diverged))


def _logged(run: plan_lib.Run, metric: metrics.Metric,
            history: event_files.History, has_diverged: bool
            ) -> dict[str, Any]:
  """Returns what stands in the event files of a training."""
  reached = history.validation.get(metric.name)
  last_step = 0
  if modes.trains(run.mode):
    last_step = (goodput.stopped_early_at(run.folder) or
                 run.params.trainer.train_steps)
  if not has_diverged and (
      reached is None or reached.last.step != last_step):
    others = [name for name, one in history.validation.items()
              if one.last.step == last_step]
    what_to_do = (
        'Set metric in the file of the study to one of those there are: '
        f'{", ".join(metrics.names(others))}.' if others else
        'Were they removed? Remove the folder, and the training is run again.')
    raise ValueError(
        f'{run.folder} is trained, but its event files have no {metric.name} '
        f'at step {last_step}. {what_to_do}')
  loss = history.validation.get(_LOSS)
  rate = history.train.get(event_tags.STEPS_PER_SECOND)
  memory = history.train.get(event_tags.PEAK_MEMORY)
  # Of the intervals: one in which the machine was busy otherwise counts once.
  steps_per_second = (
      float(statistics.median(rate.values)) if rate else None)
  train_loss = history.train.get(event_tags.TRAIN_LOSS)
  found = {
      'step': history.last_step,
      'train_loss': train_loss.last.value if train_loss else None,
      'steps_per_second': steps_per_second,
      'images_per_second': steps_per_second and (
          steps_per_second * run.params.task.train_data.global_batch_size),
      'peak_memory_gib': float(max(memory.values)) if memory else None}
  if reached is not None:
    found['evaluations'] = ' '.join(
        f'{step}:{100 * value:.5g}'
        for step, value in zip(reached.steps, reached.values))
  if not has_diverged:
    found[metric.column] = 100 * reached.last.value
    found['loss'] = loss.last.value if loss else None
  return found
