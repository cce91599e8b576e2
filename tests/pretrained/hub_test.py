"""The hub's own client, on a server here that speaks its protocol."""

import functools
import hashlib
import http.server
import json
import os
import threading

from huggingface_hub import constants
from huggingface_hub import hf_api
import numpy as np
import published_models
import pytest

from official_ext.command_line import errors
from official_ext.pretrained import find_source
from official_ext.pretrained import hub

NAME = 'someone/tiny-vit'
COMMIT = '0123456789abcdef0123456789abcdef01234567'
WEIGHTS = 'model.safetensors'


class Handler(http.server.BaseHTTPRequestHandler):
  """Answers what the client asks: the list of files, and each of them."""
  protocol_version = 'HTTP/1.1'

  def __init__(self, *args, folder, faults, asked, **kwargs):
    self.folder, self.faults, self.asked = folder, faults, asked
    super().__init__(*args, **kwargs)

  def log_message(self, *args):  # pylint: disable=arguments-differ
    pass

  def reply(self, status, content=b'', **headers):
    self.send_response(status)
    for name, value in headers.items():
      self.send_header(name.replace('_', '-'), str(value))
    self.send_header('Content-Length', str(len(content)))
    self.end_headers()
    if self.command != 'HEAD':
      self.wfile.write(content)

  def do_HEAD(self):  # pylint: disable=invalid-name
    self.do_GET()

  def do_GET(self):  # pylint: disable=invalid-name
    self.asked.append((self.command, self.path, self.headers.get('Range')))
    path = self.path.split('?')[0]
    if path.startswith(f'/api/models/{NAME}'):
      files = sorted(path.name for path in self.folder.iterdir())
      if '/tree/' in path:
        content = [{'type': 'file', 'path': name, 'oid': '0' * 40,
                    'size': (self.folder / name).stat().st_size}
                   for name in files]
      else:
        content = {'id': NAME, 'modelId': NAME, 'sha': COMMIT, 'private': False,
                   'siblings': [{'rfilename': name} for name in files]}
      if 'listed' in self.faults:
        content = {**content, 'siblings': [
            *content['siblings'], {'rfilename': 'config.json'}]}
      return self.reply(200, json.dumps(content).encode(),
                        Content_Type='application/json')
    if not path.startswith(f'/{NAME}/resolve/'):
      return self.reply(404, X_Error_Code='RepoNotFound')
    file = self.folder / path.rsplit('/', maxsplit=1)[-1]
    if not file.exists():
      return self.reply(404, X_Error_Code='EntryNotFound')
    content = file.read_bytes()
    etag = hashlib.sha256(content).hexdigest()
    headers = dict(X_Repo_Commit=COMMIT, ETag=f'"{etag}"',
                   Accept_Ranges='bytes')
    size = len(content)
    begin = 0
    requested = self.headers.get('Range')
    if requested:
      begin = int(requested.removeprefix('bytes=').split('-')[0])
      headers['Content_Range'] = f'bytes {begin}-{size - 1}/{size}'
    if self.command == 'GET' and file.name == WEIGHTS:
      if 'interrupted' in self.faults and not begin:
        self.send_response(200)
        for name, value in headers.items():
          self.send_header(name.replace('_', '-'), str(value))
        self.send_header('Content-Length', str(size))
        self.end_headers()
        self.wfile.write(content[:size // 2])
        self.close_connection = True
        return None
      if 'wrong size' in self.faults:
        content = content[:-8]
    return self.reply(206 if requested else 200, content[begin:], **headers)


@pytest.fixture(name='serve')
def _serve(tmp_path, monkeypatch):
  """A function that serves a folder; returns what it was asked."""
  servers = []

  def serve(folder, *faults):
    asked = []
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(
            Handler, folder=folder, faults=faults, asked=asked))
    servers.append(server)
    threading.Thread(
        target=server.serve_forever, args=[0.01], daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}'
    for module in (constants, hf_api):
      monkeypatch.setattr(module, 'ENDPOINT', address, raising=False)
    monkeypatch.setattr(
        constants, 'HUGGINGFACE_CO_URL_TEMPLATE',
        address + '/{repo_id}/resolve/{revision}/{filename}')
    monkeypatch.setattr(
        constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    return asked

  yield serve
  for server in servers:
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_and_kept(serve, monkeypatch):
  serve(published_models.folder('hf_vit'))
  source = find_source.open_source(NAME)
  expected = published_models.tensors(
      published_models.folder('hf_vit') / WEIGHTS)
  np.testing.assert_array_equal(
      source.read('norm/gamma'), expected['vit.layernorm.weight'])
  assert source.model.class_names == ('ape', 'bee', 'cat')
  # The client has it now.
  monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
  again = find_source.open_source(NAME)
  assert again.shapes == source.shapes


# The client waits for a second.
@pytest.mark.long
def test_an_interrupted_download_goes_on(serve, monkeypatch):
  # What it has of a chunk is lost.
  monkeypatch.setattr(constants, 'DOWNLOAD_CHUNK_SIZE', 1024)
  asked = serve(published_models.folder('hf_vit'), 'interrupted')
  path = hub.fetch(NAME)
  expected = (published_models.folder('hf_vit') / WEIGHTS).read_bytes()
  with open(path, 'rb') as file:
    assert file.read() == expected
  ranges = [wanted for command, path, wanted in asked
            if command == 'GET' and path.endswith(WEIGHTS)]
  half = len(expected) // 2
  assert ranges == [None, f'bytes={half - half % 1024}-']


@pytest.mark.parametrize('faults, remove, words', [
    (['wrong size'], None, ['cannot be fetched']),
    ([], WEIGHTS, ['holds no weights']),
])
def test_what_cannot_be_fetched(serve, tmp_path, faults, remove, words):
  folder = published_models.copy('hf_vit', tmp_path / 'served')
  if remove:
    (folder / remove).unlink()
  serve(folder, *faults)
  with pytest.raises(errors.UserError) as error:
    hub.fetch(NAME)
  assert '\n' not in str(error.value)
  for word in words:
    assert word in str(error.value), error.value


def test_other_files_of_weights_lie_beside(serve, tmp_path):
  folder = published_models.copy('hf_vit', tmp_path / 'served')
  for name in ('open_clip.safetensors', 'weights.npz', 'pytorch_model.bin'):
    (folder / name).write_text('other')
  serve(folder)
  path = hub.fetch(NAME)
  assert os.path.basename(path) == WEIGHTS
  assert 'open_clip.safetensors' not in os.listdir(os.path.dirname(path))


def test_there_is_no_such_model(serve):
  serve(published_models.folder('hf_vit'))
  with pytest.raises(errors.UserError, match='neither a file or folder here'):
    hub.fetch('someone/other')


def test_offline_what_was_not_fetched_is_missed(serve, monkeypatch):
  serve(published_models.folder('hf_vit'))
  monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
  with pytest.raises(errors.UserError, match='HF_HUB_OFFLINE'):
    hub.fetch(NAME)


# The client tries for 20 s.
@pytest.mark.long
def test_nobody_answers(serve, monkeypatch):
  serve(published_models.folder('hf_vit'))
  for module in (constants, hf_api):
    monkeypatch.setattr(
        module, 'ENDPOINT', 'http://127.0.0.1:9', raising=False)
  with pytest.raises(errors.UserError, match='hf download'):
    hub.fetch(NAME)


@pytest.mark.parametrize('name, is_name', [
    ('google/vit-base-patch16-224', True), ('gpt2', True), ('a/b/c', False),
    ('./model', False), ('/tmp/model', False)])
def test_names(name, is_name):
  assert hub.is_name(name) == is_name
