"""Fixed positions: sines and cosines of where a patch lies in the grid.

Legend: H x W the grid of patches, N = H * W, T places, those of the tokens
before the patches included, D hidden size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from official.vision.modeling.backbones import vit
import tensorflow as tf
import tf_keras

_TEMPERATURE = 10_000.0


def of_grid(grid: tuple[int, int], hidden_size: int) -> np.ndarray:
  """Computes the positions of all patches (MoCo v3, arXiv 2104.02057).

  A quarter of the channels each holds the sine and the cosine of the column,
  then those of the row, at wavelengths from 2 pi to 10,000 times that, as in
  "Better plain ViT baselines" (arXiv 2205.01580).

  Args:
    grid: (H, W).
    hidden_size: D, a multiple of 4, at least 8.

  Returns:
    float32 [N, D], row by row.
  """
  rows, columns = np.mgrid[:grid[0], :grid[1]].reshape(2, -1, 1)  # [N, 1]
  frequencies = _TEMPERATURE ** -np.linspace(0, 1, hidden_size // 4)
  return np.concatenate(
      [function(place * frequencies) for place in (columns, rows)
       for function in (np.sin, np.cos)], axis=1).astype(np.float32)


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class SinCosPositions(vit.AddPositionEmbs):
  """Adds positions that are not trained; tokens before the patches have none.

  They are kept as a variable all the same, so that the model has those of a
  ViT, which others can read. Call with [B, T, D].
  """

  def __init__(self, grid: tuple[int, int], **kwargs):
    """Initialises the layer.

    Args:
      grid: (H, W).
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    self._grid = tuple(grid)

  def build(self, input_shape: tf.TensorShape):
    _, num_places, hidden_size = input_shape
    positions = of_grid(self._grid, hidden_size)
    before = num_places - len(positions)
    values = np.concatenate(
        [np.zeros([before, hidden_size], np.float32), positions])[None]
    self.pos_embedding = self.add_weight(
        'pos_embedding', values.shape, trainable=False,
        initializer=tf_keras.initializers.Constant(values))

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'grid': list(self._grid)}
