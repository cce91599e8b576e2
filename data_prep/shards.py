"""Writes one shard; needs neither TensorFlow nor the rest of the conversion.

A process of a pool, a worker of Apache Beam and a test all call
`convert_shard`, and get the same bytes.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import hashlib
import json
import os
import re
from typing import Any

import numpy as np

from . import cifar
from . import exif_orientation
from . import image_faults
from . import image_index
from . import images
from . import mask_pairs
from . import masks
from . import plan as plans
from . import records
from . import storage

_HASHED_BYTES = 2**20
# Of images that were published without class folders.
_IMAGENET_NAME = re.compile(r'(ILSVRC2012_)?(val|test)_\d+\.\w+')


@dataclasses.dataclass(frozen=True)
class ShardResult:
  """What became of a shard's images.

  Attributes:
    name: of the shard.
    split: such as 'train'.
    digest: of its plan.
    stamp: of its plan.
    num_images: records in it.
    num_bytes: its size.
    sha256: of its content.
    class_counts: records by label; of images with masks, none.
    reencoded: (file, what it was) of images that are not as they came.
    quarantined: (file, reason) of images that are in no record.
    num_turned: records that were turned by their EXIF orientation.
    num_other_profiles: records with a color profile that is not sRGB.
    masks: of images with masks, what `masks.Tally` counts; else None.
  """
  name: str
  split: str
  digest: str
  stamp: str
  num_images: int
  num_bytes: int
  sha256: str
  class_counts: dict[int, int]
  reencoded: list[tuple[str, str]]
  quarantined: list[tuple[str, str]]
  num_turned: int
  num_other_profiles: int
  masks: dict[str, Any] | None = None

  def write(self, path: str) -> None:
    storage.write_bytes(path, json.dumps(dataclasses.asdict(self)).encode())

  @classmethod
  def read(cls, path: str) -> ShardResult | None:
    """Reads a result; None if there is none, or not a whole one."""
    if not storage.exists(path):
      return None
    try:
      content = json.loads(storage.read_bytes(path))
      content['class_counts'] = {
          int(label): count
          for label, count in content['class_counts'].items()}
      for key in ('reencoded', 'quarantined'):
        content[key] = [tuple(pair) for pair in content[key]]
      return cls(**content)
    except (ValueError, TypeError, KeyError):
      # A power failure can leave a file without its content.
      return None


class Results:
  """The results of shards, read from disk whenever they are iterated over.

  Of ImageNet-21k they are too large for memory.
  """

  def __init__(self, tasks: Sequence[plans.ShardTask]):
    """Knows where they lie.

    Args:
      tasks: the shards, all of them converted.
    """
    self._tasks = tasks

  def __iter__(self) -> Iterator[ShardResult]:
    for task in self._tasks:
      result = ShardResult.read(task.result_path)
      if not result or result.digest != task.digest:
        raise ValueError(
            f'{task.name} was not converted. Run the same command again.')
      yield result


def num_classes(results: Iterable[ShardResult], rules: masks.Rules) -> int:
  """Returns up to which class masks go, where nobody said how many there are.

  Args:
    results: of shards of images with masks.
    rules: which label is ignored.
  """
  return 1 + max((int(value) for result in results
                  for value in result.masks['pixels']
                  if int(value) != rules.ignore_label), default=0)


def count_written(tasks: Iterable[plans.ShardTask]) -> int:
  """Returns how many shards an earlier run wrote, by the sizes of files alone.

  Args:
    tasks: the shards.
  """
  return sum(_written(task) is not None for task in tasks)


def convert_shard(task: plans.ShardTask,
                  advance: Callable[[int, int], None] | None = None
                  ) -> ShardResult:
  """Writes a shard, or keeps it if it is there and as it should be.

  Args:
    task: the shard.
    advance: called with the number of images and bytes that are done.

  Returns:
    The result, which is written beside the plan as well.
  """
  advance = advance or (lambda num_images, num_bytes: None)
  finished = _finished(task)
  if finished:
    advance(task.num_images, task.num_bytes)
    return finished
  plan = plans.ShardPlan.read(task.plan_path)
  counts, reencoded, quarantined = collections.Counter(), [], []
  num_turned = num_other_profiles = 0
  tally = masks.Tally() if plan.masks else None

  def convert() -> Iterator[records.ImageRecord | records.PairRecord]:
    nonlocal num_turned, num_other_profiles
    for image in plan.images:
      name, synset = plan.classes[image.label]
      file_name = _file_name(image, name, synset)
      try:
        checked, mask = _check(image, plan)
      except (images.CorruptImageError, OSError) as error:
        quarantined.append((file_name, _reason(error)))
      else:
        if checked.was and not plan.is_pixels:
          reencoded.append((file_name, checked.was))
        num_turned += checked.orientation != exif_orientation.UPRIGHT
        num_other_profiles += checked.has_other_profile
        if mask:
          tally.add(mask, file_name, checked.height, checked.width,
                    plan.masks.ignore_label)
          yield records.PairRecord(checked.encoded, mask.encoded, file_name,
                                   checked.height, checked.width)
        else:
          counts[image.label] += 1
          yield records.ImageRecord(
              encoded=checked.encoded, label=image.label, class_name=name,
              file_name=file_name, height=checked.height, width=checked.width,
              synset=synset)
      advance(1, image.size + image.mask_size)

  written = records.write_shard(task.path, convert())
  result = ShardResult(
      task.name, task.split, task.digest, task.stamp, written.num_records,
      written.num_bytes, written.sha256, dict(sorted(counts.items())),
      reencoded, quarantined, num_turned, num_other_profiles,
      tally and tally.as_json())
  result.write(task.result_path)
  return result


def sha256_of(path: str) -> str:
  """Returns the SHA-256 of a file, in hexadecimal."""
  digest = hashlib.sha256()
  with storage.open_binary(path) as file:
    while block := file.read(_HASHED_BYTES):
      digest.update(block)
  return digest.hexdigest()


def _finished(task: plans.ShardTask) -> ShardResult | None:
  """Returns the result of an earlier run, if its shard is still as written."""
  result = _written(task)
  return result if result and sha256_of(task.path) == result.sha256 else None


def _written(task: plans.ShardTask) -> ShardResult | None:
  """Returns the result of an earlier run, if a shard of its size is there.

  A shard with quarantined images is never kept: they may have been fixed, or
  a disk may have failed for a moment.
  """
  result = ShardResult.read(task.result_path)
  if (not result or result.quarantined or
      (result.digest, result.stamp) != (task.digest, task.stamp) or
      storage.file_size(task.path) != result.num_bytes):
    return None
  return result


def _check(image: image_index.Image, plan: plans.ShardPlan
           ) -> tuple[images.CheckedImage, masks.CheckedMask | None]:
  data = _read(image.file, image.offset, image.size)
  if plan.masks:
    name = os.path.basename(image.mask_file)
    try:
      mask = _read(image.mask_file, image.mask_offset, image.mask_size)
    except (images.CorruptImageError, OSError) as error:
      raise images.CorruptImageError(
          f'mask {name}: {_reason(error)}') from error
    return mask_pairs.check(data, mask, name, plan.check, plan.jpeg_quality,
                            plan.exif_orientation, plan.masks)
  if plan.is_pixels:
    pixels = np.frombuffer(data, np.uint8).reshape(cifar.SHAPE)
    return images.encode_pixels(  # [C, H, W] -> [H, W, C]
        np.moveaxis(pixels, 0, -1), plan.jpeg_quality), None
  return images.check(
      data, plan.check, plan.jpeg_quality, plan.exif_orientation), None


def _read(file: str, offset: int, size: int) -> bytes:
  data = storage.read_range(file, offset, size)
  if len(data) != size:
    raise images.CorruptImageError(
        f'{image_faults.TRUNCATED}: {len(data)} of {size} bytes are '
        'there; it became shorter')
  return data


def _file_name(image: image_index.Image, class_name: str, synset: str) -> str:
  """Returns a name that no other image of the split has.

  ImageNet's own names are; others need their class before them.
  """
  is_own = (image.name.startswith(synset) or
            _IMAGENET_NAME.fullmatch(image.name)) if synset else not class_name
  return image.name if is_own else f'{synset or class_name}/{image.name}'


def _reason(error: Exception) -> str:
  if isinstance(error, OSError):
    return f'cannot be read: {error.strerror or error}'
  return str(error)
