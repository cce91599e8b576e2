"""Tests of the archives of CIFAR: their pixels, labels and what is refused."""

import io
import pickle
import tarfile

import conversions
import image_trees
import numpy as np
from PIL import Image
import pytest

from data_prep import cifar


def cifar_archive(path, version, content):
  """Writes an archive like the authors', of (pixels, labels) by batch."""
  with tarfile.open(path, 'w:gz') as archive:
    for batch, (pixels, labels) in content.items():
      if version.is_pickled:
        key = b'labels' if version.num_classes == 10 else b'fine_labels'
        data = pickle.dumps({b'data': pixels, key: labels.tolist()}, protocol=2)
      else:
        coarse = [] if version.num_classes == 10 else [labels[:, None] // 5]
        data = np.concatenate(
            [*coarse, labels[:, None], pixels], axis=1).astype(np.uint8
                                                               ).tobytes()
      image_trees.add_to_tar(archive, f'cifar/{batch}', data)
    names = [f'class_{number}' for number in range(version.num_classes)]
    if version.is_pickled:
      key = b'label_names' if version.num_classes == 10 else b'fine_label_names'
      meta = pickle.dumps(
          {key: [name.encode() for name in names]}, protocol=2)
    else:
      meta = '\n'.join(names).encode()
    image_trees.add_to_tar(archive, f'cifar/{version.class_names_file}', meta)


@pytest.mark.parametrize('num_classes', [10, 100])
def test_cifar(tmp_path, num_classes):
  generator = np.random.default_rng(num_classes)
  ramp = np.arange(32, dtype=np.uint8)
  for kind in ('python', 'binary'):
    path = tmp_path / f'cifar-{num_classes}-{kind}.tar.gz'
    version = cifar.version_of(str(path))
    generator = np.random.default_rng(0)
    content = {}
    for batch in version.batches:
      labels = generator.integers(0, num_classes, 4)
      # Red is the label, green grows to the right, blue downwards.
      pixels = np.stack([np.stack([
          np.full((32, 32), label), np.tile(4 * ramp, (32, 1)),
          np.tile(4 * ramp[:, None], (1, 32))]) for label in labels])
      content[batch] = (pixels.reshape(4, -1).astype(np.uint8), labels)
    cifar_archive(path, version, content)
    conversions.convert(path, tmp_path / kind, shards={'train': 2})
  batches = len(content)
  for split, count in (('train', 4 * (batches - 1)), ('validation', 4)):
    found = list(conversions.read(tmp_path / 'python', split))
    assert len(found) == count
    for record in found:
      decoded = image_pixels(record['image/encoded'])
      label = record['image/class/label']
      assert record['image/class/text'] == f'class_{label}'.encode()
      assert np.abs(decoded[..., 0] - label).max() < 6
      assert np.abs(decoded[5, :, 1] - 4 * ramp.astype(int)).max() < 6
      assert np.abs(decoded[:, 5, 2] - 4 * ramp.astype(int)).max() < 6
  # Both versions of the archive give the same records.
  assert conversions.shards(tmp_path / 'python') == conversions.shards(
      tmp_path / 'binary')


def image_pixels(encoded):
  return np.asarray(Image.open(io.BytesIO(encoded))).astype(int)


def test_a_pickle_that_calls_something_is_refused(tmp_path):
  class Malicious:
    def __reduce__(self):
      return (print, ('called',))
  path = tmp_path / 'cifar-10-python.tar.gz'
  with tarfile.open(path, 'w:gz') as archive:
    image_trees.add_to_tar(archive, 'cifar/data_batch_1', pickle.dumps(
        {b'data': Malicious()}))
  with pytest.raises(ValueError, match='print is not expected in CIFAR'):
    conversions.convert(path, tmp_path / 'out')


def test_the_checksum_of_an_archive_of_cifar_is_compared(tmp_path):
  version = cifar.version_of('cifar-10-binary.tar.gz')
  pixels = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)
  content = {batch: (pixels, np.arange(4)) for batch in version.batches}
  path = tmp_path / 'cifar-10-binary.tar.gz'
  cifar_archive(path, version, content)
  whole = bytearray(path.read_bytes())
  whole[-8] ^= 1  # Where gzip keeps it.
  path.write_bytes(whole)
  with pytest.raises(ValueError, match='CRC check failed'):
    conversions.convert(path, tmp_path / 'out')


def test_a_damaged_archive_of_cifar_is_named(tmp_path):
  path = image_trees.write(tmp_path / 'cifar-10-binary.tar.gz', b'\x1f\x8b?')
  with pytest.raises(ValueError, match='is damaged'):
    conversions.convert(path, tmp_path / 'out')
