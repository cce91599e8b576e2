"""Labels of a data set, brought to the classes of a model by their names.

A label is a number that means what the data set calls it. Converted on its own,
a test set of dogs and eels numbers them 0 and 1, which to a model of cats, dogs
and eels are cats and dogs. So names are compared, and labels mapped where the
model has a class of every name; else the data are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from absl import logging
import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.tasks import class_names

_MAX_LISTED = 3


@dataclasses.dataclass(frozen=True)
class LabelMapping:
  """Which labels to put in the place of others, before `label_offset` is added.

  Attributes:
    table: by the label in the record.
    invalid: what is put for a label outside the table; no offset makes a class
      of it.
    text: what is mapped, in one line for the user.
  """
  table: tuple[int, ...]
  invalid: int
  text: str

  def __call__(self, labels: tf.Tensor | tf.SparseTensor
               ) -> tf.Tensor | tf.SparseTensor:
    """Maps labels, int of any shape."""
    if isinstance(labels, tf.SparseTensor):
      return tf.sparse.map_values(self, labels)
    is_known = tf.logical_and(labels >= 0, labels < len(self.table))
    mapped = tf.gather(
        tf.constant(self.table, labels.dtype),
        tf.where(is_known, labels, tf.zeros_like(labels)))
    return tf.where(is_known, mapped, tf.cast(self.invalid, labels.dtype))


def of_data_set(task: configs.ImageClassificationTask,
                data: configs.DataConfig, known: Mapping[str, Any],
                where: str, fix: str) -> LabelMapping | None:
  """Compares the names beside the records of a data set with a model's.

  Args:
    task: the task's configuration, resolved.
    data: the settings of the data set, one of the task's or like them.
    known: what the model knows of the data that it was trained on.
    where: what the data set is called in a message.
    fix: what to do about data that are refused, a sentence.

  Returns:
    How to map the labels; None if they are right as they are, or names are
    unknown on either side.

  Raises:
    ValueError: if a label has a name that no class has.
  """
  classes = known.get(class_names.KEY)
  if not classes:
    return None
  if data.tfds_name and not task.class_names_path:
    path, names = f'TFDS {data.tfds_name}', class_names.of_tfds(data)
  else:
    path = class_names.beside(data.input_path, task.data_dir) or (
        data.is_training and task.class_names_path)
    names = class_names.read(path) if path else None
  if not names:
    return None
  # Model Garden adds no offset to several labels per image.
  offset = 0 if task.train_data.is_multilabel else data.label_offset or 0
  where = f'{where}: {path}'
  try:
    mapping = between(names, classes, offset, where, fix)
  except ValueError:
    if class_names.FORMER_KEY not in known:
      raise
    mapping = between(
        names, known[class_names.FORMER_KEY], offset, where, fix)
  if mapping:
    logging.info('%s', mapping.text)
  if not set(class_names.composed(names)) - set(
      class_names.composed(classes)) and set(names) - set(classes):
    logging.info('%s writes names in another Unicode form (NFC, NFD) than the '
                 'model; they count as the same', where)
  return mapping


def between(names: Sequence[str], classes: Sequence[str], offset: int,
            where: str, fix: str) -> LabelMapping | None:
  """Compares the names of labels with those of a model's classes.

  Names are the same if they differ in their Unicode form only, or are the
  synset and the word of an ImageNet class. Where the classes begin with the
  names there is nothing to map, however many more they are.

  Args:
    names: by label; or, as many as classes, by class.
    classes: the names of the model's classes.
    offset: the data set's `label_offset`.
    where: what the names are called in a message.
    fix: what to do about data that are refused, a sentence.

  Returns:
    How to map the labels; None if they are right as they are.

  Raises:
    ValueError: if a label has a name that no class has, naming the first.
  """
  first = -offset if len(names) == len(classes) else 0
  problems = []
  # The very name comes first: two classes may differ in the Unicode form.
  for form in (list, class_names.composed, _readable):
    own, other = form(names), form(classes)
    by_label = {label: name for label, name in enumerate(own, first)
                if label >= 0}
    targets, problem = _targets(by_label, other, offset)
    if not problem:
      return _mapping(by_label, targets, offset, where)
    problems.append(problem)
  raise ValueError(f'{where}: {problems[0]}. {fix}')


def _readable(names: Sequence[str]) -> list[str]:
  return class_names.composed(class_names.readable(names))


def _targets(by_label: Mapping[int, str], classes: Sequence[str], offset: int
             ) -> tuple[dict[int, int | None], str]:
  """Finds the class of every label; None of the background, which has no image.

  Returns:
    The classes by label, and what is wrong with the first label that has none.
  """
  inside = {label for label in by_label if 0 <= label + offset < len(classes)}
  in_place = {label for label in inside
              if classes[label + offset] == by_label[label]}
  targets = {label: label + offset for label in by_label}
  is_beyond = any(target >= len(classes) for target in targets.values())
  if inside == in_place and not is_beyond:
    return targets, ''
  places = {}
  for index, name in enumerate(classes):
    places.setdefault(name, []).append(index)
  taken = {targets[label] for label in in_place}
  for label, name in by_label.items():
    found = places.get(name, ())
    if label in in_place:
      continue
    if len(found) == 1 and found[0] not in taken:
      targets[label] = found[0]
      taken.add(found[0])
    elif name == class_names.BACKGROUND and not found:
      targets[label] = None
    else:
      what = ('no class of the model is called so' if not found else
              f'classes {found[0]} and {found[-1]} of the model are called so'
              if len(found) > 1 else 'so is another label')
      own = label + offset
      there = (f'its class {own} is {classes[own]!r}' if label in inside else
               f'it has the classes 0 to {len(classes) - 1}')
      return targets, f'label {label} is {name!r}, but {what}; {there}'
  return targets, ''


def _mapping(by_label: Mapping[int, str], targets: Mapping[int, int | None],
             offset: int, where: str) -> LabelMapping | None:
  """Returns the mapping to the classes that were found."""
  moved = [label for label, target in targets.items()
           if target is not None and target != label + offset]
  if not moved:
    return None
  invalid = -1 - max(offset, 0)
  table = [invalid] * (max(targets) + 1)
  for label, target in targets.items():
    if target is not None:
      table[label] = target - offset
  listed = ', '.join(f'{label} ({by_label[label]!r}) to {targets[label]}'
                     for label in moved[:_MAX_LISTED])
  more = len(moved) - _MAX_LISTED
  return LabelMapping(tuple(table), invalid, (
      f'{where} numbers the classes otherwise than the model: labels are '
      f'mapped by name, {listed}{f" and {more} more" if more > 0 else ""}'))
