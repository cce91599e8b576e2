"""Tests of what a conversion says."""

import dataclasses
import io
import shlex

import pytest
import yaml

from data_prep import class_names
from data_prep import conversion
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


def conversion_of(num_classes):
  """A conversion of one training image per class, two of class 1."""
  classes = [{'label': label, 'name': f'kind {label}\n', 'synset': '',
              'num_images': {'train': 1 + (label == 1)}}
             for label in range(num_classes)]
  classes[0]['num_images']['validation'] = 1200
  splits = {'train': num_classes + 1, 'validation': 1200}
  none = {'count': 0, 'file': ''}
  manifest = {
      'splits': {split: {'num_images': count, 'num_bytes': 0, 'shards': []}
                 for split, count in splits.items()},
      'classes': classes, 'reencoded': none, 'quarantined': none,
      'left_out': none}
  names = tuple(class_names.ImageClass(item['name']) for item in classes)
  return conversion.Conversion(
      sources.DataSet('a folder per class', names), manifest, True)


def test_classes_are_listed_with_their_numbers():
  lines = conversion_report.summary(conversion_of(2), 'out', 1).splitlines()
  first = lines.index('label       train  validation  class')
  assert lines[first + 1:first + 4] == [
      r'    0           1       1,200  kind 0\n',
      r'    1           2           0  kind 1\n', '']


@pytest.mark.parametrize('num_classes, num_listed', [(20, 20), (21, 19)])
def test_of_many_classes_the_first_are_listed(num_classes, num_listed):
  lines = conversion_report.summary(
      conversion_of(num_classes), 'out', 1).splitlines()
  first = lines.index('label       train  validation  class') + 1
  listed = lines[first:lines.index('', first)]
  assert [int(line.split()[0]) for line in listed[:num_listed]] == list(
      range(num_listed))
  assert listed[num_listed:] == ([] if num_classes == 20 else [
      r'  ...  2 more, the last of them 20, kind 20\n: a line each in '
      'class_names.txt, from 0'])


@pytest.mark.parametrize('was_finished, is_finished, said', [
    (True, True, True), (True, False, False), (False, True, False)])
def test_there_is_nothing_to_do_but_where_all_is_well(
    was_finished, is_finished, said):
  done = dataclasses.replace(
      conversion_of(2), was_finished=was_finished, is_finished=is_finished)
  summary = conversion_report.summary(done, 'out', 1)
  assert ('Nothing to do' in summary) == said
  assert ('took 00:01' in summary) != was_finished


def commands_of(*splits, **others):
  """What is said of a conversion, a list of words for each command."""
  text = conversion_report.commands(
      {'splits': dict.fromkeys(splits), **others}, 'my data', 'my data/e.yaml')
  return [shlex.split(line) if line.startswith(' ') else line
          for line in text.splitlines()]


CHECK = ['To check it:', [
    'python', '-m', 'official_ext.data_prep.verify_tfrecords', 'my data']]


@pytest.mark.parametrize('splits, mode', [
    (['train'], 'train'), (['train', 'validation'], 'train_and_eval')])
def test_records_to_train_on_are_trained_on(splits, mode):
  assert commands_of(*splits) == [*CHECK, 'To train on it:', [
      'python', '-m', 'official_ext.train', '--experiment=funnel_vit_finetune',
      f'--mode={mode}', '--model_dir=runs/my data',
      '--config_file=my data/e.yaml']]


def test_records_to_test_on_are_evaluated():
  evaluation = ['python', '-m', 'official_ext.evaluate', '--model=runs/NAME']
  title = 'To evaluate a trained model on it:'
  assert commands_of('validation', 'test') == [
      *CHECK, title, [*evaluation, '--data=my data/validation-*'],
      [*evaluation, '--data=my data/test-*']]
  assert commands_of(
      'validation', 'test', num_unlabelled={'test': 3, 'validation': 0}) == [
          *CHECK, title, [*evaluation, '--data=my data/validation-*']]
  assert commands_of('test', num_unlabelled={'test': 3}) == CHECK
