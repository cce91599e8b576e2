"""What a study would run, as a table for a person."""

from __future__ import annotations

from collections.abc import Mapping
import os

from official_ext.command_line import tables
from official_ext.layouts import search
from official_ext.studies import plan as plan_lib
from official_ext.studies import results as results_lib
from official_ext.training import modes


def text(plan: plan_lib.Plan, results: results_lib.Results) -> str:
  """Returns the trainings of a study, a line each.

  Args:
    plan: the trainings.
    results: what there is of them.

  Returns:
    Of each its model, its steps, the trainings that it begins or learns from
    and how far it is; and how many are left.
  """
  ended = {run.name: line for run in plan.runs
           if (line := results.find(run.row, run.seed))}
  rows = []
  for run in plan.runs:
    sizes = run.described
    rows.append([
        run.name, sizes['layout'],
        search.four_digits(sizes['gmacs']) if sizes['layout'] else '',
        f'{run.params.trainer.train_steps:,}' if modes.trains(run.mode) else
        'evaluated', ', '.join(run.needs) or '-',
        _state(run, ended.get(run.name), plan.study.metric.column)])
  table = tables.aligned(
      ['', 'layout', 'GMACs', 'steps', 'after', 'now'], rows)
  left = len(plan.runs) - len(ended)
  return (f'{table}\n\n{left} of '
          f'{tables.counted(len(plan.runs), "training")} to run; settings and '
          'data are checked, and nothing was begun')


def _state(run: plan_lib.Run, line: Mapping[str, str] | None,
           column: str) -> str:
  """Returns how far a training is."""
  if not line:
    return 'begun' if os.path.isdir(run.folder) else 'to run'
  if line['status'] == results_lib.DIVERGED:
    return results_lib.DIVERGED
  return f'{float(line[column]):.2f} %'
