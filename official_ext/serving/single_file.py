"""Writes a trained model as one file, for LiteRT or ONNX runtimes."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import itertools
import os

import numpy as np
from official.core import task_factory
import tensorflow as tf

from official_ext.serving import description
from official_ext.serving import litert_file
from official_ext.serving import onnx_file
from official_ext.serving import plain_function
from official_ext.serving import versions
from official_ext.tasks import preflight
from official_ext.trained import trained_model

FORMATS = ('tflite', 'onnx')

# So that nobody normalises twice.
INPUT_DESCRIPTION = (
    'RGB values of 0 to 255, cropped and resized; the model itself subtracts '
    'the mean and divides by stddev')


@dataclasses.dataclass
class Calibration:
  """What int8 learns the ranges of the activations from.

  Attributes:
    num_images: how many images.
    records: pattern of TFRecords; None: the experiment's validation data.
  """
  num_images: int = 100
  records: str | None = None


def export(model_dir: str | None, export_dir: str, file_format: str,
           precision: str = 'float32',
           selection: trained_model.Selection | None = None,
           config_file: str | None = None,
           calibration: Calibration | None = None,
           overwrite: bool = False) -> str:
  """Exports the model of a training as one file.

  Args:
    model_dir: folder of the training, or None.
    export_dir: folder of the file; made if missing.
    file_format: one of FORMATS.
    precision: of a LiteRT file, one of litert_file.PRECISIONS.
    selection: which of the weights; None: the newest.
    config_file: a params.yaml where there is no `model_dir`.
    calibration: for int8.
    overwrite: whether to replace the file.

  Returns:
    The path of the file, model.onnx or model_PRECISION.tflite.

  Raises:
    ValueError: if there is nothing to export, or the file is there.
  """
  # Before the model is built.
  _check_free(_path(export_dir, file_format, precision), overwrite)
  trained = trained_model.find(model_dir, selection, config_file)
  return write(
      trained, export_dir, file_format, precision, calibration, overwrite)


def write(trained: trained_model.TrainedModel, export_dir: str,
          file_format: str, precision: str = 'float32',
          calibration: Calibration | None = None,
          overwrite: bool = False) -> str:
  """As `export`, of a model that is loaded."""
  path = _path(export_dir, file_format, precision)
  _check_free(path, overwrite)
  metadata = description.as_json(
      description.describe(trained) |
      {'precision': precision, 'input': INPUT_DESCRIPTION})
  if file_format == 'onnx':
    contents = onnx_file.convert(trained, metadata)
  else:
    calibration = calibration or Calibration()
    if precision == 'int8':
      _check_calibration(trained, calibration)
    contents = litert_file.convert(
        trained, precision, metadata,
        lambda: _calibration_images(trained, calibration))
  with versions.unfinished(export_dir) as folder:
    tf.io.gfile.makedirs(folder)
    unfinished = os.path.join(folder, os.path.basename(path))
    with tf.io.gfile.GFile(unfinished, 'wb') as file:
      file.write(contents)
    tf.io.gfile.rename(unfinished, path, overwrite=True)
  return path


def _path(export_dir: str, file_format: str, precision: str) -> str:
  return os.path.join(
      export_dir, 'model.onnx' if file_format == 'onnx'
      else f'model_{precision}.tflite')


def _check_free(path: str, overwrite: bool) -> None:
  if not overwrite and tf.io.gfile.exists(path):
    raise ValueError(
        f'{path} exists. Add --overwrite, or choose another --export_dir.')


def _validation_data(trained: trained_model.TrainedModel,
                     calibration: Calibration):
  """The settings of the data to calibrate on."""
  data = trained.params.task.validation_data
  if calibration.records:
    return data.replace(input_path=calibration.records, tfds_name='')
  return data


def _check_calibration(trained: trained_model.TrainedModel,
                       calibration: Calibration) -> None:
  """Finds missing files before the model is converted."""
  task = trained.params.task.replace(
      validation_data=_validation_data(trained, calibration).as_dict())
  try:
    preflight.check_files(task, ['validation_data'])
  except ValueError as error:
    raise ValueError(
        f'int8 is calibrated on images: {error} Or name other TFRecords with '
        '--calibration_data.') from error


def _calibration_images(trained: trained_model.TrainedModel,
                        calibration: Calibration) -> Iterator[np.ndarray]:
  """Yields images as the function takes them, [height, width, 3]."""
  data = _validation_data(trained, calibration)
  dataset = task_factory.get_task(trained.params.task).build_inputs(data)

  def images():
    for batch, (_, weights) in dataset.as_numpy_iterator():
      # Without those that fill the last batch up.
      yield from plain_function.resized(batch[weights > 0])

  yield from itertools.islice(images(), calibration.num_images)
