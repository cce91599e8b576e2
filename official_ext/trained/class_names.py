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

import tensorflow as tf

from official_ext.configs import image_classification

# Written by data_prep beside the shards, and by us into an export.
FILE = 'class_names.txt'
_IMAGENET_FILE = pathlib.Path(__file__).with_name('imagenet_classes.tsv')
_BACKGROUND = 'background'


@functools.cache
def of_synsets() -> dict[str, str]:
  """Returns the name of each ImageNet class by synset, in label order."""
  return dict(line.split('\t') for line in
              _IMAGENET_FILE.read_text(encoding='utf-8').splitlines())


def of_task(task: image_classification.ImageClassificationTask
            ) -> list[str] | None:
  """Reads the names of the classes of a task.

  A file of synsets, as data_prep writes for ImageNet, is put into words.
  Without a file, a task that trains on ImageNet-1k has its names.

  Args:
    task: the task's configuration.

  Returns:
    A name for each class; None if they have none.

  Raises:
    ValueError: if the file of names does not exist, or names fewer or more
      than the classes.
  """
  num_classes = task.model.num_classes
  path = _path(task)
  if not path:
    return _of_imagenet(task)
  with tf.io.gfile.GFile(path) as file:
    names = file.read().splitlines()
  if len(names) != num_classes:
    raise ValueError(
        f'{path} names {len(names)} classes, one per line, but the model has '
        f'{num_classes}. Set task.class_names_path.')
  return readable(names)


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


def _path(task: image_classification.ImageClassificationTask) -> str | None:
  """Finds the file that names the classes of a task, one per line."""
  if task.class_names_path:
    if not tf.io.gfile.exists(task.class_names_path):
      raise ValueError(
          f'task.class_names_path: {task.class_names_path!r} does not exist.')
    return task.class_names_path
  path = os.path.join(task.data_dir, FILE)
  return path if task.data_dir and tf.io.gfile.exists(path) else None


def _of_imagenet(task: image_classification.ImageClassificationTask
                 ) -> list[str] | None:
  """Returns the names of ImageNet-1k if the task trains on it."""
  data = task.train_data
  if not (data.num_examples == image_classification.IMAGENET_TRAIN_EXAMPLES or
          (data.tfds_name or '').startswith('imagenet2012')):
    return None
  names = list(of_synsets().values())
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
