"""Reads the images from which int8 learns the ranges of the activations."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

import numpy as np
from official.core import task_factory

from official_ext.configs import image_classification
from official_ext.params import input_files
from official_ext.tasks import normalization
from official_ext.tasks import preflight
from official_ext.trained import trained_model


@dataclasses.dataclass(frozen=True)
class Calibration:
  """What to calibrate on.

  Attributes:
    num_images: how many images.
    records: pattern of TFRecords; None: the experiment's validation data.
  """
  num_images: int = 100
  records: str | None = None


def check(trained: trained_model.TrainedModel,
          calibration: Calibration) -> None:
  """Finds missing files before the model is converted.

  Args:
    trained: the model.
    calibration: what to calibrate on.

  Raises:
    ValueError: if there are no such files.
  """
  task = trained.params.task.replace(
      validation_data=_data_config(trained, calibration).as_dict())
  try:
    preflight.check_files(task, ['validation_data'])
  except ValueError as error:
    raise ValueError(
        f'int8 is calibrated on images: {error} Or name other TFRecords with '
        '--calibration_data.') from error


def images(trained: trained_model.TrainedModel,
           calibration: Calibration) -> Iterator[np.ndarray]:
  """Yields images as the exported file takes them.

  Args:
    trained: the model.
    calibration: what to calibrate on.

  Yields:
    float32 [height, width, 3], RGB values of 0 to 255.
  """
  dataset = task_factory.get_task(trained.params.task).build_inputs(
      _data_config(trained, calibration)).unbatch()
  # Without those that fill the last batch up.
  dataset = dataset.filter(lambda image, target: target[1] > 0)
  normalized = normalization.of_task(trained.params.task)
  for image, _ in dataset.take(calibration.num_images).as_numpy_iterator():
    yield normalized.denormalize(image)


def _data_config(trained: trained_model.TrainedModel, calibration: Calibration
                 ) -> image_classification.DataConfig:
  """Returns the settings of the data to calibrate on."""
  data = trained.params.task.validation_data
  if calibration.records:
    return data.replace(
        input_path=input_files.of_flag(calibration.records), tfds_name='')
  return data
