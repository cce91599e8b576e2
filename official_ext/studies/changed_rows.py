"""Refuses to go on with a study whose trainings were other ones."""

from __future__ import annotations

import os

from official_ext.params import differences
from official_ext.params import experiment
from official_ext.studies import plan as plan_lib
from official_ext.studies import processes
from official_ext.studies import results as results_lib

_MAX_NAMED = 4


def check(plan: plan_lib.Plan) -> None:
  """Compares a plan with what there is of it in its folder.

  Args:
    plan: the trainings as they are to be.

  Raises:
    ValueError: if the folder is another study's, or what is there of a training
      was trained with other settings, naming them and what to do.
  """
  path = os.path.join(plan.folder, results_lib.FILE)
  results = results_lib.read(path)
  name = results.head.get('study', plan.study.name)
  if name != plan.study.name:
    raise ValueError(
        f'--folder={plan.folder} is of the study {name}, not of '
        f'{plan.study.name}. Choose another --folder.')
  results_lib.check_metric(results, plan.study.metric, path, '--folder')
  for run in plan.runs:
    line = results.find(run.row, run.seed)
    known = line['fingerprint'] if line else _begun_with(run)
    if known and known != run.fingerprint:
      done = 'ended' if line else 'was begun'
      raise ValueError(
          f'the training of row {run.row!r} with seed {run.seed} {done} with '
          f'other settings{_named(run)}. Give the row another name, or choose '
          'another --folder; or, if it is to be trained anew, remove '
          f'{run.folder}{f" and its line in {path}" if line else ""}'
          f'{_and_what_began_from(run, plan)}.')
  by_name = {run.name: run for run in plan.runs}
  for run in plan.runs:
    for name in run.needs:
      _check_origin(run, by_name[name], results, path)


def _and_what_began_from(run: plan_lib.Run, plan: plan_lib.Plan) -> str:
  """Names the trainings that begin or learn from one, if there are any."""
  found, added = {run.name}, {run.name}
  while added:
    added = {one.name for one in plan.runs if added & set(one.needs)} - found
    found |= added
  found.remove(run.name)
  if not found:
    return ''
  return f', and the same of what begins from it: {", ".join(sorted(found))}'


def _check_origin(run: plan_lib.Run, origin: plan_lib.Run,
                  results: results_lib.Results, path: str) -> None:
  """Refuses a training whose origin is gone.

  Args:
    run: a training.
    origin: one that it begins or learns from.
    results: what there is of both.
    path: of the results.

  Raises:
    ValueError: if what there is of the training began from another one than
      there would be, or if it cannot begin.
  """
  ended = results.find(run.row, run.seed)
  if not results.find(origin.row, origin.seed):
    if ended or os.path.isdir(run.folder):
      raise ValueError(
          f'{run.name} began from {origin.name}, which is to be trained anew: '
          f'it has no line in {path}. So remove {run.folder} '
          f'{"and its line " if ended else ""}too.')
  elif not ended and not os.path.isdir(origin.folder):
    raise ValueError(
        f'{run.name} is to begin from {origin.name}, which has ended, but '
        f'{origin.folder} was removed. Bring it back; or, if it is to be '
        f'trained anew, remove its line in {path}.')


def _begun_with(run: plan_lib.Run) -> str:
  """Returns the fingerprint of a training that has begun; empty: none has."""
  path = processes.settings_file(run)
  if not os.path.isdir(run.folder) or not os.path.exists(path):
    return ''
  with open(path, encoding='utf-8') as file:
    return file.readline().removeprefix(processes.FINGERPRINT).strip()


def _named(run: plan_lib.Run) -> str:
  """Names the settings that differ from those in the folder of a training."""
  try:
    before = experiment.load_saved(run.folder)
  except ValueError:
    return ''  # Of a training that was killed before it wrote them.
  found = [
      f'{one.setting} was {one.values[0]} and is {one.values[1]}'
      for one in differences.find([before, run.params])
      if one.setting != 'trainer.seed']
  if len(found) > _MAX_NAMED:
    found[_MAX_NAMED:] = [f'and {len(found) - _MAX_NAMED} more']
  return f': {"; ".join(found)}' if found else ''
