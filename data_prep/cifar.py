"""CIFAR-10 and CIFAR-100 from the archives that their authors publish.

https://www.cs.toronto.edu/~kriz/cifar.html, the "python" and the "binary"
version. The pixels go, bare, to a file, where every image has its place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import os
import pickle
import tarfile
import zlib

import numpy as np

from . import storage

SHAPE = (3, 32, 32)
IMAGE_BYTES = 3 * 32 * 32
NUM_IMAGES = 60_000
SUFFIX = '.jpg'
_BLOCK_BYTES = 2**20


@dataclasses.dataclass(frozen=True)
class Version:
  """What is in one of the archives.

  Attributes:
    name: of the data set.
    num_classes: of its (fine) labels.
    is_pickled: the "python" version; else the "binary" one.
    batches: split by the name of a batch.
    class_names_file: the file of class names.
  """
  name: str
  num_classes: int
  is_pickled: bool
  batches: dict[str, str]
  class_names_file: str


@dataclasses.dataclass(frozen=True)
class Pixels:
  """An image whose pixels were written.

  Attributes:
    split: 'train' or 'validation'.
    name: a file name for it.
    label: class index.
    offset: of its pixels in the file, bytes.
  """
  split: str
  name: str
  label: int
  offset: int


_TEN_BATCHES = {f'data_batch_{number}': 'train' for number in range(1, 6)}
_VERSIONS = {
    'cifar-10-python.tar.gz': Version(
        'CIFAR-10', 10, True, {**_TEN_BATCHES, 'test_batch': 'validation'},
        'batches.meta'),
    'cifar-10-binary.tar.gz': Version(
        'CIFAR-10', 10, False,
        {**{f'{name}.bin': split for name, split in _TEN_BATCHES.items()},
         'test_batch.bin': 'validation'}, 'batches.meta.txt'),
    'cifar-100-python.tar.gz': Version(
        'CIFAR-100', 100, True, {'train': 'train', 'test': 'validation'},
        'meta'),
    'cifar-100-binary.tar.gz': Version(
        'CIFAR-100', 100, False,
        {'train.bin': 'train', 'test.bin': 'validation'},
        'fine_label_names.txt'),
}


def version_of(path: str) -> Version | None:
  """Says which archive of CIFAR a path names, or None."""
  return _VERSIONS.get(os.path.basename(path))


def extract(path: str, pixels_path: str) -> tuple[list[Pixels], list[str]]:
  """Writes the pixels of an archive to a file.

  Args:
    path: the archive, under the name it is published by.
    pixels_path: the file: uint8 [num_images, 3, 32, 32].

  Returns:
    The images, and the class names.

  Raises:
    ValueError: if the archive is damaged, or not what its name says.
  """
  version = version_of(path)
  images, class_names, offset = [], [], 0
  remaining = {*version.batches, version.class_names_file}
  try:
    with contextlib.ExitStack() as stack:
      # Not tarfile's own mode for gzip, which does not compare the checksum.
      file = stack.enter_context(gzip.GzipFile(
          fileobj=stack.enter_context(storage.open_binary(path))))
      archive = stack.enter_context(tarfile.open(fileobj=file, mode='r|'))
      pixels = stack.enter_context(open(pixels_path, 'wb'))
      for entry in archive:
        name = os.path.basename(entry.name)
        if not entry.isfile() or name not in remaining:
          continue
        remaining.remove(name)
        content = archive.extractfile(entry).read()
        if name == version.class_names_file:
          class_names = _class_names(version, content)
          continue
        batch, labels = _read_batch(version, content)
        pixels.write(batch.tobytes())
        # The same names, and so the same records, from both versions.
        stem = name.removesuffix('.bin')
        for row, label in zip(range(len(batch)), labels, strict=True):
          images.append(Pixels(
              version.batches[name], f'{stem}_{row:05d}{SUFFIX}', int(label),
              offset))
          offset += IMAGE_BYTES
      while file.read(_BLOCK_BYTES):
        pass  # To the end, where the checksum is.
  except (tarfile.TarError, OSError, EOFError, KeyError, ValueError, TypeError,
          AttributeError, zlib.error, pickle.UnpicklingError) as error:
    if isinstance(error, OSError) and error.errno:
      raise  # Not the archive's fault: a full disk, say.
    raise ValueError(
        f'{path} is damaged: {error}. Download it again.') from error
  if remaining:
    raise ValueError(
        f'{path} holds no {min(remaining)}. Download it again.')
  unexpected = {image.label for image in images} - set(
      range(version.num_classes))
  if unexpected or len(class_names) != version.num_classes:
    raise ValueError(
        f'{path} has {len(class_names)} class names and labels up to '
        f'{max(image.label for image in images)}; expected '
        f'{version.num_classes} classes. Download it again.')
  return images, class_names


def _read_batch(version: Version, content: bytes
                ) -> tuple[np.ndarray, list[int]]:
  """Returns pixels, uint8 [N, 3072], and labels of a batch."""
  if version.is_pickled:
    batch = _unpickle(content)
    labels = batch['labels' if version.num_classes == 10 else 'fine_labels']
    return np.asarray(batch['data'], np.uint8).reshape(-1, IMAGE_BYTES), labels
  # CIFAR-100 has the coarse label first, then the fine one.
  label_bytes = 1 if version.num_classes == 10 else 2
  rows = np.frombuffer(content, np.uint8).reshape(-1, label_bytes + IMAGE_BYTES)
  return rows[:, label_bytes:], rows[:, label_bytes - 1].tolist()


def _class_names(version: Version, content: bytes) -> list[str]:
  if not version.is_pickled:
    return content.decode().split()
  meta = _unpickle(content)
  return meta['label_names' if version.num_classes == 10
              else 'fine_label_names']


class _ArraysOnly(pickle.Unpickler):
  """Reads lists, texts and NumPy arrays; a pickle can call anything else."""

  def find_class(self, module: str, name: str):
    if (module, name) == ('_codecs', 'encode'):
      return super().find_class(module, name)
    if name in ('_reconstruct', 'ndarray', 'dtype') and module in (
        'numpy', 'numpy.core.multiarray', 'numpy._core.multiarray'):
      if name == '_reconstruct':
        return np.ndarray.__reduce__(np.empty(0))[0]
      return getattr(np, name)
    raise pickle.UnpicklingError(f'{module}.{name} is not expected in CIFAR')


def _unpickle(content: bytes) -> dict:
  # Written by Python 2: its texts are bytes, as is the arrays' data.
  loaded = _ArraysOnly(io.BytesIO(content), encoding='bytes').load()
  return {_text(key): [_text(item) for item in value]
          if isinstance(value, list) else value
          for key, value in loaded.items()}


def _text(value):
  return value.decode() if isinstance(value, bytes) else value
