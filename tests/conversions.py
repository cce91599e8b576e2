"""Runs conversions in the test's own process, and reads what they write."""

import functools
import hashlib
import json
import pathlib

import tensorflow as tf

from data_prep import conversion
from data_prep import plan
from data_prep import process_pool
from data_prep import shards as shards_lib


def convert_here(tasks, report=lambda num_images, num_bytes: None):
  """Converts shards without other processes."""
  totals = [0, 0]

  def advance(num_images, num_bytes):
    totals[0] += num_images
    totals[1] += num_bytes
    report(*totals)

  for task in tasks:
    shards_lib.convert_shard(task, advance)


def convert(inputs, output_dir, form='auto', validation_labels='', shards=None,
            max_corrupt=0, num_workers=0, runner=None, class_names='',
            **options):
  """Converts; `inputs` is a path, or (split, path) pairs."""
  if not isinstance(inputs, (list, tuple)):
    inputs = [('', inputs)]
  return conversion.convert(
      conversion.Inputs(
          tuple((split, str(path)) for split, path in inputs), form,
          str(validation_labels), str(class_names)),
      str(output_dir), plan.Options(**options), shards or {}, max_corrupt,
      runner or (functools.partial(
          process_pool.convert, num_workers=num_workers,
          report=lambda num_images, num_bytes: None)
                 if num_workers else convert_here))


def read(output_dir, split):
  """The features of every record of a split, in order."""
  for path in sorted(pathlib.Path(output_dir).glob(f'{split}-*')):
    for item in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
      feature = tf.train.Example.FromString(item).features.feature
      yield {key: (value.int64_list.value or value.bytes_list.value)[0]
             for key, value in feature.items()}


def labels(output_dir, split):
  """Label by file name."""
  return {record['image/filename'].decode(): record['image/class/label']
          for record in read(output_dir, split)}


def images(output_dir, split):
  """The bytes of the images by file name."""
  return {record['image/filename'].decode(): record['image/encoded']
          for record in read(output_dir, split)}


def shards(output_dir):
  """The bytes of every shard by name."""
  return {path.name: path.read_bytes()
          for path in sorted(pathlib.Path(output_dir).glob('*-of-*'))}


def files(output_dir):
  """The bytes of every file but the hidden ones, by name."""
  return {path.name: path.read_bytes()
          for path in pathlib.Path(output_dir).iterdir()
          if path.is_file() and not path.name.startswith('.')}


def listed(output_dir, name):
  """The rows of quarantined.jsonl and its like."""
  lines = pathlib.Path(output_dir, name).read_text().splitlines()
  return [json.loads(line) for line in lines]


def rewrite(folder, name, change):
  """Changes records of a shard, and the manifest so that its hash agrees."""
  path = pathlib.Path(folder, name)
  items = [tf.train.Example.FromString(item) for item in
           tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
  items = change(items) or items
  with tf.io.TFRecordWriter(str(path)) as writer:
    for item in items:
      writer.write(item.SerializeToString(deterministic=True))
  manifest_path = pathlib.Path(folder, 'manifest.json')
  manifest = json.loads(manifest_path.read_text())
  for split in manifest['splits'].values():
    for shard in split['shards']:
      if shard['name'] == name:
        content = path.read_bytes()
        shard['sha256'] = hashlib.sha256(content).hexdigest()
        shard['num_bytes'] = len(content)
  manifest_path.write_text(json.dumps(manifest))
