"""Runs the trainings of a study, each in a process of the driver itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

from official_ext.benchmarks import machine
from official_ext.command_line import errors
from official_ext.studies import measured
from official_ext.studies import plan as plan_lib
from official_ext.studies import results as results_lib
from official_ext.training import folder_lock
from official_ext.training import recovery

_POLL_SECONDS = 0.5
# Some send a signal to a process and to its group.
_ONE_NOTICE_SECONDS = 1.0
# In front of what the driver says of a training that has diverged.
_DIVERGED = f'error: {recovery.DIVERGED}'
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Of the package, for `python -m` from any folder.
_ROOT = pathlib.Path(__file__).resolve().parents[2]


# Becomes a command that is told to end when the process that began it is gone:
# Linux sends it SIGTERM then, upon which a training saves a checkpoint;
# elsewhere it goes on to its end. The first argument is that process, which may
# be gone before Linux knows whom to tell. Ctrl-C reaches that process alone.
END_WITH_PARENT = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
if sys.platform == 'linux':
  PR_SET_PDEATHSIG = 1
  ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
  if os.getppid() != int(parent):
    sys.exit(128 + signal.SIGTERM)
os.setpgid(0, 0)
os.execvp(command[0], command)
"""
# The first line of the settings of a training, with its fingerprint behind.
FINGERPRINT = '# fingerprint: '


def settings_file(run: plan_lib.Run) -> str:
  """Returns the path of the file of a training's settings."""
  return f'{run.folder}.yaml'


def write_settings(run: plan_lib.Run) -> None:
  """Writes the file of a training's settings, whole or not at all."""
  path = settings_file(run)
  with open(f'{path}.unfinished', 'w', encoding='utf-8') as file:
    file.write(f'{FINGERPRINT}{run.fingerprint}\n'
               f'{plan_lib.as_yaml(run.settings)}')
  os.replace(f'{path}.unfinished', path)


def command(plan: plan_lib.Plan, run: plan_lib.Run) -> list[str]:
  """Returns the command that a training is: that of the driver."""
  return [sys.executable, '-m', 'official_ext.train', *plan.experiment_flags,
          f'--config_file={settings_file(run)}', f'--mode={run.mode}',
          f'--model_dir={run.folder}']


class Stopped(Exception):  # noqa: N818 - as KeyboardInterrupt, no error
  """The study was told to end; every training has saved a checkpoint.

  Attributes:
    exit_status: what the command ends with.
  """

  def __init__(self, message: str, exit_status: int):
    super().__init__(message)
    self.exit_status = exit_status


@dataclasses.dataclass
class _Process:
  """A training that runs.

  Attributes:
    run: which.
    process: its process.
    log: what it prints.
    log_start: where in the file this start begins, bytes.
    begin: when it was started, seconds.
    is_first: whether nothing of the training was there before.
    cpu_seconds: of this start, once it has ended.
  """
  run: plan_lib.Run
  process: subprocess.Popen
  log: str
  log_start: int
  begin: float
  is_first: bool
  cpu_seconds: float = 0.0

  def poll(self) -> int | None:
    """Returns how the process has ended; None: it runs."""
    # Not Popen.poll, which does not tell of the CPU time.
    pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
    if not pid:
      return None
    self.cpu_seconds = usage.ru_utime + usage.ru_stime
    self.process.returncode = os.waitstatus_to_exitcode(status)
    return self.process.returncode

  def said(self) -> list[str]:
    """Returns the lines that this start has printed."""
    with open(self.log, 'rb') as file:
      file.seek(self.log_start)
      return file.read().decode('utf-8', 'replace').splitlines()


class Scheduler:
  """Runs what a study lacks, several trainings at a time."""

  def __init__(self, plan: plan_lib.Plan, parallel: int,
               tell: Callable[[str], None]):
    """Initialises the scheduler; the folder of the study must be held.

    Args:
      plan: the trainings; the study has a file of results.
      parallel: how many to run at a time.
      tell: takes lines for a person.
    """
    self._plan = plan
    self._parallel = parallel
    self._tell = tell
    self._threads = max(1, machine.num_cores() // parallel)
    self._path = os.path.join(plan.folder, results_lib.FILE)
    self._running: list[_Process] = []
    self._failed: dict[str, str] = {}
    self._waits: set[str] = set()
    self._notices: list[int] = []
    self._noticed = 0.0

  def run(self) -> None:
    """Runs all that has no line yet.

    Raises:
      Stopped: if the study was told to end.
      errors.UserError: if trainings have failed; the others have run.
    """
    with self._signals():
      try:
        while self._step():
          time.sleep(_POLL_SECONDS)
      except Exception:
        # A full disk, or results that somebody has changed: what the trainings
        # have done so far is not to be lost.
        self._end_all()
        raise
      finally:
        for one in self._running:
          one.process.kill()
    if self._notices:
      raise Stopped(
          f'stopped by {signal.Signals(self._notices[0]).name}: '
          f'{self._progress()} done. The same command goes on from there.',
          128 + self._notices[0])
    if self._failed:
      raise errors.UserError(
          f'{self._progress()} done, but '
          + '; '.join(f'{name} {why}' for name, why in self._failed.items())
          + '. The same command runs them again.')

  def _end_all(self) -> None:
    """Tells all trainings to save a checkpoint and end, and waits for it."""
    for one in self._running:
      if one.process.returncode is None:
        os.kill(one.process.pid, signal.SIGTERM)
    while self._running:
      self._running = [one for one in self._running if one.poll() is None]
      time.sleep(_POLL_SECONDS)

  def _step(self) -> bool:
    """Takes in what has ended, and starts what can be.

    Returns:
      Whether there is anything left to run or to wait for.
    """
    for one in list(self._running):
      status = one.poll()
      if status is not None:
        self._running.remove(one)
        self._end(one, status)
    if self._notices:
      return bool(self._running)
    results = results_lib.read(self._path)
    waiting = [run for run in self._plan.runs
               if run.name not in self._failed and
               not results.find(run.row, run.seed) and
               run not in [one.run for one in self._running]]
    for run in waiting:
      if len(self._running) >= self._parallel:
        break
      self._start_if_possible(run, results)
    return bool(self._running or waiting)

  def _start_if_possible(self, run: plan_lib.Run,
                         results: results_lib.Results) -> None:
    """Starts a training, unless it has to wait for another or never can be."""
    for other in self._plan.runs:
      if other.name not in run.needs:
        continue
      line = results.find(other.row, other.seed)
      if other.name in self._failed:
        self._failed[run.name] = f'begins from {other.name}, which failed'
        return
      if not line:
        return
      if line['status'] == results_lib.DIVERGED:
        self._append(run, diverged=(
            f'it begins from {other.name}, which diverged'))
        return
    try:
      folder_lock.check(run.folder)
    except errors.UserError as held:
      # What was begun by a process of this study that was killed saves yet.
      if run.name not in self._waits:
        self._waits.add(run.name)
        self._tell(f'{run.name}: {held.message} Waiting for its end.')
      return
    self._start(run)

  def _start(self, run: plan_lib.Run) -> None:
    is_first = not os.path.isdir(run.folder)
    write_settings(run)
    log = f'{run.folder}.log'
    environment = dict(os.environ)
    environment['PYTHONPATH'] = os.pathsep.join(
        filter(None, [str(_ROOT), environment.get('PYTHONPATH')]))
    if self._parallel > 1:
      environment['TF_NUM_INTRAOP_THREADS'] = str(self._threads)
      environment['TF_NUM_INTEROP_THREADS'] = str(self._threads)
    with open(log, 'ab') as file:
      # Before the process: it shares the position, and may write at once.
      start = file.seek(0, os.SEEK_END)
      process = subprocess.Popen(  # pylint: disable=consider-using-with
          [sys.executable, '-c', END_WITH_PARENT, str(os.getpid()),
           *command(self._plan, run)], stdin=subprocess.DEVNULL, stdout=file,
          stderr=file, env=environment)
    self._running.append(_Process(
        run, process, log, start, time.monotonic(), is_first))
    self._tell(f'{run.name} begins')

  def _end(self, one: _Process, status: int) -> None:
    """Takes in a training whose process has ended."""
    run = one.run
    # A start before this one took its figure along.
    cpu_seconds = one.cpu_seconds if one.is_first else None
    said = one.said()
    diverged = [line for line in said if line.startswith(_DIVERGED)]
    if status == 0:
      self._append(run, cpu_seconds)
    elif diverged:
      self._append(run, cpu_seconds, diverged[-1].removeprefix('error: '))
    elif not self._notices:
      last = next(filter(None, reversed(said)), 'it said nothing')
      self._failed[run.name] = (
          f'ended with {status}: {last:.300} (all of it: {one.log})')
      self._tell(f'{run.name} {self._failed[run.name]}')

  def _append(self, run: plan_lib.Run, cpu_seconds: float | None = None,
              diverged: str = '') -> None:
    metric = self._plan.study.metric
    try:
      line = measured.line(
          run, metric, self._threads, cpu_seconds, diverged)
    except ValueError as error:
      self._failed[run.name] = str(error)
      return
    results_lib.append(self._path, line)
    reached = line.get(metric.column)
    self._tell(f'{run.name} {diverged or f"reached {reached:.2f} %"}; '
               f'{self._progress()} done')

  def _progress(self) -> str:
    results = results_lib.read(self._path)
    done = sum(results.find(run.row, run.seed) is not None
               for run in self._plan.runs)
    return f'{done} of {len(self._plan.runs)} trainings'

  @contextlib.contextmanager
  def _signals(self) -> Iterator[None]:
    """Tells all trainings to end upon a signal; a second one kills them."""
    kept = {number: signal.signal(number, self._receive)
            for number in _SIGNALS}
    try:
      yield
    finally:
      for number, handler in kept.items():
        signal.signal(number, handler)

  def _receive(self, number: int, _: Any) -> None:
    now = time.monotonic()
    if self._notices and now < self._noticed + _ONE_NOTICE_SECONDS:
      return
    sent = signal.SIGKILL if self._notices else signal.SIGTERM
    self._notices.append(number)
    self._noticed = now
    for one in self._running:
      # Not Popen.send_signal, which would take the end of the process in.
      if one.process.returncode is None:
        os.kill(one.process.pid, sent)
