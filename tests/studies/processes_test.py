"""Tests of running the trainings of a study, with other commands for them."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import short_study

from official_ext.command_line import errors
from official_ext.studies import measured
from official_ext.studies import plan as plan_lib
from official_ext.studies import processes
from official_ext.studies import results as results_lib
from official_ext.training import folder_lock

DIVERGES = ("print('error: the training diverged: at step 3 the loss is nan. "
            "Lower it.'); raise SystemExit(1)")
FAILS = "print('some'); print('error: no space left'); raise SystemExit(1)"
# Says that it runs and waits for the end, which it notes.
WAITS = """
import os, pathlib, signal, sys, time
def end(number, _):
  pathlib.Path(sys.argv[1] + '.ended').write_text(str(number))
  sys.exit(143)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1] + '.ready').touch()
time.sleep(60)
"""
DEAF = WAITS.replace('sys.exit(143)', 'pass')


@pytest.fixture(name='plan', scope='module')
def _plan(digits_dir, tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(plan_lib, '_check', lambda *_: None)
    return short_study.make(tmp_path_factory.mktemp('plan'), digits_dir)


@pytest.fixture(name='study')
def _study(plan, tmp_path, monkeypatch):
  """Makes schedulers of the study in a folder of the test.

  They take the commands of the trainings by name; others succeed at once.
  """
  path = str(tmp_path / results_lib.FILE)
  results_lib.begin(path, {'study': 'short'})
  runs = tuple(
      run.__class__(**{**vars(run), 'folder': str(tmp_path / run.name)})
      for run in plan.runs)
  own = plan_lib.Plan(plan.study, str(tmp_path), (), runs)

  def line(run, metric, threads, cpu_seconds=None, diverged=''):
    return {'row': run.row, 'seed': run.seed, 'reason': diverged,
            'cpu_seconds': cpu_seconds,
            'status': 'diverged' if diverged else 'finished',
            'threads': threads, metric.column: 50.0}

  monkeypatch.setattr(processes, '_POLL_SECONDS', 0.01)
  monkeypatch.setattr(measured, 'line', line)

  def make(scripts=None, parallel=1, tell=None):
    monkeypatch.setattr(processes, 'command', lambda _, run: [
        sys.executable, '-S', '-E', '-c', (scripts or {}).get(run.name, ''),
        run.folder])
    return processes.Scheduler(
        own, parallel, short_study.Lines() if tell is None else tell)

  make.path, make.runs = path, {run.name: run for run in runs}
  return make


def found(study):
  return {(line['row'], line['seed']): line['status']
          for line in results_lib.read(study.path).lines}


def test_the_time_of_a_training_is_that_of_all_its_starts_or_not_known(study):
  # Begun before, or trained to its end by a study that was killed before it
  # wrote the line.
  os.makedirs(study.runs['ViT-2'].folder)
  study().run()
  times = {(line['row'], line['seed']): line['cpu_seconds']
           for line in results_lib.read(study.path).lines}
  assert times.pop(('ViT', '2')) == ''
  assert times and all(float(time) > 0 for time in times.values())


def test_one_that_fails_does_not_stop_the_others(study):
  with pytest.raises(errors.UserError, match=(
      r'3 of 5 trainings done, but ViT-2 ended with 1: error: no space left '
      r'\(all of it: .*/ViT-2.log\); untrained_funnel-2 begins from ViT-2, '
      'which failed. The same command runs them again')):
    study({'ViT-2': FAILS}).run()
  assert found(study) == {('ViT', '1'): 'finished',
                          ('funnel max', '1'): 'finished',
                          ('funnel max', '2'): 'finished'}
  told = short_study.Lines()
  study(tell=told, parallel=2).run()
  assert len(results_lib.read(study.path).lines) == 5
  assert told[:2] == ['ViT-2 begins', 'ViT-2 reached 50.00 %; 4 of 5 trainings '
                      'done']
  assert {line['threads'] for line in results_lib.read(study.path).lines} == {
      str(len(os.sched_getaffinity(0))),
      str(max(1, len(os.sched_getaffinity(0)) // 2))}


def test_one_that_diverges_is_a_line_and_so_is_what_begins_from_it(study):
  study({'ViT-2': DIVERGES}, parallel=5).run()
  results = results_lib.read(study.path)
  assert results.find('ViT', 2)['reason'] == (
      'the training diverged: at step 3 the loss is nan. Lower it.')
  assert results.find('untrained funnel', 2)['reason'] == (
      'it begins from ViT-2, which diverged')
  assert list(found(study).values()).count('finished') == 3
  # It is not run again.
  told = short_study.Lines()
  study(tell=told).run()
  assert not told


@pytest.mark.parametrize('script, num_signals, note', [
    (WAITS, 1, str(int(signal.SIGTERM))), (DEAF, 2, str(int(signal.SIGTERM)))])
def test_signals_reach_the_training(study, script, num_signals, note,
                                    monkeypatch):
  monkeypatch.setattr(processes, '_ONE_NOTICE_SECONDS', 0.0)
  folder = study.runs['ViT-1'].folder

  def tell(text):
    if text == 'ViT-1 begins':
      wait_for(folder + '.ready')
      os.kill(os.getpid(), signal.SIGINT)
      wait_for(folder + '.ended')
      for _ in range(num_signals - 1):
        os.kill(os.getpid(), signal.SIGINT)

  with pytest.raises(processes.Stopped, match=(
      'stopped by SIGINT: 0 of 5 trainings done. The same command goes on')
  ) as stopped:
    study({'ViT-1': script}, tell=tell).run()
  assert stopped.value.exit_status == 130
  assert pathlib.Path(folder + '.ended').read_text() == note
  assert not found(study)
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_study_itself_lets_the_trainings_save(
    study, monkeypatch):
  folder = study.runs['ViT-2'].folder

  def append(*_):
    wait_for(folder + '.ready')
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(results_lib, 'append', append)
  with pytest.raises(OSError, match='No space left'):
    study({'ViT-2': WAITS}, parallel=5).run()
  assert pathlib.Path(folder + '.ended').read_text() == str(
      int(signal.SIGTERM))
  monkeypatch.undo()
  assert not found(study)


def wait_for(path):
  while not os.path.exists(path) or (
      path.endswith('.ended') and not os.path.getsize(path)):
    time.sleep(0.005)


def test_a_training_that_still_saves_is_waited_for(study):
  run = study.runs['ViT-1']
  os.makedirs(run.folder)
  lock = folder_lock.hold(run.folder)
  lock.__enter__()
  told = short_study.Lines()

  def tell(text):
    told(text)
    if text.endswith('Waiting for its end.'):
      lock.__exit__(None, None, None)

  study(tell=tell).run()
  assert told[0].startswith('ViT-1: --model_dir=') and (
      'in use by another training' in told[0])
  assert len(found(study)) == 5


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux tells it')
def test_a_training_is_told_when_its_study_is_killed(tmp_path):
  folder = str(tmp_path / 'run')
  runner = subprocess.Popen([
      sys.executable, '-S', '-c', (
          'import os, subprocess, sys\n'
          'subprocess.Popen([sys.executable, "-S", "-c", sys.argv[1], '
          'str(os.getpid()), sys.executable, "-S", "-c", *sys.argv[2:]])\n'
          'input()'), processes.END_WITH_PARENT, WAITS, folder],
      stdin=subprocess.PIPE)
  wait_for(folder + '.ready')
  runner.kill()
  runner.communicate()
  wait_for(folder + '.ended')
  assert pathlib.Path(folder + '.ended').read_text() == str(
      int(signal.SIGTERM))


def test_the_command_is_the_drivers(plan):
  run = plan.runs[0]
  assert processes.command(plan, run)[1:] == [
      '-m', 'official_ext.train', '--experiment=funnel_vit_digits',
      f'--config_file={run.folder}.yaml', '--mode=train_and_eval',
      f'--model_dir={run.folder}']
