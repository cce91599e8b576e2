"""The manifest of a finished conversion, and the lists beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import hashlib
import itertools
import json
import os
from typing import Any

import PIL
from PIL import features

from . import image_index
from . import masks
from . import plan as plans
from . import records
from . import shards as shards_lib
from . import sources
from . import storage

MANIFEST_FILE = 'manifest.json'
# JSON Lines: {"split", "file", "reason"}, and "was" in the second.
QUARANTINE_FILE = 'quarantined.jsonl'
REENCODED_FILE = 'reencoded.jsonl'
LEFT_OUT_FILE = 'left_out.jsonl'
LISTS = ('quarantined', 'reencoded', 'left_out')
FORMAT_VERSION = 1
# What a conversion of images with masks counted, by split.
MASKS = 'masks'


def read(output_dir: str) -> dict[str, Any] | None:
  """Reads the manifest of a folder.

  Args:
    output_dir: folder of the shards.

  Returns:
    The manifest; None if there is none.

  Raises:
    ValueError: if it cannot be read, or is of a newer format.
  """
  path = os.path.join(output_dir, MANIFEST_FILE)
  if not storage.exists(path):
    return None
  try:
    manifest = json.loads(storage.read_bytes(path))
    version = int(manifest['format_version'])
    if version <= FORMAT_VERSION:
      _check_shape(manifest)
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
        f'{path} is damaged ({error!r}). Remove it and convert again: shards '
        'that are whole are written as they were.') from error
  if version > FORMAT_VERSION:
    raise ValueError(
        f'{path} has format version {version}; this program knows up to '
        f'{FORMAT_VERSION}. Update it.')
  return manifest


def _check_shape(manifest: Mapping[str, Any]) -> None:
  """Looks at everything that is read later; raises where it is not there."""
  for key in ('identity', 'num_unlabelled', 'options', 'software'):
    _ = manifest[key]
  for what in LISTS:
    _ = {**manifest[what]}['file'], int(manifest[what]['count'])
    _ = manifest[what]['sha256']
  for split in manifest['splits'].values():
    _ = int(split['num_images']), int(split['num_bytes'])
    for shard in split['shards']:
      _ = shard['name'], shard['sha256']
      _ = int(shard['num_images']), int(shard['num_bytes'])
  for tally in manifest.get(MASKS, {}).values():
    _ = tally['pixels'].items(), tally['kinds'].items(), tally['largest']
  for item in manifest['classes']:
    _ = int(item['label']), item['name'], item['synset']
    _ = item['num_images'].items()


def read_finished(output_dir: str) -> dict[str, Any]:
  """Reads the manifest of a conversion that is finished.

  Args:
    output_dir: folder of the shards.

  Returns:
    The manifest.

  Raises:
    ValueError: if there is none, or it cannot be read.
  """
  manifest = read(output_dir)
  if manifest:
    return manifest
  if storage.is_folder(os.path.join(output_dir, plans.WORK_FOLDER)):
    raise ValueError(
        f'{output_dir} holds a conversion that is not finished. Run it again '
        'until it says so.')
  raise ValueError(
      f'{output_dir} holds no {MANIFEST_FILE}, which alone says how many '
      'records each shard had. Give the --output_dir of a conversion by '
      'data_prep.imagenet_to_tfrecord or data_prep.masks_to_tfrecord.')


def write_lists(output_dir: str, results: shards_lib.Results,
                index: image_index.ImageIndex) -> dict[str, dict[str, Any]]:
  """Writes what was quarantined, re-encoded and left out.

  Args:
    output_dir: folder of the shards.
    results: of every shard.
    index: knows what never came to a shard.

  Returns:
    For the manifest, by what is listed: the list's file, count and SHA-256.
  """
  quarantined = itertools.chain(
      (('', path, reason) for path, reason in index.left_out(is_lost=True)),
      ((result.split, file, reason) for result in results
       for file, reason in result.quarantined))
  reencoded = ((result.split, file, was) for result in results
               for file, was in result.reencoded)
  left_out = (('', path, reason)
              for path, reason in index.left_out(is_lost=False))
  return {
      'quarantined': _write_list(
          output_dir, QUARANTINE_FILE, 'reason', quarantined),
      'reencoded': _write_list(output_dir, REENCODED_FILE, 'was', reencoded),
      'left_out': _write_list(output_dir, LEFT_OUT_FILE, 'reason', left_out),
  }


def build(data_set: sources.DataSet, options: plans.Options,
          inputs: Sequence[tuple[str, str]], results: shards_lib.Results,
          lists: Mapping[str, dict[str, Any]], identity: str
          ) -> dict[str, Any]:
  """Puts the manifest together; it holds neither times nor host names.

  Args:
    data_set: what was converted.
    options: of the conversion.
    inputs: (name, path) of what it was read from; '' is no name.
    results: of every shard.
    lists: what `write_lists` returned.
    identity: of the plan.

  Returns:
    The manifest.
  """
  splits, counts, tallies = {}, {}, {}
  num_turned = num_other_profiles = 0
  for result in results:
    num_turned += result.num_turned
    num_other_profiles += result.num_other_profiles
    if result.masks:
      tallies[result.split] = masks.gather(
          [*filter(None, [tallies.get(result.split)]), result.masks])
    split = splits.setdefault(
        result.split, {'num_images': 0, 'num_bytes': 0, 'shards': []})
    split['num_images'] += result.num_images
    split['num_bytes'] += result.num_bytes
    split['shards'].append({
        'name': result.name, 'num_images': result.num_images,
        'num_bytes': result.num_bytes, 'sha256': result.sha256})
    for label, count in result.class_counts.items():
      by_split = counts.setdefault(label, {})
      by_split[result.split] = by_split.get(result.split, 0) + count
  for split, tally in tallies.items():
    for label in range(len(data_set.classes)):
      if str(label) in tally['images']:
        counts.setdefault(label, {})[split] = tally['images'][str(label)]
  return {
      'format_version': FORMAT_VERSION,
      'data_set': data_set.form,
      'inputs': [path for _, path in inputs],
      'options': _as_written(options),
      'identity': identity,
      'software': {
          'Pillow': PIL.__version__,
          'libjpeg': features.version('jpg'),
      },
      'splits': splits,
      **lists,
      # Missing where a version before these counts converted.
      'num_turned': num_turned,
      'num_other_profiles': num_other_profiles,
      'classes': [
          {'label': label, 'name': image_class.name,
           'synset': image_class.synset, 'num_images': counts.get(label, {})}
          for label, image_class in enumerate(data_set.classes)],
      'num_unlabelled': counts.get(records.NO_LABEL, {}),
      # Of images with masks alone.
      **({MASKS: tallies, 'input_names': [name for name, _ in inputs]}
         if tallies else {}),
  }


def num_shards(manifest: Mapping[str, Any]) -> dict[str, int]:
  """Returns the number of shards by split."""
  return {split: len(content['shards'])
          for split, content in manifest['splits'].items()}


def what_differs(manifest: Mapping[str, Any], options: plans.Options,
                 shards: Mapping[str, int]) -> str:
  """Says how a finished conversion was made, other than one would be now.

  Args:
    manifest: of the finished one.
    options: of the one that would be.
    shards: number of shards by split, as asked for; 0 leaves it open.

  Returns:
    Sentences that begin after the name of the folder.
  """
  before = {**manifest['options'], **_as_flags(num_shards(manifest))}
  now = {**_as_written(options), **_as_flags(
      {split: count for split, count in shards.items() if count})}
  others = [name for name in now if before.get(name, now[name]) != now[name]]
  changed = ['knew no --exif_orientation'] * ('exif_orientation' not in before)
  if before.get('validation_fraction') and 'held_out_by' not in before:
    changed.append('chose the held out images otherwise')
  former = (f' It is of a version that {" and ".join(changed)}, and stays as '
            'good as it was.' if changed else '')
  if not others:
    return (
        'holds a finished conversion of other images or with other options '
        f'({MANIFEST_FILE} has them).{former} Choose another --output_dir, or '
        'remove it.')
  those = ', '.join(f'--{name} was {before[name]} and is {now[name]}'
                    for name in others)
  typed = ' '.join(f'--{name}={before[name]}' for name in others)
  return (
      f'holds a finished conversion with other options: {those}.{former} '
      f'Type {typed} for what is there, or choose another --output_dir, or '
      'remove it.')


def _as_flags(counts: Mapping[str, int]) -> dict[str, int]:
  return {f'num_{split}_shards': count for split, count in counts.items()}


def held_out_by(manifest: Mapping[str, Any]) -> str:
  """Says how a finished conversion chose what it held out.

  Args:
    manifest: of it.

  Returns:
    One of `hold_out.METHODS`; empty: it held out nothing, or label and rank
    chose, in an earlier version.
  """
  return str(manifest['options'].get('held_out_by', ''))


def _as_written(options: plans.Options) -> dict[str, Any]:
  written = dataclasses.asdict(options)
  if not options.validation_fraction:
    del written['held_out_by']
  return written


def write(output_dir: str, manifest: Mapping[str, Any]) -> None:
  """Writes the manifest; a folder that has one is finished."""
  storage.write_bytes(
      os.path.join(output_dir, MANIFEST_FILE),
      (json.dumps(manifest, indent=1) + '\n').encode())


def _write_list(output_dir: str, name: str, what: str,
                rows: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
  """Writes rows of split, file and `what`."""
  path = os.path.join(output_dir, name)
  unfinished = storage.unfinished_name(path)
  digest, count = hashlib.sha256(), 0
  with storage.open_binary(unfinished, 'wb') as output:
    for split, file, value in rows:
      line = json.dumps({'split': split, 'file': file, what: value}) + '\n'
      output.write(line.encode())
      digest.update(line.encode())
      count += 1
  storage.rename(unfinished, path)
  return {'file': name, 'count': count, 'sha256': digest.hexdigest()}
