"""The flags of commands that go through a validation set."""

from __future__ import annotations

from absl import flags

DATA = flags.DEFINE_string(
    'data', None,
    "Pattern of validation TFRecords; by default the first model's own.")
NUM_IMAGES = flags.DEFINE_integer(
    'num_images', None, 'How many images to take; by default all.',
    lower_bound=1)
