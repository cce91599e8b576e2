"""Writes requests that a server answers before it takes its first one.

TensorFlow Serving replays them when it loads a version, so that the first user
does not wait for the kernels to be prepared.
"""

from __future__ import annotations

from collections.abc import Sequence
import os

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2

from official_ext.serving.formats import names

# Where TensorFlow Serving looks for them, inside a SavedModel.
FILE = os.path.join('assets.extra', 'tf_serving_warmup_requests')
BATCH_SIZES = (1, 8)


def write(saved_model_dir: str, example_key: str, side: int,
          batch_sizes: Sequence[int] = BATCH_SIZES) -> None:
  """Writes one request of each size for each signature.

  Args:
    saved_model_dir: folder of the SavedModel.
    example_key: feature of the image in a tf.Example.
    side: of the square image in the requests, px.
    batch_sizes: images in a request.
  """
  path = os.path.join(saved_model_dir, FILE)
  tf.io.gfile.makedirs(os.path.dirname(path))
  image = tf.fill([side, side, 3], tf.constant(128, tf.uint8))
  encoded = tf.io.encode_jpeg(image).numpy()
  example = tf.train.Example(features=tf.train.Features(feature={
      example_key: tf.train.Feature(
          bytes_list=tf.train.BytesList(value=[encoded]))}))
  inputs = {
      'image_bytes': encoded,
      'image_tensor': image,
      'tf_example': example.SerializeToString(),
  }
  with tf.io.TFRecordWriter(path) as writer:
    for kind, value in inputs.items():
      for batch_size in batch_sizes:
        writer.write(_request(kind, tf.stack([value] * batch_size)))


def _request(kind: str, batch: tf.Tensor) -> bytes:
  """Returns a serialised PredictionLog."""
  request = predict_pb2.PredictRequest()
  # The server replays it on the model that the file belongs to.
  request.model_spec.signature_name = names.SIGNATURES[kind]
  request.inputs[kind].CopyFrom(tf.make_tensor_proto(batch))
  return prediction_log_pb2.PredictionLog(
      predict_log=prediction_log_pb2.PredictLog(request=request)
  ).SerializeToString()
