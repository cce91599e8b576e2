"""What the classes of a model are called.

`imagenet_classes.tsv` names the 1,000 classes of ImageNet-1k: the synset and
its first lemma in WordNet 3.0, made unique where two synsets share it.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
import difflib
import functools
import itertools
import os
import pathlib
import unicodedata

from absl import logging
import tensorflow as tf
import tensorflow_datasets as tfds

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.command_line import tables
from official_ext.configs import image_classification
from official_ext.params import input_files

# Written by data_prep beside the shards, and by us into an export.
FILE = 'class_names.txt'
# In what a checkpoint says of its training data.
KEY = 'class_names'
FORMER_KEY = 'class_names_in_data'
_IMAGENET_FILE = pathlib.Path(__file__).with_name('imagenet_classes.tsv')
# Of names: control characters, line and paragraph separators. All that
# str.splitlines splits at is among them.
_REFUSED_CATEGORIES = frozenset({'Cc', 'Zl', 'Zp'})
# Readers drop it where a file begins.
_BYTE_ORDER_MARK = '\ufeff'
# What has label 0 where the classes of ImageNet are 1 to 1,000; no image is it.
BACKGROUND = 'background'


@functools.cache
def of_synsets() -> dict[str, str]:
  """Returns the name of each ImageNet class by synset, in label order."""
  return dict(line.split('\t') for line in
              _IMAGENET_FILE.read_text(encoding='utf-8').splitlines())


def describe(task: image_classification.ImageClassificationTask,
             trains: bool) -> dict[str, list[str]]:
  """Names the classes of a model at the start of a run.

  Args:
    task: the task's configuration, resolved.
    trains: whether the run trains; else only names that come with the weights
      of `init_checkpoint` are the model's.

  Returns:
    A name for each class under `KEY`, as the data write them; empty if they
    have none. Under `FORMER_KEY` what the data call the classes that
    `class_names_path` renames.

  Raises:
    ValueError: as `of_training_data`, or if `init_checkpoint` cannot be read.
  """
  if come_with_weights(task):
    known = metadata.read_data(object_graph.find(task.init_checkpoint))
    if len(known.get(KEY, ())) == task.model.num_classes:
      return {key: known[key] for key in (KEY, FORMER_KEY) if key in known}
  names = of_training_data(task) if trains else None
  if not names:
    return {}
  if len(set(names)) < len(names):
    name, _ = collections.Counter(names).most_common(1)[0]
    logging.warning(
        'classes %d and %d of the model are both called %r: neither is told '
        'from the other by its name',
        *[index for index, own in enumerate(names) if own == name][:2], name)
  path = beside(task.train_data.input_path, task.data_dir)
  former = read(path) if path and task.class_names_path else names
  if former == names or not _is_renaming(names, former):
    return {KEY: names}
  return {KEY: names, FORMER_KEY: former}


def come_with_weights(
    task: image_classification.ImageClassificationTask) -> bool:
  """Says whether the classes are those of `init_checkpoint`, by its head."""
  return bool(task.init_checkpoint) and task.init_checkpoint_modules == 'all'


def advice(task: image_classification.ImageClassificationTask,
           model_dir: str) -> str:
  """Says what to do about data of other classes than the model's.

  Args:
    task: the task's configuration, resolved.
    model_dir: folder of the training.

  Returns:
    A sentence that names the file of the model's classes, if there is one.
  """
  path, instead = os.path.join(model_dir, FILE), '--model_dir'
  if come_with_weights(task) and not tf.io.gfile.exists(path):
    checkpoint = object_graph.find(task.init_checkpoint)
    path = os.path.join(os.path.dirname(checkpoint), FILE)
    instead = 'task.init_checkpoint'
  if not tf.io.gfile.exists(path):
    path = 'FILE, the names of its classes in their order'
  return ('Take data of its classes, converted with --class_names='
          f'{path}, or another {instead}.')


def _is_renaming(names: Sequence[str], former: Sequence[str]) -> bool:
  """Says whether lists name the same classes, in one order, otherwise."""
  names, former = composed(names), composed(former)
  return len(names) == len(former) and all(
      name == other or (name not in former and other not in names)
      for name, other in zip(names, former))


def of_task(task: image_classification.ImageClassificationTask
            ) -> list[str] | None:
  """Names the classes of a task that is about to be trained, for reading.

  Args:
    task: the task's configuration, resolved.

  Returns:
    A name for each class; None if they have none.

  Raises:
    ValueError: as `of_training_data`.
  """
  names = of_training_data(task)
  return None if names is None else readable(names)


def of_training_data(task: image_classification.ImageClassificationTask
                     ) -> list[str] | None:
  """Names the classes of a task as its training data do.

  `task.class_names_path` comes first, then the file beside the records or what
  TFDS knows. Without any, a task that trains on ImageNet-1k has its synsets.

  Args:
    task: the task's configuration, resolved.

  Returns:
    A name for each class; None if they have none.

  Raises:
    ValueError: if the file of names does not exist, or names fewer or more
      than the classes.
  """
  path = task.class_names_path
  if path and not tf.io.gfile.exists(path):
    raise ValueError(f'task.class_names_path: {path!r} does not exist.')
  if task.train_data.tfds_name and not path:
    return _by_class(of_tfds(task.train_data) or [], task)
  path = path or beside(task.train_data.input_path, task.data_dir)
  if not path:
    return _of_imagenet(task)
  names = read(path)
  by_class = _by_class(names, task)
  if by_class is None:
    raise ValueError(
        f'{path} names {tables.counted(len(names), "class", "classes")}, one '
        f'per line, but the model has {task.model.num_classes}. Set '
        f'task.model.num_classes={len(names)}, or task.class_names_path.')
  return by_class


def _by_class(names: Sequence[str],
              task: image_classification.ImageClassificationTask
              ) -> list[str] | None:
  """Returns names of labels by class; None if they are too few or too many."""
  num_classes = task.model.num_classes
  # Masks hold classes as they are.
  offset = getattr(task.train_data, 'label_offset', None) or 0
  if len(names) == num_classes:
    return list(names)
  if len(names) + offset == num_classes:
    # Class `label + offset` is that of `label`; 1 makes room for background.
    return ([BACKGROUND, *numbered(offset)[1:]][:offset] +
            list(names))[-num_classes:]
  return None


def of_tfds(data: image_classification.DataConfig) -> list[str] | None:
  """Names the labels of a data set of TFDS; downloads nothing.

  Args:
    data: the settings of the data set.

  Returns:
    The names by label; None if TFDS does not know them, of many data sets
    before they were prepared for the first time.
  """
  builder = tfds.builder(data.tfds_name, data_dir=data.tfds_data_dir or None)
  names = builder.info.features['label'].names
  # Numbers are what it puts in the place of names that it does not know.
  return None if names == [str(label) for label in range(len(names))] else names


def beside(input_path: str | Sequence[str], data_dir: str = '') -> str | None:
  """Finds the file that names the labels of records.

  Args:
    input_path: pattern or patterns of the records.
    data_dir: a folder that is looked into as well, if the records lie below
      it.

  Returns:
    Its path; None if there is none.

  Raises:
    ValueError: if records of several folders have other names in each.
  """
  try:
    records = input_files.match(input_path) if input_path else []
  except ValueError:  # The records are gone; the names may have stayed.
    records = []
  folders = sorted({os.path.dirname(record) for record in records})
  paths = _existing(folders)
  if not paths and data_dir and all(
      folder.startswith(os.path.join(data_dir, '')) for folder in folders):
    paths = _existing([data_dir])
  for other in paths[1:]:
    _check_same(paths[0], other)
  return paths[0] if paths else None


def _existing(folders: Sequence[str]) -> list[str]:
  """Returns the files of names that are in some of the folders."""
  paths = [os.path.join(folder, FILE) for folder in folders]
  return [path for path in paths if tf.io.gfile.exists(path)]


def write(path: str, names: Sequence[str]) -> None:
  """Writes a file of names, as `read` reads it."""
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(''.join(f'{name}\n' for name in names))


def _check_same(path: str, other: str) -> None:
  """Refuses records of one data set that are labelled differently."""
  for label, (name, name_there) in enumerate(
      itertools.zip_longest(read(path), read(other))):
    if name != name_there:
      raise ValueError(
          f'{path} and {other} are of one data set, but label {label} is '
          f'{name!r} in the one and {name_there!r} in the other. Convert both '
          'with the same --class_names=FILE.')


def read(path: str) -> list[str]:
  """Reads a file of names, line i naming class i.

  Args:
    path: the file, UTF-8 with or without a byte order mark.

  Returns:
    The names.

  Raises:
    ValueError: if a line is no name, or the file no text.
  """
  with tf.io.gfile.GFile(path, 'rb') as file:
    content = file.read()
  try:
    text = content.decode('utf-8-sig')
  except UnicodeDecodeError:
    raise ValueError(f'{path} is not UTF-8 text. Save it as such.') from None
  if not text.strip():
    raise ValueError(f'{path} names no class: it is empty.')
  # Blank lines may follow the last name.
  names = [line.removesuffix('\r') for line in text.rstrip('\r\n').split('\n')]
  for number, name in enumerate(names, start=1):
    fault = _fault(name) if name else 'is blank'
    if fault:
      raise ValueError(
          f'{path}: line {number} {name!a} {fault}. Each line must be the name '
          'of one class: correct it, or convert the data again.')
  return names


def _fault(name: str) -> str:
  """Says what makes a name other than one visible line, or ''."""
  for character in name:
    if (unicodedata.category(character) in _REFUSED_CATEGORIES or
        character == _BYTE_ORDER_MARK):
      return f'holds U+{ord(character):04X}'
  if not any(character.isprintable() and not character.isspace()
             for character in name):
    return 'has no character that can be seen'
  return ''


def readable(names: Sequence[str]) -> list[str]:
  """Puts synsets into words, if that is what the names are.

  Args:
    names: of the classes; the first may be the background.

  Returns:
    As many names.
  """
  known = of_synsets()
  if all(name in known for name in names if name != BACKGROUND):
    return [known.get(name, name) for name in names]
  return list(names)


def composed(names: Sequence[str]) -> list[str]:
  """Returns names in one Unicode form, NFC: file systems differ in theirs."""
  return [unicodedata.normalize('NFC', name) for name in names]


def numbered(num_classes: int) -> list[str]:
  """Names classes that have no names by their number."""
  return [f'class {index}' for index in range(num_classes)]


def _of_imagenet(task: image_classification.ImageClassificationTask
                 ) -> list[str] | None:
  """Returns the synsets of ImageNet-1k if the task trains on it."""
  if (task.train_data.num_examples !=
      image_classification.IMAGENET_TRAIN_EXAMPLES):
    return None
  names = list(of_synsets())
  # With or without the background at label 0.
  return {len(names): names, len(names) + 1: [BACKGROUND, *names]}.get(
      task.model.num_classes)


def find(names: Sequence[str], text: str) -> int:
  """Finds a class by its name, or else by its number.

  Args:
    names: of all classes.
    text: the name, or else in whatever case, or the number.

  Returns:
    The number of the class.

  Raises:
    ValueError: if there is no such class, naming the nearest, or several are
      called so.
  """
  if text in names:
    return list(names).index(text)
  lowered = [name.lower() for name in names]
  wanted = text.strip().lower()
  same = [name for name, low in zip(names, lowered) if low == wanted]
  if len(same) > 1:
    raise ValueError(
        f'{text!r} may be any of the classes '
        f'{", ".join(repr(name) for name in same)}: write it as one of them.')
  if same:
    return lowered.index(wanted)
  if wanted.isdecimal() and int(wanted) < len(names):
    return int(wanted)
  close = difflib.get_close_matches(wanted, lowered, n=3, cutoff=0.6)
  nearest = ', '.join(names[lowered.index(name)] for name in close)
  hint = f' Did you mean {nearest}?' if close else ''
  raise ValueError(
      f'there is no class {text!r}: name one of the {len(names)}, such as '
      f'{names[0]!r}, or give its number, 0 to {len(names) - 1}.{hint}')
