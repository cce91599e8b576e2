"""Tests of the set-up of a Cloud TPU VM, as far as it goes without one."""

from importlib import metadata
import os
import re
import subprocess

import pytest

from scripts import check_tpu_vm
from scripts import tpu_requirements

LOCK = tpu_requirements.LOCK.read_text(encoding='utf-8')


def lines(text):
  return [line.strip() for line in text.splitlines() if line.strip()]


def test_tensorflow_tpu_takes_the_place_of_tensorflow():
  derived = tpu_requirements.derive(LOCK)
  version, = re.findall(r'^tensorflow==(\S+)$', LOCK, re.MULTILINE)
  assert f'tensorflow-tpu=={version}' in derived
  # Everything else as it is tested.
  extra = list(tpu_requirements.EXTRA)
  assert [f'tensorflow=={version}' if line.startswith('tensorflow-tpu==')
          else line for line in derived] == lines(LOCK) + extra
  names = [tpu_requirements.normalize(line.split('==')[0])
           for line in derived]
  assert set(names) & tpu_requirements.PROVIDERS == {'tensorflow-tpu'}
  assert 'libtpu' in names


def test_nothing_else_in_the_lock_installs_tensorflow():
  # By the files of what is installed here, which is the lock.
  providers = metadata.packages_distributions()['tensorflow']
  names = {tpu_requirements.normalize(name) for name in providers}
  assert names == {'tensorflow'}


def test_markers_and_comments_are_kept_apart():
  assert tpu_requirements.derive(
      "# head\nA_b==1.0 ; python_full_version < '3.11'\n\n"
      "tensorflow==2.20.0 ; sys_platform == 'linux'  # why\n") == [
          "A_b==1.0 ; python_full_version < '3.11'",
          "tensorflow-tpu==2.20.0 ; sys_platform == 'linux'",
          *tpu_requirements.EXTRA]


@pytest.mark.parametrize('lock, message', [
    ('numpy==2.0', 'pins it 0 times'),
    ("tensorflow==1 ; a < '1'\ntensorflow==2 ; a > '1'", 'pins it 2 times'),
    ('tensorflow==2.20.0\nnumpy>=2', "'numpy>=2' is not of the form"),
    ('tensorflow==2.20.0\n-r other.txt', "'-r other.txt' is not of the form"),
    ('tensorflow==2.20.0\ntensorflow_cpu==2.20.0',
     "'tensorflow_cpu==2.20.0' installs the package tensorflow"),
])
def test_what_is_no_lock_is_refused(lock, message):
  with pytest.raises(ValueError, match=re.escape(message)):
    tpu_requirements.derive(lock)


INSTALLED = {'tensorflow-tpu': '2.20.0', 'numpy': '2.4.6'}
FINE = (
    'tf-keras 2.20.1 requires tensorflow, which is not installed.\n'
    'tf-models-official 2.20.0 requires tensorflow, which is not installed.\n')


def test_a_sound_environment():
  assert check_tpu_vm.find_problems(INSTALLED, FINE) == []
  assert check_tpu_vm.find_problems(
      INSTALLED, 'No broken requirements found.\n') == []


@pytest.mark.parametrize('installed, pip_check, problem', [
    ({**INSTALLED, 'tensorflow': '2.20.0'}, FINE, 'tensorflow is installed'),
    ({**INSTALLED, 'tf-nightly-cpu': '1', 'tensorflow-cpu': '1'}, FINE,
     'tensorflow-cpu, tf-nightly-cpu is installed'),
    ({'tensorflow': '2.20.0'}, '', 'tensorflow-tpu is not installed'),
    (INSTALLED, f'{FINE}a 1 requires b, which is not installed.\n',
     'a 1 requires b'),
    (INSTALLED, f'{FINE}a 1 has requirement b<2, but you have b 2.\n',
     'a 1 has requirement b<2'),
])
def test_what_is_wrong_with_an_environment(installed, pip_check, problem):
  assert any(problem in found for found in
             check_tpu_vm.find_problems(installed, pip_check))


def set_up(repository, *arguments, **environment):
  return subprocess.run(
      [repository / 'scripts' / 'setup_tpu_vm.sh', *arguments],
      capture_output=True, text=True, check=False, timeout=60,
      env={**os.environ, **environment})


def test_a_dry_run_does_nothing(repository, tmp_path):
  result = set_up(repository, '--dry-run', VENV=str(tmp_path / 'venv'))
  assert result.returncode == 0, result.stderr
  assert lines(result.stdout)[1:] == tpu_requirements.derive(LOCK)
  assert not list(tmp_path.iterdir())


def test_an_unknown_argument(repository):
  result = set_up(repository, '--dry')
  assert result.returncode == 2
  assert 'unknown argument --dry' in result.stderr


def test_a_python_that_is_too_old(repository, tmp_path):
  python = tmp_path / 'python3.9'
  python.write_text('#!/bin/sh\nexit 1\n')
  python.chmod(0o755)
  result = set_up(repository, '--dry-run', PYTHON=str(python))
  assert result.returncode == 1
  assert 'Python 3.10 to 3.13 is needed' in result.stderr


def test_an_environment_with_tensorflow_is_refused(repository, tmp_path):
  # A Python that makes no environment, and finds tensorflow in this one.
  (tmp_path / 'venv' / 'bin').mkdir(parents=True)
  fake = tmp_path / 'venv' / 'bin' / 'python'
  fake.write_text('#!/bin/sh\nexit 0\n')
  fake.chmod(0o755)
  real = subprocess.run(
      ['sh', '-c', 'command -v python3'], capture_output=True, text=True,
      check=True).stdout.strip()
  python = tmp_path / 'python3'
  python.write_text(
      f'#!/bin/sh\ncase "$1$2" in -mvenv) ;; *) exec {real} "$@" ;; esac\n')
  python.chmod(0o755)
  result = set_up(
      repository, PYTHON=str(python), VENV=str(tmp_path / 'venv'))
  assert result.returncode == 1
  assert 'holds tensorflow' in result.stderr
