"""Writes a trained model as a versioned SavedModel, warmed up when served."""

from __future__ import annotations

from collections.abc import Sequence
import os
import tempfile

from official.core import export_base
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2

from official_ext.checkpoints import metadata
from official_ext.serving.formats import description
from official_ext.serving.formats import names
from official_ext.serving.formats import segmentation
from official_ext.serving.formats import signatures
from official_ext.serving.formats import versions
from official_ext.tasks import class_names
from official_ext.tasks import exif_orientation
from official_ext.trained import trained_model

# Where TensorFlow Serving looks for requests, inside a SavedModel.
_WARMUP_FILE = os.path.join('assets.extra', 'tf_serving_warmup_requests')
_WARMUP_BATCH_SIZES = (1, 8)
_TENSOR = 'image_tensor'


def write(trained: trained_model.TrainedModel, export_dir: str,
          version: int | None = None, top_k: int = 5,
          xla: bool = False) -> str:
  """Exports a model as a SavedModel.

  Args:
    trained: the model.
    export_dir: folder of the versions; made if missing.
    version: number of the version; None: one more than the largest.
    top_k: how many of the most probable classes an answer names.
    xla: whether XLA compiles the model where it is served.

  Returns:
    The folder of the new version.

  Raises:
    ValueError: if the version is there, or the classes are named wrongly.
  """
  params = trained.params
  classes = trained.class_names
  orientations = exif_orientation.of_model(trained.data)
  if trained.segments:
    module = segmentation.SegmentationModule(
        params, trained.model, orientations, xla)
    kinds = names.MASK_SIGNATURES
  else:
    module = signatures.ServingModule(
        params, trained.model,
        classes or class_names.numbered(params.task.model.num_classes),
        top_k, orientations, xla)
    kinds = names.SIGNATURES
  described = description.describe(trained)
  if xla:
    described[names.XLA_KEY] = True
  # So that an export, too, knows its grid when it is fine-tuned from.
  setattr(module, metadata.CHECKPOINT_ITEM,
          metadata.CheckpointMetadata(described['model']))
  with versions.unfinished(export_dir) as path:
    with tempfile.TemporaryDirectory() as assets_dir, trained_model.float32():
      module.description = _asset(
          assets_dir, names.DESCRIPTION_FILE,
          description.as_json(described))
      if classes:
        module.class_names = _asset(
            assets_dir, names.CLASS_NAMES_FILE, '\n'.join(classes) + '\n')
      export_base.export(module, kinds, path, timestamped=False)
    _write_warmup(path, _warmup_requests(trained))
    return versions.publish(path, export_dir, version)


def _asset(folder: str, name: str, text: str) -> tf.saved_model.Asset:
  """Writes a file that is copied into the SavedModel."""
  path = os.path.join(folder, name)
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(text)
  return tf.saved_model.Asset(path)


def _warmup_requests(trained: trained_model.TrainedModel) -> list[bytes]:
  """Returns one request of each size for each signature, serialised."""
  side = max(trained.params.task.model.input_size[:2])
  image = tf.fill([side, side, 3], tf.constant(128, tf.uint8))
  encoded = tf.io.encode_jpeg(image).numpy()
  if trained.segments:
    return [_request(signature, kind, value) for kind, value, signature in (
        (names.IMAGE_BYTES, encoded, names.DEFAULT_SIGNATURE),
        (_TENSOR, image, names.MASK_SIGNATURES[_TENSOR]))]
  key = trained.params.task.train_data.image_field_key
  example = tf.train.Example(features=tf.train.Features(feature={
      key: tf.train.Feature(
          bytes_list=tf.train.BytesList(value=[encoded]))}))
  inputs = {
      names.IMAGE_BYTES: encoded,
      _TENSOR: image,
      'tf_example': example.SerializeToString(),
  }
  return [
      _request(names.SIGNATURES[kind], kind, tf.stack([value] * batch_size))
      for kind, value in inputs.items() for batch_size in _WARMUP_BATCH_SIZES]


def _write_warmup(saved_model_dir: str, requests: Sequence[bytes]) -> None:
  """Writes requests that TensorFlow Serving replays when it loads a version.

  So the first user does not wait for the kernels to be prepared.

  Args:
    saved_model_dir: folder of the SavedModel.
    requests: serialised.
  """
  path = os.path.join(saved_model_dir, _WARMUP_FILE)
  tf.io.gfile.makedirs(os.path.dirname(path))
  with tf.io.TFRecordWriter(path) as writer:
    for request in requests:
      writer.write(request)


def _request(signature: str, kind: str, value: tf.Tensor | bytes) -> bytes:
  """Returns a serialised PredictionLog."""
  request = predict_pb2.PredictRequest()
  # The server replays it on the model that the file belongs to.
  request.model_spec.signature_name = signature
  request.inputs[kind].CopyFrom(tf.make_tensor_proto(value))
  return prediction_log_pb2.PredictionLog(
      predict_log=prediction_log_pb2.PredictLog(request=request)
  ).SerializeToString()
