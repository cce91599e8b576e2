"""What a long training is, and the table of what it held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from official_ext.benchmarks import resident_memory

_REPORTS_PER_EVALUATION = 5
# Small, since the steps count and not the model; with two poolings.
_LAYOUT = 'B1-1-1'


def settings(data_dir: str, steps: int, evaluations: int,
             params_override: str = '') -> str:
  """Returns the settings of a long training.

  Args:
    data_dir: folder of the digits.
    steps: how many training steps.
    evaluations: how many evaluations, and checkpoints.
    params_override: further settings, which win.

  Raises:
    ValueError: if the reports do not come at whole steps.
  """
  reports = evaluations * _REPORTS_PER_EVALUATION
  if steps % reports:
    raise ValueError(
        f'--steps={steps} cannot be divided into --evaluations={evaluations} '
        f'with {_REPORTS_PER_EVALUATION} reports each. Use a multiple of '
        f'{reports}, such as --steps={max(1, round(steps / reports)) * reports}'
        '.')
  interval = steps // evaluations
  return ','.join(filter(None, [
      f'task.data_dir={data_dir!r}',
      f'task.model.backbone.funnel_vit.layout={_LAYOUT}',
      f'trainer.train_steps={steps}',
      f'trainer.steps_per_loop={steps // reports}',
      f'trainer.summary_interval={steps // reports}',
      f'trainer.checkpoint_interval={interval}',
      f'trainer.validation_interval={interval}',
      params_override]))


def row(strategy: str, samples: Sequence[resident_memory.Sample]
        ) -> Mapping[str, Any]:
  """Returns a line of the table.

  Args:
    strategy: how it was trained.
    samples: in the order of their steps.
  """
  growth = resident_memory.growth(samples)
  return {
      'strategy': strategy,
      'steps': samples[-1].step,
      'resident_mib_after_a_third': growth.resident_mib[0],
      'resident_mib_at_the_end': growth.resident_mib[1],
      'mib_per_1000_steps': growth.mib_per_1000_steps,
      'threads_after_a_third': growth.threads[0],
      'threads_at_the_end': growth.threads[1],
      'open_files_after_a_third': growth.open_files[0],
      'open_files_at_the_end': growth.open_files[1],
  }


HEAD = (f'{"strategy":12}{"steps":>7}{"after a third":>15}{"at the end":>13}'
        f'{"per 1,000 steps":>18}{"threads":>12}{"open files":>12}')


def format_row(line: Mapping[str, Any]) -> str:
  """Returns a line of the table as text."""
  threads, files = (
      f'{line[f"{name}_after_a_third"]} to {line[f"{name}_at_the_end"]}'
      for name in ('threads', 'open_files'))
  return (f'{line["strategy"]:12}{line["steps"]:7,}'
          f'{line["resident_mib_after_a_third"]:11,.1f} MiB'
          f'{line["resident_mib_at_the_end"]:9,.1f} MiB'
          f'{line["mib_per_1000_steps"]:+14.2f} MiB'
          f'{threads:>12}{files:>12}')
