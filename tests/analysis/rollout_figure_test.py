"""Tests of the figure of attention rollouts."""

import numpy as np

from official_ext import figures
from official_ext.analysis import rollout_figure


def test_cells_and_captions():
  # 9 x 10 px hold 2 x 2 patches of 4; what is left over stays as it is.
  images = np.full([2, 9, 10, 3], 0.5)
  shares = np.ones([2, 2, 2])
  shares[1] = [[0.4, 1.6], [1, 1]]
  rows = [rollout_figure.Row(name, images, shares, 4, [0, 1])
          for name in ('A', 'B')]
  figure = rollout_figure.draw(rows, [0, None], ['zero', 'one'])
  cells = figure.axes
  assert [cell.get_xlabel() for cell in cells[:6]] == [
      'zero', '', 'zero \u2713', 'one', 'zero \u2713', 'one']
  assert [cell.get_ylabel() for cell in cells[0:6:2]] == ['image', 'A', 'B']
  assert cells[6].get_ylabel() == 'share of a patch, 1: the mean'
  # The first image's label is known and right, the second's is not known.
  right, unknown = (cell.xaxis.label.get_color() for cell in cells[2:4])
  assert right != unknown
  drawn = cells[3].get_images()[0].get_array()
  assert drawn.shape == (9, 10, 3)
  np.testing.assert_allclose(drawn[8], 0.5)
  np.testing.assert_allclose(drawn[:, 8:], 0.5)
  np.testing.assert_allclose(drawn[:4, :4], np.broadcast_to(
      drawn[0, 0], (4, 4, 3)))
  brightness = drawn[[0, 0, 4], [0, 4, 0]].sum(axis=-1)
  assert brightness[0] < brightness[2] < brightness[1]
  figures.save(figure, [])
