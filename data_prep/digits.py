"""scikit-learn's handwritten digits, and which of them are held out.

1,797 real images of 8 x 8 px in 17 shades of gray, from the UCI repository
(Alpaydin and Kaynak, 1998), bundled with scikit-learn: nothing is downloaded.
"""

from __future__ import annotations

import numpy as np
from sklearn import datasets

HELD_OUT_EVERY = 5
MAX_SHADE = 16


def load() -> tuple[np.ndarray, np.ndarray]:
  """Loads the digits.

  Returns:
    Images, uint8 [1797, 8, 8] with 0 the paper and 255 the ink, and their
    labels, int64 [1797], 0 to 9.
  """
  digits = datasets.load_digits()
  shades = np.rint(digits.images * (255 / MAX_SHADE)).astype(np.uint8)
  return shades, digits.target.astype(np.int64)


def is_held_out(index: int) -> bool:
  """Says whether an image, by its place in scikit-learn's list, is held out."""
  return index % HELD_OUT_EVERY == 0
