"""Writes scikit-learn's handwritten digits as TFRecords.

Images of 8 x 8 px, bundled with scikit-learn: nothing is downloaded. Every
fifth is held out: 1,437 for training, 360 for validation.

  python -m data_prep.digits_to_tfrecord --output_dir=data/digits
"""

from __future__ import annotations

from collections.abc import Sequence
import io
import os

from absl import app
from absl import flags
import numpy as np
from PIL import Image

from . import command_process
from . import digits
from . import records
from . import storage

SAMPLES_DIR = 'samples'

_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', 'data/digits', 'Folder of the shards; made if missing.')
_NUM_TRAIN_SHARDS = flags.DEFINE_integer(
    'num_train_shards', 4, 'Shards of the training split.', lower_bound=1)
_NUM_SAMPLES = flags.DEFINE_integer(
    'num_samples', 6, 'Held-out digits that are written as PNG files too.',
    lower_bound=0, upper_bound=360)


def make_record(index: int, image: np.ndarray, label: int
                ) -> records.ImageRecord:
  """Makes the record of one digit.

  Args:
    index: its place in scikit-learn's list.
    image: uint8 [8, 8].
    label: 0 to 9.

  Returns:
    The record, its image an RGB JPEG of the highest quality.
  """
  encoded = io.BytesIO()
  Image.fromarray(image).convert('RGB').save(
      encoded, format='JPEG', quality=100, subsampling=0)
  return records.ImageRecord(
      encoded=encoded.getvalue(), label=int(label), class_name=str(label),
      file_name=f'digit_{index:04d}.jpg', height=image.shape[0],
      width=image.shape[1])


def convert(output_dir: str, num_train_shards: int, num_samples: int
            ) -> dict[str, int]:
  """Writes both splits, the class names and the samples.

  Args:
    output_dir: folder of the shards; made if missing.
    num_train_shards: shards of the training split; validation has one.
    num_samples: held-out digits that are written as PNG files too.

  Returns:
    The number of images by split.
  """
  images, labels = digits.load()
  splits = {'train': [], 'validation': []}
  for index, (image, label) in enumerate(zip(images, labels)):
    split = 'validation' if digits.is_held_out(index) else 'train'
    splits[split].append(make_record(index, image, label))
  storage.make_folder(os.path.join(output_dir, SAMPLES_DIR))
  records.write_split(output_dir, 'train', splits['train'], num_train_shards)
  records.write_split(output_dir, 'validation', splits['validation'], 1)
  records.write_class_names(output_dir, [str(digit) for digit in range(10)])
  held_out = [
      index for index in range(len(images)) if digits.is_held_out(index)]
  # Spread over the list, which begins 0, 1, 2, ... again and again.
  for position in range(num_samples):
    index = held_out[position * len(held_out) // num_samples]
    name = f'digit_{index:04d}_is_{labels[index]}.png'
    with storage.open_binary(
        os.path.join(output_dir, SAMPLES_DIR, name), 'wb') as file:
      Image.fromarray(images[index]).save(file, format='PNG')
  return {split: len(written) for split, written in splits.items()}


def main(argv: Sequence[str]) -> None:
  if not _OUTPUT_DIR.value:
    raise app.UsageError('--output_dir must not be empty')
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  try:
    counts = convert(
        _OUTPUT_DIR.value, _NUM_TRAIN_SHARDS.value, _NUM_SAMPLES.value)
  except (ValueError, OSError) as error:
    raise SystemExit(f'error: {error}') from None
  print(f'{_OUTPUT_DIR.value}: {counts["train"]} training and '
        f'{counts["validation"]} validation images.')


if __name__ == '__main__':
  command_process.run(main)
