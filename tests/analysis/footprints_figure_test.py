"""Tests of the figure of footprints."""

from matplotlib import colors
import numpy as np
import pytest
import tensorflow as tf

from official_ext import figures
from official_ext.analysis import footprints_figure
from official_ext.configs import backbones
from official_ext.modeling import specs
from official_ext.modeling import token_windows


def row(layout='B4-4-4', image_size=(224, 224), **settings):
  return footprints_figure.Row('mine', specs.resolve(
      backbones.FunnelViT(layout=layout, **settings), image_size))


def texts_of(figure):
  return [(cell.get_title(), cell.get_xlabel()) for cell in figure.axes]


def test_titles_and_captions():
  figure = footprints_figure.draw([row(), row(pool_axes='grid')], None)
  first = ('block 1: 196 patch tokens + class', '1 patch per token')
  second = ('block 2: 98 patch tokens + class', '2 patches per token')
  title = 'block 3: 49 patch tokens + class'
  assert texts_of(figure) == [
      first, second, (title, '4 patches per token, 7 split'),
      first, second, (title, '4 patches per token')]
  assert figure.get_supxlabel() == (
      'Warm colours: tokens whose patches lie in several pieces.')
  # Without a class token, with a short last window, on a wide image.
  figure = footprints_figure.draw(
      [row('B6-6', (48, 80), pooler='gap')], np.zeros([48, 80, 3]), ['a note'])
  assert texts_of(figure) == [
      ('block 1: 15 patch tokens', '1 patch per token'),
      ('block 2: 8 patch tokens', '1 to 2 patches per token, 1 split')]
  assert figure.get_supxlabel().endswith('\na note')
  assert footprints_figure.describe_prefix(row(
      distillation_token=True, num_registers=1).spec) == (
          ' + class + distillation + 1 register')
  assert footprints_figure.describe_prefix(row(
      pooler='map', num_registers=4).spec) == ' + 4 registers'
  figures.save(figure, [])


def test_a_layout_is_pooled_both_ways_or_says_why_not():
  rows, notes = footprints_figure.rows_of_layout('B4-4-4', 'vit-b16', 224)
  assert [(row.name, row.spec.pool_axes) for row in rows] == [
      ('sequence', 'sequence'), ('grid', 'grid')]
  assert notes == []
  # 29 tokens are the grid's.
  rows, notes = footprints_figure.rows_of_layout(
      'B3-3-3-3(29)', 'vit-b16', 224)
  assert [row.name for row in rows] == ['grid']
  assert len(notes) == 1 and notes[0].startswith(
      'Not drawn: pooling with pool_axes=sequence, as block 4 (3(29)) of '
      "layout 'B3-3-3-3(29)': 29 tokens cannot be reached")
  with pytest.raises(ValueError, match='stride 500 is larger than the 196'):
    footprints_figure.rows_of_layout('B6-6(s500)', 'vit-b16', 224)
  with pytest.raises(ValueError, match='--image_size is 225 x 225'):
    footprints_figure.rows_of_layout('B6-6', 'vit-b16', 225)


@pytest.mark.parametrize('pool_axes', ['sequence', 'grid'])
def test_neighbours_have_other_colours(pool_axes):
  spec = row('B3-3-3-3', pool_axes=pool_axes).spec
  for tokens in token_windows.footprints(spec.blocks):
    owners = token_windows.owners(tokens, spec.grid)
    chosen = footprints_figure._colors(tokens, owners)
    for one, two in ((owners[1:], owners[:-1]),
                     (owners[:, 1:], owners[:, :-1])):
      for first, second in zip(one.ravel(), two.ravel()):
        assert first == second or chosen[first] != chosen[second]
    for patches, color in zip(tokens, chosen, strict=True):
      hue, _, _ = colors.rgb_to_hsv(colors.to_rgb(color))
      is_split = token_windows.count_components(patches, spec.grid) > 1
      assert is_split == (not 0.3 < hue < 0.7)  # Not from green to violet.


def test_borders_lie_between_tokens_and_at_the_edge():
  borders = footprints_figure._borders(np.array([[0, 0, 1]]))
  assert {frozenset(line) for line in borders} == {
      frozenset(line) for line in (
          ((0, 0), (1, 0)), ((1, 0), (2, 0)), ((2, 0), (3, 0)),
          ((0, 1), (1, 1)), ((1, 1), (2, 1)), ((2, 1), (3, 1)),
          ((0, 0), (0, 1)), ((2, 0), (2, 1)), ((3, 0), (3, 1)))}
  assert len(borders) == 9


def test_an_image_is_cropped_to_its_middle(tmp_path):
  pixels = np.zeros([4, 8, 3], np.uint8)
  pixels[:, 2:6] = 255
  path = str(tmp_path / 'wide.png')
  tf.io.write_file(path, tf.io.encode_png(pixels))
  np.testing.assert_allclose(
      footprints_figure.read_square(path, 16), np.ones([16, 16, 3]))
  (tmp_path / 'text.png').write_text('text')
  with pytest.raises(ValueError, match=r'text\.png is no JPEG, PNG, BMP or'):
    footprints_figure.read_square(str(tmp_path / 'text.png'), 16)
