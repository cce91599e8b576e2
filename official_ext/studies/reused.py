"""Trainings of a study that another one has already: taken, not run again.

Of the same settings and seed two studies have the same training, such as the
ViT that both compare with. Its folder is copied, and so is its line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
import shutil

from official_ext.studies import plan as plan_lib
from official_ext.studies import processes
from official_ext.studies import results as results_lib
from official_ext.studies import study_file


def take(plan: plan_lib.Plan, folders: Sequence[str],
         tell: Callable[[str], None]) -> None:
  """Takes what is finished in other studies and not begun in this one.

  What begins from another training is not taken: its fingerprint does not say
  what that one was.

  Args:
    plan: the trainings; the study's folder is held and has a file of results.
    folders: of the other studies; the first that has a training gives it.
    tell: takes lines for a person.

  Raises:
    ValueError: if a folder holds no results of a study, or of another metric.
  """
  path = os.path.join(plan.folder, results_lib.FILE)
  for folder in folders:
    others = os.path.join(folder, results_lib.FILE)
    if not os.path.exists(others):
      raise ValueError(
          f'--reuse={folder}: there is no {results_lib.FILE}. Give the folder '
          'of a study that was run.')
    results = results_lib.read(others)
    results_lib.check_metric(results, plan.study.metric, others, '--reuse')
    finished = {
        (line['fingerprint'], line['seed']): line
        for line in results.lines
        if line['status'] == results_lib.FINISHED}
    for run in plan.runs:
      line = finished.get((run.fingerprint, str(run.seed)))
      if (not line or run.needs or os.path.exists(run.folder) or
          results_lib.read(path).find(run.row, run.seed)):
        continue
      source = os.path.join(
          folder, study_file.Row(line['row'], {}, ()).folder(run.seed))
      if not os.path.isdir(source):
        tell(f'{run.name} is not taken from {folder}: {source} was removed')
        continue
      _copy(source, run)
      results_lib.append(path, {**line, 'row': run.row})
      tell(f'{run.name} is {source}, which reached '
           f'{float(line[plan.study.metric.column]):.2f} %')


def _copy(source: str, run: plan_lib.Run) -> None:
  """Copies the folder of a training, whole or not at all."""
  unfinished = f'{run.folder}.unfinished'
  shutil.rmtree(unfinished, ignore_errors=True)
  shutil.copytree(source, unfinished)
  processes.write_settings(run)
  os.rename(unfinished, run.folder)
