"""How many records files hold."""

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
  assert record_counts.count(files, file_type) == [0, 3, 1]


def test_a_file_that_has_changed_is_counted_anew(tmp_path):
  path = records_for_tests.write(tmp_path / 'records', [b'one'])
  assert record_counts.count([path], 'tfrecord') == [1]
  records_for_tests.write(path, [b'one', b'two'])
  assert record_counts.count([path], 'tfrecord') == [2]
