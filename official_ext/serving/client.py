"""Asks a TensorFlow Serving server what it sees in image files.

  docker run --rm -p 8500:8500 -p 8501:8501 -e MODEL_NAME=digits \
    -v "$PWD/exports/digits:/models/digits" tensorflow/serving
  python -m official_ext.serving.client --model=digits digit.png ...

Takes files, folders, patterns and lists as `official_ext.serving.predict` does.
An example to copy from: `ask_rest` needs nothing but Python, `ask_grpc`
tensorflow-serving-api. GIF, TIFF and WebP, which a server does not decode, are
sent as PNG (`tasks.file_forms`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
import json
import sys
import urllib.error
import urllib.request

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.serving.formats import names

_SERVER = flags.DEFINE_string(
    'server', None,
    'Host and port; by default localhost:8501 for REST and :8500 for gRPC.')
_MODEL = flags.DEFINE_string(
    'model', None, 'Name of the model on the server.', required=True)
_PROTOCOL = flags.DEFINE_enum(
    'protocol', 'rest', ('rest', 'grpc'), 'How to ask.')
_TIMEOUT = flags.DEFINE_float(
    'timeout', 30.0, 'Seconds to wait for the answer.', lower_bound=0.1)
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', 32, 'How many images to send at once.', lower_bound=1)

_PORTS = {'rest': 8501, 'grpc': 8500}
_OUTPUTS = (names.TOP_CLASSES, names.TOP_PROBS)


class RefusedImagesError(errors.UserError):
  """The server answers, but not these images."""


def ask_rest(server: str, model: str, images: Sequence[bytes],
             timeout: float) -> list[list[tuple[str, float]]]:
  """Classifies images over REST.

  Args:
    server: host and port.
    model: its name.
    images: the bytes of JPEG, PNG or BMP files.
    timeout: to wait at most, s.

  Returns:
    For each image its most probable classes with their probabilities.

  Raises:
    RefusedImagesError: if the server refuses the images.
    errors.UserError: if it cannot be reached, or refuses the request.
  """
  body = {
      'signature_name': names.DEFAULT_SIGNATURE,
      'instances': [
          {names.IMAGE_BYTES: {'b64': base64.b64encode(image).decode('ascii')}}
          for image in images],
  }
  request = urllib.request.Request(
      f'http://{server}/v1/models/{model}:predict',
      data=json.dumps(body).encode(),
      headers={'Content-Type': 'application/json'})
  try:
    with urllib.request.urlopen(request, timeout=timeout) as response:
      predictions = json.load(response)['predictions']
  except urllib.error.HTTPError as error:
    text = error.read().decode(errors='replace')
    try:
      text = json.loads(text)['error']
    except (ValueError, KeyError, TypeError):
      pass
    kind = RefusedImagesError if error.code == 400 else errors.UserError
    raise kind(f'the server answered {error.code}: {text}') from error
  except OSError as error:
    raise errors.UserError(
        f'{server} cannot be reached: '
        f'{getattr(error, "reason", error)}') from error
  return [list(zip(*(answer[name] for name in _OUTPUTS), strict=True))
          for answer in predictions]


def ask_grpc(server: str, model: str, images: Sequence[bytes],
             timeout: float) -> list[list[tuple[str, float]]]:
  """Does as `ask_rest`, over gRPC."""
  # pylint: disable=g-import-not-at-top
  import grpc
  import tensorflow as tf
  from tensorflow_serving.apis import predict_pb2
  from tensorflow_serving.apis import prediction_service_pb2_grpc
  # pylint: enable=g-import-not-at-top
  request = predict_pb2.PredictRequest()
  request.model_spec.name = model
  request.model_spec.signature_name = names.DEFAULT_SIGNATURE
  request.inputs[names.IMAGE_BYTES].CopyFrom(
      tf.make_tensor_proto(list(images), shape=[len(images)]))
  request.output_filter.extend(_OUTPUTS)
  with grpc.insecure_channel(server) as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    try:
      response = stub.Predict(request, timeout=timeout)
    except grpc.RpcError as error:
      kind = (RefusedImagesError
              if error.code() == grpc.StatusCode.INVALID_ARGUMENT
              else errors.UserError)
      raise kind(f'the server answered {error.code().name}: '
                 f'{error.details()}') from error
  classes, probs = (tf.make_ndarray(response.outputs[name])
                    for name in _OUTPUTS)
  return [[(name.decode(), float(probability))
           for name, probability in zip(*row, strict=True)]
          for row in zip(classes, probs, strict=True)]


class _Server:
  """What classifies images for `predictions.classify`."""

  def __init__(self, ask: Callable[..., list[list[tuple[str, float]]]],
               server: str):
    self._ask = ask
    self._server = server

  def classify_all(self, images: Sequence[bytes], top_k: int | None):
    """Does as `Classifier.classify_all`; how many classes, the server says."""
    del top_k
    # pylint: disable=g-import-not-at-top
    from official_ext.serving.runtimes import classifier
    # pylint: enable=g-import-not-at-top
    try:
      answers = self._ask(self._server, _MODEL.value, images, _TIMEOUT.value)
    except RefusedImagesError as error:
      if len(images) == 1:
        # Of several lines, which also say where in its graph.
        return [RefusedImagesError(' '.join(str(error).split()))]
      # One that it cannot decode fails the request, and is not named.
      return [found for image in images
              for found in self.classify_all([image], None)]
    # The answer has no numbers of classes, and they are not shown.
    return [[classifier.Prediction(-1, name, probability)
             for name, probability in found] for found in answers]


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError(
        'name at least one image file, a folder of them, or a list: a .txt '
        'file, or - for standard input')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.serving import image_paths
  from official_ext.serving import predictions
  # pylint: enable=g-import-not-at-top
  server = _Server(
      ask_rest if _PROTOCOL.value == 'rest' else ask_grpc,
      _SERVER.value or f'localhost:{_PORTS[_PROTOCOL.value]}')
  num_failed = 0
  with errors.reported():
    images = image_paths.collect(argv[1:])
    for result in predictions.classify(
        server, images, None, _BATCH_SIZE.value):
      if result.error:
        num_failed += 1
        name = predictions.on_one_line(result.image)
        print(f'error: {name}: {result.error}', file=sys.stderr)
      else:
        print(predictions.as_text(result), flush=True)
  if num_failed:
    if len(images) > 1:
      print(f'error: {num_failed:,} of {len(images):,} files were not '
            'classified; see above.', file=sys.stderr)
    raise SystemExit(1)


if __name__ == '__main__':
  library_logs.run(main)
