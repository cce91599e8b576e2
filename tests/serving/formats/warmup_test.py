"""Tests of the requests that a server begins with."""

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2


def test_warmup_requests_can_be_answered(export_dir, serve):
  """TensorFlow Serving reads PredictionLogs and runs what they ask for."""
  path = f'{export_dir}/1/assets.extra/tf_serving_warmup_requests'
  asked = []
  for item in tf.data.TFRecordDataset(path).as_numpy_iterator():
    request = prediction_log_pb2.PredictionLog.FromString(
        item).predict_log.request
    (name, value), = request.inputs.items()
    output = serve[request.model_spec.signature_name](
        **{name: tf.constant(tf.make_ndarray(value))})
    asked.append((name, output['logits'].shape[0]))
  assert asked == [(name, size) for name in
                   ('image_bytes', 'image_tensor', 'tf_example')
                   for size in (1, 8)]
