"""Tests of the command that draws masks, and of what it draws."""

import commands
import masks
import numpy as np
from PIL import Image
import pytest

from official_ext.analysis import command
from official_ext.analysis import mask_grid
from official_ext.analysis import segmenters


def test_colors_are_told_apart():
  colors = [tuple(mask_grid.color(number)) for number in range(256)]
  assert len(set(colors)) == 256
  assert colors[:3] == [(30, 30, 30), (31, 119, 180), (255, 127, 14)]
  # 21 is 0b010101: the red bits of 1 and 8, and the blue of 4, as VOC has it.
  assert colors[21] == (128, 64, 128)
  # None of the first looks like the image below it, which is grey.
  assert all(max(one) - min(one) > 30 for one in colors[1:19])


def test_an_overlay_by_hand():
  image = np.array([[[100, 100, 100], [200, 0, 0]]], np.uint8)
  laid = mask_grid.overlay(image, np.array([[1, 255]]), num_classes=3)
  # 65 % of the class, 35 % of the brightness; white where nothing counts.
  np.testing.assert_array_equal(laid[0, 0], np.rint(
      0.65 * np.array([31, 119, 180]) + 35))
  np.testing.assert_array_equal(laid[0, 1], np.rint(
      0.65 * 255 + 0.35 * 0.299 * 200).repeat(3))


def test_the_share_that_is_right():
  mask = np.array([[0, 1, 2], [255, 1, 0]])
  predicted = np.array([[0, 1, 1], [1, 0, 1]])
  assert mask_grid.share_right(mask, predicted, 3) == 2 / 5
  assert mask_grid.share_right(np.full((1, 2), 255), predicted, 3) is None


@pytest.mark.parametrize('num_right, text', [
    (0, '0.0 %'), (1, '0.0 %'), (994_949, '99.5 %'), (995_200, '99.5 %'),
    (999_999, '99.9 %'), (1_000_000, '100 %')])
def test_a_wrong_pixel_is_not_rounded_away(num_right, text):
  assert mask_grid.in_percent(num_right / 1_000_000) == text


@pytest.mark.long
def test_the_command(repository, trained_dir, tmp_path):
  records = masks.write(tmp_path / 'valid-00000-of-00001')
  _, model = masks.save(tmp_path, records)
  one, = segmenters.load([command.ModelArgument(str(tmp_path), 'one')])
  assert one.class_names == ['none', 'right', 'below', 'other']
  examples = segmenters.read(one, 3)
  assert [example.mask.shape for example in examples] == masks.SIZES[:3]
  np.testing.assert_array_equal(examples[0].mask, masks.mask_of(32, 32))
  # An image of the size of the input is enlarged from its patches alone.
  logits = model(segmenters.segmentation_output.prepare(
      examples[0].image, one.trained.params.task)[0][np.newaxis])['logits']
  np.testing.assert_array_equal(
      one.segment(examples[0].image), np.argmax(
          segmenters.tf.image.resize(logits, (32, 32))[0], -1))
  with pytest.raises(ValueError, match='classifies images, and this draws'):
    segmenters.load([command.ModelArgument(str(trained_dir))])
  png = tmp_path / 'new/segmentation.png'
  result = commands.run(
      '-m', 'official_ext.analysis.segmentation', f'Funnel={tmp_path}',
      '--num_images=3', f'--output={png}', cwd=repository)
  assert (result.returncode, result.stdout, result.stderr) == (
      0, f'wrote {png}\n', '')
  with Image.open(png) as drawn:
    assert drawn.width > 400 and len(np.unique(drawn.convert('L'))) > 10
