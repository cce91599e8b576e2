"""Makes small data sets in the forms that people have them."""

import io
import pathlib
import tarfile

import numpy as np
from PIL import Image


def pixels(seed, width=24, height=16):
  """Noise, uint8 [height, width, 3]: no two seeds look alike."""
  return np.random.default_rng(seed).integers(
      0, 256, (height, width, 3), np.uint8)


def encode(seed, image_format='JPEG', mode='RGB', width=24, height=16, **how):
  """The bytes of an image file of noise."""
  encoded = io.BytesIO()
  Image.fromarray(pixels(seed, width, height)).convert(mode).save(
      encoded, format=image_format, **how)
  return encoded.getvalue()


def write(path, content):
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)
  return path


def class_folders(root, counts, suffix='.jpg', **how):
  """Writes root/CLASS/NUMBER.jpg; returns the bytes by relative path."""
  files = {}
  for position, (name, count) in enumerate(counts.items()):
    for number in range(count):
      relative = f'{name}/{number:03d}{suffix}'
      files[relative] = encode(1000 * position + number, **how)
      write(pathlib.Path(root, relative), files[relative])
  return files


def add_to_tar(archive, name, content):
  """Adds a file to an open tarfile."""
  entry = tarfile.TarInfo(name)
  entry.size = len(content)
  archive.addfile(entry, io.BytesIO(content))


def tar_bytes(files):
  """The bytes of a tar archive; a dict within is an archive within."""
  encoded = io.BytesIO()
  with tarfile.open(fileobj=encoded, mode='w') as archive:
    for name, content in files.items():
      if isinstance(content, dict):
        content = tar_bytes(content)
      add_to_tar(archive, name, content)
  return encoded.getvalue()


def imagenet_archives(root, synsets, num_validation=5):
  """Writes ImageNet's archives, with an image of every class.

  The number in a training image's name is seven times its label.
  """
  train = {f'{synset}.tar': {f'{synset}_{7 * label}.JPEG': encode(
      label, width=8, height=8)}
           # Not in order, as in the original.
           for label, synset in reversed(list(enumerate(synsets, start=1)))}
  write(root / 'ILSVRC2012_img_train.tar', tar_bytes(train))
  for split, offset, name in (
      ('val', 2_000, 'val'), ('test', 100_000, 'test_v10102019')):
    write(root / f'ILSVRC2012_img_{name}.tar', tar_bytes({
        f'ILSVRC2012_{split}_{number:08d}.JPEG': encode(
            offset + number, width=8, height=8)
        for number in range(1, num_validation + 1)}))
