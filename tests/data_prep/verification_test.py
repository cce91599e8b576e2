"""Tests of the verification: whatever is wrong, it says so."""

import json
import pathlib
import shutil

import conversions
import image_trees
import pytest
import tensorflow as tf

from data_prep import records
from data_prep import verification


@pytest.fixture(name='conversion', scope='module')
def _conversion(tmp_path_factory):
  root = tmp_path_factory.mktemp('verification')
  image_trees.class_folders(root / 'in/train', {'a': 5, 'b': 4})
  image_trees.class_folders(root / 'in/val', {'a': 1, 'b': 2})
  conversions.convert(
      root / 'in', root / 'out', shards={'train': 2, 'validation': 1})
  return root / 'out'


@pytest.fixture(name='converted')
def _converted(conversion, tmp_path):
  """A copy, for the test to damage."""
  return pathlib.Path(shutil.copytree(conversion, tmp_path / 'out'))


def verify(folder):
  reported = []
  faults = list(verification.verify(
      str(folder), lambda *counts: reported.append(counts)))
  return faults, reported


SHARD = 'train-00001-of-00002'


def test_what_is_well_has_no_faults(converted):
  faults, reported = verify(converted)
  assert not faults
  assert reported[-1] == (12, 12)


def test_the_decoding_is_traced_once_for_all_shards(converted, monkeypatch):
  decode, decoded = verification.classification_input.Decoder.decode, []
  monkeypatch.setattr(
      verification.classification_input.Decoder, 'decode',
      lambda self, record: decoded.append(record) or decode(self, record))
  assert not verify(converted)[0]
  # For training and for evaluation.
  assert len(decoded) == 2


def test_unlabelled_images_are_well(tmp_path):
  image_trees.write(
      tmp_path / 'in/ILSVRC2012_test_00000001.JPEG', image_trees.encode(1))
  conversions.convert([('test', tmp_path / 'in')], tmp_path / 'out')
  faults, reported = verify(tmp_path / 'out')
  assert not faults and reported[-1] == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize('place', [0, 20, 300, -3])
def test_a_flipped_byte(converted, place):
  content = bytearray((converted / SHARD).read_bytes())
  content[place] ^= 1
  (converted / SHARD).write_bytes(content)
  faults, _ = verify(converted)
  assert any('the file has changed' in fault for fault in faults)


def test_a_missing_and_an_extra_shard(converted):
  (converted / SHARD).rename(converted / 'train-00002-of-00002')
  faults, _ = verify(converted)
  assert f'{SHARD} is missing' in faults
  assert any(fault.startswith('train-00002-of-00002 is not in the manifest')
             for fault in faults)


def set_label(label):
  def change(items):
    feature = items[0].features.feature['image/class/label']
    feature.int64_list.value[0] = label
  return change


@pytest.mark.parametrize('label', [0, 1])
def test_a_wrong_label_whose_hash_was_fixed(converted, label):
  before = [item['image/class/label']
            for item in conversions.read(converted, SHARD[:11])]
  conversions.rewrite(converted, SHARD, set_label(label))
  faults, _ = verify(converted)
  if before[0] == label:
    assert not faults
  else:
    assert any(f'record 0: label {label} is' in fault for fault in faults)


def test_a_label_out_of_range(converted):
  conversions.rewrite(converted, SHARD, set_label(7))
  assert any('record 0: label 7, but there are 2 classes' in fault
             for fault in verify(converted)[0])


def test_a_record_too_few_and_one_too_many(converted):
  conversions.rewrite(converted, SHARD, lambda items: items[1:])
  faults, _ = verify(converted)
  assert any('3 good records, the manifest has 4' in fault or
             '4 good records, the manifest has 5' in fault for fault in faults)
  conversions.rewrite(
      converted, SHARD, lambda items: [*items, items[0], items[0]])
  assert verify(converted)[0]


def test_an_image_swapped_between_classes(converted):
  """Counts and hashes agree; only the record's own class tells."""
  def swap(items):
    first = items[0].features.feature
    other = next(item.features.feature for item in items
                 if item.features.feature['image/class/label'] !=
                 first['image/class/label'])
    labels = [feature['image/class/label'].int64_list.value[0]
              for feature in (first, other)]
    first['image/class/label'].int64_list.value[0] = labels[1]
    other['image/class/label'].int64_list.value[0] = labels[0]
  conversions.rewrite(converted, SHARD, swap)
  assert len([fault for fault in verify(converted)[0] if 'is ' in fault]) >= 2


@pytest.mark.slow
@pytest.mark.parametrize('image, reason', [
    (b'', 'record 1'), (b'\xff\xd8\xff', 'record 1'),
    (image_trees.encode(1)[:-400], 'record 1'),
    (image_trees.encode(1, 'PNG'), 'record 1'),
    (image_trees.encode(1, width=9), 'not of the size that the record says')])
def test_an_image_that_training_cannot_decode(converted, image, reason):
  def change(items):
    items[1].features.feature['image/encoded'].bytes_list.value[0] = image
  conversions.rewrite(converted, SHARD, change)
  assert any(reason in fault for fault in verify(converted)[0])


@pytest.mark.slow
@pytest.mark.parametrize('name', ['class_names.txt', 'left_out.jsonl'])
def test_changed_lists(converted, name):
  (converted / name).write_text('other\n')
  assert verify(converted)[0] == [f'{name} has changed']
  (converted / name).unlink()
  assert verify(converted)[0] == [f'{name} is missing']


def test_a_folder_without_a_manifest(tmp_path, converted):
  with pytest.raises(ValueError, match='holds no manifest.json'):
    verify(tmp_path)
  whole = (converted / 'manifest.json').read_text()
  (converted / 'manifest.json').write_text('{"format_version": 9}')
  with pytest.raises(ValueError, match='Update it'):
    verify(converted)
  for change in (lambda manifest: manifest.update(splits=[]),
                 lambda manifest: manifest.pop('identity'),
                 lambda manifest: manifest['classes'].append(1)):
    manifest = json.loads(whole)
    change(manifest)
    (converted / 'manifest.json').write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match='is damaged'):
      verify(converted)
  (converted / 'manifest.json').write_text('{')
  with pytest.raises(ValueError, match='is damaged'):
    verify(converted)
  (converted / 'manifest.json').unlink()
  (converted / '.conversion').mkdir()
  with pytest.raises(ValueError, match='not finished'):
    verify(converted)


def test_the_digits_have_no_manifest(digits_dir):
  # Nothing in a shard tells that it was cut between two records.
  with pytest.raises(ValueError, match=(
      'holds no manifest.json, which alone says how many records each shard')):
    verify(digits_dir)


def test_records_of_one_pixel_would_be_found(converted):
  record = records.ImageRecord(
      image_trees.encode(1, width=1, height=1), 0, 'a', 'x', 1, 1)

  def change(items):
    items[0] = tf.train.Example.FromString(record.serialize())
  conversions.rewrite(converted, SHARD, change)
  assert any('record 0 cannot be read' in fault
             for fault in verify(converted)[0])


@pytest.mark.parametrize('cut, reason', [
    (slice(-50), 'JPEG: truncated: no end-of-image marker'),
    (slice(0), 'empty: zero bytes'),
    (slice(9, None), 'not an image: begins with ')])
def test_a_broken_image_has_the_reason_of_the_conversion(
    converted, cut, reason):
  def change(items):
    value = items[1].features.feature['image/encoded'].bytes_list.value
    value[0] = value[0][cut]
  conversions.rewrite(converted, SHARD, change)
  fault = next(fault for fault in verify(converted)[0] if 'record' in fault)
  assert fault.startswith(f'{SHARD}: record 1 cannot be read: {reason}')


def test_a_truncated_shard_says_where_it_ends(converted):
  path = converted / SHARD
  sizes = [len(record) + 16 for record in tf.data.TFRecordDataset(
      str(path)).as_numpy_iterator()]
  path.write_bytes(path.read_bytes()[:-1])
  assert (f'{SHARD}: record {len(sizes) - 1} cannot be read: the file ends '
          f'inside of the record at byte {sum(sizes[:-1])}') in verify(
              converted)[0]
