"""The flags of commands that are given a few images."""

from __future__ import annotations

from absl import app
from absl import flags

IMAGES = flags.DEFINE_list(
    'images', [],
    'Image files, folders of them or TFRecords, with commas between; patterns '
    'are fine.')
NUM_IMAGES = flags.DEFINE_integer(
    'num_images', 6, 'How many of them to draw at most.', lower_bound=1)


def require() -> None:
  """Refuses a command line that names no images."""
  if not IMAGES.value:
    raise app.UsageError(
        'name images with --images: files, folders of them or TFRecords')


def read(model):
  """Reads the images; see `examples.read`.

  Args:
    model: a `models.NamedModel`, whose classes are meant.
  """
  # Only once the flags are parsed: it imports TensorFlow.
  from official_ext.analysis import examples  # pylint: disable=g-import-not-at-top
  return examples.read(IMAGES.value, NUM_IMAGES.value, model)
