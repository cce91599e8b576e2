"""Tests of numbered folders that appear whole."""

import os

import pytest
import tensorflow as tf

from official_ext.serving.formats import versions


def test_a_number_that_another_export_takes_meanwhile(tmp_path):
  base = str(tmp_path)
  with versions.unfinished(base) as path:
    os.makedirs(path)
    os.makedirs(f'{base}/3/variables')
    assert versions.publish(path, base, None) == f'{base}/4'
  with versions.unfinished(base) as path:
    os.makedirs(path)
    with pytest.raises(ValueError, match='--version=3'):
      versions.publish(path, base, 3)
  assert sorted(os.listdir(base)) == ['3', '4']


def test_a_store_without_folders_gets_the_model_file_last(monkeypatch):
  base = 'ram://store/exports'
  moved = []
  rename = tf.io.gfile.rename

  def record(source, target, overwrite=False):
    moved.append(target)
    rename(source, target, overwrite)

  monkeypatch.setattr(tf.io.gfile, 'rename', record)
  with versions.unfinished(base) as path:
    for name in ('saved_model.pb', 'assets/names.txt', 'variables/variables'):
      tf.io.gfile.makedirs(os.path.dirname(f'{path}/{name}'))
      with tf.io.gfile.GFile(f'{path}/{name}', 'w') as file:
        file.write(name)
    assert versions.publish(path, base, None) == f'{base}/1'
  assert moved[-1] == f'{base}/1/saved_model.pb' and len(moved) == 3
  with tf.io.gfile.GFile(f'{base}/1/assets/names.txt') as file:
    assert file.read() == 'assets/names.txt'
