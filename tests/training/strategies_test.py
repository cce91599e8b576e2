"""The strategy of the configuration, held against the machine."""

import json
import urllib.error

import models
from official.common import distribute_utils
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.params import experiment
from official_ext.training import strategies


def load(**overrides):
  return experiment.load('funnel_vit_digits', params_override=','.join(
      f'{name}={value}' for name, value in overrides.items()))


def workers(count, index=0, kind='worker'):
  return json.dumps({
      'cluster': {'worker': [f'localhost:{2222 + i}' for i in range(count)]},
      'task': {'type': kind, 'index': index}})


@pytest.fixture
def two_replicas(monkeypatch):
  """Makes every strategy mirrored over two logical CPU devices."""
  monkeypatch.setattr(distribute_utils, 'get_distribution_strategy',
                      lambda **_: models.mirrored(2))


def test_xla_without_a_gpu_is_said_to_do_nothing(caplog):
  strategies.build(load(**{'runtime.enable_xla': 'true'}))
  assert 'runtime.enable_xla has no effect' in caplog.text


def test_a_tpu_that_cannot_be_reached(monkeypatch):
  params = load(**{'runtime.distribution_strategy': 'tpu', 'runtime.tpu': 'x'})

  def fail(**_):
    raise urllib.error.URLError('Name or service not known')

  monkeypatch.setattr(distribute_utils, 'get_distribution_strategy', fail)
  with pytest.raises(ValueError, match=(
      "^runtime.distribution_strategy=tpu with runtime.tpu='x' cannot be built "
      'here: .*Name or service not known>. Use one_device')):
    strategies.build(params)


def test_a_strategy_that_the_machine_has_not(monkeypatch):
  params = load(**{'runtime.num_gpus': '0'})

  def fail(**_):
    raise ValueError('no such device')

  monkeypatch.setattr(distribute_utils, 'get_distribution_strategy', fail)
  with pytest.raises(ValueError, match=(
      'distribution_strategy=mirrored cannot be built here.*Use one_device')):
    strategies.build(params)


@pytest.mark.parametrize('text, message', [
    ('nonsense', "TF_CONFIG is 'nonsense', which cannot be read"),
    ('[1]', 'which cannot be read'),
    ('{"cluster": {"worker": ["a:1", "b:1"]}}', 'which cannot be read'),
    (workers(2, 2), 'this is worker 2, but the cluster has 2 of type worker'),
    (workers(2, -1), 'this is worker -1, but the cluster has 2'),
])
def test_a_tf_config_that_does_not_fit(monkeypatch, text, message):
  monkeypatch.setenv('TF_CONFIG', text)
  with pytest.raises(ValueError, match=message):
    strategies.build(load(**{
        'runtime.distribution_strategy': 'multi_worker_mirrored'}))


def test_workers_that_would_train_alone(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', workers(2))
  with pytest.raises(ValueError, match=(
      'names 2 workers, but runtime.distribution_strategy is mirrored: each '
      'would train alone')):
    strategies.build(load())


def test_one_worker_may_train_as_it_likes(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', workers(1))
  assert strategies.build(load()).num_replicas_in_sync == 1


def test_several_workers_without_a_tf_config(
    monkeypatch, caplog, two_replicas):
  monkeypatch.delenv('TF_CONFIG', raising=False)
  strategies.build(load(**{
      'runtime.distribution_strategy': 'multi_worker_mirrored'}))
  assert 'TF_CONFIG is not set: this process trains alone' in caplog.text


@pytest.mark.parametrize('num_files', [1, 2])
def test_fewer_files_than_workers_are_said(
    monkeypatch, caplog, tmp_path, two_replicas, num_files):
  for index in range(num_files):
    records_for_tests.write(tmp_path / f'train-{index}', [])
  monkeypatch.setenv('TF_CONFIG', workers(2))
  strategies.build(load(**{
      'runtime.distribution_strategy': 'multi_worker_mirrored',
      'task.data_dir': f"'{tmp_path}'"}))
  said = 'has 1 file(s) for 2 workers: every worker reads' in caplog.text
  assert said == (num_files < 2)


@pytest.mark.parametrize('text, expected', [
    ('Collective ops is aborted by: The following tasks are unhealthy:\n'
     '/job:worker/replica:0/task:1\nThe tasks have crashed.',
     'another worker was lost: worker 1'),
    ('Connection reset by peer', 'another worker was lost')])
def test_a_lost_worker_is_named_if_it_is_known(text, expected):
  error = tf.errors.UnavailableError(None, None, text)
  assert strategies.lost_worker_message(error) == expected


def test_another_error_is_no_lost_worker():
  error = tf.errors.InvalidArgumentError(None, None, '/job:worker/task:1')
  assert strategies.lost_worker_message(error) is None
