"""Every image of a conversion, in a temporary database on disk.

ImageNet-21k has 14 million images: their names do not fit into memory beside
everything else, so SQLite keeps and sorts them. The database has no name; it
is gone when the process is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import concurrent.futures
import dataclasses
import hashlib
import itertools
import os
import sqlite3

from . import containers
from . import wording

_CACHE_KIB = 64 * 1024
_BATCH = 10_000
_READERS = 16

_TABLES = """
CREATE TABLE folders (
  id INTEGER PRIMARY KEY, path TEXT UNIQUE, num_images INTEGER DEFAULT 0);
-- An archive, or the folder on disk that holds files; those have no offset.
CREATE TABLE places (id INTEGER PRIMARY KEY, path BLOB UNIQUE);
CREATE TABLE images (
  folder INTEGER, name BLOB, place INTEGER, offset INTEGER, size INTEGER,
  modified INTEGER, file_id TEXT, split TEXT, label INTEGER, key BLOB,
  mask_name BLOB, mask_place INTEGER, mask_offset INTEGER,
  mask_size INTEGER DEFAULT 0, mask_modified INTEGER,
  UNIQUE (folder, name));
-- Of images that may be held out.
CREATE TABLE digests (image INTEGER, digest BLOB);
CREATE INDEX by_digest ON digests (digest);
CREATE TABLE left_out (path BLOB, reason TEXT, is_lost INTEGER);
CREATE TABLE duplicates (
  folder INTEGER, name BLOB, place INTEGER, other INTEGER);
-- Within an archive the later file is meant, as by `tar -x`.
CREATE TRIGGER replaced BEFORE INSERT ON images
WHEN EXISTS (SELECT 1 FROM images WHERE folder = NEW.folder AND name = NEW.name)
BEGIN
  INSERT INTO duplicates SELECT folder, name, place, NEW.place FROM images
  WHERE folder = NEW.folder AND name = NEW.name AND place != NEW.place;
  INSERT INTO left_out
  SELECT CAST(path || '/' || NEW.name AS BLOB),
         'replaced by a later file of the same name', 0
  FROM folders WHERE id = NEW.folder;
END;
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
  """An image of the plan.

  Attributes:
    name: its file's name, without folders.
    file: the file that holds its bytes.
    offset: where they begin in it.
    size: how many they are.
    label: its class index, or `records.NO_LABEL`.
    modified: when the file was modified, nanoseconds; 0 if unknown.
    mask_file: of an image with a mask, the file that holds that; else ''.
    mask_offset: where its bytes begin.
    mask_size: how many they are.
    mask_modified: when that file was modified.
  """
  name: str
  file: str
  offset: int
  size: int
  label: int
  modified: int = 0
  mask_file: str = ''
  mask_offset: int = 0
  mask_size: int = 0
  mask_modified: int = 0


class ImageIndex:
  """The images that were found, and what was left out."""

  def __init__(self):
    # An empty name: a database on disk that SQLite removes by itself.
    self._database = sqlite3.connect('')
    self._database.executescript(
        f'PRAGMA journal_mode = OFF; PRAGMA cache_size = -{_CACHE_KIB};'
        + _TABLES)
    self._folder_ids = {}
    self._place_ids = {}
    self._pending = []

  def add(self, member: containers.Member) -> None:
    """Adds an image; one of the same path is replaced, as by `tar -x`.

    Args:
      member: the image.

    Raises:
      ValueError: if its folder's name is no UTF-8.
    """
    folder, _, name = member.path.rpartition('/')
    try:
      folder.encode()
    except UnicodeEncodeError:
      raise ValueError(
          f'the name of the folder {os.fsencode(folder)!r} is not UTF-8. '
          'Rename it.') from None
    place, offset = member.file, member.offset
    if not offset and os.path.basename(place) == name:
      place, offset = os.path.dirname(place), None
    self._pending.append((
        self._id('folders', self._folder_ids, folder), os.fsencode(name),
        self._id('places', self._place_ids, os.fsencode(place)), offset,
        member.size, member.modified, member.file_id))
    if len(self._pending) >= _BATCH:
      self._flush()

  def leave_out(self, path: str, reason: str, is_lost: bool) -> None:
    """Notes what does not become a record; lost is what may be an image."""
    self._database.execute(
        'INSERT INTO left_out VALUES (?, ?, ?)',
        (os.fsencode(path), reason, is_lost))

  def left_out(self, is_lost: bool) -> Iterator[tuple[str, str]]:
    """Yields path and reason of what was left out, in order of the paths."""
    for path, reason in self._database.execute(
        'SELECT path, reason FROM left_out WHERE is_lost = ? '
        'ORDER BY path, reason', (is_lost,)):
      yield os.fsdecode(path), reason

  def num_left_out(self, is_lost: bool) -> int:
    """Returns how many `left_out` yields."""
    return self._database.execute(
        'SELECT count(*) FROM left_out WHERE is_lost = ?',
        (is_lost,)).fetchone()[0]

  def folders(self) -> dict[str, str]:
    """Returns a name of an image by the folder that holds images, sorted."""
    self._flush()
    return {folder: os.fsdecode(name) for folder, name in
            self._database.execute(
                'SELECT path, min(name) FROM images '
                'JOIN folders ON folders.id = folder '
                'GROUP BY folder ORDER BY path')}

  def assign(self, folder: str, split: str,
             label: int | Callable[[str], int]) -> None:
    """Puts the images of a folder into a split.

    Args:
      folder: the folder's path.
      split: such as 'train'.
      label: of its images, or a function from a file's name to its label.
    """
    self._flush()
    folder_id = self._folder_ids[folder]
    if not callable(label):
      self._database.execute(
          'UPDATE images SET split = ?, label = ? WHERE folder = ?',
          (split, label, folder_id))
      return
    names = self._database.execute(
        'SELECT name FROM images WHERE folder = ?', (folder_id,)).fetchall()
    self._database.executemany(
        'UPDATE images SET split = ?, label = ? WHERE folder = ? AND name = ?',
        ((split, label(os.fsdecode(name)), folder_id, name)
         for name, in names))

  def names(self, folder: str) -> list[str]:
    """Returns the names of the images of a folder, sorted."""
    self._flush()
    return [os.fsdecode(name) for name, in self._database.execute(
        'SELECT name FROM images WHERE folder = ? ORDER BY name',
        (self._folder_ids[folder],))]

  def pair(self, folder: str, mask_folder: str,
           rows: Iterable[tuple[str, str, str]], label: int) -> None:
    """Gives images of a folder a mask, a split and a label each.

    Args:
      folder: of the images.
      mask_folder: of the masks.
      rows: names of an image and of its mask, and their split.
      label: of all of them.
    """
    folder_id, mask_id = (self._folder_ids[path]
                          for path in (folder, mask_folder))
    self._database.executemany("""
        UPDATE images SET split = ?, label = ?,
          (mask_name, mask_place, mask_offset, mask_size, mask_modified) = (
            SELECT name, place, offset, size, modified FROM images
            WHERE folder = ? AND name = ?)
        WHERE folder = ? AND name = ?""", (
            (split, label, mask_id, os.fsencode(mask), folder_id,
             os.fsencode(image)) for image, mask, split in rows))

  def discard_unpaired(self, folder: str) -> None:
    """Forgets the files of a folder that have no mask: masks, and the lost."""
    self._database.execute(
        'DELETE FROM images WHERE folder = ? AND mask_name IS NULL',
        (self._folder_ids[folder],))

  def shuffle(self, seed: int) -> None:
    """Gives every image its place in the order of its split.

    The place depends on seed, label and name alone: not on the order of the
    files on disk, nor on whether they lie in an archive.

    Args:
      seed: another one gives another order.
    """
    def key(label, name):
      return hashlib.blake2b(
          b'%d/%d/%s' % (seed, label, name), digest_size=16).digest()
    self._database.create_function('shuffled', 2, key, deterministic=True)
    self._database.executescript("""
        UPDATE images SET key = shuffled(label, name);
        CREATE UNIQUE INDEX place ON images (split, key, folder);
    """)

  def duplicates(self) -> tuple[str, str] | None:
    """Returns two images of one split, class and name, or None.

    They come from different inputs, or from different folders of a class.
    """
    row = self._database.execute("""
        SELECT name, a.path, b.path FROM duplicates
        JOIN places a ON a.id = place
        JOIN places b ON b.id = other
        UNION ALL
        SELECT a_image.name, a.path, b.path
        FROM images a_image JOIN images b_image
          ON a_image.split = b_image.split AND a_image.key = b_image.key
          AND a_image.folder < b_image.folder
        JOIN folders a ON a.id = a_image.folder
        JOIN folders b ON b.id = b_image.folder LIMIT 1
    """).fetchone()
    if not row:
      return None
    name, *folders = (
        part if isinstance(part, str) else os.fsdecode(part) for part in row)
    return tuple(f'{folder}/{name}' for folder in folders)

  def linked(self, splits_alone: bool = False) -> Iterator[str]:
    """Yields a note for each way that files are taken more than once.

    To be called once splits and labels are assigned.

    Args:
      splits_alone: whether only files in several splits are told.

    Yields:
      How many are, by symbolic or hard links, and two paths of one file.
    """
    for splits, labels, count, *paths in self._database.execute("""
        SELECT splits, labels, count(*), first, last FROM (
          SELECT min(path) first, max(path) last,
                 count(DISTINCT split) > 1 splits,
                 count(DISTINCT label) > 1 labels
          FROM (SELECT CAST(path || '/' || name AS BLOB) path, split, label,
                       file_id
                FROM images JOIN folders ON folders.id = folder
                WHERE file_id != '')
          GROUP BY file_id HAVING count(*) > 1)
        GROUP BY splits, labels ORDER BY splits DESC, labels DESC"""):
      if splits_alone and not splits:
        continue
      where = (
          'in several splits, so a model is tested on what it has learned'
          if splits else 'in several classes, and get the label of each'
          if labels else 'in one class more than once')
      files = wording.counted(count, 'file is', 'files are')
      first, last = map(os.fsdecode, paths)
      yield f'by links {files} {where}, such as {first!r} and {last!r}'

  def places(self) -> list[str]:
    """Returns the folders on disk and archives that images lie in."""
    self._flush()
    return [os.fsdecode(place) for place, in self._database.execute(
        'SELECT path FROM places ORDER BY path')]

  def digest(self, function: Callable[[Image], bytes | None]) -> None:
    """Gives the images of 'train' a digest each, by which they are held out.

    Args:
      function: returns the digest of an image; None: it gets none. Called in
        several threads, since on a store each reading takes long.
    """
    rows = self._database.execute(
        'SELECT images.rowid, name, path, offset, size, label, modified '
        "FROM images JOIN places ON places.id = place WHERE split = 'train'")
    with concurrent.futures.ThreadPoolExecutor(_READERS) as executor:
      while batch := rows.fetchmany(_BATCH):
        numbers, images = zip(*((row[0], _image(*row[1:])) for row in batch))
        self._database.executemany(
            'INSERT INTO digests VALUES (?, ?)',
            zip(numbers, executor.map(function, images)))

  def digests(self) -> Iterator[tuple[bytes, dict[int, int]]]:
    """Yields the digests in their order, each with its images by label."""
    rows = self._database.execute("""
        SELECT digest, label, count(*) FROM images
        JOIN digests ON images.rowid = image
        WHERE digest IS NOT NULL GROUP BY digest, label ORDER BY digest""")
    for digest, of_digest in itertools.groupby(rows, lambda row: row[0]):
      yield digest, {label: count for _, label, count in of_digest}

  def hold_out(self, digests: Iterable[bytes]) -> None:
    """Moves the images of digests from 'train' to 'validation'."""
    self._database.executemany("""
        UPDATE images SET split = 'validation' WHERE rowid IN (
          SELECT image FROM digests WHERE digest = ?)""",
        ((digest,) for digest in digests))

  def totals(self) -> dict[str, tuple[int, int]]:
    """Returns the number of images and of bytes by split."""
    self._flush()
    return {split: (count, size) for split, count, size in
            self._database.execute(
                'SELECT split, count(*), sum(size + mask_size) FROM images '
                'GROUP BY split ORDER BY split')}

  def class_counts(self, split: str) -> dict[int, int]:
    """Returns the number of images by label in a split."""
    return dict(self._database.execute(
        'SELECT label, count(*) FROM images WHERE split = ? GROUP BY label',
        (split,)))

  def ordered(self, split: str) -> Iterator[Image]:
    """Yields the images of a split in their shuffled order."""
    for row in self._database.execute(
        'SELECT name, places.path, offset, size, label, modified, mask_name, '
        'mask.path, mask_offset, mask_size, mask_modified FROM images '
        'JOIN places ON places.id = place '
        'LEFT JOIN places AS mask ON mask.id = mask_place '
        'WHERE split = ? ORDER BY key', (split,)):
      yield _image(*row)

  def close(self) -> None:
    """Gives the disk space back."""
    self._database.close()

  def _id(self, table: str, known: dict, path: str | bytes) -> int:
    """Returns the number of a folder or file; a new one is noted."""
    if path not in known:
      known[path] = self._database.execute(
          f'INSERT INTO {table} (path) VALUES (?)', (path,)).lastrowid
    return known[path]

  def _flush(self) -> None:
    if self._pending:
      self._database.executemany(
          'INSERT OR REPLACE INTO images '
          '(folder, name, place, offset, size, modified, file_id) '
          'VALUES (?, ?, ?, ?, ?, ?, ?)', self._pending)
      self._pending.clear()


def _image(name: bytes, place: bytes, offset: int | None, size: int,
           label: int, modified: int, mask_name: bytes | None = None,
           mask_place: bytes = b'', mask_offset: int | None = 0,
           mask_size: int = 0, mask_modified: int = 0) -> Image:
  """Returns the image of a row."""
  file, offset = _file(name, place, offset)
  image = Image(os.fsdecode(name), file, offset, size, label, modified)
  if mask_name is None:
    return image
  return dataclasses.replace(image, **dict(zip(
      ('mask_file', 'mask_offset'), _file(mask_name, mask_place, mask_offset))),
                             mask_size=mask_size, mask_modified=mask_modified)


def _file(name: bytes, place: bytes, offset: int | None) -> tuple[str, int]:
  """Returns file and offset; without an offset the place is a folder."""
  file = os.fsdecode(place)
  return (os.path.join(file, os.fsdecode(name)), 0) if offset is None else (
      file, offset)
