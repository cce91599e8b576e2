"""Recognises a data set, and gives every image its split and its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import os

from . import cifar
from . import class_names as class_names_lib
from . import containers
from . import folder_tree
from . import image_index
from . import imagenet_labels
from . import records
from . import wording

FORMS = ('auto', 'imagenet', 'folders')

# Of the complete ImageNet (ILSVRC 2012).
IMAGENET_SIZES = {'train': 1_281_167, 'validation': 50_000, 'test': 100_000}

TEST_AS_VALIDATION = ('the test images are written as validation-*, which '
                      'training evaluates on')
# Label 0 of ImageNet, which no image has.
BACKGROUND = class_names_lib.ImageClass('background')


@dataclasses.dataclass(frozen=True)
class DataSet:
  """What was recognised.

  Attributes:
    form: in words, such as 'ImageNet (ILSVRC 2012)'.
    classes: by label.
    notes: what the person who converts should know.
    is_pixels: whether the images are bare pixels, as of CIFAR.
    groups: of images with masks, the folders by the label that the index has
      for them; the classes are those of pixels then, none if masks must tell.
  """
  form: str
  classes: tuple[class_names_lib.ImageClass, ...]
  notes: tuple[str, ...] = ()
  is_pixels: bool = False
  groups: tuple[class_names_lib.ImageClass, ...] = ()

  @property
  def is_imagenet(self) -> bool:
    """Whether the classes are synsets: ImageNet, or a part or more of it."""
    return not self.groups and all(
        image_class.synset for image_class in self.classes
        if image_class is not BACKGROUND)


def recognise(index: image_index.ImageIndex,
              lists: Mapping[str, containers.Member], form: str = 'auto',
              validation_labels: Mapping[str, str] | None = None,
              classes: Sequence[class_names_lib.ImageClass] = ()) -> DataSet:
  """Recognises the data set that an index holds, and assigns its images.

  Args:
    index: every image that was found.
    lists: the lists that were found, by name.
    form: of `FORMS`; 'imagenet' labels synsets by ImageNet's 1,000 classes,
      'folders' by the folders that are there.
    validation_labels: synset by stem, for validation images without folders.
    classes: by label, of the data that a model was trained on; none: the
      folders tell them.

  Returns:
    The data set.

  Raises:
    ValueError: if there are no images, their places are ambiguous, a class has
      a name that cannot be written, or a folder is none of `classes`.
  """
  folders = index.folders()
  if not folders:
    raise ValueError(
        'no images among the inputs. ' + what_was_left_out(index))
  places = folder_tree.read(folders)
  places = _with_flat_splits(places, folders)
  class_names = {place.class_name for place in places.values()
                 if place.class_name is not None}
  class_names_lib.check(sorted(class_names))
  flat_names = _flat_labels(places, folders, lists, validation_labels)
  notes = list(class_names_lib.lookalikes(class_names))
  notes += [f'the folder {name!r} begins with a dot, and is taken for a class '
            'all the same' for name in sorted(class_names)
            if name.startswith('.')]
  if any(place.class_name is None and place.split == 'test'
         for place in places.values()):
    notes.append('the test images have no labels: their records carry -1')
  places = _test_as_validation(places, notes)
  if classes:
    given = _readable_names(lists)
    labels = {name: class_names_lib.label_of(
        (name, given.get(name, name)), classes)
              for name in sorted(class_names | set(flat_names.values()))}
    form_name = 'a folder per class, labelled by --class_names'
    notes += class_names_lib.repeated(classes)
  else:
    form_name, labels, classes = _classes(
        places, folders, flat_names, lists, form, notes)
  for folder, place in places.items():
    index.assign(folder, place.split, _labeller(place, labels, flat_names))
  notes += index.linked()
  if any(item is BACKGROUND for item in classes):
    _note_sizes(index, notes)
  return DataSet(form_name, tuple(classes), tuple(notes))


def read_cifar(path: str, pixels_path: str, index: image_index.ImageIndex
               ) -> DataSet:
  """Puts the images of an archive of CIFAR into an index.

  Args:
    path: the archive, under the name it is published by.
    pixels_path: the file that their pixels are written to.
    index: where the images go, with split and label.

  Returns:
    The data set.

  Raises:
    ValueError: if the archive is damaged, or not what its name says.
  """
  images, class_names = cifar.extract(path, pixels_path)
  folders = {}
  for image in images:
    folder = f'{image.split}/{class_names[image.label]}'
    folders[folder] = (image.split, image.label)
    index.add(containers.Member(
        f'{folder}/{image.name}', pixels_path, image.offset,
        cifar.IMAGE_BYTES))
  for folder, (split, label) in folders.items():
    index.assign(folder, split, label)
  return DataSet(
      cifar.version_of(path).name,
      tuple(class_names_lib.ImageClass(name) for name in class_names),
      ('the pixels are encoded as JPEG without subsampling of colors; the test '
       'images are written as validation-*',), is_pixels=True)


def _classes(places: Mapping[str, folder_tree.Place],
             folders: Mapping[str, str], flat_names: Mapping[str, str],
             lists: Mapping[str, containers.Member], form: str,
             notes: list[str]
             ) -> tuple[str, dict[str, int], list[class_names_lib.ImageClass]]:
  """Returns the form, label by folder or synset, and the classes by label."""
  class_names = {place.class_name for place in places.values()
                 if place.class_name is not None}
  if _is_imagenet(class_names, flat_names, folders, form):
    form_name, background = 'ImageNet (ILSVRC 2012)', [BACKGROUND]
    ordered = list(imagenet_labels.SYNSETS)
  else:
    background = []
    ordered = _order(_trained(places, class_names), notes)
    form_name = _name_form(ordered, folders, lists)
  labels = {name: number for number, name in enumerate(
      ordered, start=len(background))}
  unexpected = sorted((class_names | set(flat_names.values())) - set(labels))
  if unexpected:
    raise ValueError(
        f'{unexpected[0]!r} is no class of the training images. Classes are '
        'the folders of the training split.')
  return form_name, labels, background + _image_classes(ordered, lists)


def _with_flat_splits(places: Mapping[str, folder_tree.Place],
                      folders: Mapping[str, str]
                      ) -> dict[str, folder_tree.Place]:
  """Takes folders of ImageNet's validation or test images for what they are."""
  corrected = {}
  for folder, place in places.items():
    split = imagenet_labels.flat_split(folders[folder])
    is_class = place.class_name is not None and (
        imagenet_labels.is_synset(place.class_name))
    corrected[folder] = folder_tree.Place(split, None) if (
        split and not is_class) else place
  return corrected


def _flat_labels(places: Mapping[str, folder_tree.Place],
                 folders: Mapping[str, str],
                 lists: Mapping[str, containers.Member],
                 validation_labels: Mapping[str, str] | None
                 ) -> dict[str, str]:
  """Returns the synset by stem for images that lie in no class folder."""
  flat = {place.split: folder for folder, place in places.items()
          if place.class_name is None}
  if 'train' in flat:
    folder = flat['train']
    raise ValueError(
        f'{folder}/{folders[folder]} and its like lie in no class folder. Put '
        "each class into a folder of its name, such as 'train/cat/1.jpg'.")
  if 'validation' not in flat:
    if validation_labels:
      raise ValueError(
          '--validation_labels is given, but no validation images without '
          'class folders are there. Leave it out.')
    return {}
  folder = flat['validation']
  labels = validation_labels or imagenet_labels.find_validation_labels(lists)
  if not labels:
    raise ValueError(
        imagenet_labels.missing_labels(f'{folder}/{folders[folder]}'))
  return dict(labels)


def _test_as_validation(places: Mapping[str, folder_tree.Place],
                        notes: list[str]) -> dict[str, folder_tree.Place]:
  """Takes a test split with labels where there is no validation."""
  splits = {place.split for place in places.values()}
  has_labels = any(place.split == 'test' and place.class_name is not None
                   for place in places.values())
  if 'validation' in splits or not has_labels:
    return dict(places)
  notes.append(TEST_AS_VALIDATION)
  return {folder: dataclasses.replace(
      place, split='validation') if place.split == 'test' else place
          for folder, place in places.items()}


def _is_imagenet(class_names: set[str], flat_names: Mapping[str, str],
                 folders: Mapping[str, str], form: str) -> bool:
  """Says whether the classes are ImageNet's 1,000."""
  known = set(imagenet_labels.SYNSETS)
  is_part = bool(class_names) and class_names <= known
  if form == 'folders':
    return False
  if form == 'imagenet':
    if class_names and not is_part:
      raise ValueError(
          f'--form=imagenet, but {min(class_names - known)!r} is none of '
          "ImageNet's 1,000 synsets. Use --form=folders.")
    return True
  if class_names == known:
    return True
  if not class_names:
    return any(imagenet_labels.flat_split(name) for name in folders.values())
  if is_part and not _is_tiny(folders):
    missing = sorted(known - class_names)
    raise ValueError(
        f'{len(class_names)} of the 1,000 classes of ImageNet are there '
        f'({missing[0]} is missing). If ImageNet is meant, complete it, or use '
        '--form=imagenet to keep its labels 1..1000; --form=folders makes '
        f'labels 0..{len(class_names) - 1} of the folders.')
  return False


def _trained(places: Mapping[str, folder_tree.Place], class_names: set[str]
                ) -> set[str]:
  """Returns the classes: those of the training split where there is one."""
  trained = {place.class_name for place in places.values()
             if place.split == 'train'}
  return trained or class_names


def _order(class_names: set[str], notes: list[str]) -> list[str]:
  """Returns the classes in the order of their labels."""
  if len(class_names) < 2:
    raise ValueError(
        f'there is one class only, {min(class_names, default=None)!r}. Give '
        'the folder above the class folders.')
  ordered = class_names_lib.in_order(class_names)
  notes += class_names_lib.numbers(ordered)
  return ordered


def _is_tiny(folders: Mapping[str, str]) -> bool:
  return any(folder.endswith('/images') for folder in folders)


def _name_form(ordered: Sequence[str], folders: Mapping[str, str],
               lists: Mapping[str, containers.Member]) -> str:
  if all(imagenet_labels.is_synset(name) for name in ordered):
    if _is_tiny(folders) or imagenet_labels.ANNOTATIONS in lists:
      return 'Tiny-ImageNet'
    return f'{len(ordered)} synsets of ImageNet-21k'
  return 'a folder per class'


def _labeller(place: folder_tree.Place, labels: Mapping[str, int],
              flat_names: Mapping[str, str]):
  """Returns the label of a folder's images, or a function of their names."""
  if place.class_name is not None:
    return labels[place.class_name]
  if place.split == 'test':
    return records.NO_LABEL

  def label(name):
    stem = os.path.splitext(name)[0]
    if stem not in flat_names:
      raise ValueError(
          f'the validation image {name} is not in the list of labels, which '
          f'has {len(flat_names)}.')
    return labels[flat_names[stem]]
  return label


def _image_classes(ordered: Sequence[str],
                   lists: Mapping[str, containers.Member]
                   ) -> list[class_names_lib.ImageClass]:
  """Returns the classes in order, with the names that a list gives them."""
  names = _readable_names(lists)
  class_names_lib.check(names.values(), 'in the list of synsets, the class')
  return [class_names_lib.ImageClass(
      names.get(name, name), name if imagenet_labels.is_synset(name) else '')
          for name in ordered]


def _readable_names(lists: Mapping[str, containers.Member]) -> dict[str, str]:
  """Returns the name by synset that the lists among the inputs give."""
  names = {}
  for file in ('synsets.tsv', 'words.txt', 'synset_words.txt',
               'LOC_synset_mapping.txt'):
    if file in lists:
      names.update(imagenet_labels.read_class_names(
          lists[file].read().decode(errors='replace')))
  return names


def _note_sizes(index: image_index.ImageIndex, notes: list[str]) -> None:
  for split, (count, _) in index.totals().items():
    if count != IMAGENET_SIZES[split]:
      notes.append(f'{wording.counted(count, f"{split} image")}; the complete '
                   f'ImageNet has {IMAGENET_SIZES[split]:,}')


def what_was_left_out(index: image_index.ImageIndex) -> str:
  """Says of inputs without images what they hold instead."""
  for is_lost in (True, False):
    for path, reason in index.left_out(is_lost):
      files = wording.counted(
          index.num_left_out(is_lost), 'file was', 'files were')
      return f'{files} left out, such as {path}: {reason}.'
  return 'They are empty.'
