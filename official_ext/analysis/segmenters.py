"""Models that segment, and the images and masks that they are looked at with.

Legend: H x W pixels of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import os

from google.protobuf import message
import numpy as np
from official.common import dataset_fn
import tensorflow as tf

from official_ext.analysis import command
from official_ext.params import input_files
from official_ext.tasks import class_names as class_names_lib
from official_ext.tasks import mask_records
from official_ext.tasks import preflight
from official_ext.tasks import segmentation_output
from official_ext.trained import trained_model


@dataclasses.dataclass(frozen=True)
class Segmenter:
  """A model that segments.

  Attributes:
    name: what to call it.
    trained: the model.
  """
  name: str
  trained: trained_model.TrainedModel

  @property
  def class_names(self) -> list[str]:
    """A name for each class, by its number where there is none."""
    return self.trained.class_names or class_names_lib.numbered(
        self.trained.params.task.model.num_classes)

  def segment(self, image: np.ndarray) -> np.ndarray:
    """Segments an image.

    Args:
      image: uint8 [H, W, 3].

    Returns:
      The class of each pixel, int [H, W].
    """
    prepared, info = segmentation_output.prepare(
        tf.convert_to_tensor(image), self.trained.params.task)
    outputs = self.trained.model(prepared[tf.newaxis], training=False)
    return np.argmax(
        segmentation_output.at_own_size(outputs['logits'][0], info), -1)


@dataclasses.dataclass(frozen=True)
class Example:
  """An image of a data set.

  Attributes:
    image: uint8 [H, W, 3].
    mask: the class of each pixel, uint8 [H, W].
  """
  image: np.ndarray
  mask: np.ndarray


def load(arguments: Sequence[command.ModelArgument], checkpoint: str = 'latest',
         ema: bool | None = None) -> list[Segmenter]:
  """Loads models.

  Args:
    arguments: as they were typed.
    checkpoint: which of a model_dir.
    ema: whether to take the averages of the weights; None: where there are.

  Returns:
    The models, of the same classes.

  Raises:
    ValueError: if one cannot be loaded, does not segment, or has other classes
      than the first.
  """
  models = []
  for argument in arguments:
    folder, chosen = argument.path, checkpoint
    if not tf.io.gfile.isdir(argument.path):
      folder, chosen = trained_model.model_dir_of(argument.path), argument.path
      if folder is None:
        raise ValueError(
            f'{argument.path} is neither a model_dir nor the prefix of a '
            'checkpoint with a params.yaml beside it.')
    trained = trained_model.find(
        folder, trained_model.Selection(chosen, ema), may_segment=True)
    if not trained.segments:
      raise ValueError(
          f'{argument.path} classifies images, and this draws what models '
          'segment. official_ext.analysis.saliency draws what it looks at.')
    segmentation_output.check(trained.params.task)
    name = argument.name or os.path.basename(os.path.normpath(folder))
    models.append(Segmenter(name, trained))
    first, here = (one.trained.params.task.model.num_classes
                   for one in (models[0], models[-1]))
    if here != first:
      raise ValueError(
          f'{argument.path} has {here} classes, and {arguments[0].path} '
          f'{first}. Draw models of the same classes.')
  return models


def read(model: Segmenter, num_images: int, pattern: str | None = None
         ) -> list[Example]:
  """Reads the first images of a data set, with their masks.

  Args:
    model: whose validation data and classes are meant.
    num_images: how many to read at most.
    pattern: of TFRecords; None: the validation data of the model's training.

  Returns:
    The images.

  Raises:
    ValueError: if there are none, or one is none that the model can be
      evaluated on.
  """
  task = model.trained.params.task
  data = task.validation_data
  where = '--data' if pattern else 'task.validation_data'
  files = sorted(preflight.match_files(
      input_files.of_flag(pattern) if pattern else data.input_path, where))
  # No mask is padded here.
  data = data.replace(resize_eval_groundtruth=True)
  examples: list[Example] = []
  for file in files:
    number = 0
    records = dataset_fn.pick_dataset_fn(data.file_type)(file)
    try:
      for record in itertools.islice(
          records.as_numpy_iterator(), num_images - len(examples)):
        mask_records.check_record(
            record, task, data, f'{where}: record {number} of {file}', True)
        examples.append(_example(record, data.image_feature.feature_name))
        number += 1
    except (tf.errors.OpError, message.DecodeError) as error:
      raise ValueError(
          preflight.damaged(file, number, data, where, error)) from error
  if not examples:
    raise ValueError(f'{where}: {files[0]} and its like hold no record.')
  return examples


def _example(record: bytes, image_key: str) -> Example:
  features = tf.train.Example.FromString(record).features.feature
  image, mask = (features[key].bytes_list.value[0]
                 for key in (image_key, mask_records.MASK_KEY))
  return Example(segmentation_output.decode(tf.constant(image)).numpy(),
                 tf.io.decode_png(mask, channels=1)[..., 0].numpy())
