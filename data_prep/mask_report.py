"""What a conversion of images with masks says at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import itertools
import json
import os
import shlex
from typing import Any

import yaml

from . import conversion
from . import conversion_report
from . import label_map
from . import manifest as manifests
from . import records
from . import storage
from . import wording

CORRUPT = ('file is corrupt or in no pair', 'files are corrupt or in no pair')
_MAX_CLASSES = 40
# Quarantined files that are named on the screen; all of them are on a list.
_SHOWN = 10


def summary(done: conversion.Conversion, output_dir: str, seconds: float
            ) -> str:
  """Returns the tables at the end.

  Args:
    done: the conversion.
    output_dir: folder of the shards.
    seconds: how long it took.

  Returns:
    Several lines: images, pixels by class, what became of the rest.
  """
  manifest = done.manifest
  lines = [*conversion_report.split_table(manifest), '',
           *_class_table(manifest), '']
  lines += conversion_report.lists(manifest, output_dir, 'in no record')
  lines += (f'  {line}' for line in _quarantined(manifest, output_dir))
  lines += _notes(manifest)
  return '\n'.join([
      *lines, *conversion_report.ending(done, output_dir, seconds)])


def experiment_yaml(manifest: Mapping[str, Any], output_dir: str) -> str:
  """Returns the lines that point an experiment at the data.

  Args:
    manifest: of the conversion.
    output_dir: folder of the shards.

  Returns:
    A YAML file, for --config_file of funnel_vit_segmentation.
  """
  splits = manifest['splits']
  task = {'data_dir': output_dir,
          'model': {'num_classes': len(manifest['classes'])},
          'losses': {'ignore_label': manifest['options']['ignore_label']}}
  for split in ('train', 'validation'):
    if split in splits:
      task[f'{split}_data'] = {'num_examples': splits[split]['num_images']}
  if 'validation' in splits:
    # Masks keep their own size there, and are padded to this one.
    task['validation_data']['groundtruth_padded_size'] = list(
        manifest[manifests.MASKS]['validation']['largest'])
  return yaml.safe_dump({'task': task}, sort_keys=False)


def commands(manifest: Mapping[str, Any], output_dir: str, settings: str
             ) -> str:
  """Returns what can be done with the records, as commands to paste.

  Args:
    manifest: of the conversion.
    output_dir: folder of the shards.
    settings: path of the YAML file of `experiment_yaml`.

  Returns:
    Several lines: how to check the records, and how to train on them.
  """
  splits = manifest['splits']
  lines = ['To check it:',
           '  python -m official_ext.data_prep.verify_tfrecords '
           f'{shlex.quote(output_dir)}']
  if 'train' in splits:
    mode = 'train_and_eval' if 'validation' in splits else 'train'
    name = os.path.basename(os.path.abspath(output_dir))
    lines += ['To train on it:', (
        '  python -m official_ext.train --experiment=funnel_vit_segmentation '
        f'--mode={mode} --model_dir={shlex.quote(f"runs/{name}")} '
        f'--config_file={shlex.quote(settings)}')]
  return '\n'.join(lines)


def _class_table(manifest: Mapping[str, Any]) -> list[str]:
  """Returns a line for each class: images that have it, share of the pixels."""
  tallies, classes = manifest[manifests.MASKS], manifest['classes']
  lines = ['label' + ''.join(f'{split:>12}{"pixels":>10}' for split in tallies)
           + '  class']
  named = [(item['label'], conversion_report.printable(item['name']))
           for item in classes[:_MAX_CLASSES]]
  ignored = manifest['options']['ignore_label']
  for label, name in [*named, (ignored, 'ignored')]:
    counts = ''.join(
        f'{tally["images"].get(str(label), 0):>12,}{_share(tally, label):>10}'
        for tally in tallies.values())
    lines.append(f'{label:>5}{counts}  {name}')
  if len(named) < len(classes):
    lines.insert(-1, f'{"...":>5}  {len(classes) - len(named):,} more classes: '
                 f'a line each in {records.CLASS_NAMES_FILE}, from 0')
  return lines


def _share(tally: Mapping[str, Any], label: int) -> str:
  total = sum(tally['pixels'].values())
  return f'{tally["pixels"].get(str(label), 0) / max(total, 1):.2%}'


def _quarantined(manifest: Mapping[str, Any], output_dir: str
                 ) -> Iterator[str]:
  """Yields the first files that are in no record, with the reasons."""
  count = manifest['quarantined']['count']
  if not count:
    return
  path = os.path.join(output_dir, manifest['quarantined']['file'])
  with storage.open_binary(path) as file:
    for line in itertools.islice(file, _SHOWN):
      row = json.loads(line)
      split = f'{row["split"]}: ' if row['split'] else ''
      yield conversion_report.printable(
          f'{split}{row["file"]}: {row["reason"]}')
  if count > _SHOWN:
    yield f'{count - _SHOWN:,} more on the list'


def _notes(manifest: Mapping[str, Any]) -> Iterator[str]:
  """Yields what a person may not expect of the masks."""
  tallies, options = manifest[manifests.MASKS], manifest['options']
  num_classes, ignored = len(manifest['classes']), options['ignore_label']
  palettes = sum(tally['kinds'].get('palette', 0) for tally in tallies.values())
  if palettes:
    yield (f'{wording.counted(palettes, "mask is a", "masks are")} palette PNG'
           f'{"s" * (palettes > 1)}: their indices are the classes, whatever '
           'the colors')
  if options['reduce_zero_label']:
    yield (f'--reduce_zero_label: 0 is written as {ignored}, which is ignored, '
           f'and 1 to {num_classes} as 0 to {num_classes - 1}')
  if options.get('label_map'):
    yield from _mapped(options)
  if not options['num_classes']:
    yield (f'--num_classes was not given: the largest class in a mask is '
           f'{num_classes - 1}, so there are {num_classes}, called by their '
           'numbers')
  for split, tally in tallies.items():
    if tally['num_all_ignored']:
      names = ', '.join(tally['all_ignored'])
      more = ', ...' if tally['num_all_ignored'] > len(
          tally['all_ignored']) else ''
      images = wording.counted(tally['num_all_ignored'], f'{split} image has',
                               f'{split} images have')
      yield (f'{images} no class at all in the mask, but the label to ignore '
             f'everywhere: {conversion_report.printable(names)}{more}')
    unseen = sorted(set(range(num_classes)) - set(map(int, tally['pixels'])))
    if unseen:
      few = ', '.join(map(str, unseen[:5])) + ', ...' * (len(unseen) > 5)
      yield (f'{wording.counted(len(unseen), "class is", "classes are")} in no '
             f'{split} mask: {few}')
  seen = {int(label) for tally in tallies.values() for label in tally['pixels']}
  if seen <= {0, ignored} and ignored in seen:
    yield (f'no mask has a class but 0: if {ignored} stands for a class, as in '
           f'masks of 0 and {ignored}, say --label_map=0:0,{ignored}:1')


def _mapped(options: Mapping[str, Any]) -> Iterator[str]:
  classes = label_map.parse(options['label_map'])
  ignored = options['ignore_label']
  trained = [label for label in classes.values() if label != ignored]
  values = wording.counted(len(trained), 'value is', 'values are')
  text = (f'--label_map: {values} written as '
          + wording.counted(len(set(trained)), 'class', 'classes'))
  if len(trained) < len(classes):
    text += f', {len(classes) - len(trained)} as {ignored}, which is ignored'
  yield text
