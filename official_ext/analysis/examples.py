"""Images to look at: files, folders of them, or TFRecords.

Legend: N images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import os

import numpy as np
from official.common import dataset_fn
from official.vision.dataloaders import classification_input
import tensorflow as tf

from official_ext.analysis import models as models_lib
from official_ext.command_line import errors
from official_ext.params import input_files
from official_ext.tasks import class_names as class_names_lib
from official_ext.tasks import exif_orientation
from official_ext.tasks import file_forms
from official_ext.tasks import image_header
from official_ext.tasks import image_parser
from official_ext.tasks import label_mapping
from official_ext.tasks import parsing
from official_ext.trained import validation_data

# Of test images whose class nobody knows, as data_prep writes them.
_NO_LABEL = -1


@dataclasses.dataclass(frozen=True)
class Example:
  """An image as it was found.

  Attributes:
    name: where.
    encoded: the bytes of the file.
    label: its class; None if it is not known, or not the only one.
    is_file: whether it is a file of its own, and not of a record, which is
      read as it stands.
  """
  name: str
  encoded: bytes
  label: int | None = None
  is_file: bool = False


def read(patterns: Sequence[str], num_images: int,
         model: models_lib.NamedModel) -> list[Example]:
  """Reads images, as evenly spread over what is given as can be.

  Args:
    patterns: of image files, folders or TFRecords. The label of a file is that
      of the class that its folder is named by, if it is named by one.
    num_images: how many to take at most, over all.
    model: whose classes and features of records are meant.

  Returns:
    At least one image.

  Raises:
    ValueError: if there is none, or a file is neither an image nor a TFRecord.
  """
  files, records = [], []
  for pattern in patterns:
    found = _files(pattern)
    if not found:
      what = (f'there is no image in {pattern!r}'
              if tf.io.gfile.isdir(pattern)
              else f'no file matches {pattern!r}')
      raise ValueError(
          f'{what}. Name image files, folders of them or TFRecords with '
          '--images.')
    for path in found:
      (files if _is_image(path) else records).append(path)
  examples = [_from_file(path, model) for path in _spread(files, num_images)]
  for example in _from_records(records, model):
    if len(examples) == num_images:
      break
    examples.append(example)
  return examples


def prepare(examples: Sequence[Example],
            model: models_lib.NamedModel) -> np.ndarray:
  """Preprocesses images as the evaluation of a model does.

  A file is turned as its EXIF data say where those of the training data were.

  Args:
    examples: N images.
    model: the model.

  Returns:
    Normalised images, float32 [N, height, width, 3] of the model's size.

  Raises:
    ValueError: if one cannot be decoded, naming it.
  """
  task = model.trained.params.task
  parser = parsing.build_parser(
      task, task.validation_data, dtype='float32', decode_jpeg_only=False)
  keys = (task.train_data.image_field_key, task.train_data.label_field_key)
  orientations = exif_orientation.of_model(model.trained.data)
  images = []
  for example in examples:
    try:
      image = (_decode_file(example.encoded, parser, orientations)
               if example.is_file else example.encoded)
      images.append(image_parser.evaluation_image(
          parser, dict(zip(keys, (image, 0)))).numpy())
    except (tf.errors.InvalidArgumentError, ValueError) as error:
      raise ValueError(
          f'{example.name} cannot be decoded as an image: '
          f'{errors.message(error)}') from error
  return np.stack(images)


def _decode_file(encoded: bytes, parser: image_parser.Parser,
                 orientations: str) -> tf.Tensor:
  """Decodes an image as it is served, uint8 [height, width, 3]."""
  encoded = image_header.check(tf.constant(file_forms.as_served(encoded)))
  image = parser.decode(encoded)
  if orientations == exif_orientation.APPLY:
    image = exif_orientation.turn(image, exif_orientation.read(encoded))
  return image


def _files(pattern: str) -> list[str]:
  """Lists the files that a pattern means; of a folder, all below it."""
  if not tf.io.gfile.isdir(pattern):
    try:
      found = input_files.match(input_files.of_flag(pattern))
    except ValueError:
      return []
    return sorted(path for path in found
                  if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path))
  paths = [os.path.join(folder, name)
           for folder, _, names in tf.io.gfile.walk(pattern) for name in names]
  # What else lies in a folder of images is no mistake.
  return sorted(path for path in paths if _is_image(path))


def _is_image(path: str) -> bool:
  return file_forms.looks_like_image(_start(path))


def _start(path: str) -> bytes:
  with tf.io.gfile.GFile(path, 'rb') as file:
    return file.read(file_forms.START_BYTES)


def _spread(paths: list[str], count: int) -> list[str]:
  """Takes `count` of the paths, at even distances."""
  if len(paths) <= count:
    return paths
  return [paths[index * len(paths) // count] for index in range(count)]


def _from_file(path: str, model: models_lib.NamedModel) -> Example:
  with tf.io.gfile.GFile(path, 'rb') as file:
    encoded = file.read()
  folder = os.path.basename(os.path.dirname(path))
  name, = class_names_lib.composed(class_names_lib.readable([folder]))
  names = class_names_lib.composed(model.class_names)
  label = names.index(name) if name in names else None
  return Example(path, encoded, label, is_file=True)


def _from_records(paths: list[str],
                  model: models_lib.NamedModel) -> Iterator[Example]:
  """Yields the images of TFRecords and their labels, as training reads them."""
  task = model.trained.params.task
  data = task.train_data
  decoder = classification_input.Decoder(
      data.image_field_key, data.label_field_key, data.is_multilabel)
  for path in paths:
    settings = validation_data.settings(task, input_files.literal(path))
    # Model Garden adds no offset to several labels per image.
    offset = 0 if data.is_multilabel else settings.label_offset or 0
    mapping = label_mapping.of_data_set(
        task, settings, model.trained.data, '--images', (
            'Take images of its classes, or image files instead of records.'))
    records = dataset_fn.pick_dataset_fn(settings.file_type)(path)
    try:
      for index, record in enumerate(records):
        tensors = decoder.decode(record)
        labels = tensors[data.label_field_key]
        if data.is_multilabel:
          labels = labels.values
        name = f'{path}[{index}]'
        yield Example(
            name, tensors[data.image_field_key].numpy(),
            _only_label(labels, mapping, offset, model, name))
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
      raise ValueError(
          f'{path} is neither an image nor a file of records of the model '
          f'({settings.file_type}) with {data.image_field_key}; it is '
          f'{file_forms.what_it_is(_start(path))}.') from error


def _only_label(labels: tf.Tensor, mapping: label_mapping.LabelMapping | None,
                offset: int, model: models_lib.NamedModel, name: str
                ) -> int | None:
  """Returns the class of a record, or None if it has none or several."""
  found = np.ravel(labels)
  if len(found) != 1 or found[0] == _NO_LABEL:
    return None
  label = int(mapping(labels) if mapping else found[0]) + offset
  if not 0 <= label < len(model.class_names):
    raise ValueError(
        f'{name} has label {found[0]}, but {model.name} has classes '
        f'0..{len(model.class_names) - 1}. Take images of its classes alone.')
  return label
