"""Learns that this process is to end, so that a training saves first.

A machine that is taken away sends SIGTERM, a cluster's scheduler SIGUSR1, a
person SIGINT (Ctrl-C), and Google Cloud announces it on its metadata server:
https://cloud.google.com/compute/docs/instances/preemptible#preemption-process.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# As a shell reports a process that SIGTERM ended; schedulers start it again.
EXIT_STATUS = 128 + signal.SIGTERM

_METADATA_SERVER = 'http://metadata.google.internal'
_PREEMPTED_PATH = '/computeMetadata/v1/instance/preempted'
# How Google's own libraries know that they run on its machines.
_PRODUCT_NAME = pathlib.Path('/sys/class/dmi/id/product_name')
# `timeout` and some schedulers send a signal to the process and to its group.
_ONE_NOTICE_SECONDS = 1.0
_POLL_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Notice:
  """That the process is to end.

  Attributes:
    source: who said so, such as 'SIGTERM'.
    exit_status: what to end with.
  """
  source: str
  exit_status: int = EXIT_STATUS


class Preempted(Exception):  # noqa: N818 - as KeyboardInterrupt, no error
  """The run has ended early because it was told to; its work is saved."""

  def __init__(self, message: str, exit_status: int):
    """Initialises the exception.

    Args:
      message: what was saved and what was lost, for a person.
      exit_status: what the process is to end with.
    """
    super().__init__(message)
    self.exit_status = exit_status


class Interrupt(Exception):  # noqa: N818
  """Leaves a loop of steps, at a place where the state is whole."""


class Watch:
  """Whether a notice has come; between two steps a loop asks `check`."""

  def __init__(self, mean_over_workers: Callable[[float], float]):
    """Initialises the watch.

    Args:
      mean_over_workers: returns the mean of a number that every worker of the
        job has.
    """
    self._mean_over_workers = mean_over_workers
    self._notice: Notice | None = None

  @property
  def notice(self) -> Notice | None:
    """What has come to this process."""
    return self._notice

  def receive(self, notice: Notice) -> None:
    """Takes a notice; the first one counts."""
    self._notice = self._notice or notice

  def check(self) -> None:
    """Leaves the loop if there is a notice.

    All workers of a job must call it at the same steps.

    Raises:
      Interrupt: if this worker or another was told to end.
    """
    if self._mean_over_workers(float(self._notice is not None)):
      self.receive(Notice('the end of another worker'))
      raise Interrupt


@contextlib.contextmanager
def signals(watch: Watch):
  """Passes the first of `SIGNALS` on to a watch; a second ends the process.

  One that comes within a second of the first is the same notice.

  Python runs handlers between two of its own instructions, and a step may keep
  it waiting; a thread reads the numbers of the signals as they come.

  Args:
    watch: who takes the notice.

  Yields:
    Nothing.
  """
  if threading.current_thread() is not threading.main_thread():
    # Python takes signals in its main thread alone: whoever runs a training in
    # another one has to call `receive`.
    yield
    return
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  kept_descriptor = signal.set_wakeup_fd(writer)
  kept_handlers = {
      number: signal.signal(number, lambda *_: None) for number in SIGNALS}
  thread = threading.Thread(
      target=_read_signals, args=(reader, watch), daemon=True)
  thread.start()
  try:
    yield
  finally:
    for number, handler in kept_handlers.items():
      signal.signal(number, handler)
    signal.set_wakeup_fd(kept_descriptor)
    os.close(writer)
    thread.join()
    os.close(reader)


def _read_signals(reader: int, watch: Watch) -> None:
  """Tells the watch of the first signal; at the second, ends the process."""
  first = None
  while number := os.read(reader, 1):
    number = int.from_bytes(number, sys.byteorder)
    if number not in SIGNALS:
      continue
    name = signal.Signals(number).name
    if first and time.monotonic() < first + _ONE_NOTICE_SECONDS:
      continue
    if watch.notice:
      _tell(f'{name}: ends at once')
      os._exit(_exit_status(number))
    _tell(f'{name}: the running step is finished and a checkpoint written; '
          'another signal ends at once')
    watch.receive(Notice(name, _exit_status(number)))
    first = time.monotonic()


def _exit_status(number: int) -> int:
  return 128 + signal.SIGINT if number == signal.SIGINT else EXIT_STATUS


def _tell(text: str) -> None:
  """Writes a line without waiting for whoever holds Python's stream."""
  with contextlib.suppress(OSError):
    os.write(2, f'\n{text}\n'.encode())


@contextlib.contextmanager
def metadata_server(watch: Watch, address: str | None):
  """Passes the notice of Google Cloud's metadata server on to a watch.

  Args:
    watch: who takes the notice.
    address: of the server, such as 'http://metadata.google.internal'; None:
      Google's, if this is one of its machines; '': there is none.

  Yields:
    Nothing.
  """
  if address is None and _is_google_machine():
    address = _METADATA_SERVER
  if not address:
    yield
    return
  end = threading.Event()
  thread = threading.Thread(
      target=_poll, args=(address.rstrip('/') + _PREEMPTED_PATH, watch, end),
      daemon=True)
  thread.start()
  try:
    yield
  finally:
    end.set()
    thread.join(2 * _TIMEOUT_SECONDS)


def _is_google_machine() -> bool:
  try:
    return 'Google' in _PRODUCT_NAME.read_text(encoding='utf-8')
  except OSError:
    return False


def _poll(url: str, watch: Watch, end: threading.Event) -> None:
  """Asks until the answer is TRUE; a server that fails is asked again."""
  request = urllib.request.Request(url, headers={'Metadata-Flavor': 'Google'})
  # The server is on the machine's own network: no proxy stands before it.
  opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
  while not end.wait(_POLL_SECONDS):
    try:
      with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
        is_preempted = answer.read().strip() == b'TRUE'
    except (OSError, urllib.error.URLError):
      continue
    if is_preempted:
      _tell('Google Cloud takes this machine away: the running step is '
            'finished and a checkpoint written')
      watch.receive(Notice("Google Cloud's notice of preemption"))
      return
