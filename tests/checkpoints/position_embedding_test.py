"""Tests of resampling: by hand, and against SciPy."""

import numpy as np
import pytest
from scipy import ndimage
import tolerances

from official_ext.checkpoints import position_embedding
from official_ext.configs import image_classification

pytestmark = pytest.mark.numerics


def embed(grid, num_prefix_positions=1, seed=0):
  return np.random.default_rng(seed).normal(
      size=(1, grid[0] * grid[1] + num_prefix_positions, 3)).astype(np.float32)


def by_scipy(grid_values, target_grid):
  """Bilinear interpolation at the centres of the new patches, [H, W, D]."""
  centres = [(np.arange(new) + 0.5) * old / new - 0.5
             for old, new in zip(grid_values.shape, target_grid)]
  coordinates = np.meshgrid(*centres, indexing='ij')
  return np.stack([
      ndimage.map_coordinates(
          grid_values[..., channel], coordinates, order=1, mode='nearest')
      for channel in range(grid_values.shape[-1])], axis=-1)


GRIDS = [((14, 14), (24, 24)), ((7, 14), (12, 24)), ((24, 24), (14, 14)),
         ((4, 4), (5, 3)), ((14, 14), (14, 28))]


@pytest.mark.parametrize('source, target', GRIDS)
@pytest.mark.parametrize('num_prefix_positions', [1, 0, 2])
def test_bilinear_agrees_with_scipy(source, target, num_prefix_positions):
  embedding = embed(source, num_prefix_positions)
  resampled = position_embedding.Resampling(
      source, target, num_prefix_positions).apply(embedding)
  skip = num_prefix_positions
  expected = by_scipy(
      embedding[0, skip:].reshape(*source, 3), target).reshape(1, -1, 3)
  tolerances.assert_close(resampled[:, skip:], expected, length=16, depth=2)
  np.testing.assert_array_equal(resampled[:, :skip], embedding[:, :skip])
  assert resampled.dtype == np.float32


@pytest.mark.parametrize('method', image_classification.RESIZE_METHODS)
def test_the_same_grid_changes_nothing(method):
  embedding = embed((7, 14))
  resampled = position_embedding.Resampling(
      (7, 14), (7, 14), 1, method).apply(embedding)
  np.testing.assert_array_equal(resampled, embedding)


@pytest.mark.parametrize('source, target', [
    ((14, 14), (24, 24)), ((7, 14), (12, 24))])
def test_values_by_hand(source, target):
  # Each patch carries its row and its column; the class token 100.
  rows, columns = np.meshgrid(*map(np.arange, source), indexing='ij')
  patches = np.stack([rows, columns], axis=-1).reshape(1, -1, 2)
  embedding = np.concatenate(
      [np.full([1, 1, 2], 100), patches], axis=1).astype(np.float32)
  resampled = position_embedding.Resampling(
      source, target, 1).apply(embedding)
  np.testing.assert_array_equal(resampled[0, 0], [100, 100])
  grid = resampled[0, 1:].reshape(*target, 2)
  # New patch i is centred at (i + 1/2) * old / new - 1/2 of the old ones.
  # 12 / 7 and 24 / 14 are both 12 / 7: the centre of patch 5 is
  # 5.5 * 7 / 12 - 0.5 = 2.7083, that of patch 8 is 4.4583.
  np.testing.assert_allclose(grid[5, 8], [2.70833, 4.45833], atol=1e-4)
  # The corners lie outside the old centres and take their value.
  np.testing.assert_allclose(grid[0, 0], [0, 0], atol=1e-6)
  np.testing.assert_allclose(
      grid[-1, -1], [source[0] - 1, source[1] - 1], atol=1e-6)


def test_bicubic_is_another_method_and_keeps_constants():
  embedding = embed((14, 14))
  bilinear, bicubic = (
      position_embedding.Resampling(
          (14, 14), (24, 24), 1, method).apply(embedding)
      for method in ('bilinear', 'bicubic'))
  assert np.abs(bilinear - bicubic).max() > 0.01
  constant = np.full([1, 197, 3], 0.75, np.float32)
  resampled = position_embedding.Resampling(
      (14, 14), (24, 24), 1, 'bicubic').apply(constant)
  tolerances.assert_close(resampled, 0.75, length=16)


def test_what_does_not_fit():
  with pytest.raises(ValueError, match=(
      '197 places, 1 of them before the patches, does not fit a grid of 7 x 14'
  )):
    position_embedding.Resampling(
        (7, 14), (14, 14), 1).apply(embed((14, 14)))
  with pytest.raises(ValueError, match="is 'cubic', but must be one of bilin"):
    position_embedding.Resampling(
        (2, 2), (3, 3), 1, 'cubic').apply(embed((2, 2)))


def test_square_grids():
  assert position_embedding.guess_square_grid(196) == (14, 14)
  assert position_embedding.guess_square_grid(197) is None
