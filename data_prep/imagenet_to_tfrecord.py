"""Writes ImageNet, or any images in class folders, as TFRecords.

  python -m data_prep.imagenet_to_tfrecord --input=PATH --output_dir=DIR

PATH is a folder or a tar archive, as downloaded; --input can be repeated. What
is understood, and how long it takes: docs/data.md.
"""

from __future__ import annotations

from collections.abc import Sequence
import errno
import os
import shlex
import sqlite3
import sys
import time

from absl import flags

from . import beam_pipeline
from . import command_process
from . import conversion
from . import conversion_report
from . import hold_out
from . import images
from . import plan as plans
from . import process_pool
from . import records
from . import sources
from . import storage
from . import wording

EXPERIMENT_FILE = 'experiment.yaml'

_INPUT = flags.DEFINE_multi_string(
    'input', [], 'Folder or .tar archive; the names in it tell the splits.')
_SPLIT_INPUTS = {
    split: flags.DEFINE_multi_string(
        split, [], f'Folder or .tar archive of {split} images.')
    for split in records.SPLITS}
_VALIDATION_LABELS = flags.DEFINE_string(
    'validation_labels', '', "Labels of ImageNet's validation images: the "
    'devkit, LOC_val_solution.csv or a text file with one synset per line; '
    'needed where they lie in no class folders and no such list is beside '
    'them.')
_CLASS_NAMES = flags.DEFINE_string(
    'class_names', '', 'The class_names.txt of the data that a model was '
    'trained on, for images to test it on: they get its labels. Without it '
    'labels are counted by the folders that are there.')
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'Folder of the shards; made if missing.')
_FORM = flags.DEFINE_enum(
    'form', 'auto', sources.FORMS, "imagenet: labels 1..1000 by ImageNet's "
    'synsets; folders: labels from 0 by the class folders; auto: imagenet if '
    'all its classes are there.')
_SHARDS = {
    split: flags.DEFINE_integer(
        f'num_{split}_shards', 0,
        f'Shards of the {split} split; 0: as many as fit its size.',
        lower_bound=0)
    for split in records.SPLITS}
_VALIDATION_FRACTION = flags.DEFINE_float(
    'validation_fraction', 0.0, 'Part of the images that is held out for '
    'validation, where there are no validation images; which, the size and '
    'the middle of their files alone decide.', lower_bound=0.0, upper_bound=0.9)
_HELD_OUT_BY = flags.DEFINE_enum(
    'held_out_by', None, hold_out.METHODS,
    'class: --validation_fraction is that of each class, to an image; content: '
    'it is so on average, and what is held out stays so when images are added '
    'to its class. By default class, or that of a finished conversion in the '
    '--output_dir.')
_CHECK = flags.DEFINE_enum(
    'check', 'header', images.CHECKS,
    'header: read the structure of each JPEG; decode: decode its pixels too.')
_MAX_CORRUPT = flags.DEFINE_integer(
    'max_corrupt', 0, 'Corrupt images up to which the conversion counts.',
    lower_bound=0)
_JPEG_QUALITY = flags.DEFINE_integer(
    'jpeg_quality', images.JPEG_QUALITY,
    'Of images that are no JPEG and have to become one.',
    lower_bound=1, upper_bound=100)
_EXIF_ORIENTATION = flags.DEFINE_enum(
    'exif_orientation', None, images.EXIF_ORIENTATIONS,
    'apply: images are turned as their EXIF orientation says, and re-encoded '
    'for it; ignore: none is turned. By default ignore of ImageNet, as its '
    'convention is, and apply of others.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the order of the images.')
_NUM_WORKERS = flags.DEFINE_integer(
    'num_workers', None, 'Processes; by default one per CPU core.',
    lower_bound=1)
_BEAM = flags.DEFINE_multi_string(
    'beam', None, 'Convert on Apache Beam instead, with this argument of it, '
    'such as --beam=--runner=DataflowRunner; can be repeated.')


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise SystemExit(f'error: unexpected argument {argv[1]!r}; give inputs as '
                     f'--input={shlex.quote(argv[1])}. A path with spaces '
                     "goes in quotes: --input='my photos'")
  paths = tuple(('', path) for path in _INPUT.value) + tuple(
      (split, path) for split, values in _SPLIT_INPUTS.items()
      for path in values.value)
  if not paths:
    raise SystemExit('error: --input must be given: a folder or a .tar '
                     'archive. --help lists the flags.')
  if not _OUTPUT_DIR.value:
    raise SystemExit('error: --output_dir must be given')
  if _HELD_OUT_BY.value and not _VALIDATION_FRACTION.value:
    raise SystemExit(
        f'error: --held_out_by={_HELD_OUT_BY.value}, but nothing is held out. '
        'Add --validation_fraction=0.1, or leave it out.')
  try:
    is_finished = _convert(paths)
  except BrokenPipeError:
    raise  # It is an OSError, but of no file.
  except ValueError as error:
    raise SystemExit(f'error: {error}') from None
  except OSError as error:
    raise SystemExit(f'error: {_explain(error)}') from None
  except sqlite3.Error as error:
    raise SystemExit(
        f'error: the list of images cannot be kept: {error}. It needs some '
        '300 bytes per image where temporary files go; SQLITE_TMPDIR=FOLDER '
        'names another place.') from None
  except KeyboardInterrupt:
    raise SystemExit(
        'interrupted; the same command resumes from here') from None
  if not is_finished:
    raise SystemExit(1)


def _convert(paths: tuple[tuple[str, str], ...]) -> bool:
  """Converts by the flags; returns whether the records count."""
  start = time.monotonic()
  output_dir = _OUTPUT_DIR.value.rstrip('/') or '/'
  reporter = conversion_report.Reporter(sys.stderr)
  try:
    done = conversion.convert(
        conversion.Inputs(paths, _FORM.value, _VALIDATION_LABELS.value,
                          _CLASS_NAMES.value),
        output_dir,
        plans.Options(_SEED.value, _CHECK.value, _JPEG_QUALITY.value,
                      _VALIDATION_FRACTION.value,
                      _EXIF_ORIENTATION.value or '', _HELD_OUT_BY.value or ''),
        {split: number.value for split, number in _SHARDS.items()},
        _MAX_CORRUPT.value, lambda tasks: _run(tasks, reporter), reporter)
  finally:
    reporter.close()
  lines = _write_experiment(done, output_dir) if done.is_finished else ''
  print(conversion_report.summary(
      done, output_dir, time.monotonic() - start), flush=True)
  num_corrupt = done.manifest['quarantined']['count']
  if not done.is_finished:
    images_are = wording.counted(num_corrupt, 'image is', 'images are')
    print(f'error: {images_are} corrupt, and --max_corrupt is '
          f'{_MAX_CORRUPT.value}. Fix what is listed and run the same command '
          f'again, or accept that it is missing: --max_corrupt={num_corrupt}',
          file=sys.stderr)
    return False
  print(lines, end='', flush=True)
  return True


def _explain(error: OSError) -> str:
  """Returns an error of the system, with the file and what to do."""
  text = f'{error.filename}: ' if error.filename else ''
  text += error.strerror or str(error)
  if error.errno == errno.ENOSPC:
    text += ('. Make room, or choose another --output_dir; the same command '
             'resumes from here')
  elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
    text += '. Choose an --output_dir that you may write to'
  return text


def _run(tasks: Sequence[plans.ShardTask],
         reporter: conversion_report.Reporter) -> None:
  if _BEAM.value is not None:
    beam_pipeline.convert(tasks, [item for item in _BEAM.value if item])
  else:
    num_workers = _NUM_WORKERS.value or len(os.sched_getaffinity(0))
    process_pool.convert(tasks, num_workers, reporter.advanced)


def _write_experiment(done: conversion.Conversion, output_dir: str) -> str:
  """Writes the settings that an experiment needs; returns what to say."""
  folder = output_dir if storage.is_remote(output_dir) else os.path.abspath(
      output_dir)
  lines = conversion_report.experiment_yaml(done.manifest, folder)
  path = os.path.join(output_dir, EXPERIMENT_FILE)
  storage.write_bytes(path, lines.encode())
  advice = conversion_report.commands(done.manifest, output_dir, path)
  shown = f'\n{path}:\n\n{lines}' if 'train' in done.manifest['splits'] else ''
  return f'\n{advice}\n{shown}'


if __name__ == '__main__':
  command_process.run(main)
