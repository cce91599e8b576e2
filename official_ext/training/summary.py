"""The small table that a run ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from official_ext.training import memory
from official_ext.training import progress
from official_ext.training import throughput as throughput_lib


def format_table(
    *,
    train_logs: Mapping[str, float],
    validation_logs: Mapping[str, float],
    metrics: Sequence[tuple[str, str, str]],
    throughput: throughput_lib.Throughput,
    peak_memory: memory.PeakMemory,
    checkpoint: str | None,
    log_dir: str,
) -> str:
  """Formats the table.

  Args:
    train_logs: metrics of the last training interval; empty if none ran.
    validation_logs: metrics of the last evaluation; empty if none ran.
    metrics: the first rows: a label, the metric of training, that of
      validation.
    throughput: of the training steps.
    peak_memory: of the run.
    checkpoint: prefix of the newest checkpoint, if there is one.
    log_dir: folder of the event files.

  Returns:
    The table, several lines.
  """
  lines = [f'{"":12}{"train":>12}{"validation":>12}']
  for label, train_name, validation_name in metrics:
    texts = [
        progress.format_metric(label, logs[name]) if name in logs else '-'
        for logs, name in ((train_logs, train_name),
                           (validation_logs, validation_name))]
    lines.append(f'{label:12}{texts[0]:>12}{texts[1]:>12}')
  steps_per_second = throughput.run_steps_per_second
  if steps_per_second:
    images_per_second = throughput.images_per_second(steps_per_second)
    lines.append(
        f'{"speed":12}{steps_per_second:.2f} steps/s, '
        f'{images_per_second:.0f} images/s (without compilation, evaluation '
        'and checkpoints)')
  lines.append(f'{"peak memory":12}{peak_memory}')
  lines.append(f'{"checkpoint":12}{checkpoint or "none"}')
  lines.append(f'{"logs":12}tensorboard --logdir={log_dir}')
  return '\n'.join(lines)
