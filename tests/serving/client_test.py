"""Tests of the client's requests against the signatures here.

The servers are stand-ins that read a request as TensorFlow Serving documents
it and answer it with the export.
"""

import base64
from concurrent import futures
import http.server
import json
import threading

import commands
import grpc
from PIL import Image
import pytest
import records_for_tests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

IMAGE = records_for_tests.encode('PNG', (8, 8), (10, 200, 90))


@pytest.fixture(name='image_files')
def _image_files(tmp_path):
  paths = [tmp_path / 'a.png', tmp_path / 'b.jpg']
  paths[0].write_bytes(IMAGE)
  paths[1].write_bytes(records_for_tests.encode('JPEG', (30, 20)))
  return paths


@pytest.fixture(name='rest_server')
def _rest_server(serve):
  class Handler(http.server.BaseHTTPRequestHandler):
    """The row format of the Predict API."""

    def do_POST(self):
      body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
      if self.path != '/v1/models/digits:predict':
        return self.answer(404, {'error': f'Servable not found: {self.path}'})
      instances = body['instances']
      inputs = {name: tf.constant([
          base64.b64decode(row[name]['b64'], validate=True)
          for row in instances]) for name in instances[0]}
      try:
        outputs = serve[body['signature_name']](**inputs)
      except tf.errors.InvalidArgumentError as error:
        return self.answer(400, {'error': error.message})
      columns = {name: [
          [cell.decode() if isinstance(cell, bytes) else cell for cell in row]
          for row in value.numpy().tolist()] for name, value in outputs.items()}
      return self.answer(200, {'predictions': [
          {name: column[index] for name, column in columns.items()}
          for index in range(len(instances))]})

    def answer(self, status, content):
      encoded = json.dumps(content).encode()
      self.send_response(status)
      self.send_header('Content-Length', str(len(encoded)))
      self.end_headers()
      self.wfile.write(encoded)

    def log_message(self, *unused_args):
      pass

  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'127.0.0.1:{server.server_address[1]}'
    server.shutdown()


@pytest.fixture(name='grpc_server')
def _grpc_server(serve):
  class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):

    def Predict(self, request, context):  # noqa: N802
      if request.model_spec.name != 'digits':
        context.abort(grpc.StatusCode.NOT_FOUND, 'Servable not found')
      try:
        outputs = serve[request.model_spec.signature_name](
            **{name: tf.constant(tf.make_ndarray(value))
               for name, value in request.inputs.items()})
      except tf.errors.InvalidArgumentError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
      response = predict_pb2.PredictResponse()
      for name in request.output_filter:
        response.outputs[name].CopyFrom(
            tf.make_tensor_proto(outputs[name].numpy()))
      return response

  server = grpc.server(futures.ThreadPoolExecutor(2))
  prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
      Servicer(), server)
  port = server.add_insecure_port('127.0.0.1:0')
  server.start()
  yield f'127.0.0.1:{port}'
  server.stop(None)


def ask(repository, protocol, server, *arguments):
  return commands.run(
      '-m', 'official_ext.serving.client', f'--protocol={protocol}',
      f'--server={server}', *arguments, cwd=repository)


def expected_text(serve, paths):
  outputs = serve['default']([path.read_bytes() for path in paths])
  lines = []
  for index, path in enumerate(paths):
    lines.append(str(path))
    lines += [f'  {100 * probability:6.2f} %  {name.decode()}'
              for name, probability in zip(
                  outputs['top_classes'][index].numpy(),
                  outputs['top_probs'][index].numpy(), strict=True)]
  return '\n'.join(lines) + '\n'


@pytest.mark.slow
@pytest.mark.parametrize('protocol', ['rest', 'grpc'])
def test_the_client(repository, serve, image_files, request, protocol):
  server = request.getfixturevalue(f'{protocol}_server')
  result = ask(repository, protocol, server, '--model=digits', *image_files)
  assert (result.returncode, result.stderr) == (0, '')
  assert result.stdout == expected_text(serve, image_files)


@pytest.mark.parametrize(
    'protocol', ['rest', pytest.param('grpc', marks=pytest.mark.long)])
def test_what_the_server_refuses(repository, image_files, tmp_path, request,
                                 protocol):
  server = request.getfixturevalue(f'{protocol}_server')
  bad = tmp_path / 'bad.jpg'
  # A PNG file of no width, whose beginning the client knows.
  bad.write_bytes(b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(17))
  result = ask(repository, protocol, server, '--model=digits', bad)
  assert result.returncode == 1 and result.stdout == ''
  # The server says no more than that it cannot decode it; the client why.
  assert result.stderr == (
      f'error: {bad}: PNG: damaged: the checksum of a chunk IHDR is wrong\n')

  result = ask(repository, protocol, server, '--model=other', *image_files)
  assert result.returncode == 1
  assert 'Servable not found' in result.stderr


@pytest.mark.parametrize(
    'protocol', ['rest', pytest.param('grpc', marks=pytest.mark.long)])
def test_nobody_answers(repository, image_files, protocol):
  result = ask(repository, protocol, '127.0.0.1:1', '--model=digits',
               '--timeout=2', image_files[0])
  assert result.returncode == 1
  assert result.stderr.count('\n') == 1 and 'Traceback' not in result.stderr


def test_folders_and_patterns_in_batches(
    repository, serve, rest_server, image_files, tmp_path):
  folder = tmp_path / 'photos'
  folder.mkdir()
  for path in image_files:
    path.rename(folder / path.name)
  paths = [folder / path.name for path in image_files]
  (folder / 'c.png').write_bytes(b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(17))
  (tmp_path / 'list.txt').write_text(f'{folder}/a.png\n{tmp_path}/none.png\n')
  result = ask(repository, 'rest', rest_server, '--model=digits',
               '--batch_size=4', folder, f'{folder}/b*', tmp_path / 'list.txt')
  assert result.returncode == 1
  # The one that is refused is in a batch with others.
  assert result.stdout == expected_text(
      serve, [*paths, paths[1]]) + expected_text(serve, paths[:1])
  told = result.stderr.splitlines()
  assert told == [
      f'error: {folder}/c.png: PNG: damaged: the checksum of a chunk IHDR is '
      'wrong',
      f'error: {tmp_path}/none.png: No such file or directory',
      'error: 2 of 6 files were not classified; see above.']


def test_other_forms_are_sent_as_their_pixels(
    repository, serve, rest_server, tmp_path):
  pixels = Image.fromarray(records_for_tests.pixels(0, (8, 8, 3)))
  paths = [tmp_path / 'a.png', tmp_path / 'a.webp', tmp_path / 'a.tiff']
  for path in paths:
    pixels.save(path, lossless=True)
  result = ask(repository, 'rest', rest_server, '--model=digits', *paths)
  assert (result.returncode, result.stderr) == (0, '')
  assert result.stdout == expected_text(serve, paths[:1]) + ''.join(
      expected_text(serve, paths[:1]).replace('a.png', path.name)
      for path in paths[1:])
  photo = tmp_path / 'photo.heic'
  photo.write_bytes(b'\0\0\0\x1cftypheic' + bytes(40))
  result = ask(repository, 'rest', rest_server, '--model=digits', photo)
  assert result.returncode == 1
  assert result.stderr == (
      f'error: {photo}: not supported: HEIC, AVIF or a video; save it as JPEG '
      'or PNG\n')
