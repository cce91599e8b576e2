"""Tests of what is held out for validation."""

import hashlib
import json
import os

import conversions
import image_trees
import pytest


def held_out(folder, output_dir, validation_fraction=0.2, **options):
  """The bytes of the images that a conversion holds out."""
  conversions.convert(
      folder, output_dir, validation_fraction=validation_fraction,
      shards={'train': 1, 'validation': 1}, **options)
  validation, train = (
      set(conversions.images(output_dir, split).values())
      for split in ('validation', 'train'))
  assert not validation & train
  return validation


def counts(output_dir):
  """The images of each class, of training and of validation."""
  manifest = json.loads((output_dir / 'manifest.json').read_text())
  return {item['name']: (item['num_images'].get('train', 0),
                         item['num_images'].get('validation', 0))
          for item in manifest['classes']}


@pytest.mark.parametrize('fraction, expected', [
    (0.1, {'one': (1, 0), 'two': (1, 1), 'eight': (7, 1), 'many': (36, 4)}),
    (0.01, {'one': (1, 0), 'two': (1, 1), 'eight': (7, 1), 'many': (39, 1)}),
    (0.3, {'one': (1, 0), 'two': (1, 1), 'eight': (6, 2), 'many': (28, 12)}),
    (0.9, {'one': (1, 0), 'two': (1, 1), 'eight': (1, 7), 'many': (4, 36)}),
])
def test_of_each_class_its_share(tmp_path, fraction, expected):
  image_trees.class_folders(
      tmp_path / 'in', {'one': 1, 'two': 2, 'eight': 8, 'many': 40})
  found = held_out(tmp_path / 'in', tmp_path / 'out', fraction)
  assert counts(tmp_path / 'out') == expected
  # Other classes, names and another order change nothing.
  (tmp_path / 'in/eight').rename(tmp_path / 'in/0')
  image_trees.write(tmp_path / 'in/last/1.jpg', image_trees.encode(7_001))
  for path in sorted((tmp_path / 'in/many').iterdir()):
    path.rename(path.with_name(f'{1_000 - int(path.stem)}.jpg'))
  assert held_out(
      tmp_path / 'in', tmp_path / 'again', fraction, seed=3) == found


def test_of_each_class_those_of_the_smallest_digests(folder, tmp_path):
  found = held_out(folder, tmp_path / 'out')
  for name, num_held_out in (('a', 4), ('b', 3), ('c', 1)):
    contents = sorted(
        (path.read_bytes() for path in (folder / name).iterdir()),
        # Smaller than what is read of a file, so all of it.
        key=lambda content: hashlib.blake2b(
            b'%d/%s' % (len(content), content), digest_size=8).digest())
    assert {content in found for content in contents[:num_held_out]} == {True}
    assert not found & set(contents[num_held_out:])


def test_every_class_of_equal_images_has_one_held_out(tmp_path):
  contents = [image_trees.encode(number) for number in range(4)]
  for number, content in enumerate(contents):
    for name in (f'a/{number}.jpg', f'a/{number} too.jpg'):
      image_trees.write(tmp_path / 'in' / name, content)
    # Of one image nothing can be held out, however often it is there.
    image_trees.write(tmp_path / f'in/b/{number}.jpg', image_trees.encode(9))
  found = held_out(tmp_path / 'in', tmp_path / 'out', 0.1)
  assert len(found) == 1 and found < set(contents)
  assert counts(tmp_path / 'out') == {'a': (6, 2), 'b': (4, 0)}


def test_what_is_held_out_stays_held_out(folder, tmp_path):
  image_trees.class_folders(folder, {'a': 20, 'b': 15, 'c': 5, 'x': 80})
  found = held_out(folder, tmp_path / 'out', held_out_by='content')
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
  again = held_out(tmp_path / 'renamed', tmp_path / 'again', seed=5,
                   held_out_by='content')
  assert again - added == found
  # From an archive, too.
  image_trees.write(tmp_path / 'renamed.tar', image_trees.tar_bytes({
      str(path.relative_to(tmp_path)): path.read_bytes()
      for path in (tmp_path / 'renamed').rglob('*.jpg')}))
  assert held_out(tmp_path / 'renamed.tar', tmp_path / 'tar',
                  held_out_by='content') == again


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
  assert manifest['options'].pop('held_out_by') == 'class'
  manifest['identity'] = 'of other images'
  path.write_text(json.dumps(manifest))
  before = conversions.files(tmp_path / 'out')
  with pytest.raises(ValueError, match='a version that chose the held out'):
    conversions.convert(folder, tmp_path / 'out', validation_fraction=0.2)
  assert conversions.files(tmp_path / 'out') == before


def test_a_conversion_finished_by_content_is_asked_again(folder, tmp_path):
  held_out(folder, tmp_path / 'out', held_out_by='content')
  by_content = counts(tmp_path / 'out')
  held_out(folder, tmp_path / 'class')
  assert counts(tmp_path / 'class') != by_content
  held_out(folder, tmp_path / 'out')
  assert counts(tmp_path / 'out') == by_content
  with pytest.raises(
      ValueError, match='--held_out_by was content and is class'):
    held_out(folder, tmp_path / 'out', held_out_by='class')


def test_too_small_a_fraction(folder, tmp_path):
  with pytest.raises(ValueError, match='no images for training or for'):
    conversions.convert(folder, tmp_path / 'out', validation_fraction=0.001,
                        held_out_by='content')


def test_classes_of_one_image(tmp_path):
  image_trees.class_folders(tmp_path / 'in', {'a': 1, 'b': 1})
  with pytest.raises(ValueError, match='no class has two different images'):
    conversions.convert(tmp_path / 'in', tmp_path / 'out',
                        validation_fraction=0.5)
