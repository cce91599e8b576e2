"""The model whose layouts are described or planned, as flags."""

from __future__ import annotations

from absl import flags

MODEL_NAME = flags.DEFINE_string('model_name', 'vit-b16', 'The preset.')
IMAGE_SIZE = flags.DEFINE_integer(
    'image_size', 224, 'Side of the images, px.', lower_bound=1)
POOL_AXES = flags.DEFINE_string('pool_axes', 'sequence', 'sequence or grid.')
POOLING = flags.DEFINE_string(
    'pooling', 'mean', 'mean, max, conv or weighted: the last two cost more.')
NUM_CLASSES = flags.DEFINE_integer(
    'num_classes', 1000, 'Outputs of the head.', lower_bound=0)
