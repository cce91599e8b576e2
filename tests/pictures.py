"""Checks pictures that a command has drawn."""

import numpy as np
from PIL import Image


def check(path, num_columns, num_rows):
  """A picture of about the size of its grid, with something to see."""
  with Image.open(path) as image:
    assert image.width > 200 * num_columns and image.height > 200 * num_rows
    pixels = np.asarray(image.convert('RGB'))
  assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
  # Nothing is cut off: the outermost pixels are paper.
  for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
    assert (edge == 255).all()
