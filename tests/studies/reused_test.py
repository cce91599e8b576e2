"""Tests of taking trainings from another study."""

import dataclasses
import pathlib

import pytest
import short_study

from official_ext.studies import changed_rows
from official_ext.studies import metrics
from official_ext.studies import plan as plan_lib
from official_ext.studies import results as results_lib
from official_ext.studies import reused
from official_ext.studies import study_file


@pytest.fixture(name='unchecked', autouse=True)
def _unchecked(monkeypatch):
  """Data are not looked at."""
  monkeypatch.setattr(plan_lib, '_check', lambda *_: None)


def make(folder, digits_dir, **changes):
  folder.mkdir()
  plan = short_study.make(folder, digits_dir, **changes)
  pathlib.Path(plan.folder).mkdir()
  results_lib.begin(f'{plan.folder}/{results_lib.FILE}', {'study': 'short'})
  return plan


def end(plan, name, status='finished', fingerprint=None):
  run = next(run for run in plan.runs if run.name == name)
  folder = pathlib.Path(run.folder)
  folder.mkdir()
  (folder / 'ckpt-2.index').write_text(name)
  results_lib.append(f'{plan.folder}/{results_lib.FILE}', {
      'row': run.row, 'seed': run.seed, 'status': status,
      'top_1_percent': 61.25, 'cpu_seconds': 7.5,
      'fingerprint': fingerprint or run.fingerprint})


def test_the_same_trainings_are_taken(digits_dir, tmp_path):
  rows = short_study.rows()
  rows['max'] = rows.pop('funnel max')
  other = make(tmp_path / 'a', digits_dir, rows=rows, claims=[])
  for name in ('max-1', 'ViT-2', 'untrained_funnel-2'):
    end(other, name)
  end(other, 'ViT-1', fingerprint='another')
  end(other, 'max-2', status='diverged')
  plan = make(tmp_path / 'b', digits_dir)
  path = f'{plan.folder}/{results_lib.FILE}'
  # One that has begun here goes on.
  (pathlib.Path(plan.folder) / 'ViT-2').mkdir()
  lines = short_study.Lines()
  for _ in range(2):
    reused.take(plan, [other.folder], lines)
  assert lines == [
      f'funnel_max-1 is {other.folder}/max-1, which reached 61.25 %']
  taken, = results_lib.read(path).lines
  before = results_lib.read(f'{other.folder}/{results_lib.FILE}').find('max', 1)
  assert taken == {**before, 'row': 'funnel max'}
  copy = pathlib.Path(plan.folder, 'funnel_max-1')
  assert (copy / 'ckpt-2.index').read_text() == 'max-1'
  changed_rows.check(plan)
  assert not list(pathlib.Path(plan.folder).glob('*.unfinished'))


def test_nothing_to_take_from(digits_dir, tmp_path):
  (tmp_path / 'a').mkdir()
  plan = short_study.make(tmp_path / 'a', digits_dir)
  other = make(tmp_path / 'b', digits_dir)
  end(other, 'ViT-1')
  of_others = dataclasses.replace(plan, study=dataclasses.replace(
      plan.study, metric=metrics.Metric('mean_recall')))
  with pytest.raises(ValueError, match=(
      'results.csv has top_1_percent, but the metric of the study is '
      'mean_recall. Choose another --reuse')):
    reused.take(of_others, [other.folder], print)
  with pytest.raises(ValueError, match=(
      f'^--reuse={tmp_path}: there is no results.csv. Give the folder of a')):
    reused.take(plan, [str(tmp_path)], print)


def test_the_small_studies_begin_from_one_vit():
  found = {}
  for name in ('paper_claims', 'from_vit'):
    plan = plan_lib.make(study_file.read(name), 'runs/study')
    found[name] = {run.name: run.fingerprint for run in plan.runs}
  assert found['paper_claims']['ViT-1'] == found['from_vit']['ViT-1']
