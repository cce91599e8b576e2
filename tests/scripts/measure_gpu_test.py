"""Tests of the script that measures a GPU, with a stand-in for Python."""

import os
import shutil
import subprocess

import pytest

SCRIPT = 'scripts/measure_gpu.sh'
STEPS = [f'{name}-{mode}' for mode in ('train', 'eval') for name in (
    '32/auto/vit', '32/auto/B2', '32/plain/B2', '48/auto/vit', '48/auto/B1-1')]
CONTENTS = 'vit-ti16; 32:2:B2,B1-1 48:2:B1-1; capability none, a CPU'
# Notes what it is asked for; fails where it is told to.
STAND_IN = """#!/bin/bash
echo "$*" >> "$CALLS"
[[ -z "$FAILS" || "$*" != *"$FAILS"* ]]
"""


@pytest.fixture(name='measure')
def _measure(tmp_path, repository):
  def measure(*arguments, fails='', is_frozen=True, contents=CONTENTS,
              **environment):
    python, calls = tmp_path / 'python', tmp_path / 'calls'
    python.write_text(STAND_IN)
    python.chmod(0o755)
    frozen = tmp_path / 'frozen'
    if is_frozen:
      for name in ('attention/a', *STEPS):
        (frozen / name).mkdir(parents=True, exist_ok=True)
      (frozen / 'complete').write_text(f'{contents}\n')
    done = subprocess.run(
        ['bash', SCRIPT, *(arguments or [str(tmp_path / 'figures')])],
        cwd=repository, capture_output=True, text=True, check=False, env={
            **os.environ, 'TINY': '1', 'PYTHON': str(python),
            'TENSORFLOW_PYTHON': str(python), 'FROZEN': str(frozen),
            'CALLS': str(calls), 'FAILS': fails, **environment})
    return done, calls.read_text().splitlines() if calls.exists() else []
  return measure


def without_checks(calls):
  return [call for call in calls if not call.startswith('-c')]


def parts(calls):
  """Returns which program is asked for what, as they come."""
  words = [call.split() for call in without_checks(calls)]
  return [(os.path.basename(one[0]), one[-1].rpartition('/')[2])
          for one in words]


def test_every_part_is_measured_into_a_file_of_its_own(measure, tmp_path):
  done, calls = measure()
  assert done.returncode == 0, done.stderr
  assert parts(calls) == [
      ('check_frozen_attention.py', 'parity.csv'),
      ('measure_matmul_peak.py', 'peak.csv'),
      ('run_frozen_steps.py', 'train.csv'),
      ('torch_peers.py', 'peers_train.csv'),
      ('run_frozen_steps.py', 'eval.csv'),
      ('torch_peers.py', 'peers_eval.csv')]
  steps, peers = (
      next(call for call in calls if f'/{name}.csv' in call)
      for name in ('train', 'peers_train'))
  # Of each size Model Garden's first, then all others.
  assert steps.split()[2:7] == [
      str(tmp_path / 'frozen' / name) for name in STEPS[:5]]
  assert '--sizes=32:2,48:2 --layouts=B6-6' in peers
  assert (tmp_path / 'figures/measure.log').read_text().count('==') == 6
  assert 'a CPU has no kernel' in done.stdout


def test_what_fails_is_named_and_the_rest_is_measured(measure):
  done, calls = measure(fails='matmul_peak')
  assert done.returncode == 1
  assert 'failed, or no time was left: peak' in done.stderr
  assert len(parts(calls)) == 6


def test_without_pytorch_its_rows_are_left_out_and_it_is_said(measure):
  done, calls = measure(fails='import timm')
  assert done.returncode == 0
  # At first and at the end.
  assert done.stdout.count('not measured: peers') == 2
  assert len(parts(calls)) == 4


def test_without_a_gpu_it_is_said_how_to_try_it(measure, tmp_path):
  (tmp_path / 'bin').mkdir()
  for name in ('bash', 'dirname'):
    (tmp_path / 'bin' / name).symlink_to(shutil.which(name))
  done, calls = measure(TINY='', PATH=str(tmp_path / 'bin'))
  assert done.returncode == 1 and not calls
  assert 'no NVIDIA GPU. TINY=1 tries' in done.stderr


def test_the_time_is_limited(measure):
  done, calls = measure(SECONDS_LIMIT='0')
  assert done.returncode == 1
  assert 'no time was left: parity peak train' in done.stderr
  assert not parts(calls)


def test_programs_are_written_where_there_are_none(measure, tmp_path):
  (tmp_path / 'frozen').mkdir()
  done, calls = measure('--freeze', is_frozen=False)
  assert done.returncode == 1 and not calls
  assert 'frozen is incomplete. Remove it' in done.stderr
  (tmp_path / 'frozen').rmdir()
  # Nothing is written by the stand-in that could be removed.
  done, calls = measure('--freeze', is_frozen=False)
  calls = without_checks(calls)
  assert ['--parity' in call for call in calls] == [True] + [False] * 2
  assert [call.rpartition('=')[2].rpartition('/')[2] for call in calls] == [
      'attention', 'auto', 'plain']
  assert 'fast_path.attention=plain' in calls[2]


@pytest.mark.parametrize('name, library', [
    ('PYTHON', 'jax'), ('TENSORFLOW_PYTHON', 'tensorflow')])
def test_a_python_that_does_not_run_is_named_first(
    measure, tmp_path, name, library):
  done, calls = measure(is_frozen=False, fails=f'import {library}')
  assert done.returncode == 1
  assert done.stderr.splitlines()[-1] == (
      f'error: {name}={tmp_path / "python"} does not run with {library}. Set '
      f'{name} to a Python that has it.')
  assert not without_checks(calls)
  assert not list(tmp_path.glob('frozen*'))


def test_after_a_first_freeze_that_failed_the_next_begins_anew(
    measure, tmp_path):
  for _ in range(2):
    done, calls = measure('--freeze', is_frozen=False, fails='--parity')
    assert done.returncode == 1 and 'incomplete' not in done.stderr
    assert not (tmp_path / 'frozen').exists()
  assert sum('--parity' in call for call in calls) == 2


def test_programs_of_another_model_or_gpu_are_not_taken(measure):
  done, calls = measure(contents='vit-b16; 224:256:B12; capability 9.0')
  assert done.returncode == 1 and not without_checks(calls)
  assert 'has other programs than are to be measured' in done.stderr
  assert f'({CONTENTS}). Remove it' in done.stderr


def test_nothing_of_an_earlier_run_is_left(measure, tmp_path):
  figures = tmp_path / 'figures'
  figures.mkdir()
  for name in ('peers_train.csv', 'parity.csv', 'notes.csv'):
    (figures / name).touch()
  measure(fails='import timm')
  assert {path.name for path in figures.iterdir()} == {
      'measure.log', 'notes.csv'}


def test_what_is_too_much_is_refused(measure, tmp_path):
  done, calls = measure(str(tmp_path / 'figures'), '--freeze')
  assert done.returncode == 2 and not calls
  assert 'unknown argument --freeze: there is one' in done.stderr
