"""Tests of comparing records with the pairs they were made of."""

import pathlib
import shutil

import conversions
import image_trees
import mask_trees
import numpy as np
import pytest

from data_prep import verification

SHARD = 'train-00000-of-00001'
MASK = 'image/segmentation/class/encoded'


@pytest.fixture(name='conversion', scope='module')
def _conversion(tmp_path_factory):
  root = tmp_path_factory.mktemp('masks')
  mask_trees.write(root / 'in', {'train': 4, 'val': 2})
  # One that is re-encoded, one of a palette, and two that are on the list.
  image_trees.write(root / 'in/images/train/train00.jpg',
                    image_trees.encode(90, 'BMP'))
  (root / 'in/masks/train/train01.png').unlink()
  image_trees.write(root / 'in/masks/val/val01.png',
                    image_trees.encode(1, 'PNG'))
  image_trees.write(root / 'in/masks/train/train02.png', mask_trees.palette_png(
      mask_trees.indices(7), [(9, 9, 9)] * 3))
  mask_trees.convert(root / 'in', root / 'out', max_corrupt=2, num_classes=3,
                     shards={'train': 1})
  return root


@pytest.fixture(name='root')
def _root(conversion, tmp_path):
  """A copy to damage, whose manifest names the copied inputs."""
  shutil.copytree(conversion, tmp_path, dirs_exist_ok=True)
  path = tmp_path / 'out/manifest.json'
  path.write_text(path.read_text().replace(str(conversion), str(tmp_path)))
  return tmp_path


def verify(root):
  notes = []
  faults = list(verification.verify(
      str(root / 'out'), lambda *counts: None, notes.append))
  # That there are fewer good records follows.
  return [fault for fault in faults if 'good records' not in fault], notes


def bytes_of(item, key):
  return item.features.feature[key].bytes_list.value


def by_name(items):
  return {bytes_of(item, 'image/filename')[0].decode(): item for item in items}


@pytest.mark.slow
def test_what_is_well_has_no_faults(root):
  assert verify(root) == ([], [])


@pytest.mark.slow
def test_a_swapped_pair(root):
  def swap(items):
    first, second = (bytes_of(by_name(items)[f'train0{number}.jpg'], MASK)
                     for number in (2, 3))
    first[0], second[0] = second[0], first[0]
  conversions.rewrite(root / 'out', SHARD, swap)
  faults, _ = verify(root)
  differing = int((mask_trees.indices(7) != mask_trees.indices(4)).sum())
  assert sorted(
      fault.split(' (', 1)[1] for fault in faults if '(' in fault) == [
          f'train0{number}.jpg): the mask differs from {root}/in/masks/train/'
          f'train0{number}.png in {differing} px' for number in (2, 3)]


def test_a_mask_that_was_changed_since(root):
  path = root / 'in/masks/train/train03.png'
  pixels = mask_trees.values_of(path.read_bytes()).copy()
  pixels[5, :3] = (pixels[5, :3] + 1) % 3
  path.write_bytes(mask_trees.png(pixels))
  fault, = verify(root)[0]
  assert fault.endswith(
      f'(train03.jpg): the mask differs from {path} in 3 px')


def test_an_image_that_was_changed_since(root):
  for name, seed in (('train00.jpg', 91), ('train03.jpg', 92)):
    image_trees.write(root / 'in/images/train' / name,
                      image_trees.encode(seed, 'BMP' if seed == 91 else 'JPEG'))
  faults, _ = verify(root)
  assert len(faults) == 2
  assert all(f'the image differs from {root}/in/images/train/train0' in fault
             for fault in faults)


def test_a_changed_mask_in_a_record(root):
  def change(items):
    value = bytes_of(by_name(items)['train03.jpg'], MASK)
    pixels = mask_trees.values_of(value[0]).copy()
    pixels[4:6, 0] = 0 if pixels[4, 0] else 1
    value[0] = mask_trees.png(pixels)
  conversions.rewrite(root / 'out', SHARD, change)
  faults, _ = verify(root)
  assert sum('the mask differs from' in fault and 'in 2 px' in fault
             for fault in faults) == 1
  # And the counts of the manifest, by hand, differ by two of two values.
  assert sum('the manifest has' in fault and 'pixels of the value' in fault
             for fault in faults) == 2


@pytest.mark.parametrize('pixels, reason', [
    (np.full((16, 24), 7, np.uint8), 'the mask has the value 7, but there'),
    (np.zeros((8, 24), np.uint8), 'image, mask and the size that the record'),
    (np.zeros((16, 24, 3), np.uint8), 'image, mask and the size that the rec')])
def test_a_mask_that_training_cannot_read(root, pixels, reason):
  def change(items):
    bytes_of(items[0], MASK)[0] = mask_trees.png(pixels)
  conversions.rewrite(root / 'out', SHARD, change)
  assert any(f'): {reason}' in fault for fault in verify(root)[0])


def test_what_is_missing_and_what_is_twice(root):
  def change(items):
    items = by_name(items)
    return [items['train00.jpg'], items['train00.jpg'], items['train02.jpg']]
  conversions.rewrite(root / 'out', SHARD, change)
  faults, _ = verify(root)
  assert 'train: train00.jpg is in 2 records' in faults
  assert 'train: train03.jpg is among the inputs, but in no record' in faults


def test_a_truncated_mask_in_a_record(root):
  def change(items):
    value = bytes_of(items[1], MASK)
    value[0] = value[0][:40]
  conversions.rewrite(root / 'out', SHARD, change)
  assert any(f'{SHARD}: record 1 (' in fault and 'cannot be read' in fault
             for fault in verify(root)[0])


def test_a_pair_that_came_later_and_one_that_went(root):
  mask_trees.write(root / 'in', {'train': 5}, seed=0)
  (root / 'in/images/train/train02.jpg').unlink()
  faults, _ = verify(root)
  assert any('(train02.jpg): no such pair is among the inputs any more' in fault
             for fault in faults)
  assert 'train: train04.jpg is among the inputs, but in no record' in faults


def test_inputs_that_are_gone(root):
  pathlib.Path(root / 'in').rename(root / 'elsewhere')
  faults, (note,) = verify(root)
  assert not faults
  assert note == (f'{root}/in is not there, so the records were not compared '
                  'with the files they were made of')


def test_masks_beside_their_images_whose_values_are_mapped(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 3}, layout='{name}')
  for path in (tmp_path / 'in').glob('*.png'):
    path.rename(path.with_name(f'{path.stem}_mask.png'))
  mask_trees.convert(
      [('images', tmp_path / 'in')], tmp_path / 'out', num_classes=2,
      mask_suffix='_mask', label_map='0-1:1,2:0')
  assert verify(tmp_path) == ([], [])
  for name, record in mask_trees.records(tmp_path / 'out').items():
    stored = mask_trees.values_of((tmp_path / 'in' / name.replace(
        '.jpg', '_mask.png')).read_bytes())
    assert mask_trees.mask_of(record).tolist() == np.select(
        [stored <= 1, stored == 2], [1, 0], 255).tolist()
  (tmp_path / 'in/train01_mask.png').write_bytes(
      mask_trees.png(np.zeros((16, 24), np.uint8)))
  assert sum('the mask differs' in fault for fault in verify(tmp_path)[0]) == 1


def test_held_out_pairs_are_compared_too(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 8}, layout='{kind}/a/{name}')
  mask_trees.convert(tmp_path / 'in', tmp_path / 'out', num_classes=3,
                     validation_fraction=0.25)
  assert verify(tmp_path) == ([], [])
  for path in (tmp_path / 'in/masks/a').iterdir():
    path.write_bytes(mask_trees.png(np.zeros((16, 24), np.uint8)))
  faults, _ = verify(tmp_path)
  assert sum('the mask differs' in fault for fault in faults) == 8
