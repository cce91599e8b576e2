"""Asks a TensorFlow Serving server what it sees in image files.

  docker run --rm -p 8500:8500 -p 8501:8501 -e MODEL_NAME=digits \
    -v "$PWD/exports/digits:/models/digits" tensorflow/serving
  python -m official_ext.serving.client --model=digits digit.png ...

An example to copy from: the REST half needs nothing but Python, the gRPC half
tensorflow-serving-api. GIF, TIFF and WebP, which a server does not decode, are
sent as PNG (`tasks.file_forms`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
import json
import pathlib
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

_PORTS = {'rest': 8501, 'grpc': 8500}
# JPEG and PNG.
_SERVED = (b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n')
_OUTPUTS = (names.TOP_CLASSES, names.TOP_PROBS)


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
    errors.UserError: if the server cannot be reached or refuses the request.
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
    raise errors.UserError(
        f'the server answered {error.code}: {text}') from error
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
      raise errors.UserError(
          f'the server answered {error.code().name}: {error.details()}'
      ) from error
  classes, probs = (tf.make_ndarray(response.outputs[name])
                    for name in _OUTPUTS)
  return [[(name.decode(), float(probability))
           for name, probability in zip(*row, strict=True)]
          for row in zip(classes, probs, strict=True)]


def _read(path: str) -> bytes:
  """Returns an image file as a server takes it."""
  encoded = pathlib.Path(path).read_bytes()
  if encoded.startswith(_SERVED):
    return encoded
  from official_ext.tasks import file_forms  # pylint: disable=g-import-not-at-top
  try:
    return file_forms.as_served(encoded)
  except ValueError as error:
    raise errors.UserError(f'{path}: {error}') from error


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError('name at least one image file')
  library_logs.silence()
  server = _SERVER.value or f'localhost:{_PORTS[_PROTOCOL.value]}'
  ask = ask_rest if _PROTOCOL.value == 'rest' else ask_grpc
  with errors.reported():
    images = list(map(_read, argv[1:]))
    answers = ask(server, _MODEL.value, images, _TIMEOUT.value)
  for path, classes in zip(argv[1:], answers, strict=True):
    print(path)
    for name, probability in classes:
      print(f'  {100 * probability:6.2f} %  {name}')


if __name__ == '__main__':
  library_logs.run(main)
