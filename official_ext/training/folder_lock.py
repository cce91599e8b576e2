"""One training at a time in a folder.

Two trainings into one folder would delete each other's checkpoints. On a disk
of this machine the operating system holds the lock and lets go of it however
the process ends. It cannot tell of another machine, of a store of objects or
where a file system has no locks; so the holder also writes a beat into the
file, and whoever finds one watches whether it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import socket
import threading
import time
from typing import Any
import uuid

from absl import logging
import tensorflow as tf

from official_ext.command_line import errors

FILE = '.training.lock'
_BEAT_SECONDS = 10.0
# After so long without a beat its training is gone: three may be late.
_SILENT_SECONDS = 40.0
# Until a store of objects shows to all what was written last.
_SETTLE_SECONDS = 2.0
# A record is written in one piece, over the one before.
_RECORD_BYTES = 512
_BOOT_FILE = pathlib.Path('/proc/sys/kernel/random/boot_id')


def check(model_dir: str) -> None:
  """Refuses a folder of this machine's disks in which a training runs.

  Args:
    model_dir: folder of the training; it may be missing.

  Raises:
    errors.UserError: if it is held, and who holds it.
  """
  path = os.path.join(model_dir, FILE)
  if not _is_remote(path) and os.path.exists(path):
    with contextlib.closing(_File(path, model_dir)):
      pass


@contextlib.contextmanager
def hold(model_dir: str) -> Iterator[None]:
  """Keeps other trainings out of a folder as long as the block lasts.

  What a killed training left does not block: at once where the operating system
  knows that it is gone, else after it was silent for 40 s.

  Args:
    model_dir: folder of the training, which exists; local or such as gs://. The
      lock of a start that fails there, and leaves nothing else, goes with it.

  Yields:
    Nothing.

  Raises:
    errors.UserError: if another training holds it, and who; or if nothing can
      be written there.
  """
  path = os.path.join(model_dir, FILE)
  file = (_RemoteFile if _is_remote(path) else _File)(path, model_dir)
  with contextlib.closing(file), _taken_back(file, path):
    found = file.read()
    if found and not (file.is_locked and found.get('boot') == _boot()):
      _watch(file, found, model_dir)
    own = {'host': socket.gethostname(), 'process': os.getpid(),
           'since': f'{datetime.datetime.now(datetime.timezone.utc):%F %T} UTC',
           'boot': _boot(), 'token': uuid.uuid4().hex}
    with _errors_of_writing(model_dir):
      file.write(own | {'beat': 0})
    if not file.is_locked:
      logging.info(
          'nothing locks %s for sure: a training that begins there in the same '
          'second may not be noticed', model_dir)
      time.sleep(_SETTLE_SECONDS)
      found = file.read()
      if found and found.get('token') != own['token']:
        raise _held(model_dir, found)
    ended = threading.Event()
    beats = threading.Thread(
        target=_beat, args=(file, own, ended, model_dir), daemon=True)
    beats.start()
    try:
      yield
    finally:
      ended.set()
      beats.join()
      with contextlib.suppress(OSError, tf.errors.OpError):
        if file.read().get('token') == own['token']:
          file.clear()


@contextlib.contextmanager
def _taken_back(file: _File | _RemoteFile, path: str) -> Iterator[None]:
  """Removes the file, where its block raises, with all that was made for it."""
  try:
    yield
  except BaseException:
    # Without a lock of the system, somebody may just have taken the file.
    if (file.is_new and file.is_locked and
        os.listdir(os.path.dirname(path) or '.') == [FILE]):
      with contextlib.suppress(OSError):
        os.remove(path)
    raise


class _File:
  """The file on a disk, locked by the operating system if it can."""

  def __init__(self, path: str, model_dir: str):
    self.is_new = not os.path.lexists(path)
    self.is_locked = False
    while not self.is_locked:
      with _errors_of_writing(model_dir):
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
      try:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        found = self.read()
        self.close()
        raise _held(model_dir, found) from None
      except OSError:  # Some file systems have no locks.
        return
      # A start that failed may have removed it before it was locked here.
      self.is_locked = os.fstat(self._descriptor).st_nlink > 0
      if not self.is_locked:
        self.close()

  def read(self) -> dict[str, Any]:
    """Returns the holder's record; empty if there is none."""
    return _parse(os.pread(self._descriptor, _RECORD_BYTES, 0))

  def write(self, record: Mapping[str, Any]) -> None:
    os.pwrite(self._descriptor,
              json.dumps(record).encode().ljust(_RECORD_BYTES), 0)

  def clear(self) -> None:
    """Says that nobody holds the folder any more."""
    # The file stays: without it, a third training would lock a new one while
    # a second one has opened this.
    os.ftruncate(self._descriptor, 0)

  def close(self) -> None:
    os.close(self._descriptor)


class _RemoteFile:
  """The file on a store of objects, which nothing can lock."""
  is_locked = False
  is_new = False  # It is removed whatever happens.

  def __init__(self, path: str, model_dir: str):
    del model_dir
    self._path = path

  def read(self) -> dict[str, Any]:
    """Returns the holder's record; empty if there is none."""
    try:
      with tf.io.gfile.GFile(self._path, 'rb') as file:
        return _parse(file.read())
    except tf.errors.NotFoundError:
      return {}

  def write(self, record: Mapping[str, Any]) -> None:
    with tf.io.gfile.GFile(self._path, 'wb') as file:
      file.write(json.dumps(record).encode())

  def clear(self) -> None:
    """Says that nobody holds the folder any more."""
    tf.io.gfile.remove(self._path)

  def close(self) -> None:
    """There is nothing to close."""


@contextlib.contextmanager
def _errors_of_writing(model_dir: str) -> Iterator[None]:
  """Names the folder that cannot be written."""
  try:
    yield
  except (OSError, tf.errors.OpError) as error:
    raise errors.UserError(
        f'--model_dir={model_dir} cannot be written: {errors.reason(error)}. '
        'Choose a folder that can be.') from error


def _watch(file: _File | _RemoteFile, found: Mapping[str, Any],
           model_dir: str) -> None:
  """Refuses a folder whose holder goes on beating."""
  logging.info(
      '%s was held by %s: waiting up to %.0f s to see whether that training '
      'still runs', model_dir, _who(found), _SILENT_SECONDS)
  end = time.monotonic() + _SILENT_SECONDS
  while time.monotonic() < end:
    time.sleep(_SILENT_SECONDS / 40)
    now = file.read()
    # A record that is being written reads as none.
    if now and now != found:
      raise _held(model_dir, now)


def _beat(file: _File | _RemoteFile, own: Mapping[str, Any],
          ended: threading.Event, model_dir: str) -> None:
  """Shows to other machines that the training runs."""
  number = 0
  while not ended.wait(_BEAT_SECONDS):
    number += 1
    # A beat that fails is late; what is wrong with the folder, the training
    # finds out itself.
    with contextlib.suppress(OSError, tf.errors.OpError):
      found = file.read()
      if found.get('token', own['token']) != own['token']:
        logging.error('another training has begun in %s: %s. One of the two '
                      'must be stopped.', model_dir, _who(found))
        return
      file.write(own | {'beat': number})


def _held(model_dir: str, found: Mapping[str, Any]) -> errors.UserError:
  return errors.UserError(
      f'--model_dir={model_dir} is in use by another training: {_who(found)}. '
      'Wait for its end, stop it, or choose another --model_dir.')


def _who(found: Mapping[str, Any]) -> str:
  return (f'process {found.get("process", "unknown")} on '
          f'{found.get("host", "an unknown host")}, since '
          f'{found.get("since", "just now")}')


def _parse(contents: bytes) -> dict[str, Any]:
  try:
    return dict(json.loads(contents))
  except ValueError:
    return {}


def _boot() -> str:
  """Names the start of the operating system whose locks count here."""
  try:
    return _BOOT_FILE.read_text(encoding='ascii').strip()
  except OSError:
    return socket.gethostname()


def _is_remote(path: str) -> bool:
  return '://' in path
