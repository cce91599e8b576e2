"""The classes of ImageNet, and the lists that label its validation images.

Labels are 1..1000 in the order of the sorted synsets (0 is background), the
convention of Model Garden's ImageNet experiments. The devkit numbers the
classes otherwise; its meta.mat says which is which.
"""

from __future__ import annotations

import io
import os
import pathlib
import re
import tarfile

from . import containers
from . import storage

NUM_VALIDATION = 50_000
SYNSETS = tuple(pathlib.Path(__file__).with_name(
    'imagenet_synsets.txt').read_text(encoding='utf-8').split())

_SYNSET = re.compile(r'n\d{8}')
_FLAT_IMAGE = re.compile(r'ILSVRC2012_(val|test)_(\d{8})\.\w+')
_GROUND_TRUTH = 'ILSVRC2012_validation_ground_truth.txt'
_META = 'meta.mat'
# Of Tiny-ImageNet.
ANNOTATIONS = 'val_annotations.txt'
_KAGGLE = 'LOC_val_solution.csv'
_DEVKIT = 'ILSVRC2012_devkit_t12.tar.gz'
_FIX = (
    'Put each class into a folder of its own; of ImageNet, give '
    '--validation_labels=PATH: the devkit (ILSVRC2012_devkit_t12.tar.gz), '
    'LOC_val_solution.csv, or a text file whose line i is the synset of '
    'validation image i.')


def is_synset(name: str) -> bool:
  """Says whether a name is a WordNet identifier, such as n01440764."""
  return bool(_SYNSET.fullmatch(name))


def flat_split(file_name: str) -> str | None:
  """Returns the split that an image's name tells, or None.

  Args:
    file_name: such as ILSVRC2012_val_00000001.JPEG.

  Returns:
    'validation' or 'test', for the two splits that have no class folders.
  """
  match = _FLAT_IMAGE.fullmatch(file_name)
  return {'val': 'validation', 'test': 'test'}[match[1]] if match else None


def read_validation_labels(path: str) -> dict[str, str]:
  """Reads a list that labels the validation images.

  Args:
    path: the devkit, its folder or its ground truth, Kaggle's
      LOC_val_solution.csv, or a text file with one synset per line.

  Returns:
    Synset by the stem of the image, such as ILSVRC2012_val_00000001.

  Raises:
    ValueError: if it is none of these.
  """
  if storage.is_folder(path):
    for folder in (path, f'{path}/data'):
      if storage.exists(f'{folder}/{_GROUND_TRUTH}'):
        return read_validation_labels(f'{folder}/{_GROUND_TRUTH}')
    raise ValueError(
        f'--validation_labels: {path} holds no {_GROUND_TRUTH}. {_FIX}')
  if not storage.exists(path):
    raise ValueError(f'--validation_labels: {path} does not exist.')
  content = storage.read_bytes(path)
  if path.endswith(('.tar.gz', '.tgz')):
    return _from_devkit(content, path)
  try:
    text = content.decode('utf-8-sig')
  except UnicodeDecodeError:
    raise ValueError(
        f'--validation_labels: {path} is not a text file. {_FIX}') from None
  if text.startswith('ImageId'):
    return _from_kaggle(text, path)
  lines = text.split()
  if lines and all(line.isdigit() for line in lines):
    meta = f'{path.rpartition("/")[0] or "."}/{_META}'
    if not storage.exists(meta):
      raise ValueError(
          f'--validation_labels: {path} numbers the classes as the devkit '
          f'does, which {_META} explains; put it beside the list. {_FIX}')
    return _from_ground_truth(lines, storage.read_bytes(meta), path)
  return _numbered(lines, path)


def find_validation_labels(lists: dict[str, containers.Member]
                           ) -> dict[str, str] | None:
  """Reads the list of validation labels that came with the data.

  Args:
    lists: the lists that were met, by name.

  Returns:
    Synset by the stem of the image; None if there is no such list.
  """
  if ANNOTATIONS in lists:
    labels = _from_annotations(_decode(lists[ANNOTATIONS]))
    if labels:
      return labels
  if _DEVKIT in lists:
    return _from_devkit(lists[_DEVKIT].read(), lists[_DEVKIT].file)
  if _GROUND_TRUTH in lists and _META in lists:
    return _from_ground_truth(
        _decode(lists[_GROUND_TRUTH]).split(), lists[_META].read(),
        _GROUND_TRUTH)
  if _KAGGLE in lists:
    return _from_kaggle(_decode(lists[_KAGGLE]), _KAGGLE)
  return None


def read_class_names(text: str) -> dict[str, str]:
  """Reads a list of synsets and their names.

  Args:
    text: per line a synset, space and names, such as 'n01440764 tench, Tinca
      tinca'.

  Returns:
    The names by synset.
  """
  pairs = (line.split(None, 1) for line in text.splitlines())
  return {pair[0]: pair[1].strip() for pair in pairs
          if len(pair) == 2 and is_synset(pair[0])}


def missing_labels(name: str) -> str:
  """Returns the error for validation images that no list labels."""
  return f'{name} and its like lie in no class folder. {_FIX}'


def _from_annotations(text: str) -> dict[str, str]:
  """Reads lines of file name, synset and a box, separated by tabs."""
  rows = (line.split('\t') for line in text.splitlines() if line.strip())
  return {os.path.splitext(row[0])[0]: row[1] for row in rows if len(row) >= 2}


def _from_devkit(content: bytes, path: str) -> dict[str, str]:
  wanted = {}
  try:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
      for entry in archive:
        name = entry.name.rpartition('/')[2]
        if entry.isfile() and name in (_GROUND_TRUTH, _META):
          wanted[name] = archive.extractfile(entry).read()
  except (tarfile.TarError, OSError, EOFError) as error:
    raise ValueError(
        f'{path} is damaged: {error}. Download it again.') from error
  missing = {_GROUND_TRUTH, _META} - set(wanted)
  if missing:
    raise ValueError(
        f'{path} holds no {" and no ".join(sorted(missing))}. {_FIX}')
  return _from_ground_truth(
      wanted[_GROUND_TRUTH].decode(errors='replace').split(), wanted[_META],
      path)


def _from_ground_truth(lines: list[str], meta: bytes, path: str
                       ) -> dict[str, str]:
  # Only here, so that those who convert something else do not wait for it.
  from scipy import io as scipy_io  # pylint: disable=g-import-not-at-top
  try:
    table = scipy_io.loadmat(
        io.BytesIO(meta), squeeze_me=True, struct_as_record=True)['synsets']
    synsets = {int(number): str(synset) for number, synset in zip(
        table['ILSVRC2012_ID'], table['WNID'])}
    unknown = sorted({line for line in lines if int(line) not in synsets})
  # SciPy raises whatever a damaged file leads it to.
  except Exception as error:  # pylint: disable=broad-except
    raise ValueError(
        f'{path}: the ground truth or {_META} is damaged ({error}). Download '
        'the devkit again.') from error
  if unknown:
    raise ValueError(f'{path} names class {unknown[0]}, which {_META} lacks.')
  return _numbered([synsets[int(line)] for line in lines], path)


def _from_kaggle(text: str, path: str) -> dict[str, str]:
  labels = {}
  for line in text.splitlines()[1:]:
    name, _, prediction = line.partition(',')
    words = prediction.split()
    if not words or not is_synset(words[0]):
      raise ValueError(
          f'{path}: the line {line!r} names no synset; expected such as '
          "'ILSVRC2012_val_00048981,n03995372 85 1 499 272'.")
    labels[name] = words[0]
  return labels


def _numbered(synsets: list[str], path: str) -> dict[str, str]:
  """Labels validation image i with the synset on line i."""
  unexpected = sorted(set(synsets) - set(SYNSETS))
  if unexpected or not synsets:
    raise ValueError(
        f'--validation_labels: {path} '
        + (f'names {unexpected[0]!r}, which is no synset of ImageNet.'
           if unexpected else 'is empty.') + f' {_FIX}')
  if len(synsets) != NUM_VALIDATION:
    raise ValueError(
        f'--validation_labels: {path} labels {len(synsets)} images; ImageNet '
        f'has {NUM_VALIDATION} validation images. {_FIX}')
  return {f'ILSVRC2012_val_{number:08d}': synset
          for number, synset in enumerate(synsets, start=1)}


def _decode(member: containers.Member) -> str:
  """Returns a list as text; what is no UTF-8 shows as such in the errors."""
  return member.read().decode('utf-8-sig', errors='replace')
