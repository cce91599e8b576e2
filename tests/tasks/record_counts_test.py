"""How many records files hold."""

import dataclasses
import json
import os

import pytest
import records_for_tests
import tensorflow as tf

from official_ext.tasks import record_counts


@pytest.mark.parametrize('compression, file_type', [
    ('', 'tfrecord'), ('GZIP', 'tfrecord_compressed')])
def test_records_are_counted(tmp_path, compression, file_type):
  files = []
  for count in (0, 3, 1):
    files.append(str(tmp_path / f'{count}'))
    with tf.io.TFRecordWriter(files[-1], compression) as writer:
      for number in range(count):
        writer.write(b'record' * number * 1_000)
  assert list(record_counts.count(files, file_type).numbers) == [0, 3, 1]


def test_a_file_that_has_changed_is_counted_anew(tmp_path):
  path = records_for_tests.write(tmp_path / 'records', [b'one'])
  assert list(record_counts.count([path], 'tfrecord').numbers) == [1]
  records_for_tests.write(path, [b'one', b'two'])
  assert list(record_counts.count([path], 'tfrecord').numbers) == [2]


@pytest.mark.parametrize('kept', [1, 11, 12, 14, 17])
def test_a_file_that_was_cut_within_a_record(tmp_path, kept):
  # Of the second record of 5 bytes: its length, its own bytes, its checksum.
  path = records_for_tests.write(tmp_path / 'records', [b'first'] * 2)
  counts = record_counts.count([path], 'tfrecord')
  os.truncate(path, 21 + kept)
  message = f'{path} ends within record 1: it was cut'
  for count in (record_counts.count, record_counts.count_quickly,
                record_counts.count_unlisted):
    with pytest.raises(ValueError, match=message):
      count([path], 'tfrecord')
  assert counts.find_other().startswith(f'task.train_data: {message}')
  # Between two records nothing of it is to be seen.
  os.truncate(path, 21)
  assert record_counts.count_unlisted([path], 'tfrecord') == {path: 1}


def compressed(path, count):
  with tf.io.TFRecordWriter(str(path), 'GZIP') as writer:
    for _ in range(count):
      writer.write(b'record')
  return str(path)


def test_what_is_known_without_reading(tmp_path):
  plain = records_for_tests.write(tmp_path / 'plain', [b'one', b'two'])
  packed = compressed(tmp_path / 'packed', 3)
  assert record_counts.count_quickly([plain], 'tfrecord') == 2
  assert record_counts.count_quickly([packed], 'tfrecord_compressed') is None
  manifest(tmp_path / 'packed', 3, os.path.getsize(packed))
  assert record_counts.count_quickly(
      [plain, packed], 'tfrecord') == 5


def manifest(path, num_images, num_bytes):
  (path.parent / 'manifest.json').write_text(json.dumps({'splits': {'train': {
      'shards': [{'name': path.name, 'num_bytes': num_bytes,
                  'num_images': num_images}]}}}))


def test_a_manifest_is_taken_at_its_word_if_the_size_agrees(tmp_path, caplog):
  path = tmp_path / 'train-0'
  compressed(path, 3)
  size = path.stat().st_size
  for num_bytes, expected in ((size, 7), (size + 1, 3)):
    manifest(path, 7, num_bytes)
    counts = record_counts.count([str(path)], 'tfrecord_compressed')
    assert counts.numbers == (expected,)
    assert ('1 remote or compressed file' in caplog.text) == (expected == 3)
  # That of other records is named.
  wrong = dataclasses.replace(counts, numbers=(7,), read={})
  assert wrong.find_other() == (
      f'task.train_data: {path} holds 3 records, but by manifest.json 7. Copy '
      'it anew, or convert the data again. If it is whole, remove '
      'manifest.json to count again.')
  assert counts.find_other() is None


def test_what_was_read_is_kept(tmp_path, caplog):
  files = [compressed(tmp_path / name, 2) for name in 'ab']
  counts = record_counts.count(files, 'tfrecord_compressed', str(tmp_path))
  counts.write(str(tmp_path))
  kept = json.loads((tmp_path / record_counts.FILE).read_text())
  size = os.path.getsize(files[0])
  assert kept == {file: [size, 2] for file in files}
  # Another size is counted anew, what is kept is not.
  compressed(tmp_path / 'b', 1_000)
  kept[files[0]][1] = 9
  (tmp_path / record_counts.FILE).write_text(json.dumps(kept))
  caplog.clear()
  counts = record_counts.count(files, 'tfrecord_compressed', str(tmp_path))
  assert counts.numbers == (9, 1_000)
  assert '1 remote or compressed file' in caplog.text
  assert counts.find_other() == (
      f'task.train_data: {files[0]} holds 2 records, but by '
      'record_counts.json 9. Copy it anew, or convert the data again. If it is '
      'whole, remove record_counts.json to count again.')


@pytest.mark.parametrize('contents', ['', '[]', '{"a": 1}', '{"a": [1]}'])
def test_counts_that_cannot_be_read_are_counted_again(tmp_path, contents):
  file = compressed(tmp_path / 'a', 2)
  (tmp_path / record_counts.FILE).write_text(contents)
  assert record_counts.count(
      [file], 'tfrecord_compressed', str(tmp_path)).numbers == (2,)
