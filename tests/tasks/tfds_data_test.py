"""Tests of what is said of data sets that TFDS has not, nor can get."""

import http.server
import threading
import urllib.error
import urllib.request

import pytest
import tensorflow_datasets as tfds

from official_ext.params import experiment
from official_ext.tasks import preflight
from official_ext.tasks import tfds_data

WHERE = 'task.train_data'


@pytest.fixture(name='offline')
def fixture_offline(monkeypatch):
  asked = []

  def fail(request, timeout):
    asked.append((request.full_url, timeout))
    raise urllib.error.URLError(OSError(-2, 'Name or service not known'))

  monkeypatch.setattr(urllib.request, 'urlopen', fail)
  return asked


def test_an_offline_experiment_fails_at_once(offline, tmp_path):
  params = experiment.load('funnel_vit_cifar10_finetune', params_override=(
      f'task.train_data.tfds_data_dir={tmp_path},'
      f'task.validation_data.tfds_data_dir={tmp_path}'))
  with pytest.raises(ValueError) as raised:
    preflight.check_files(params.task, ['train_data', 'validation_data'])
  assert str(raised.value) == (
      f"task.train_data.tfds_name is 'cifar10', which is not prepared in "
      f'{tmp_path}, and www.cs.toronto.edu, from which TFDS downloads it, '
      'cannot be reached: Name or service not known. Where there is a network, '
      'python -c "import tensorflow_datasets as tfds; '
      "tfds.load('cifar10')\" prepares it in ~/tensorflow_datasets: copy that "
      'folder, and name it in task.train_data.tfds_data_dir.')
  # Once, and not for long.
  assert offline == [
      ('https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz', 10)]


def test_what_was_downloaded_needs_no_network(offline, tmp_path):
  (tmp_path / 'downloads/other').mkdir(parents=True)
  size = int(next(iter(
      tfds.builder('cifar10', data_dir=tmp_path).url_infos.values())).size)
  with open(tmp_path / 'downloads/cifar', 'wb') as file:
    file.truncate(size)
  tfds_data.check('cifar10', str(tmp_path), WHERE)
  assert not offline
  with open(tmp_path / 'downloads/cifar', 'wb') as file:
    file.truncate(size - 1)
  with pytest.raises(ValueError, match='cannot be reached'):
    tfds_data.check('cifar10', str(tmp_path), WHERE)


def test_what_is_prepared_needs_no_network(offline, tmp_path):
  builder = tfds.builder('cifar10', data_dir=tmp_path)
  builder.info.set_splits(tfds.core.splits.SplitDict([]))
  (tmp_path / 'cifar10/3.0.2').mkdir(parents=True)
  assert str(builder.data_dir) == str(tmp_path / 'cifar10/3.0.2')
  builder.info.write_to_directory(builder.data_dir)
  tfds_data.check('cifar10', str(tmp_path), WHERE)
  assert not offline


def test_archives_that_tfds_cannot_download(offline, tmp_path):
  manual = tmp_path / 'downloads/manual'
  manual.mkdir(parents=True)
  (manual / 'ILSVRC2012_img_val.tar').touch()
  with pytest.raises(ValueError, match=(
      f"task.train_data.tfds_name is 'imagenet2012', .* {manual} lacks "
      'ILSVRC2012_img_train.tar. Put the archives there; or convert them')):
    tfds_data.check('imagenet2012', str(tmp_path), WHERE)
  (manual / 'ILSVRC2012_img_train.tar').touch()
  tfds_data.check('imagenet2012', str(tmp_path), WHERE)
  assert not offline


def test_a_host_that_refuses_is_reached():
  class Refusing(http.server.BaseHTTPRequestHandler):

    def do_HEAD(self):  # pylint: disable=invalid-name
      self.send_error(403)

    def log_message(self, *_):
      pass

  with http.server.HTTPServer(('localhost', 0), Refusing) as server:
    threading.Thread(target=server.handle_request).start()
    url = f'http://localhost:{server.server_port}'
    # What is asked of nobody is asked without a proxy.
    assert tfds_data._unreachable(f'{url}/a.tar') is None
  assert tfds_data._unreachable(f'{url}/a.tar') == 'Connection refused'
