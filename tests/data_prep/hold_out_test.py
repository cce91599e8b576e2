"""Tests of what is held out for validation."""

import json
import os

import conversions
import image_trees
import pytest


def held_out(folder, output_dir, **options):
  """The bytes of the images that a conversion holds out."""
  conversions.convert(folder, output_dir, validation_fraction=0.2,
                      shards={'train': 1, 'validation': 1}, **options)
  validation, train = (
      set(conversions.images(output_dir, split).values())
      for split in ('validation', 'train'))
  assert not validation & train
  return validation


def test_what_is_held_out_stays_held_out(folder, tmp_path):
  image_trees.class_folders(folder, {'a': 20, 'b': 15, 'c': 5, 'x': 80})
  found = held_out(folder, tmp_path / 'out')
  assert 15 < len(found) < 35  # Of 120 images.
  # Classes before and between the others, an image, another name of a class,
  # of an image and of the folder, another order.
  image_trees.write(folder / 'A/1.jpg', image_trees.encode(7_001))
  image_trees.write(folder / 'bb/1.jpg', image_trees.encode(7_002))
  image_trees.write(folder / 'a/0000.jpg', image_trees.encode(7_003))
  (folder / 'c').rename(folder / 'd')
  (folder / 'x/000.jpg').rename(folder / 'x/zzz.jpg')
  folder.rename(tmp_path / 'renamed')
  added = {image_trees.encode(seed) for seed in (7_001, 7_002, 7_003)}
  again = held_out(tmp_path / 'renamed', tmp_path / 'again', seed=5)
  assert again - added == found
  # From an archive, too.
  image_trees.write(tmp_path / 'renamed.tar', image_trees.tar_bytes({
      str(path.relative_to(tmp_path)): path.read_bytes()
      for path in (tmp_path / 'renamed').rglob('*.jpg')}))
  assert held_out(tmp_path / 'renamed.tar', tmp_path / 'tar') == again


def test_equal_images_are_on_one_side(tmp_path):
  for number in range(20):
    content = image_trees.encode(number)
    for name in (f'a/{number}.jpg', f'a/{number} too.jpg', f'b/{number}.jpg'):
      image_trees.write(tmp_path / 'in' / name, content)
  os.link(tmp_path / 'in/a/0.jpg', tmp_path / 'in/b/link.jpg')
  # It checks that they are.
  assert held_out(tmp_path / 'in', tmp_path / 'out')


def test_images_that_begin_and_end_alike_are_told_apart(tmp_path):
  tail = bytes(40_000)  # After the end of the image, where nothing is read.
  for number in range(40):
    image_trees.write(
        tmp_path / f'in/{number % 2}/{number}.bmp', image_trees.encode(
            number, 'BMP', width=128, height=128)[:-3] + tail)
  conversions.convert(
      tmp_path / 'in', tmp_path / 'out', validation_fraction=0.5,
      shards={'train': 1, 'validation': 1})
  assert 10 < len(conversions.labels(tmp_path / 'out', 'validation')) < 30


def test_what_a_former_version_held_out_is_kept(folder, tmp_path):
  conversions.convert(folder, tmp_path / 'out', validation_fraction=0.2)
  path = tmp_path / 'out/manifest.json'
  manifest = json.loads(path.read_text())
  assert manifest['options'].pop('held_out_by') == 'content'
  manifest['identity'] = 'of other images'
  path.write_text(json.dumps(manifest))
  before = conversions.files(tmp_path / 'out')
  with pytest.raises(ValueError, match='a version that chose the held out'):
    conversions.convert(folder, tmp_path / 'out', validation_fraction=0.2)
  assert conversions.files(tmp_path / 'out') == before


def test_too_small_a_fraction(folder, tmp_path):
  with pytest.raises(ValueError, match='no images for training or for'):
    conversions.convert(folder, tmp_path / 'out', validation_fraction=0.001)
