"""What the classes of a model are called.

`imagenet_classes.tsv` names the 1,000 classes of ImageNet-1k: the synset and
its first lemma in WordNet 3.0, made unique where two synsets share it.
"""

from __future__ import annotations

from collections.abc import Sequence
import difflib
import functools
import os
import pathlib

from official.core import input_reader
import tensorflow as tf

from official_ext.configs import image_classification

# Written by data_prep beside the shards, and by us into an export.
FILE = 'class_names.txt'
# In what a checkpoint says of its training data.
KEY = 'class_names'
_IMAGENET_FILE = pathlib.Path(__file__).with_name('imagenet_classes.tsv')
_BACKGROUND = 'background'


@functools.cache
def of_synsets() -> dict[str, str]:
  """Returns the name of each ImageNet class by synset, in label order."""
  return dict(line.split('\t') for line in
              _IMAGENET_FILE.read_text(encoding='utf-8').splitlines())


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

  `task.class_names_path` comes first, then the file beside the records. Without
  one, a task that trains on ImageNet-1k has its synsets.

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
  path = path or beside(task.train_data.input_path, task.data_dir)
  if not path:
    return _of_imagenet(task)
  num_classes = task.model.num_classes
  offset = task.train_data.label_offset or 0
  names = read(path)
  if len(names) == num_classes:
    return names
  if len(names) + offset == num_classes:
    # Class `label + offset` is that of `label`; 1 makes room for background.
    return ([_BACKGROUND, *numbered(offset)[1:]][:offset] +
            names)[-num_classes:]
  raise ValueError(
      f'{path} names {len(names)} classes, one per line, but the model has '
      f'{num_classes}. Set task.model.num_classes={len(names)}, or '
      'task.class_names_path.')


def beside(input_path: str | Sequence[str], data_dir: str = '') -> str | None:
  """Finds the file that names the labels of records.

  Args:
    input_path: pattern or patterns of the records.
    data_dir: a folder that is looked into as well, if the records lie below
      it.

  Returns:
    Its path; None if there is none.
  """
  try:
    records = input_reader.match_files(input_path) if input_path else []
  except ValueError:  # The records are gone; the names may have stayed.
    records = []
  folders = sorted({os.path.dirname(record) for record in records})
  if data_dir and all(
      folder.startswith(os.path.join(data_dir, '')) for folder in folders):
    folders.append(data_dir)
  paths = [os.path.join(folder, FILE) for folder in folders]
  return next((path for path in paths if tf.io.gfile.exists(path)), None)


def read(path: str) -> list[str]:
  """Reads a file of names, line i naming class i."""
  with tf.io.gfile.GFile(path) as file:
    return file.read().splitlines()


def readable(names: Sequence[str]) -> list[str]:
  """Puts synsets into words, if that is what the names are.

  Args:
    names: of the classes; the first may be the background.

  Returns:
    As many names.
  """
  known = of_synsets()
  if all(name in known for name in names if name != _BACKGROUND):
    return [known.get(name, name) for name in names]
  return list(names)


def numbered(num_classes: int) -> list[str]:
  """Names classes that have no names by their number."""
  return [f'class {index}' for index in range(num_classes)]


def _of_imagenet(task: image_classification.ImageClassificationTask
                 ) -> list[str] | None:
  """Returns the synsets of ImageNet-1k if the task trains on it."""
  data = task.train_data
  if not (data.num_examples == image_classification.IMAGENET_TRAIN_EXAMPLES or
          (data.tfds_name or '').startswith('imagenet2012')):
    return None
  names = list(of_synsets())
  # With or without the background at label 0.
  return {len(names): names, len(names) + 1: [_BACKGROUND, *names]}.get(
      task.model.num_classes)


def find(names: Sequence[str], text: str) -> int:
  """Finds a class by its name, or else by its number.

  Args:
    names: of all classes.
    text: the name, in whatever case, or the number.

  Returns:
    The number of the class.

  Raises:
    ValueError: if there is no such class, naming the nearest.
  """
  lowered = [name.lower() for name in names]
  wanted = text.strip().lower()
  if wanted in lowered:
    return lowered.index(wanted)
  if wanted.isdecimal() and int(wanted) < len(names):
    return int(wanted)
  close = difflib.get_close_matches(wanted, lowered, n=3, cutoff=0.6)
  nearest = ', '.join(names[lowered.index(name)] for name in close)
  hint = f' Did you mean {nearest}?' if close else ''
  raise ValueError(
      f'there is no class {text!r}: name one of the {len(names)}, such as '
      f'{names[0]!r}, or give its number, 0 to {len(names) - 1}.{hint}')
