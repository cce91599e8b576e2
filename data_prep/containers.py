"""Folders and tar archives as one tree of files.

An archive inside a folder, or inside another archive, is a folder of its
name without `.tar`; so the archive of ImageNet's training images, which holds
one archive per class, reads like the folder tree that it extracts to. Nothing
is extracted: a file is known by where its bytes lie.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import os
import posixpath
import stat
import tarfile
from typing import BinaryIO

from . import storage

COMPRESSED = ('.tar.gz', '.tgz', '.tar.bz2', '.tbz2', '.tar.xz', '.txz',
              '.tar.zst', '.zip', '.7z', '.rar', '.gz', '.bz2', '.xz')
_BLOCK_BYTES = 512
_GZIP = b'\x1f\x8b'


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
  """A file of a tree.

  Attributes:
    path: its path in the tree, with `/`.
    file: the file on disk or store that holds its bytes.
    offset: where they begin in it.
    size: how many they are.
    modified: when the file was modified, nanoseconds; 0 if unknown.
    file_id: the same of all links to one file, symbolic and hard ones; '' if
      unknown.
  """
  path: str
  file: str
  offset: int
  size: int
  modified: int = 0
  file_id: str = ''

  def read(self) -> bytes:
    """Reads its bytes; fewer than `size` if the file has become shorter."""
    return storage.read_range(self.file, self.offset, self.size)


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOut:
  """A part of a tree that is no readable file.

  Attributes:
    path: its path in the tree.
    reason: why, in a few words.
    is_lost: whether an image may have been meant to be there.
  """
  path: str
  reason: str
  is_lost: bool = False


def walk(path: str) -> Iterator[Member | LeftOut]:
  """Walks over the files of a folder or of an archive, in order of names.

  Args:
    path: a folder, or an archive that ends in `.tar`.

  Yields:
    Files, and what is none; their paths are relative to `path`.

  Raises:
    ValueError: if it is neither, does not exist, or an archive is damaged.
  """
  if is_archive(path):
    yield from _walk_archive(path)
  elif storage.is_folder(path):
    walk_folder = (
        _walk_remote_folder if storage.is_remote(path) else _walk_folder)
    yield from walk_folder(path, '', ())
  elif storage.exists(path):
    raise ValueError(
        f'{path} is neither a folder nor a .tar archive. '
        + ('Extract it and give the folder.' if path.lower().endswith(
            COMPRESSED) else 'Give the folder that it lies in.'))
  else:
    raise ValueError(f'{path} does not exist.')


def is_archive(path: str) -> bool:
  """Says whether a path is that of a tar file that is not compressed."""
  return path.lower().endswith('.tar') and not storage.is_folder(path)


def name_of(path: str) -> str:
  """Returns what a folder or an archive is called, without its suffix."""
  name = os.path.basename(os.path.normpath(
      path if storage.is_remote(path) else os.path.abspath(path)))
  return _without_suffix(name) if is_archive(path) else name


def _walk_folder(folder: str, prefix: str, above: tuple[tuple[int, int], ...]
                 ) -> Iterator[Member | LeftOut]:
  """Walks over a local folder; `above` are the folders it lies in."""
  try:
    status = os.stat(folder)
    names = sorted(os.listdir(folder))
  except OSError as error:
    # A whole folder that cannot be read may be any number of images.
    raise ValueError(
        f'{folder} cannot be read: {error.strerror}. Fix its permissions.'
    ) from error
  above = (*above, (status.st_dev, status.st_ino))
  if not names and prefix:
    yield LeftOut(prefix.rstrip('/'), 'an empty folder')
  for name in names:
    path = os.path.join(folder, name)
    relative = f'{prefix}{name}'
    try:
      status = os.stat(path)
    except OSError as error:
      yield LeftOut(relative, f'cannot be read: {error.strerror}', is_lost=True)
      continue
    if stat.S_ISDIR(status.st_mode):
      if (status.st_dev, status.st_ino) in above:
        yield LeftOut(relative, 'a symbolic link to a folder that it lies in')
      else:
        yield from _walk_folder(path, f'{relative}/', above)
    elif not stat.S_ISREG(status.st_mode):
      yield LeftOut(relative, 'not a regular file')
    elif is_archive(path):
      yield from _prefixed(_walk_archive(path), _without_suffix(relative))
    else:
      yield Member(relative, path, 0, status.st_size, status.st_mtime_ns,
                   f'{status.st_dev}/{status.st_ino}')


def _walk_remote_folder(folder: str, prefix: str, above: tuple[()]
                        ) -> Iterator[Member | LeftOut]:
  for name in storage.list_names(folder):
    path = f'{folder.rstrip("/")}/{name}'
    if storage.is_folder(path):
      yield from _walk_remote_folder(path, f'{prefix}{name}/', above)
    elif is_archive(path):
      yield from _prefixed(
          _walk_archive(path), _without_suffix(f'{prefix}{name}'))
    else:
      yield Member(f'{prefix}{name}', path, 0, storage.file_size(path))


def _walk_archive(path: str) -> Iterator[Member | LeftOut]:
  try:
    with storage.open_binary(path) as file:
      size = file.seek(0, os.SEEK_END)
      file.seek(0)
      if file.read(2) == _GZIP:
        raise ValueError(f'{path} is compressed with gzip. Extract it and give '
                         'the folder.')
      modified = 0 if storage.is_remote(path) else os.stat(path).st_mtime_ns
      for found in _read_archive(file, path, path, 0, size):
        yield (dataclasses.replace(found, modified=modified)
               if isinstance(found, Member) else found)
  except OSError as error:
    raise ValueError(f'{path} cannot be read: {error}') from error


def _read_archive(file: BinaryIO, path: str, name: str, start: int, size: int
                  ) -> Iterator[Member | LeftOut]:
  """Reads the headers of an archive that lies in a file.

  Args:
    file: the file, open.
    path: its path.
    name: what the archive is called in errors.
    start: where the archive begins in the file, bytes.
    size: its length, bytes.

  Yields:
    Its files, those of archives in it included.

  Raises:
    ValueError: if the archive is damaged or truncated: then nobody knows how
      many images are missing.
  """
  end = start + size
  file.seek(start)
  try:
    archive = tarfile.open(fileobj=file, mode='r:')
    while True:
      entry = archive.next()
      if entry is None or entry.offset >= end:
        break
      # Or it keeps every header that it has read.
      archive.members.clear()
      if entry.offset_data + (entry.size if entry.isfile() else 0) > end:
        raise tarfile.ReadError('it is truncated')
      yield from _archive_entry(file, path, name, entry)
  except (tarfile.TarError, EOFError) as error:
    raise ValueError(
        f'{name} is damaged after byte {file.tell() - start} of {size}: '
        f'{error}. Download it again.') from error
  # tarfile takes a header that it cannot read for the end.
  file.seek(archive.offset)
  if archive.offset >= end or file.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
    raise ValueError(
        f'{name} is damaged: at byte {archive.offset - start} of {size} there '
        'is neither a file nor the end of the archive. Download it again.')


def _archive_entry(file: BinaryIO, path: str, archive_name: str,
                   entry: tarfile.TarInfo) -> Iterator[Member | LeftOut]:
  """Returns what an entry of an archive is."""
  if entry.isdir():
    return
  name = posixpath.normpath(entry.name)
  if name.startswith(('/', '../')) or name == '..':
    yield LeftOut(entry.name, 'its path leads out of the archive', is_lost=True)
  elif entry.issym() or entry.islnk():
    yield LeftOut(name, f'a link to {entry.linkname}', is_lost=True)
  elif not entry.isreg() or entry.issparse():
    yield LeftOut(name, 'not a regular file')
  elif name.lower().endswith('.tar'):
    yield from _prefixed(
        _read_archive(file, path, f'{name} in {archive_name}',
                      entry.offset_data, entry.size), _without_suffix(name))
  else:
    yield Member(name, path, entry.offset_data, entry.size)


def _prefixed(members: Iterator[Member | LeftOut], folder: str
              ) -> Iterator[Member | LeftOut]:
  for member in members:
    yield dataclasses.replace(member, path=f'{folder}/{member.path}')


def _without_suffix(path: str) -> str:
  return path[:-len('.tar')]
