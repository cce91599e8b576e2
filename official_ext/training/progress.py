"""What a run shows: a bar or plain lines as it goes, a table at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import os
import shlex
from typing import TextIO

from official.core import config_definitions as cfg
import tensorflow as tf
import tqdm

from official_ext.training import memory
from official_ext.training import throughput as throughput_lib

# Model Garden's exporter writes it beside the best checkpoint.
_BEST_INFO = 'info.json'

_BAR_FORMAT = (
    '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} '
    '[{elapsed}{postfix}]')
# Who waits for less needs no forecast.
_LEAST_FORETOLD_SECONDS = 60


class Progress:
  """Shows nothing; what the workers of a job but the first one use.

  Its methods are what a run tells as it goes.
  """

  def begin(self, step: int, train_steps: int) -> None:
    """Shows that training begins at `step`, to end at `train_steps`."""

  def compiling(self) -> None:
    """Shows that the first step, which compiles, is about to run."""

  def trained(self, step: int, loss: float, learning_rate: float,
              steps_per_second: float | None,
              images_per_second: float | None) -> None:
    """Shows that training has reached `step`; the loss is this interval's."""

  def interval(self, step: int, text: str) -> None:
    """Shows that an interval is over, which `text` sums up on one line."""

  def evaluating(self) -> None:
    """Shows that an evaluation is about to run."""

  def close(self) -> None:
    """Ends what is shown: the run is over, or failed."""


class LineProgress(Progress):
  """One plain line per interval."""

  def __init__(self, stream: TextIO):
    self._stream = stream
    self._train_steps = None

  def begin(self, step: int, train_steps: int) -> None:
    self._train_steps = train_steps
    self._write(f'training from step {step} to {train_steps}')

  def interval(self, step: int, text: str) -> None:
    of_total = f'/{self._train_steps}' if self._train_steps else ''
    self._write(f'step {step}{of_total}  {text}')

  def _write(self, line: str) -> None:
    print(line, file=self._stream, flush=True)


class BarProgress(LineProgress):
  """A bar at the bottom, the lines of the intervals above it."""

  def __init__(self, stream: TextIO):
    super().__init__(stream)
    self._bar = None

  def begin(self, step: int, train_steps: int) -> None:
    self._train_steps = train_steps
    self._bar = tqdm.tqdm(
        desc='train', initial=step, total=train_steps, file=self._stream,
        bar_format=_BAR_FORMAT, dynamic_ncols=True, mininterval=0.1)

  def compiling(self) -> None:
    self._describe('compile')

  def trained(self, step: int, loss: float, learning_rate: float,
              steps_per_second: float | None,
              images_per_second: float | None) -> None:
    if not self._bar:
      return
    parts = []
    if steps_per_second:
      remaining = (self._train_steps - step) / steps_per_second
      parts.append(f'ETA {tqdm.tqdm.format_interval(remaining)}')
    parts.append(f'loss {loss:.4f}')
    parts.append(f'lr {learning_rate:.2e}')
    if images_per_second:
      parts.append(f'{images_per_second:.0f} images/s')
    self._bar.set_description_str('train', refresh=False)
    self._bar.set_postfix_str(', '.join(parts), refresh=False)
    self._bar.update(step - self._bar.n)
    self._bar.refresh()

  def interval(self, step: int, text: str) -> None:
    super().interval(step, text)
    self._describe('train')

  def evaluating(self) -> None:
    self._describe('evaluate')

  def close(self) -> None:
    if self._bar:
      self._bar.close()
      self._bar = None

  def _write(self, line: str) -> None:
    tqdm.tqdm.write(line, file=self._stream)

  def _describe(self, what: str) -> None:
    if self._bar:
      self._bar.set_description_str(what)


def create(stream: TextIO) -> Progress:
  """Returns the progress that fits a stream.

  Args:
    stream: where the progress goes.

  Returns:
    A bar if the stream is a terminal, else plain lines.
  """
  return BarProgress(stream) if stream.isatty() else LineProgress(stream)


def foretell(num_steps: int, steps_per_second: float | None) -> str | None:
  """Says how long the steps that are left will take.

  Args:
    num_steps: how many are left.
    steps_per_second: the rate of the steps so far; None: not known.

  Returns:
    One line; None if it is not known, or soon over.
  """
  if not steps_per_second:
    return None
  seconds = num_steps / steps_per_second
  if not num_steps or seconds < _LEAST_FORETOLD_SECONDS:
    return None
  return (f'the other {num_steps:,} steps will take about '
          f'{tqdm.tqdm.format_interval(seconds)}, and evaluations and '
          'checkpoints besides')


def format_metric(label: str, value: float) -> str:
  """Returns a loss as a number, any other metric in percent."""
  return f'{value:.4f}' if label.endswith('loss') else f'{100 * value:.2f} %'


def with_deciding(metrics: Sequence[tuple[str, str, str]],
                  trainer: cfg.TrainerConfig) -> list[tuple[str, str, str]]:
  """Adds the metrics that a training goes by, if they are not shown anyway.

  Args:
    metrics: a label, the metric of training, that of validation.
    trainer: the settings of the training.

  Returns:
    The metrics, and what decides on the best checkpoint and on the early end.
  """
  names = []
  if trainer.best_checkpoint_export_subdir:
    names.append(trainer.best_checkpoint_eval_metric)
  if trainer.early_stopping.patience_evaluations:
    names.append(trainer.early_stopping.metric)
  shown = {name for _, _, name in metrics}
  return [*metrics, *((name, name, name) for name in dict.fromkeys(names)
                      if name and name not in shown)]


def format_metrics(logs: Mapping[str, float],
                   metrics: Sequence[tuple[str, str, str]]) -> str:
  """Puts the metrics of training or evaluation on a line.

  Args:
    logs: values by Model Garden's metric names.
    metrics: which to show: a label, the metric of training, that of
      validation.

  Returns:
    Such as 'loss 0.1234  top-1 97.50 %  top-5 100.00 %'.
  """
  values = {label: logs[name] for label, *names in metrics for name in names
            if name in logs}
  parts = [f'{label} {format_metric(label, value)}' for label, value in sorted(
      values.items(), key=lambda item: item[0] != 'loss')]
  if 'learning_rate' in logs:
    parts.append(f'lr {logs["learning_rate"]:.2e}')
  return '  '.join(parts)


def format_table(
    *,
    train_logs: Mapping[str, float],
    validation_logs: Mapping[str, float],
    metrics: Sequence[tuple[str, str, str]],
    throughput: throughput_lib.Throughput,
    peak_memory: memory.PeakMemory,
    time: Sequence[tuple[str, str]] = (),
    checkpoint: str | None,
    best: str | None = None,
    log_dir: str,
) -> str:
  """Formats the table that a run ends with.

  Args:
    train_logs: metrics of the last training interval; empty if none ran.
    validation_logs: metrics of the last evaluation; empty if none ran.
    metrics: the first rows: a label, the metric of training, that of
      validation.
    throughput: of the training steps.
    peak_memory: of the run.
    time: labels and texts of where the time went.
    checkpoint: prefix of the newest checkpoint, if there is one.
    best: of `describe_best`.
    log_dir: folder of the event files.

  Returns:
    The table, several lines.
  """
  lines = [f'{"":12}{"train":>12}{"validation":>12}']
  for label, train_name, validation_name in metrics:
    texts = [
        format_metric(label, logs[name]) if name in logs else '-'
        for logs, name in ((train_logs, train_name),
                           (validation_logs, validation_name))]
    lines.append(
        f'{label:12}{texts[0]:>{24 - max(12, len(label))}}{texts[1]:>12}')
  steps_per_second = throughput.run_steps_per_second
  if steps_per_second:
    images_per_second = throughput.images_per_second(steps_per_second)
    lines.append(
        f'{"speed":12}{steps_per_second:.2f} steps/s, '
        f'{images_per_second:.0f} images/s (without compilation, evaluation '
        'and checkpoints)')
  lines += [f'{label:12}{text}' for label, text in time]
  lines.append(f'{"peak memory":12}{peak_memory}')
  lines.append(f'{"checkpoint":12}{checkpoint or "none"}')
  if best:
    lines.append(f'{"best":12}{best}')
  lines.append(f'{"logs":12}tensorboard --logdir={shlex.quote(log_dir)}')
  return '\n'.join(lines)


def describe_best(model_dir: str, trainer: cfg.TrainerConfig) -> str | None:
  """Describes the best checkpoint of a training, which others do not take.

  Args:
    model_dir: of the training.
    trainer: its settings.

  Returns:
    Where it is, its step and its metric; None: there is none.
  """
  metric = trainer.best_checkpoint_eval_metric
  folder = os.path.join(model_dir, trainer.best_checkpoint_export_subdir)
  path = os.path.join(folder, _BEST_INFO)
  if (not trainer.best_checkpoint_export_subdir or
      not tf.io.gfile.exists(path)):
    return None
  with tf.io.gfile.GFile(path) as file:
    info = json.load(file)
  # Of a training that went by another metric; it is set aside when the
  # training goes on.
  if metric not in info:
    return None
  return (f'{folder}, of step {info["best_ckpt_global_step"]:.0f}: {metric} '
          f'{format_metric(metric, info[metric])}')
