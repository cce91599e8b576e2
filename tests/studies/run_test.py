"""Tests of the command that runs a study."""

import signal
import sys

import commands
import pytest
import short_study

from official_ext.studies import measured
from official_ext.studies import plan as plan_lib
from official_ext.studies import processes
from official_ext.studies import results as results_lib

MODULE = 'official_ext.studies.run'
TRAINS = 'import os, sys; os.makedirs(sys.argv[1])'


@pytest.fixture(name='quick', autouse=True)
def _quick(monkeypatch):
  """Trainings are over at once."""
  monkeypatch.setattr(plan_lib, '_check', lambda *_: None)
  monkeypatch.setattr(processes, '_POLL_SECONDS', 0.01)
  monkeypatch.setattr(processes, 'command', lambda _, run: [
      sys.executable, '-S', '-E', '-c', TRAINS, run.folder])
  monkeypatch.setattr(
      measured, 'line', lambda run, *_, **__: {
          'row': run.row, 'seed': run.seed, 'status': 'finished',
          'top_1_percent': 50.0, 'fingerprint': run.fingerprint})


def run(repository, study, folder, *flags):
  return commands.run('-m', MODULE, f'--study={study}', f'--folder={folder}',
                      *flags, cwd=repository)


def test_a_study_and_the_same_again(repository, digits_dir, tmp_path):
  study = short_study.write(tmp_path, digits_dir)
  tried = run(repository, study, tmp_path / 'there', '--dry_run')
  assert tried.returncode == 0, tried.stderr
  assert tried.stdout.splitlines()[-1].startswith('5 of 5 trainings to run')
  assert not (tmp_path / 'there').exists()
  first = run(repository, study, tmp_path / 'there', '--parallel=3')
  assert first.returncode == 0, first.stderr
  path = tmp_path / 'there' / 'results.csv'
  assert first.stdout.endswith(f'5 of 5 trainings done: {path}\n')
  head = results_lib.read(str(path)).head
  assert head == {
      'study': 'short', 'title': 'A short study',
      # Not where it was run.
      'command': f'python -m {MODULE} --study={study} --parallel=3'}
  text = path.read_text()
  second = run(repository, study, tmp_path / 'there')
  assert second.returncode == 0, second.stderr
  assert second.stdout == f'5 of 5 trainings done: {path}\n'
  assert path.read_text() == text
  # Another metric, another study, and another setting of a row that is done.
  refused = run(
      repository, short_study.write(tmp_path, digits_dir, metric='mean_recall'),
      tmp_path / 'there')
  assert refused.returncode == 1 and refused.stderr.endswith(
      f'error: {path} has top_1_percent, but the metric of the study is '
      'mean_recall. Choose another --folder, or set metric: accuracy in the '
      'file of the study.\n')
  other = study.rename(tmp_path / 'other.yaml')
  refused = run(repository, other, tmp_path / 'there')
  assert refused.returncode == 1 and refused.stderr.endswith(
      'is of the study short, not of other. Choose another --folder.\n')
  study = short_study.write(tmp_path, digits_dir)
  refused = run(repository, study, tmp_path / 'there',
                '--params_override=task.losses.label_smoothing=0.25')
  assert refused.returncode == 1
  assert ("the training of row 'ViT' with seed 1 ended with other settings. "
          'Give the row another name, or choose another --folder; or, if it '
          f'is to be trained anew, remove {tmp_path}/there/ViT-1 and its line '
          f'in {path}.') in refused.stderr
  assert path.read_text() == text


def test_a_study_that_is_told_to_end(
    repository, digits_dir, tmp_path, monkeypatch):
  monkeypatch.setattr(processes, 'command', lambda _, run: [
      'kill', f'-{int(signal.SIGTERM)}', str(processes.os.getpid())])
  result = run(repository, short_study.write(tmp_path, digits_dir),
               tmp_path / 'there')
  assert result.returncode == 143
  assert 'stopped by SIGTERM: ' in result.stderr


def test_what_is_wrong_is_one_line(repository, digits_dir, tmp_path):
  study = short_study.write(tmp_path, digits_dir)
  result = run(repository, study, 'gs://bucket/study')
  assert result.returncode == 1
  assert result.stderr.startswith(
      'error: --folder=gs://bucket/study must be on a disk of this machine')
  result = run(repository, 'paper', tmp_path / 'there')
  assert result.returncode == 1
  assert result.stderr.startswith('error: --study=paper is neither a file nor')
  assert not (tmp_path / 'there').exists()
