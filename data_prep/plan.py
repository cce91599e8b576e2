"""Which image goes into which shard, written down before any is converted.

Each shard has a plan file, which is all that the process or machine that
writes it needs. The same images and options give the same plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import hashlib
import json
import os

from . import class_names as class_names_lib
from . import image_index
from . import images as images_lib
from . import mask_pairs
from . import masks
from . import pair_names
from . import records
from . import sources
from . import storage
from . import wording

# Holds the plans and the results of a conversion that is not finished.
WORK_FOLDER = '.conversion'

_MIB = 2**20
_SHARD_BYTES = 32 * _MIB
_MAX_SHARD_BYTES = 256 * _MIB
_MIN_SHARDS = 16
# ImageNet's convention, which its size leads to.
_USUAL_SHARDS = {'train': 1024, 'validation': 128, 'test': 128}


@dataclasses.dataclass(frozen=True)
class Options:
  """What decides the bytes of the shards, besides the images.

  Attributes:
    seed: of the order.
    check: 'header' or 'decode'.
    jpeg_quality: of what is re-encoded.
    validation_fraction: of the training images, held out.
    exif_orientation: one of `images.EXIF_ORIENTATIONS`.
    held_out_by: one of `hold_out.METHODS`; empty: nothing is held out.
  """
  seed: int = 0
  check: str = 'header'
  jpeg_quality: int = images_lib.JPEG_QUALITY
  validation_fraction: float = 0.0
  exif_orientation: str = images_lib.APPLY
  held_out_by: str = ''


@dataclasses.dataclass(frozen=True)
class MaskOptions(Options):
  """What decides the bytes of shards of images with masks.

  Attributes:
    exif_orientation: one of `mask_pairs.EXIF_ORIENTATIONS`.
    num_classes: this and what follows are as in `masks.Rules`.
    ignore_label: of pixels that are of no class.
    reduce_zero_label: whether classes count from 1.
    label_map: which class is which value.
    image_suffix: what names of images end on, as in `pair_names.Suffixes`.
    mask_suffix: what names of masks end on.
  """
  exif_orientation: str = mask_pairs.BY_SIZE
  num_classes: int = 0
  ignore_label: int = masks.IGNORE_LABEL
  reduce_zero_label: bool = False
  label_map: str = ''
  image_suffix: str = ''
  mask_suffix: str = ''

  @property
  def rules(self) -> masks.Rules:
    return masks.Rules(self.num_classes, self.ignore_label,
                       self.reduce_zero_label, self.label_map)

  @property
  def suffixes(self) -> pair_names.Suffixes:
    return pair_names.Suffixes(self.image_suffix, self.mask_suffix)


@dataclasses.dataclass(frozen=True)
class ShardTask:
  """One shard to be written.

  Attributes:
    output_dir: folder of the shards.
    name: of the shard, such as 'train-00000-of-01024'.
    split: such as 'train'.
    num_images: images of its plan.
    num_bytes: their size as they come, masks included.
    digest: SHA-256 of everything that decides its content but the content
      of the images.
    stamp: SHA-256 of when the images were modified.
  """
  output_dir: str
  name: str
  split: str
  num_images: int
  num_bytes: int
  digest: str
  stamp: str

  @property
  def path(self) -> str:
    return os.path.join(self.output_dir, self.name)

  @property
  def plan_path(self) -> str:
    return os.path.join(self.output_dir, WORK_FOLDER, f'{self.name}.plan')

  @property
  def result_path(self) -> str:
    return os.path.join(self.output_dir, WORK_FOLDER, f'{self.name}.result')


@dataclasses.dataclass(frozen=True)
class ShardPlan:
  """The content of a plan file.

  Attributes:
    check: 'header' or 'decode'.
    jpeg_quality: of what is re-encoded.
    exif_orientation: one of `images.EXIF_ORIENTATIONS`.
    is_pixels: whether the images are bare pixels.
    classes: (name, synset) by label; of images with masks, their groups.
    images: the images, in order.
    masks: of images with masks, which values those may have.
  """
  check: str
  jpeg_quality: int
  exif_orientation: str
  is_pixels: bool
  classes: dict[int, tuple[str, str]]
  images: list[image_index.Image]
  masks: masks.Rules | None = None

  def digest(self) -> str:
    """Returns the SHA-256 of what decides the shard, not where files lie."""
    content = [self.check, self.jpeg_quality, self.exif_orientation,
               self.is_pixels, sorted(self.classes.items()),
               [(image.name, image.size, image.label)
                for image in self.images]]
    if self.masks:
      # Without a map the digest is that of versions that knew none.
      rules = dataclasses.asdict(self.masks)
      content += [{name: value for name, value in rules.items()
                   if name != 'label_map' or value},
                  [(os.path.basename(image.mask_file), image.mask_size)
                   for image in self.images]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

  def stamp(self) -> str:
    """Returns the SHA-256 of when the images were modified."""
    return hashlib.sha256(json.dumps(
        [(image.modified, image.mask_modified) if self.masks else
         image.modified for image in self.images]).encode()).hexdigest()

  def write(self, path: str) -> None:
    content = {**dataclasses.asdict(self), 'images': [
        dataclasses.astuple(image) for image in self.images]}
    storage.write_bytes(path, json.dumps(content).encode())

  @classmethod
  def read(cls, path: str) -> ShardPlan:
    content = json.loads(storage.read_bytes(path))
    content['classes'] = {
        int(label): tuple(names)
        for label, names in content['classes'].items()}
    content['images'] = [
        image_index.Image(*image) for image in content['images']]
    if content.get('masks'):
      content['masks'] = masks.Rules(**content['masks'])
    return cls(**content)


def num_shards(split: str, num_images: int, num_bytes: int) -> int:
  """Returns how many shards a split gets unless the user says.

  About 32 MiB each, at least 16 and at most the usual number of ImageNet's,
  beyond which they grow to 256 MiB; never more than images.

  Args:
    split: such as 'train'.
    num_images: its images.
    num_bytes: their size.

  Returns:
    The number; of ImageNet 1024 and 128.
  """
  shards = max(_MIN_SHARDS, -(-num_bytes // _SHARD_BYTES))
  shards = max(min(shards, _USUAL_SHARDS[split]),
               -(-num_bytes // _MAX_SHARD_BYTES))
  return min(shards, num_images)


def count_shards(totals: Mapping[str, tuple[int, int]],
                 shards: Mapping[str, int]) -> dict[str, int]:
  """Decides how many shards each split gets.

  Args:
    totals: number of images and of bytes by split.
    shards: number of shards by split, as asked for; 0 leaves it to
      `num_shards`.

  Returns:
    The number by split.

  Raises:
    ValueError: if a split has fewer images than shards.
  """
  counts = {}
  for split, (num_images, num_bytes) in totals.items():
    counts[split] = shards.get(split, 0) or num_shards(
        split, num_images, num_bytes)
    if counts[split] > num_images:
      raise ValueError(
          f'{wording.counted(num_images, f"{split} image")} cannot be dealt '
          f'out to {counts[split]} shards. Set --num_{split}_shards to at most '
          f'{num_images}.')
  return counts


def remove_former(output_dir: str, counts: Mapping[str, int]) -> int:
  """Removes shards of an unfinished conversion that had another number of them.

  The same command leaves them behind where images were added or taken away
  since. What has no plan is not of a conversion, and stays.

  Args:
    output_dir: folder of the shards.
    counts: number of shards by split, as they are to be.

  Returns:
    How many shards were there.
  """
  work_folder, num_removed = os.path.join(output_dir, WORK_FOLDER), 0
  kept = {f'{records.shard_name(split, number, count)}.plan'
          for split, count in counts.items() for number in range(count)}
  for file in storage.list_names(work_folder, '*.plan'):
    if file in kept:
      continue
    name = file.removesuffix('.plan')
    shard = os.path.join(output_dir, name)
    num_removed += storage.exists(shard)
    # The plan last: without it a shard that is left would be a stranger's.
    for path in (shard, os.path.join(work_folder, f'{name}.result'),
                 os.path.join(work_folder, file)):
      storage.remove(path)
  return num_removed


def make(index: image_index.ImageIndex, data_set: sources.DataSet,
         options: Options, output_dir: str, counts: Mapping[str, int]
         ) -> list[ShardTask]:
  """Deals the images out to shards and writes the plan files.

  Args:
    index: every image, with split and label, shuffled.
    data_set: what they are.
    options: of the conversion.
    output_dir: folder of the shards.
    counts: number of shards by split.

  Returns:
    The shards, split by split.

  Raises:
    ValueError: if the folder holds shards of another count.
  """
  for split in records.SPLITS:
    records.check_no_other_count(output_dir, split, counts.get(split, 0))
  storage.make_folder(os.path.join(output_dir, WORK_FOLDER))
  tasks = []
  for split, (num_images, _) in index.totals().items():
    dealt = _deal(index.ordered(split), num_images, counts[split])
    for number, images in enumerate(dealt):
      plan = ShardPlan(
          check=options.check, jpeg_quality=options.jpeg_quality,
          exif_orientation=options.exif_orientation,
          is_pixels=data_set.is_pixels, images=images,
          classes=_classes_of(images, data_set.groups or data_set.classes),
          masks=options.rules if isinstance(options, MaskOptions) else None)
      task = ShardTask(
          output_dir, records.shard_name(split, number, counts[split]), split,
          len(images),
          sum(image.size + image.mask_size for image in images),
          plan.digest(), plan.stamp())
      plan.write(task.plan_path)
      tasks.append(task)
  return tasks


def _deal(images: Iterator[image_index.Image], num_images: int, shards: int
          ) -> Iterator[list[image_index.Image]]:
  """Cuts a split into shards whose sizes differ by one image at most."""
  for number in range(shards):
    first = number * num_images // shards
    after = (number + 1) * num_images // shards
    yield [next(images) for _ in range(after - first)]


def _classes_of(images: Sequence[image_index.Image],
                classes: Sequence[class_names_lib.ImageClass]
                ) -> dict[int, tuple[str, str]]:
  labels = sorted({image.label for image in images})
  return {label: (classes[label].name, classes[label].synset)
          if label != records.NO_LABEL else ('', '') for label in labels}
