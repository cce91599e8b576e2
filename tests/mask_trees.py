"""Makes small images with masks, and converts them in the test's process."""

import io
import pathlib

import conversions
import image_trees
import numpy as np
from PIL import Image

from data_prep import conversion
from data_prep import plan


def png(pixels, **how):
  """The bytes of a PNG of uint8 [H, W] or [H, W, C]."""
  encoded = io.BytesIO()
  Image.fromarray(np.asarray(pixels)).save(encoded, format='PNG', **how)
  return encoded.getvalue()


def palette_png(pixels, colors, **how):
  """The bytes of a palette PNG of indices; colors that lack are black."""
  image = Image.fromarray(np.asarray(pixels, np.uint8))
  colors = [*colors, *[(0, 0, 0)] * (256 - len(colors))]
  image.putpalette([value for color in colors for value in color])
  encoded = io.BytesIO()
  image.save(encoded, format='PNG', **how)
  return encoded.getvalue()


def indices(seed, num_classes=3, width=24, height=16):
  """Classes of pixels, a block each, with a row that is ignored."""
  blocks = np.random.default_rng(seed).integers(
      0, num_classes, (height // 4, width // 4), np.uint8)
  pixels = np.kron(blocks, np.ones((4, 4), np.uint8))
  pixels[0] = 255
  return pixels


def write(root, counts, layout='{kind}/{split}/{name}', seed=0):
  """Writes pairs; returns the bytes of (image, mask) by split and name."""
  pairs = {}
  for split, count in counts.items():
    for number in range(count):
      seed += 1
      name = f'{split}{number:02d}'
      pairs[split, name] = (image_trees.encode(seed), png(indices(seed)))
      for kind, suffix, content in zip(
          ('images', 'masks'), ('.jpg', '.png'), pairs[split, name]):
        image_trees.write(pathlib.Path(root, layout.format(
            kind=kind, split=split, name=name + suffix)), content)
  return pairs


def convert(inputs, output_dir, shards=None, max_corrupt=0, runner=None,
            class_names='', listener=None, **options):
  """Converts; `inputs` is a path, or (name, path) pairs."""
  if not isinstance(inputs, list):
    inputs = [('', inputs)]
  return conversion.convert(
      conversion.Inputs(
          tuple((name, str(path)) for name, path in inputs), has_masks=True,
          class_names=str(class_names)),
      str(output_dir), plan.MaskOptions(**options), shards or {}, max_corrupt,
      runner or conversions.convert_here, listener)


def records(output_dir, split='train'):
  """The features of every record by file name."""
  return {record['image/filename'].decode(): record
          for record in conversions.read(output_dir, split)}


def values_of(content):
  """The values of a gray PNG, by Pillow: uint8 [H, W]."""
  image = Image.open(io.BytesIO(content))
  assert image.mode == 'L'
  return np.asarray(image)


def mask_of(record):
  """The values of the mask in a record."""
  return values_of(record['image/segmentation/class/encoded'])


def reasons(output_dir):
  """Reason by file of what is in no record."""
  return {row['file']: row['reason']
          for row in conversions.listed(output_dir, 'quarantined.jsonl')}
