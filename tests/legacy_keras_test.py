"""Tests of the choice between tf.keras and tf_keras."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf
import tf_keras

from official_ext import legacy_keras

IS_2_15 = tf.__version__.startswith('2.15.')


def run(code, cwd):
  environment = {key: value for key, value in os.environ.items()
                 if key != 'TF_USE_LEGACY_KERAS'}
  return subprocess.run(
      [sys.executable, '-c', code], cwd=cwd, capture_output=True, text=True,
      check=False, env={**environment, 'CUDA_VISIBLE_DEVICES': '-1'})


@pytest.mark.addons
def test_needed_on_2_15_alone():
  assert legacy_keras.is_needed() == IS_2_15
  is_same = tf.keras.layers.Layer is tf_keras.layers.Layer
  assert is_same == IS_2_15
  legacy_keras.check()


@pytest.mark.addons
@pytest.mark.skipif(not IS_2_15, reason='one Keras from 2.16 on')
def test_two_kerases_are_refused(repository):
  result = run(
      'import tensorflow as tf; tf.keras.layers.Layer; '
      'from official_ext import registry_imports', repository)
  assert result.returncode == 1
  assert 'ImportError: tf.keras is not tf_keras, which' in result.stderr
  result = run('from official_ext import registry_imports; '
               'import tensorflow as tf; tf.keras.layers.Layer', repository)
  assert result.returncode == 0, result.stderr


def test_an_environment_without_tf_keras(monkeypatch):
  # Such as one that only serves an export.
  def version(name):
    raise legacy_keras.importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(legacy_keras.importlib.metadata, 'version', version)
  assert not legacy_keras.is_needed()


@pytest.mark.parametrize('version, given, expected', [
    ('2.15.1', None, '1'), ('2.15.0', '0', '0'), ('2.20.1', None, None)])
def test_prefer(monkeypatch, version, given, expected):
  monkeypatch.setattr(
      legacy_keras.importlib.metadata, 'version', lambda _: version)
  environment = {} if given is None else {'TF_USE_LEGACY_KERAS': given}
  monkeypatch.setattr(legacy_keras.os, 'environ', environment)
  legacy_keras.prefer()
  assert environment.get('TF_USE_LEGACY_KERAS') == expected
