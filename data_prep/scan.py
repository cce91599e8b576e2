"""Finds the images among the files of the inputs; reads no image.

Stray files are left out by name: those that systems leave behind, and lists.
A file of an unknown kind is looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import os
import posixpath

from . import containers
from . import image_index
from . import images
from . import storage

# The latter are images that cannot be converted: they are missed, not left out.
_IMAGE_SUFFIXES = frozenset({
    '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.gif', '.bmp', '.webp', '.tif',
    '.tiff',
    '.heic', '.heif', '.avif', '.jp2', '.j2k', '.jxl', '.psd', '.dng', '.cr2',
    '.nef', '.arw', '.tga', '.ppm', '.pgm', '.pbm', '.ico', '.exr', '.hdr'})
# Of systems and tools, many with copies or thumbnails of the images. Any other
# folder may be a class, one that begins with a dot too.
_STRAY_FOLDERS = frozenset({
    '__macosx', '@eadir', '.@__thumb', '.appledouble', '.bzr', '.cache',
    '.comments', '.documentrevisions-v100', '.dropbox.cache', '.dvc',
    '.fseventsd', '.git', '.hg', '.idea', '.ipynb_checkpoints',
    '.picasaoriginals', '.snapshot', '.snapshots', '.spotlight-v100',
    '.stfolder', '.stversions', '.svn', '.sync', '.temporaryitems', '.thumb',
    '.thumbnails', '.tmp', '.trash', '.trashes', '.venv', '.vscode',
    '.xvpics', '.zfs'})
_STRAY_FOLDER_START = '.trash-'
_STRAY_NAMES = frozenset({
    'thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r', 'readme', 'license',
    'makefile'})
_STRAY_SUFFIXES = frozenset({
    '.txt', '.csv', '.tsv', '.xml', '.json', '.jsonl', '.md', '.yaml', '.yml',
    '.html', '.htm', '.log', '.pdf', '.py', '.sh', '.mat', '.npy', '.npz',
    '.pkl', '.db', '.ini', '.url', '.lnk', '.rst', '.lock', '.m', '.md5',
    '.sha256', '.bak'})
# Of an editor, the image before its last change.
_BACKUP_END = '~'
_SIGNATURE_BYTES = 16
_REPORT_EVERY = 1000

# Lists that data sets bring along, by their names.
LISTS = (
    'val_annotations.txt', 'words.txt', 'synset_words.txt', 'synsets.tsv',
    'LOC_synset_mapping.txt', 'LOC_val_solution.csv',
    'ILSVRC2012_validation_ground_truth.txt', 'meta.mat',
    'ILSVRC2012_devkit_t12.tar.gz')


def list_name(path: str) -> str:
  """Returns under which name a list of a data set is kept, or ''."""
  name = posixpath.basename(path)
  return name if name in LISTS else ''


def scan(inputs: Sequence[tuple[str, str]], index: image_index.ImageIndex,
         report: Callable[[int], None] = lambda num_images: None,
         name_list: Callable[[str], str] = list_name,
         read: Sequence[str] = (),
         reads_list: Callable[[str], bool] = lambda name: False
         ) -> dict[str, containers.Member]:
  """Puts every image of the inputs into the index.

  Args:
    inputs: (name, path) of folders and archives; the name is that of the
      folder that the input's files are put into.
    index: where they go.
    report: called with the number of images so far.
    name_list: tells the lists, as `list_name` does.
    read: paths of files that are read by themselves, so that they are not left
      out where they lie among the images.
    reads_list: tells which of the lists are not left out: the caller reads
      them, or leaves them out itself.

  Returns:
    The lists that were met, by name.

  Raises:
    ValueError: if an input is neither folder nor archive, or an archive is
      damaged.
  """
  lists = {}
  num_images = 0
  is_read = set(map(_place, read))
  for folder, path in inputs:
    for found in containers.walk(path):
      full_path = f'{folder}/{found.path}'
      name = name_list(full_path)
      if name and isinstance(found, containers.Member):
        lists.setdefault(name, found)
      if isinstance(found, containers.LeftOut):
        is_lost = found.is_lost and not _stray_reason(found.path)
        index.leave_out(full_path, found.reason, is_lost)
        continue
      reason = why_left_out(found)
      if reason and ((name and reads_list(name)) or
                     (is_read and _place(found.file) in is_read)):
        continue
      if reason:
        index.leave_out(full_path, reason, is_lost=False)
        continue
      index.add(dataclasses.replace(found, path=full_path))
      num_images += 1
      if num_images % _REPORT_EVERY == 0:
        report(num_images)
  report(num_images)
  return lists


def why_left_out(member: containers.Member) -> str:
  """Says why a file is not taken for an image.

  Args:
    member: the file.

  Returns:
    The reason in a few words, or '' if it is meant to be an image.
  """
  return _stray_reason(member.path) or _content_reason(member)


def _place(path: str) -> str:
  return path if storage.is_remote(path) else os.path.realpath(path)


def _stray_reason(path: str) -> str:
  """Says why a file is left out by its name, or ''."""
  parts = path.split('/')
  if parts[-1].startswith('.'):
    return 'hidden'
  if parts[-1].lower() in _STRAY_NAMES or any(
      part.lower() in _STRAY_FOLDERS or
      part.lower().startswith(_STRAY_FOLDER_START) for part in parts):
    return 'left behind by a system or a tool'
  if parts[-1] in LISTS:
    return 'a list that comes with the data set'
  if parts[-1].lower().startswith('cifar-10') and parts[-1].endswith('.gz'):
    return 'CIFAR: give it as --input, under the name it is published by'
  if path.lower().endswith(containers.COMPRESSED):
    return 'a compressed file: extract it if it holds images'
  if path.endswith(_BACKUP_END):
    return 'a backup copy'
  suffix = os.path.splitext(path)[1].lower()
  if suffix in _STRAY_SUFFIXES:
    return f'a {suffix} file'
  return ''


def _content_reason(member: containers.Member) -> str:
  """Says why a file of an unknown kind is left out by its content, or ''."""
  if os.path.splitext(member.path)[1].lower() in _IMAGE_SUFFIXES:
    return ''
  try:
    start = storage.read_range(
        member.file, member.offset, min(member.size, _SIGNATURE_BYTES))
  except OSError:
    return ''  # The attempt to convert it says why.
  return '' if images.looks_like_image(start) else 'not an image by its content'
