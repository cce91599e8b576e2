"""What a conversion says: progress as it goes, a table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import shlex
import time
from typing import Any, TextIO

import tqdm
import yaml

from . import conversion
from . import manifest as manifests
from . import plan as plans
from . import records
from . import sources
from . import wording

# What a conversion says of one quarantined image, and of several.
CORRUPT = ('image is corrupt', 'images are corrupt')
_LINE_SECONDS = 30.0
# More classes are not listed whole; their numbers are those of the lines of
# class_names.txt.
_MAX_CLASSES = 20
_BAR_FORMAT = (
    '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} '
    '[{elapsed}{postfix}]')


class Reporter(conversion.Listener):
  """A bar on a terminal, one line now and then in a pipe."""

  def __init__(self, stream: TextIO):
    self._stream = stream
    self._bar = None
    self._is_terminal = stream.isatty()
    self._is_mid_line = False
    self._num_images = 0
    self._num_bytes = 0
    self._start = 0.0
    self._next_line = 0.0

  def scanned(self, num_images: int) -> None:
    if self._is_terminal:
      self._is_mid_line = True
      print(f'\rlooking for images: {num_images:,}', end='', flush=True,
            file=self._stream)

  def recognised(self, data_set: sources.DataSet,
                 totals: Mapping[str, tuple[int, int]]) -> None:
    self._end_line()
    found = ', '.join(
        f'{wording.counted(count, f"{split} image")} ({bytes_of(size)})'
        for split, (count, size) in totals.items())
    num_classes = sum(image_class is not sources.BACKGROUND
                      for image_class in data_set.classes)
    classes = (f', {wording.counted(num_classes, "class", "classes")}'
               if num_classes else '')
    self._say(f'{data_set.form}{classes}: {found}')
    for note in data_set.notes:
      self._say(f'note: {note}')
    if 'validation' not in totals:
      self._say('note: there are no validation images; '
                '--validation_fraction=0.1 holds some out')

  def left_out(self, some: Sequence[tuple[str, str]], count: int) -> None:
    for path, reason in some:
      self._say(f'left out: {printable(path)}: {reason}')
    if count > len(some):
      self._say(f'left out: {count - len(some):,} more, in '
                f'{manifests.LEFT_OUT_FILE}')

  def resumed(self, num_there: int, num_shards: int, num_removed: int) -> None:
    if num_removed:
      self._say(
          f'removed {wording.counted(num_removed, "shard")} of an unfinished '
          'run, which had another number of them')
    if num_there:
      self._say(
          f'resuming: {num_there:,} of {wording.counted(num_shards, "shard")} '
          f'{"is" if num_there == 1 else "are"} there already, and '
          'kept if still as written')

  def begin(self, tasks: Sequence[plans.ShardTask]) -> None:
    self._num_images = sum(task.num_images for task in tasks)
    self._num_bytes = sum(task.num_bytes for task in tasks)
    self._start = time.monotonic()
    self._next_line = self._start + _LINE_SECONDS
    self._say(
        f'{wording.counted(len(tasks), "shard")} in {tasks[0].output_dir}')
    if self._is_terminal:
      self._bar = tqdm.tqdm(
          desc='convert', total=self._num_bytes, unit='B', unit_scale=True,
          file=self._stream, bar_format=_BAR_FORMAT, dynamic_ncols=True)

  def advanced(self, num_images: int, num_bytes: int) -> None:
    """Shows how many images and bytes are done by now."""
    now = time.monotonic()
    speed = self._speed(num_images, num_bytes, now)
    if self._bar is not None:
      self._bar.set_postfix_str(speed, refresh=False)
      self._bar.update(num_bytes - self._bar.n)
    elif now >= self._next_line:
      self._next_line = now + _LINE_SECONDS
      self._say(f'{num_images:,} of {self._num_images:,} images, {speed}')

  def close(self) -> None:
    """Ends the display: the conversion is over, or failed."""
    self._end_line()
    if self._bar is not None:
      self._bar.close()
      self._bar = None

  def _end_line(self) -> None:
    if self._is_mid_line:
      self._is_mid_line = False
      print(file=self._stream)

  def _speed(self, num_images: int, num_bytes: int, now: float) -> str:
    elapsed = max(now - self._start, 1e-9)
    text = (f'{num_images / elapsed:,.0f} images/s, '
            f'{num_bytes / elapsed / 1e6:,.0f} MB/s')
    if num_bytes:
      left = (self._num_bytes - num_bytes) * elapsed / num_bytes
      text += f', ETA {tqdm.tqdm.format_interval(left)}'
    return text

  def _say(self, line: str) -> None:
    if self._bar is not None:
      self._bar.write(line, file=self._stream)
    else:
      print(line, file=self._stream, flush=True)


def summary(done: conversion.Conversion, output_dir: str, seconds: float
            ) -> str:
  """Returns the table at the end.

  Args:
    done: the conversion.
    output_dir: folder of the shards.
    seconds: how long it took.

  Returns:
    Several lines.
  """
  manifest = done.manifest
  lines = [*split_table(manifest), '', *_class_table(manifest), '']
  lines += lists(manifest, output_dir)
  empty = [item for item in manifest['classes']
           if not item['num_images'].get('train') and
           done.data_set.classes[item['label']] is not sources.BACKGROUND]
  if empty and 'train' in manifest['splits']:
    lines.append(f'{_classes_have(empty)} no training image, such as '
                 f'{empty[0]["name"]!r}')
  unseen = [item for item in manifest['classes'] if set(item['num_images']) == {
      'train'}]
  if unseen and 'validation' in manifest['splits']:
    lines.append(f'{_classes_have(unseen)} no validation image, such as '
                 f'{unseen[0]["name"]!r}')
  lines += ending(done, output_dir, seconds)
  return '\n'.join(lines)


def split_table(manifest: Mapping[str, Any]) -> list[str]:
  """Returns a line for each split: images, shards and size."""
  lines = [f'{"":<12}{"images":>12}{"shards":>8}{"size":>12}']
  for split, content in manifest['splits'].items():
    lines.append(
        f'{split:<12}{content["num_images"]:>12,}'
        f'{len(content["shards"]):>8,}{bytes_of(content["num_bytes"]):>12}')
  return lines


def lists(manifest: Mapping[str, Any], output_dir: str,
          quarantined: str = 'corrupt, in no record') -> list[str]:
  """Returns a line for each list, and for what became of images unasked."""
  lines = []
  for what, words in (('reencoded', 're-encoded as JPEG'),
                      ('quarantined', quarantined),
                      ('left_out', 'left out as stray')):
    listed = manifest[what]
    if listed['count']:
      lines.append(f'{listed["count"]:,} {words}: '
                   f'{os.path.join(output_dir, listed["file"])}')
  turned, other = (manifest.get(key, 0)
                   for key in ('num_turned', 'num_other_profiles'))
  if turned:
    lines.append(f'{turned:,} turned by their EXIF orientation')
  if other:
    lines.append(f'{other:,} with a color profile that is not sRGB, which is '
                 'ignored here and wherever the model is served')
  return lines


def ending(done: conversion.Conversion, output_dir: str, seconds: float
           ) -> list[str]:
  """Returns the last lines: what has changed since, and how long it took."""
  lines = []
  if done.has_changed:
    lines.append('note: input files were modified since this was converted; '
                 'their content was not compared. To convert them anew, remove '
                 f'{output_dir}')
  if not done.was_finished:
    lines.append(f'took {tqdm.tqdm.format_interval(seconds)}')
  elif done.is_finished:
    lines.append('Nothing to do: every shard is as the manifest says.')
  return lines


def _class_table(manifest: Mapping[str, Any]) -> list[str]:
  """Returns a line for each class, by the number that its records have."""
  splits, classes = list(manifest['splits']), manifest['classes']
  shown = classes[:_MAX_CLASSES if len(classes) <= _MAX_CLASSES else
                  _MAX_CLASSES - 1]
  # Names come last: not all letters are of the same width.
  lines = ['label' + ''.join(f'{split:>12}' for split in splits) + '  class']
  for item in shown:
    counts = ''.join(
        f'{item["num_images"].get(split, 0):>12,}' for split in splits)
    lines.append(f'{item["label"]:>5}{counts}  {printable(item["name"])}')
  if len(shown) < len(classes):
    lines.append(
        f'{"...":>5}  {len(classes) - len(shown):,} more, the last of them '
        f'{classes[-1]["label"]}, {printable(classes[-1]["name"])}: a line '
        f'each in {records.CLASS_NAMES_FILE}, from 0')
  return lines


def _classes_have(classes: Sequence[Mapping[str, Any]]) -> str:
  return wording.counted(len(classes), 'class has', 'classes have')


def experiment_yaml(manifest: Mapping[str, Any], output_dir: str) -> str:
  """Returns the lines that point an experiment at the data.

  Args:
    manifest: of the conversion.
    output_dir: folder of the shards.

  Returns:
    A YAML file, for --config_file.
  """
  splits = manifest['splits']
  task = {'data_dir': output_dir,
          'model': {'num_classes': len(manifest['classes'])}}
  for split in ('train', 'validation'):
    if split in splits:
      task[f'{split}_data'] = {'num_examples': splits[split]['num_images']}
  return yaml.safe_dump({'task': task}, sort_keys=False)


def commands(manifest: Mapping[str, Any], output_dir: str, settings: str
             ) -> str:
  """Returns what can be done with the records, as commands to paste.

  Args:
    manifest: of the conversion.
    output_dir: folder of the shards.
    settings: path of the YAML file of `experiment_yaml`.

  Returns:
    Several lines: how to check the records, and how to train on them; to
    evaluate a model, where there are none to train on.
  """
  splits = manifest['splits']
  lines = ['To check it:',
           '  python -m official_ext.data_prep.verify_tfrecords '
           f'{shlex.quote(output_dir)}']
  if 'train' in splits:
    mode = 'train_and_eval' if 'validation' in splits else 'train'
    name = os.path.basename(os.path.abspath(output_dir))
    return '\n'.join([*lines, 'To train on it:', (
        f'  python -m official_ext.train --experiment=funnel_vit_finetune '
        f'--mode={mode} --model_dir={shlex.quote(f"runs/{name}")} '
        f'--config_file={shlex.quote(settings)}')])
  # Without labels there is nothing to evaluate.
  unlabelled = manifest.get('num_unlabelled', {})
  patterns = [os.path.join(output_dir, f'{split}-*') for split in splits
              if not unlabelled.get(split)]
  if patterns:
    lines.append('To evaluate a trained model on it:')
  return '\n'.join([*lines, *(
      '  python -m official_ext.evaluate --model=runs/NAME '
      f'--data={shlex.quote(pattern)}' for pattern in patterns)])


def printable(path: str) -> str:
  """Returns a path that does nothing to a terminal."""
  return ''.join(
      character if character.isprintable() else
      character.encode('unicode_escape', 'surrogatepass').decode()
      for character in path)


def bytes_of(size: int) -> str:
  """Returns a number of bytes with its unit, such as '1.5MB'."""
  return f'{tqdm.tqdm.format_sizeof(size, divisor=1000)}B'
