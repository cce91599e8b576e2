"""Tests of what a conversion says."""

import io

import pytest
import yaml

from data_prep import class_names
from data_prep import conversion_report
from data_prep import sources


@pytest.mark.parametrize('folder', [
    '/data/photos', 'q\'u"o te', 'back\\nslash', '\u732b: yes', '- no'])
def test_an_experiment_finds_a_folder_of_any_name(folder):
  manifest = {'classes': [{}] * 3, 'splits': {'train': {'num_images': 9}}}
  assert yaml.safe_load(conversion_report.experiment_yaml(
      manifest, folder)) == {'task': {
          'data_dir': folder, 'model': {'num_classes': 3},
          'train_data': {'num_examples': 9}}}


def test_names_do_nothing_to_a_terminal():
  stream = io.StringIO()
  reporter = conversion_report.Reporter(stream)
  reporter.left_out([('a/x\ny\x1b[31m\udcff\u732b.txt', 'a .txt file')], 1)
  assert stream.getvalue() == (
      'left out: a/x\\ny\\x1b[31m\\udcff\u732b.txt: a .txt file\n')


def test_a_class_called_background_counts():
  stream = io.StringIO()
  reporter = conversion_report.Reporter(stream)
  names = [class_names.ImageClass(name) for name in ('background', 'dog')]
  reporter.recognised(
      sources.DataSet('a folder per class', tuple(names)), {'train': (2, 10)})
  assert 'a folder per class, 2 classes' in stream.getvalue()
