"""Tests of finding checkpoints and of reading their objects."""

import numpy as np
import pytest
import tensorflow as tf

from official_ext.checkpoints import object_graph


def build_objects():
  """Two variables, one of them reached by two paths."""
  root = tf.Module()
  root.below = tf.Module()
  root.below.weight = tf.Variable([1.0, 2.0])
  root.other = tf.Variable(3)
  root.again = root.below
  return root


def save(folder, root):
  return tf.train.Checkpoint(module=root).save(str(folder / 'ckpt'))


def test_finds_the_newest_checkpoint(tmp_path):
  checkpoint = tf.train.Checkpoint(variable=tf.Variable(1.0))
  manager = tf.train.CheckpointManager(
      checkpoint, str(tmp_path / 'run'), max_to_keep=3)
  prefixes = [manager.save(number) for number in (9, 10)]
  assert object_graph.find(str(tmp_path / 'run')) == prefixes[1]
  assert object_graph.find(prefixes[0]) == prefixes[0]
  # The newest version of an export by number, not by name.
  for version in ('9', '10', 'unfinished'):
    checkpoint.write(str(tmp_path / 'export' / version / 'variables/variables'))
  assert object_graph.find(str(tmp_path / 'export')) == (
      f'{tmp_path}/export/10/variables/variables')


def test_a_folder_in_the_place_of_the_state_file(tmp_path):
  checkpoint = tf.train.Checkpoint(variable=tf.Variable(1.0))
  prefix = checkpoint.write(str(tmp_path / 'ckpt-7'))
  (tmp_path / 'checkpoint').mkdir()
  assert object_graph.find(str(tmp_path)) == prefix
  # An export keeps its checkpoint there.
  below = checkpoint.write(str(tmp_path / 'checkpoint/ckpt-1'))
  assert object_graph.find(str(tmp_path)) == below


def test_where_there_is_no_checkpoint(tmp_path):
  with pytest.raises(ValueError, match='the folder holds no checkpoint'):
    object_graph.find(str(tmp_path))
  with pytest.raises(ValueError, match='there is no such folder or checkpoint'):
    object_graph.find(str(tmp_path / 'ckpt-7'))


def test_objects_have_their_keys_and_values(tmp_path):
  root = build_objects()
  saved = object_graph.SavedObjects.read(save(tmp_path, root))
  node = saved.descend('module', 'below', 'weight')
  assert node == saved.descend('module', 'again', 'weight')
  key = saved.key(node)
  assert saved.shape(key) == (2,)
  np.testing.assert_array_equal(saved.tensor(key), [1, 2])
  assert saved.key(saved.descend('module')) is None
  assert saved.descend('module', 'nothing', 'weight') is None
  other = saved.key(saved.descend('module', 'other'))
  assert saved.keys_below(saved.descend('module')) == {key, other}
  assert saved.keys_below(saved.descend('module', 'below')) == {key}


def test_a_model_is_matched_with_its_objects(tmp_path):
  saved = object_graph.SavedObjects.read(save(tmp_path, build_objects()))
  root = build_objects()
  root.missing = tf.Variable(0)
  matched = {id(variable): int(saved.tensor(key).sum())
             for variable, key in saved.match(root, saved.descend('module'))}
  assert matched == {id(root.below.weight): 3, id(root.other): 3}


def test_damage_is_told_apart(tmp_path):
  prefix = save(tmp_path, build_objects())
  saved = object_graph.SavedObjects.read(prefix)
  with pytest.raises(ValueError, match=(
      'ckpt-1 is damaged: gone cannot be read')):
    saved.tensor('gone')
  (tmp_path / 'ckpt-1.index').write_bytes(b'broken')
  with pytest.raises(ValueError, match='is not a checkpoint that can be read'):
    object_graph.SavedObjects.read(prefix)
