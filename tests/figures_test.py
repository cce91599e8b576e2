"""Tests of what all figures share."""

from PIL import Image
import pytest

from official_ext import figures


@pytest.mark.parametrize('probability, text', [
    (1, '100 %'), (0.826, '83 %'), (0.0999, '10 %'), (0.0949, '9.5 %'),
    (0.004, '0.4 %'), (0, '0.0 %')])
def test_percent(probability, text):
  assert figures.percent(probability) == text


def test_names_that_are_too_long():
  assert figures.shorten('West Highland white terrier') == (
      'West Highland white t\u2026')
  assert figures.shorten('short') == 'short'


def test_a_title_fits_above_one_image(tmp_path):
  figure, axes = figures.grid(2, 1, ['image', 'a model'])
  figure.suptitle(
      'saliency of the prediction: integrated gradients', fontsize=9)
  figures.caption(axes[1][0], 'a class\n5 %', is_right=True)
  path = tmp_path / 'figure.png'
  figures.save(figure, [str(path)])
  with Image.open(path) as image:
    edges = image.convert('L')
    for x in (0, image.width - 1):
      assert {edges.getpixel((x, y)) for y in range(image.height)} == {255}
