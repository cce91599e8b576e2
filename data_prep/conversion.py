"""One conversion, from the inputs to the manifest.

Killed at any moment and started again, it resumes: the plan is made anew, a
shard that is finished is kept after its SHA-256 was compared, the rest is
written. The manifest comes last; a folder that has one is finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import hashlib
import itertools
import os
import tempfile
from typing import Any

from . import cifar
from . import class_names as class_names_lib
from . import containers
from . import hold_out
from . import image_index
from . import imagenet_labels
from . import images
from . import manifest as manifests
from . import pairing
from . import plan as plans
from . import records
from . import scan
from . import shards as shards_lib
from . import sources
from . import storage

# Keys, checksums and lengths of a record, and what a file system adds.
_BYTES_PER_RECORD = 400
_PIXELS_FILE = 'pixels'
# Of a finished conversion: when its inputs were modified. Not in the manifest,
# which is the same for the same images.
STAMP_FILE = '.modified'
# Stray files that are named on the screen; all of them are on a list.
_SHOWN = 5

# Converts tasks; the results come to lie beside their plans.
Runner = Callable[[Sequence[plans.ShardTask]], None]


@dataclasses.dataclass(frozen=True)
class Inputs:
  """What is to be converted.

  Attributes:
    paths: (split, path) of folders and archives; '' lets their names tell.
    form: of `sources.FORMS`.
    validation_labels: path of a list of labels, or ''.
    class_names: path of a list of the classes by label, or ''.
    has_masks: whether they are images with masks; then splits may be
      `mask_folders.NAMED`.
  """
  paths: tuple[tuple[str, str], ...]
  form: str = 'auto'
  validation_labels: str = ''
  class_names: str = ''
  has_masks: bool = False


@dataclasses.dataclass(frozen=True)
class Conversion:
  """How a conversion ended.

  Attributes:
    data_set: what was recognised.
    manifest: as it is, or would be, written.
    is_finished: whether it is written: not with more corrupt images than
      allowed.
    was_finished: whether nothing but checking was left to do.
    has_changed: whether files of the inputs were modified since it was
      finished; their content was not compared.
  """
  data_set: sources.DataSet
  manifest: dict[str, Any]
  is_finished: bool
  was_finished: bool = False
  has_changed: bool = False


class Listener:
  """Is told how a conversion goes; this one does nothing."""

  def scanned(self, num_images: int) -> None:
    """Hears how many images were found by now."""

  def recognised(self, data_set: sources.DataSet,
                 totals: Mapping[str, tuple[int, int]]) -> None:
    """Hears the data set, and number of images and bytes by split."""

  def left_out(self, some: Sequence[tuple[str, str]], count: int) -> None:
    """Hears how many files look like no images, with reasons for some."""

  def resumed(self, num_there: int, num_shards: int, num_removed: int) -> None:
    """Hears how many shards an unfinished run has left, and lost by now."""

  def begin(self, tasks: Sequence[plans.ShardTask]) -> None:
    """Hears which shards are about to be converted."""


def convert(inputs: Inputs, output_dir: str, options: plans.Options,
            shards: Mapping[str, int], max_corrupt: int, runner: Runner,
            listener: Listener | None = None) -> Conversion:
  """Converts images to TFRecords, or resumes where a killed run stopped.

  Args:
    inputs: what to convert.
    output_dir: folder of the shards; made if missing.
    options: what decides their bytes; an empty `exif_orientation` is 'ignore'
      of ImageNet and 'apply' of other images, and an empty `held_out_by` is
      what a finished conversion in the folder has, else 'class'.
    shards: number of shards by split; 0 for as many as fit the size.
    max_corrupt: corrupt images up to which the conversion counts.
    runner: converts the shards.
    listener: is told how it goes.

  Returns:
    How it ended.

  Raises:
    ValueError: if the inputs cannot be understood, the folder holds another
      conversion or is in use, or the disk is too full.
    OSError: if something cannot be written.
  """
  listener = listener or Listener()
  _check_inputs(inputs, output_dir)
  with contextlib.ExitStack() as stack:
    stack.enter_context(storage.lock(output_dir))
    index = image_index.ImageIndex()
    stack.callback(index.close)
    pixels_dir = stack.enter_context(_pixels_dir(inputs, output_dir))
    data_set = _read_inputs(inputs, options, index, pixels_dir, listener)
    index.shuffle(options.seed)
    _check_duplicates(index, inputs)
    _check_links(index)
    earlier = manifests.read(output_dir)
    options = _with_defaults(options, data_set, earlier)
    if options.validation_fraction:
      hold_out.move(
          index, options.validation_fraction, options.held_out_by)
    listener.recognised(data_set, index.totals())
    some = list(itertools.islice(index.left_out(is_lost=False), _SHOWN))
    listener.left_out(some, index.num_left_out(is_lost=False))
    counts = plans.count_shards(index.totals(), shards)
    differs = manifests.what_differs(
        earlier, options, shards) if earlier else ''
    if earlier and counts != manifests.num_shards(earlier):
      raise ValueError(f'{output_dir} {differs}')
    num_removed = plans.remove_former(output_dir, counts)
    tasks = plans.make(index, data_set, options, output_dir, counts)
    identity = _identity(tasks)
    if earlier:
      return _check_finished(earlier, identity, tasks, differs, data_set,
                             output_dir, max_corrupt, runner, listener)
    _remove_unfinished(output_dir)
    _check_space(tasks, output_dir)
    listener.resumed(shards_lib.count_written(tasks), len(tasks), num_removed)
    listener.begin(tasks)
    runner(tasks)
    results = shards_lib.Results(tasks)
    if data_set.groups and not data_set.classes:
      data_set = dataclasses.replace(data_set, classes=tuple(
          pairing.numbered(shards_lib.num_classes(results, options.rules))))
    lists = manifests.write_lists(output_dir, results, index)
    manifest = manifests.build(
        data_set, options, inputs.paths, results, lists, identity)
    if not any(split['num_images'] for split in manifest['splits'].values()):
      first = next((f', such as {file}: {reason}' for result in results
                    for file, reason in result.quarantined), '')
      raise ValueError(
          f'not one of the images is whole{first}; {manifests.QUARANTINE_FILE} '
          f'in {output_dir} says why.')
    records.write_class_names(
        output_dir, [item.name for item in data_set.classes])
    if lists['quarantined']['count'] > max_corrupt:
      return Conversion(data_set, manifest, is_finished=False)
    storage.write_bytes(
        os.path.join(output_dir, STAMP_FILE), _stamp(tasks).encode())
    manifests.write(output_dir, manifest)
    storage.remove(os.path.join(output_dir, plans.WORK_FOLDER))
    return Conversion(data_set, manifest, is_finished=True)


def _check_inputs(inputs: Inputs, output_dir: str) -> None:
  if storage.exists(output_dir) and not storage.is_folder(output_dir):
    raise ValueError(
        f'--output_dir={output_dir} is a file. Name a folder, or a new one.')
  seen = {}
  for _, path in inputs.paths:
    real_path = path if storage.is_remote(path) else os.path.realpath(path)
    if real_path in seen:
      raise ValueError(f'{seen[real_path]} and {path} are the same input. Give '
                       'it once.')
    seen[real_path] = path
    if not storage.exists(path):
      raise ValueError(f'{path} does not exist.')
    if storage.is_folder(path) and not storage.is_remote(path) and (
        os.path.realpath(output_dir) + os.sep).startswith(
            os.path.realpath(path) + os.sep):
      raise ValueError(
          f'--output_dir={output_dir} lies in the input {path}: a second run '
          'would read what the first has written. Choose another.')


@contextlib.contextmanager
def _pixels_dir(inputs: Inputs, output_dir: str):
  """Yields a local folder for the pixels of CIFAR; removes it afterwards."""
  if inputs.has_masks or not any(
      cifar.version_of(path) for _, path in inputs.paths):
    yield ''
    return
  if storage.is_remote(output_dir):
    with tempfile.TemporaryDirectory() as folder:
      yield folder
    return
  # Beside the plans, where the next run finds and replaces it.
  folder = os.path.join(output_dir, plans.WORK_FOLDER)
  storage.check_free(cifar.NUM_IMAGES * cifar.IMAGE_BYTES, output_dir)
  storage.make_folder(folder)
  try:
    yield folder
  finally:
    storage.remove(os.path.join(folder, _PIXELS_FILE))


def _read_inputs(inputs: Inputs, options: plans.Options,
                 index: image_index.ImageIndex, pixels_dir: str,
                 listener: Listener) -> sources.DataSet:
  """Fills the index and recognises what is in it."""
  if pixels_dir:
    return _read_cifar(inputs, index, pixels_dir, listener)
  if inputs.has_masks:
    return pairing.read(
        inputs.paths, index, _read_classes(inputs) if inputs.class_names else
        pairing.numbered(options.num_classes), listener.scanned,
        options.suffixes, inputs.class_names)
  labels = None
  if inputs.validation_labels:
    labels = imagenet_labels.read_validation_labels(inputs.validation_labels)
  named = [(split or containers.name_of(path), path)
           for split, path in inputs.paths]
  lists = scan.scan(named, index, listener.scanned)
  classes = _read_classes(inputs) if inputs.class_names else ()
  return sources.recognise(index, lists, inputs.form, labels, classes)


def _read_classes(inputs: Inputs) -> list[class_names_lib.ImageClass]:
  """Reads the classes of other data, with their synsets where known."""
  if inputs.form != 'auto':
    raise ValueError(
        f'--form={inputs.form} and --class_names both say which labels there '
        'are. Leave out --form.')
  names = class_names_lib.read(inputs.class_names)
  manifest = manifests.read(os.path.dirname(inputs.class_names))
  classes = manifest['classes'] if manifest else []
  if [item['name'] for item in classes] == names:
    return [class_names_lib.ImageClass(item['name'], item['synset'])
            for item in classes]
  return [class_names_lib.ImageClass(
      name, name if imagenet_labels.is_synset(name) else '') for name in names]


def _read_cifar(inputs: Inputs, index: image_index.ImageIndex,
                pixels_dir: str, listener: Listener) -> sources.DataSet:
  if len(inputs.paths) > 1:
    raise ValueError('CIFAR comes in one archive; give it as the only --input.')
  if (inputs.form != 'auto' or inputs.validation_labels or
      inputs.class_names):
    raise ValueError('CIFAR has labels of its own. Leave out --form, '
                     '--validation_labels and --class_names.')
  (_, path), = inputs.paths
  data_set = sources.read_cifar(
      path, os.path.join(pixels_dir, _PIXELS_FILE), index)
  listener.scanned(sum(count for count, _ in index.totals().values()))
  return data_set


def _check_duplicates(index: image_index.ImageIndex, inputs: Inputs) -> None:
  pair = index.duplicates()
  if pair:
    place = 'folder' if inputs.has_masks else 'class'
    raise ValueError(
        f'{pair[0]} and {pair[1]} are two images of the same {place} and name. '
        'Rename one.')


def _check_links(index: image_index.ImageIndex) -> None:
  """Refuses a folder that is there twice, as the class of a link too."""
  met = {}
  for place in index.places():
    if not storage.is_remote(place):
      other = met.setdefault(os.path.realpath(place), place)
      if other != place:
        raise ValueError(
            f'{other} and {place} are the same, by a symbolic link: its images '
            'would be there twice. Remove one of them.')


def _with_defaults(options: plans.Options, data_set: sources.DataSet,
                   earlier: Mapping[str, Any] | None) -> plans.Options:
  """Fills in what depends on the data set, and on a finished conversion."""
  held_out_by = options.held_out_by
  if data_set.groups:
    return dataclasses.replace(options, held_out_by=(
        hold_out.TOGETHER if options.validation_fraction else ''))
  if options.validation_fraction and not held_out_by:
    # One finished by a version before there was a choice stays as it is.
    known = manifests.held_out_by(earlier) if earlier else ''
    held_out_by = known if known in hold_out.METHODS else hold_out.CLASS
  # Those who train on ImageNet take its pixels as they are stored.
  orientation = options.exif_orientation or (
      images.IGNORE if data_set.is_imagenet else images.APPLY)
  return dataclasses.replace(
      options, held_out_by=held_out_by, exif_orientation=orientation)


def _identity(tasks: Sequence[plans.ShardTask]) -> str:
  """Returns the SHA-256 of all that decides the shards."""
  return hashlib.sha256(''.join(
      f'{task.name} {task.digest}\n' for task in tasks).encode()).hexdigest()


def _stamp(tasks: Sequence[plans.ShardTask]) -> str:
  """Returns the SHA-256 of when the files of the inputs were modified."""
  return hashlib.sha256(
      ''.join(task.stamp for task in tasks).encode()).hexdigest()


def _check_finished(earlier: dict[str, Any], identity: str,
                    tasks: Sequence[plans.ShardTask], differs: str,
                    data_set: sources.DataSet, output_dir: str,
                    max_corrupt: int, runner: Runner, listener: Listener
                    ) -> Conversion:
  """Compares a finished conversion with its manifest; fixes what differs."""
  classes = [class_names_lib.ImageClass(item['name'], item['synset'])
             for item in earlier['classes']]
  if data_set.groups and not data_set.classes:
    # The masks told them.
    data_set = dataclasses.replace(data_set, classes=tuple(classes))
  if earlier['identity'] != identity or classes != list(data_set.classes):
    storage.remove(os.path.join(output_dir, plans.WORK_FOLDER))
    raise ValueError(f'{output_dir} {differs}')
  expected = {shard['name']: shard for split in earlier['splits'].values()
              for shard in split['shards']}
  damaged = [task for task in tasks if not _is_as_written(
      task.path, expected[task.name])]
  if damaged:
    listener.begin(damaged)
    runner(damaged)
    for result in shards_lib.Results(damaged):
      if result.sha256 != expected[result.name]['sha256']:
        raise ValueError(
            f'{result.name} was damaged and comes out otherwise now: an image '
            f'has changed, or Pillow ({earlier["software"]["Pillow"]} then). '
            f'Remove {output_dir} and convert again.')
  _remove_unfinished(output_dir)
  storage.remove(os.path.join(output_dir, plans.WORK_FOLDER))
  for what in manifests.LISTS:
    path = os.path.join(output_dir, earlier[what]['file'])
    if not storage.exists(path) or (
        shards_lib.sha256_of(path) != earlier[what]['sha256']):
      raise ValueError(
          f'{path} is missing or has changed since the conversion. Remove '
          f'{manifests.MANIFEST_FILE} beside it and run the same command '
          'again: everything is written as it was.')
  records.write_class_names(
      output_dir, [item.name for item in data_set.classes])
  stamp_path = os.path.join(output_dir, STAMP_FILE)
  return Conversion(
      data_set, earlier,
      is_finished=earlier['quarantined']['count'] <= max_corrupt,
      was_finished=not damaged,
      has_changed=not storage.exists(stamp_path) or (
          storage.read_bytes(stamp_path) != _stamp(tasks).encode()))


def _is_as_written(path: str, shard: Mapping[str, Any]) -> bool:
  return (storage.file_size(path) == shard['num_bytes'] and
          shards_lib.sha256_of(path) == shard['sha256'])


def _remove_unfinished(output_dir: str) -> None:
  """Removes what a killed run left half written."""
  for name in storage.list_names(output_dir, f'{storage.UNFINISHED}*'):
    storage.remove(os.path.join(output_dir, name))


def _check_space(tasks: Sequence[plans.ShardTask], output_dir: str) -> None:
  storage.check_free(sum(task.num_bytes + _BYTES_PER_RECORD * task.num_images
                         for task in tasks if not storage.exists(task.path)),
                     output_dir)
