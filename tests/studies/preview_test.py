"""Tests of the table of what a study would run."""

import pathlib

import short_study

from official_ext.studies import plan as plan_lib
from official_ext.studies import preview
from official_ext.studies import results as results_lib


def test_the_table_by_value(digits_dir, tmp_path, monkeypatch):
  monkeypatch.setattr(plan_lib, '_check', lambda *_: None)
  plan = short_study.make(tmp_path, digits_dir)
  pathlib.Path(plan.runs[1].folder).mkdir(parents=True)
  found = preview.text(plan, results_lib.Results({'study': 'short'}, [
      {'row': 'ViT', 'seed': '1', 'status': 'finished',
       'top_1_percent': '50.25'},
      {'row': 'ViT', 'seed': '2', 'status': 'diverged'}]))
  funnel, vit = (f'{plan.runs[number].described["gmacs"]:#.4g}'
                 for number in (1, 0))
  assert [line.split() for line in found.splitlines()] == [
      ['layout', 'GMACs', 'steps', 'after', 'now'],
      ['ViT-1', 'B2(17)', vit, '2', '-', '50.25', '%'],
      ['funnel_max-1', 'B1(17)-1(9)', funnel, '2', '-', 'begun'],
      ['untrained_funnel-2', 'B1(17)-1(9)', funnel, 'evaluated', 'ViT-2',
       'to', 'run'],
      ['ViT-2', 'B2(17)', vit, '2', '-', 'diverged'],
      ['funnel_max-2', 'B1(17)-1(9)', funnel, '2', '-', 'to', 'run'],
      [], ['3', 'of', '5', 'trainings', 'to', 'run;', 'settings', 'and',
           'data', 'are', 'checked,', 'and', 'nothing', 'was', 'begun']]
