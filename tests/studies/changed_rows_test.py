"""Tests of refusing to go on with a study that has become another one."""

import os
import re
import shutil

import pytest
import short_study

from official_ext.studies import changed_rows
from official_ext.studies import plan as plan_lib
from official_ext.studies import processes
from official_ext.studies import results as results_lib


@pytest.fixture(name='study')
def _study(tmp_path, digits_dir, monkeypatch):
  """A study of which ViT-2 and what begins from it have ended."""
  monkeypatch.setattr(plan_lib, '_check', lambda *_: None)
  plan = short_study.make(tmp_path, digits_dir)
  path = os.path.join(plan.folder, results_lib.FILE)
  os.makedirs(plan.folder)
  results_lib.begin(path, {'study': plan.study.name})
  for run in plan.runs:
    if run.name in ('ViT-2', 'untrained_funnel-2'):
      os.makedirs(run.folder)
      processes.write_settings(run)
      results_lib.append(path, {
          'row': run.row, 'seed': run.seed, 'status': 'finished',
          'top_1_percent': 50.0, 'fingerprint': run.fingerprint})
  return plan, path


def remove_line(path, start):
  with open(path, encoding='utf-8') as file:
    lines = file.readlines()
  left = [line for line in lines if not line.startswith(start)]
  assert len(left) == len(lines) - 1
  with open(path, 'w', encoding='utf-8') as file:
    file.writelines(left)


def test_what_began_from_a_training_goes_with_it(study):
  plan, path = study
  changed_rows.check(plan)
  remove_line(path, 'ViT,2')
  refused = re.escape(
      'untrained_funnel-2 began from ViT-2, which is to be trained anew: it '
      f'has no line in {path}. So remove '
      f'{os.path.join(plan.folder, "untrained_funnel-2")} and its line too.')
  with pytest.raises(ValueError, match=refused):
    changed_rows.check(plan)
  remove_line(path, 'untrained funnel,2')
  # It has begun, though it has not ended.
  with pytest.raises(ValueError, match='untrained_funnel-2 too.'):
    changed_rows.check(plan)
  shutil.rmtree(os.path.join(plan.folder, 'untrained_funnel-2'))
  changed_rows.check(plan)


def test_a_training_whose_folder_is_gone_cannot_be_begun_from(study):
  plan, path = study
  shutil.rmtree(os.path.join(plan.folder, 'ViT-2'))
  # All that began from it has ended.
  changed_rows.check(plan)
  remove_line(path, 'untrained funnel,2')
  with pytest.raises(ValueError, match=(
      'untrained_funnel-2 is to begin from ViT-2, which has ended, but .* was '
      'removed')):
    changed_rows.check(plan)


def test_other_settings_are_refused_with_what_began_from_them(
    study, digits_dir, tmp_path):
  del study
  rows = short_study.rows()
  rows['ViT']['params_override'][short_study.RATE] = 0.5
  changed = short_study.make(tmp_path, digits_dir, rows=rows)
  with pytest.raises(ValueError, match=(
      "of row 'ViT' with seed 2 ended with other settings.* remove .*ViT-2 and "
      'its line in .*, and the same of what begins from it: '
      'untrained_funnel-2.')):
    changed_rows.check(changed)
