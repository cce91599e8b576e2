"""Which evaluations are on record."""

import tensorflow as tf

from official_ext.training import evaluations


def test_steps_of_whole_and_of_cut_files(tmp_path):
  assert evaluations.steps(str(tmp_path)) == set()
  with tf.summary.create_file_writer(str(tmp_path)).as_default():
    for step in (4, 8):
      tf.summary.scalar('validation_loss', 1.0, step=step)
  path, = tmp_path.iterdir()
  assert evaluations.steps(str(tmp_path)) == {4, 8}
  # As of a process that was killed while it wrote.
  path.write_bytes(path.read_bytes()[:-3])
  assert evaluations.steps(str(tmp_path)) == {4}
