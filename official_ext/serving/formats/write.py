"""Writes a trained model in any of the formats."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import tensorflow as tf

from official_ext.command_line import paths
from official_ext.serving.formats import calibration as calibration_lib
from official_ext.serving.formats import description
from official_ext.serving.formats import names
from official_ext.serving.formats import saved_model
from official_ext.serving.formats import single_file
from official_ext.serving.formats import versions
from official_ext.trained import trained_model

# So that nobody normalises twice.
INPUT_DESCRIPTION = (
    'RGB values of 0 to 255, what is transparent over white, turned if '
    'exif_orientation is apply, cropped and resized; the model itself '
    'subtracts the mean and divides by stddev')


@dataclasses.dataclass(frozen=True)
class Options:
  """How an export is written; what its format has no use for is ignored.

  Attributes:
    version: number of a SavedModel; None: one more than the largest.
    top_k: how many of the most probable classes a SavedModel names.
    precision: of a LiteRT file, one of names.PRECISIONS.
    calibration: what int8 learns the ranges of the activations from.
    overwrite: whether to replace a LiteRT or ONNX file.
    xla: whether XLA compiles the model of a SavedModel where it is served.
  """
  version: int | None = None
  top_k: int = 5
  precision: str = names.FLOAT32
  calibration: calibration_lib.Calibration = dataclasses.field(
      default_factory=calibration_lib.Calibration)
  overwrite: bool = False
  xla: bool = False


def prepare(export_format: str, export_dir: str,
            options: Options = Options()) -> None:
  """Makes the folder of an export, before the time to load a model is spent.

  Args:
    export_format: one of names.FORMATS.
    export_dir: the folder.
    options: how the export will be written.

  Raises:
    ValueError: if the export is there already.
  """
  if export_format == names.SAVED_MODEL:
    paths.check_no_pattern('--export_dir', export_dir)
    versions.check_free(export_dir, options.version)
  else:
    path = _file(export_format, export_dir, options)
    if not options.overwrite and tf.io.gfile.exists(path):
      raise ValueError(
          f'{path} exists. Add --overwrite, or choose another --export_dir.')
  tf.io.gfile.makedirs(export_dir)


def export(trained: trained_model.TrainedModel, export_format: str,
           export_dir: str, options: Options = Options()) -> str:
  """Exports a model. It appears whole or not at all.

  Args:
    trained: the model.
    export_format: one of names.FORMATS.
    export_dir: folder of the versions of a SavedModel, or of the file; made if
      missing.
    options: how the export is written.

  Returns:
    The folder of the new version; or the path of the file, model.onnx or
    model_PRECISION.tflite.

  Raises:
    ValueError: if the export is there, or the model cannot be exported so, or
      its weights are no finite numbers.
  """
  _check_weights(trained)
  if trained.segments and export_format != names.SAVED_MODEL:
    raise ValueError(
        f'--format={export_format}: a model that segments is exported as '
        f'--format={names.SAVED_MODEL} alone, which resizes masks to their '
        'images.')
  prepare(export_format, export_dir, options)
  if export_format == names.SAVED_MODEL:
    return saved_model.write(
        trained, export_dir, options.version, options.top_k, options.xla)
  metadata = description.as_json(
      description.describe(trained) |
      {'precision': options.precision, 'input': INPUT_DESCRIPTION})
  if export_format == names.ONNX:
    contents = single_file.to_onnx(trained, metadata)
  else:
    contents = single_file.to_litert(
        trained, options.precision, metadata, options.calibration)
  path = _file(export_format, export_dir, options)
  with versions.unfinished(export_dir) as folder:
    tf.io.gfile.makedirs(folder)
    unfinished = os.path.join(folder, os.path.basename(path))
    with tf.io.gfile.GFile(unfinished, 'wb') as file:
      file.write(contents)
    tf.io.gfile.rename(unfinished, path, overwrite=True)
  return path


def _check_weights(trained: trained_model.TrainedModel) -> None:
  for variable in trained.model.variables:
    if not np.isfinite(variable.numpy()).all():
      raise ValueError(
          f'{trained.checkpoint} is of a training that diverged: '
          f'{variable.name} is not finite. Export an earlier checkpoint, or '
          'train anew.')


def _file(export_format: str, export_dir: str, options: Options) -> str:
  name = ('model.onnx' if export_format == names.ONNX
          else f'model_{options.precision}.tflite')
  return os.path.join(export_dir, name)
