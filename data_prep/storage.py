"""Files on the local disk or on a store such as gs://, by one set of names.

Local paths take the plain calls of the operating system; anything with
`://` goes through fsspec, for which `gs://` needs the extra `gcs`.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import fcntl
import fnmatch
import os
import shutil
import socket
from typing import BinaryIO
import urllib.parse

import fsspec

# The leading dots keep both out of the globs 'train*' and 'valid*'.
UNFINISHED = '.unfinished-'
LOCK_FILE = '.lock'


def is_remote(path: str) -> bool:
  """Says whether a path is a URL, such as gs://bucket/folder."""
  return '://' in path


def _filesystem(path: str) -> fsspec.AbstractFileSystem:
  protocol = urllib.parse.urlsplit(path).scheme
  try:
    return fsspec.filesystem(protocol)
  except (ImportError, ValueError) as error:
    raise ValueError(
        f'{path} cannot be reached: {error}. Paths on gs:// need '
        "pip install -e '.[gcs]'.") from error


def open_binary(path: str, mode: str = 'rb') -> BinaryIO:
  """Opens a file for reading ('rb'), writing ('wb') or creating ('xb')."""
  if is_remote(path):
    return _filesystem(path).open(path, mode)
  return open(path, mode)


def read_range(path: str, offset: int, size: int) -> bytes:
  """Reads a part of a file.

  Args:
    path: the file.
    offset: where the part begins, bytes.
    size: its length, bytes.

  Returns:
    The part; shorter than `size` if the file ends before it.

  Raises:
    OSError: if the file cannot be read.
  """
  if is_remote(path):
    return _filesystem(path).cat_file(path, start=offset, end=offset + size)
  descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
  try:
    parts = []
    while size > 0:
      part = os.pread(descriptor, size, offset)
      if not part:
        break
      parts.append(part)
      offset += len(part)
      size -= len(part)
  finally:
    os.close(descriptor)
  return parts[0] if len(parts) == 1 else b''.join(parts)


def read_bytes(path: str) -> bytes:
  """Reads a file whole."""
  with open_binary(path) as file:
    return file.read()


def write_bytes(path: str, data: bytes) -> None:
  """Writes a file, which appears under its name only when it is complete."""
  unfinished = unfinished_name(path)
  with open_binary(unfinished, 'wb') as file:
    file.write(data)
  rename(unfinished, path)


def unfinished_name(path: str) -> str:
  """Returns the name a file has, beside its final one, until it is complete."""
  folder, name = path.rsplit('/', 1) if '/' in path else ('', path)
  return os.path.join(folder, f'{UNFINISHED}{name}')


def exists(path: str) -> bool:
  """Says whether a file or folder exists."""
  if is_remote(path):
    return _filesystem(path).exists(path)
  return os.path.exists(path)


def file_size(path: str) -> int | None:
  """Returns the size of a file in bytes, or None if there is no such file."""
  try:
    if is_remote(path):
      return _filesystem(path).size(path)
    return os.path.getsize(path) if os.path.isfile(path) else None
  except FileNotFoundError:
    return None


def is_folder(path: str) -> bool:
  """Says whether a path is a folder."""
  if is_remote(path):
    return _filesystem(path).isdir(path)
  return os.path.isdir(path)


def make_folder(path: str) -> None:
  """Makes a folder and those above it; one that exists is well.

  Args:
    path: the folder.

  Raises:
    ValueError: if its name is not UTF-8, which TensorFlow takes no path in.
    OSError: if it cannot be made.
  """
  try:
    path.encode('utf-8')
  except UnicodeEncodeError:
    raise ValueError(
        f'the name of the folder {os.fsencode(path)!r} is not UTF-8, so that '
        'no training could read what is in it. Choose another.') from None
  if is_remote(path):
    _filesystem(path).makedirs(path, exist_ok=True)
  else:
    os.makedirs(path, exist_ok=True)


def list_names(folder: str, pattern: str = '*') -> list[str]:
  """Returns the sorted names in a folder that match; none without a folder."""
  if is_remote(folder):
    filesystem = _filesystem(folder)
    if not filesystem.isdir(folder):
      return []
    names = [path.rstrip('/').rsplit('/', 1)[-1]
             for path in filesystem.ls(folder, detail=False, refresh=True)]
  else:
    names = os.listdir(folder) if os.path.isdir(folder) else []
  return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))


def rename(source: str, target: str) -> None:
  """Renames a file; an existing target is replaced in one step."""
  if is_remote(source):
    _filesystem(source).mv(source, target)
  else:
    os.replace(source, target)


def remove(path: str) -> None:
  """Removes a file or a whole folder; a missing one is well."""
  if is_remote(path):
    filesystem = _filesystem(path)
    if filesystem.exists(path):
      filesystem.rm(path, recursive=True)
  elif os.path.isdir(path) and not os.path.islink(path):
    shutil.rmtree(path)
  else:
    with contextlib.suppress(FileNotFoundError):
      os.remove(path)


def free_bytes(folder: str) -> int | None:
  """Returns the free space where a local folder is; None for a remote one."""
  if is_remote(folder):
    return None
  return shutil.disk_usage(folder).free


def check_free(needed: int, folder: str) -> None:
  """Raises ValueError if a folder has less space than is needed, bytes."""
  free = free_bytes(folder)
  if free is not None and needed > free:
    raise ValueError(
        f'{folder} needs {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB '
        'are free there. Choose another --output_dir.')


@contextlib.contextmanager
def lock(folder: str) -> Iterator[None]:
  """Keeps a second run out of a folder as long as the block lasts.

  On a local disk the lock goes with the process, however it ends. On a
  remote store a killed run leaves its lock behind.

  Args:
    folder: the folder; made if missing.

  Yields:
    Nothing.

  Raises:
    ValueError: if another run has it.
  """
  make_folder(folder)
  path = os.path.join(folder, LOCK_FILE)
  with (_remote_lock if is_remote(folder) else _local_lock)(path, folder):
    yield


@contextlib.contextmanager
def _local_lock(path: str, folder: str) -> Iterator[None]:
  # The file stays: removing it would let a third run lock a new one while a
  # second one still waits on the old.
  with open(path, 'ab') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(
          f'another run is writing to {folder}. Wait for it, or choose another '
          '--output_dir.') from None
    yield


@contextlib.contextmanager
def _remote_lock(path: str, folder: str) -> Iterator[None]:
  holder = f'{socket.gethostname()}, process {os.getpid()}'
  try:
    with open_binary(path, 'xb') as file:
      file.write(holder.encode())
  except FileExistsError:
    raise ValueError(
        f'another run is writing to {folder}: '
        f'{read_bytes(path).decode(errors="replace")}. If it was killed, '
        f'remove {path} and start again.') from None
  try:
    yield
  finally:
    remove(path)
