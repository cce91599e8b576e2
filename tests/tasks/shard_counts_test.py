"""Tests of shards that have lost records since they were written."""

import json
import shutil

import conversions
import image_trees
import pytest
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import preflight
from official_ext.training import session


@pytest.fixture(name='data', scope='session')
def _data(make_once):
  """24 images in 3 training shards and one of validation, with a manifest."""
  def fill(folder):
    for split, count in (('train', 12), ('val', 2)):
      image_trees.class_folders(
          folder / 'in' / split, {'a': count, 'b': count})
    conversions.convert(folder / 'in', folder / 'out',
                        shards={'train': 3, 'validation': 1})
  return f'{make_once("counted_shards", fill)}/out'


@pytest.fixture(name='folder')
def _folder(data, tmp_path):
  shutil.copytree(data, tmp_path / 'data')
  return tmp_path / 'data'


def check(folder, *overrides, **how):
  params = experiment.load('funnel_vit_digits', params_override=','.join(
      [f"task.data_dir='{folder}'", 'task.train_data.global_batch_size=8',
       *overrides]))
  preflight.check_records(params.task, ['train_data', 'validation_data'], **how)


def cut(path, kept):
  """Cuts a shard between two records."""
  records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records[:kept]:
      writer.write(record)


def test_whole_shards_pass(folder):
  check(folder, 'task.train_data.num_examples=24', follows_epochs=True)


@pytest.mark.parametrize('split, number, kept', [
    ('train', 3, 0), ('train', 3, 5), ('validation', 1, 3)])
def test_a_shard_that_lost_records(folder, monkeypatch, split, number, kept):
  name = f'{split}-{number - 1:05d}-of-{number:05d}'
  whole = (folder / name).stat().st_size
  cut(folder / name, kept)
  found = (folder / name).stat().st_size
  expected = (f'task.{split}_data: {folder}/{name} has {found:,} bytes, but by '
              f'the manifest.json beside it {whole:,}')
  # Also where a sample alone is read.
  for read_whole_bytes in (2**26, 1):
    monkeypatch.setattr(preflight, '_READ_WHOLE_BYTES', read_whole_bytes)
    with pytest.raises(ValueError) as error:
      check(folder)
    assert str(error.value).startswith(expected)


def test_a_shard_of_other_records_and_the_same_length(folder):
  path = folder / 'manifest.json'
  manifest = json.loads(path.read_text())
  manifest['splits']['train']['shards'][1]['num_images'] = 9
  path.write_text(json.dumps(manifest))
  with pytest.raises(ValueError, match='train-00001-of-00003 holds 8 records, '
                     'but by the manifest.json beside it 9'):
    check(folder)


def test_a_shard_that_is_missing(folder):
  (folder / 'train-00001-of-00003').unlink()
  with pytest.raises(ValueError, match='train-00001-of-00003 is missing, which '
                     'manifest.json'):
    check(folder)
  # Whoever names shards may leave some out.
  check(folder, f"task.train_data.input_path='{folder}/train-*'")
  named = f"task.train_data.input_path='{folder}/train-*'"
  check(folder, named, 'task.train_data.num_examples=16', follows_epochs=True)
  with pytest.raises(ValueError, match='num_examples is 24.*hold 16 images'):
    check(folder, named, 'task.train_data.num_examples=24', follows_epochs=True)


@pytest.mark.parametrize('names, message', [
    (['train-00001-of-00003', 'train-00002-of-00003'],
     'train-00000-of-00003 is missing, by the names of those beside it'),
    (['train-00000-of-00002.tfrecord'],
     'train-00001-of-00002.tfrecord is missing, by the names'),
    (['train-00000-of-00001', 'train-00000-of-00002', 'train-00001-of-00002'],
     'train-00000-of-00002 is not of the same conversion'),
    (['train-00000-of-00001', 'train-00000-of-00001 (1)'],
     r'train-00000-of-00001 \(1\) is not of the same conversion')])
def test_what_names_of_shards_tell_without_a_manifest(
    folder, tmp_path, names, message, caplog):
  for name in names:
    shutil.copy(folder / 'train-00000-of-00003', tmp_path / name)
  shutil.copy(folder / 'validation-00000-of-00001', tmp_path)
  with pytest.raises(ValueError, match=f'task.train_data: .*/{message}'):
    check(tmp_path)
  # Whoever names shards may leave some out, and is told.
  caplog.clear()
  check(tmp_path, f"task.train_data.input_path='{tmp_path}/{names[0]}'")
  is_whole_set = names[0].endswith('-of-00001')
  assert ('not all shards are there' in caplog.text) != is_whole_set


def test_sets_of_shards_with_other_beginnings_pass(folder, tmp_path):
  for name in ('train-00000-of-00001', 'train_more-00000-of-00001', 'train.old',
               'valid-00000-of-00001'):
    shutil.copy(folder / 'train-00000-of-00003', tmp_path / name)
  check(tmp_path)


def test_a_shard_that_the_manifest_does_not_know(folder):
  shutil.copy(folder / 'train-00000-of-00003', folder / 'train-00000-of-00001')
  message = ('train-00000-of-00001 is not among the shards that the '
             'manifest.json beside it names')
  with pytest.raises(ValueError, match=message):
    check(folder)
  # A manifest of other data, none of whose shards are there.
  for path in folder.glob('train-*-of-00003'):
    path.unlink()
  with pytest.raises(ValueError, match=message):
    check(folder)
  check(folder, f"task.train_data.input_path='{folder}/train-*'")


def test_without_a_manifest_records_are_counted(folder):
  (folder / 'manifest.json').unlink()
  cut(folder / 'train-00002-of-00003', 5)
  check(folder)
  check(folder, 'task.train_data.num_examples=21', follows_epochs=True)
  with pytest.raises(ValueError, match=(
      'task.train_data.num_examples is 24, from which the steps follow, but '
      'its files hold 21 images.*num_examples=21')):
    check(folder, 'task.train_data.num_examples=24', follows_epochs=True)


def test_a_training_by_epochs_is_refused(folder, tmp_path):
  (folder / 'manifest.json').unlink()
  cut(folder / 'train-00002-of-00003', 0)
  settings = (f"task.data_dir='{folder}',task.train_data.num_examples=24,"
              'task.train_data.global_batch_size=8,task.model.num_classes=2,'
              'trainer.optimizer_config.warmup.linear.warmup_steps=1,')
  by_epochs, by_steps = (experiment.load(
      'funnel_vit_digits', params_override=settings + steps)
                         for steps in ('trainer.train_epochs=1',
                                       'trainer.train_steps=3'))
  with pytest.raises(ValueError, match='num_examples is 24.*hold 16 images'):
    session.prepare(by_epochs, 'train', str(tmp_path / 'run'))
  session.prepare(by_steps, 'train', str(tmp_path / 'run'))


def test_a_damaged_manifest_is_named(folder):
  (folder / 'manifest.json').write_text('{"splits": {"train": {}}}')
  with pytest.raises(ValueError, match='manifest.json is damaged'):
    check(folder)
