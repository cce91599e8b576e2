"""Tests of the drawn scenes: masks by value, splits apart, files as said."""

import pathlib

import commands
import numpy as np
from PIL import Image
from sklearn import datasets

from data_prep import drawn_scenes


def read(folder, split):
  """(image, mask) of every scene that was written, as Pillow's images."""
  for path in sorted(pathlib.Path(folder, 'images', split).iterdir()):
    mask = pathlib.Path(folder, 'masks', split, f'{path.stem}.png')
    yield Image.open(path), Image.open(mask)


def windows(photograph, image):
  """Where an image may be in a photograph: by its corner, if it is there."""
  height, width = image.shape[:2]
  for part in (image, image[:, ::-1]):
    corner = np.all(photograph == part[0, 0], axis=-1)
    for top, left in np.argwhere(corner):
      if np.array_equal(
          photograph[top:top + height, left:left + width], part):
        yield top, left


def test_a_digit_of_ink_alone_is_a_square_of_its_class(monkeypatch):
  monkeypatch.setattr(drawn_scenes, 'DIGITS_PER_SCENE', (1, 1))
  painter = drawn_scenes.Painter(drawn_scenes.TRAIN, seed=3)
  painter._images = np.full_like(painter._images, 255)
  painter._labels = np.full_like(painter._labels, 7)
  image, mask = painter.draw(0)
  rows, columns = np.nonzero(mask)
  side = rows.max() - rows.min() + 1
  assert 24 <= side <= 48 and len(rows) == side ** 2
  assert set(mask[rows, columns]) == {8}
  assert len(np.unique(image[rows, columns], axis=0)) == 1


def test_without_digits_it_is_a_part_of_a_photograph(monkeypatch):
  monkeypatch.setattr(drawn_scenes, 'DIGITS_PER_SCENE', (0, 0))
  found = {}
  for split in (drawn_scenes.TRAIN, drawn_scenes.VALIDATION):
    painter = drawn_scenes.Painter(split)
    for number in range(3):
      image, mask = painter.draw(number)
      assert not mask.any()
      places = [
          (name, left, left + image.shape[1])
          for name in ('china.jpg', 'flower.jpg')
          for _, left in windows(datasets.load_sample_image(name), image)]
      assert len(places) == 1
      found.setdefault(split, []).append(places[0])
  # 70 % of 640 columns.
  assert all(right <= 448 for _, _, right in found['train'])
  assert all(left >= 448 for _, left, _ in found['val'])


def test_the_rim_is_where_there_is_little_ink(monkeypatch):
  monkeypatch.setattr(drawn_scenes, 'DIGITS_PER_SCENE', (1, 1))
  monkeypatch.setattr(drawn_scenes, 'DIGIT_SIDES', (8, 8))
  painter = drawn_scenes.Painter(drawn_scenes.TRAIN)
  # Ink by columns: 0 to 0.2, to 0.5, and above.
  inks = np.array([0, 50, 51, 52, 127, 128, 200, 255], np.uint8)
  painter._images[:] = inks
  painter._labels[:] = 2
  _, mask = painter.draw(0)
  rows, columns = np.nonzero(mask)
  square = mask[rows.min():rows.max() + 1, columns.min() - 2:][:, :8]
  np.testing.assert_array_equal(
      square, [[0, 0, 255, 255, 255, 3, 3, 3]] * 8)


def test_the_splits_share_no_digit():
  shown = [
      {image.tobytes() for image in drawn_scenes.Painter(split)._images}
      for split in (drawn_scenes.TRAIN, drawn_scenes.VALIDATION)]
  assert [len(images) for images in shown] == [1437, 360]
  assert not shown[0] & shown[1]


def test_the_command_writes_pairs(repository, tmp_path):
  arguments = ('-m', 'data_prep.digit_scenes', f'--output_dir={tmp_path}',
               '--num_train=6')
  said = commands.run(*arguments, '--num_validation=3', cwd=repository)
  assert (said.returncode, said.stdout) == (0, (
      f'{tmp_path}: 6 training scenes and 3 validation scenes, with masks of '
      '11 classes; 255 is to be ignored.\n'))
  sizes, values = set(), set()
  for split, count in (('train', 6), ('val', 3)):
    painter = drawn_scenes.Painter(split)
    pairs = list(read(tmp_path, split))
    assert len(pairs) == count
    for number, (image, mask) in enumerate(pairs):
      assert (image.format, image.mode, mask.mode) == ('JPEG', 'RGB', 'L')
      drawn, classes = painter.draw(number)
      np.testing.assert_array_equal(np.asarray(mask), classes)
      # What a JPEG of this quality changes, of 255.
      assert np.abs(np.asarray(image) - drawn.astype(int)).mean() < 3
      sizes.add(image.size)
      values |= set(np.unique(classes))
  assert len(sizes) == 9 and all(96 <= side <= 128 for side in sum(sizes, ()))
  assert values <= {*range(11), 255} and len(values) > 6
  assert (tmp_path / 'class_names.txt').read_text().split() == [
      'background', *'0123456789']

  before = {path: path.read_bytes() for path in tmp_path.rglob('*.*')}
  assert commands.run(
      *arguments, '--num_validation=3', cwd=repository).returncode == 0
  assert before == {path: path.read_bytes() for path in tmp_path.rglob('*.*')}
  fewer = commands.run(*arguments, '--num_validation=2', cwd=repository)
  assert fewer.returncode == 1
  assert ('masks/val' in fewer.stderr or 'images/val' in fewer.stderr)
  assert 'already holds scene_00002.jpg, which is none of the 2' in fewer.stderr


def test_another_seed_draws_others():
  first, other = (
      drawn_scenes.Painter(drawn_scenes.TRAIN, seed).draw(0) for seed in (0, 1))
  assert first[0].shape != other[0].shape or (first[1] != other[1]).any()


def test_the_color_is_not_the_one_below_the_ink():
  generator = np.random.default_rng(0)
  below = np.zeros((2, 2, 3))
  below[0] = 128  # Where the ink is, and gray is close to most colours.
  ink = np.array([[1, 0.5], [0, 0]])
  colors = [drawn_scenes._color(generator, below, ink) for _ in range(50)]
  distances = np.linalg.norm(np.array(colors) - 128, axis=1)
  assert distances.min() >= 120
  assert len(np.unique(colors, axis=0)) == 50
