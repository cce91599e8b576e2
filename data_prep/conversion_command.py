"""What the commands of conversions share: flags, errors, how they end."""

from __future__ import annotations

from collections.abc import Sequence
import errno
import os
import shlex
import sqlite3
import sys
import time
import types

from absl import flags

from . import beam_pipeline
from . import conversion
from . import conversion_report
from . import images
from . import plan as plans
from . import process_pool
from . import records
from . import storage
from . import wording

EXPERIMENT_FILE = 'experiment.yaml'

INPUT = flags.DEFINE_multi_string(
    'input', [], 'Folder or .tar archive; the names in it tell the splits.')
CLASS_NAMES = flags.DEFINE_string(
    'class_names', '', 'Of images in class folders: the class_names.txt of the '
    'data that a model was trained on, to test it on them: they get its '
    'labels. Without it labels are counted by the folders that are there. Of '
    'images with masks: a file with the names of the classes, one a line.')
OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'Folder of the shards; made if missing.')
SHARDS = {
    split: flags.DEFINE_integer(
        f'num_{split}_shards', 0,
        f'Shards of the {split} split; 0: as many as fit its size.',
        lower_bound=0)
    for split in records.SPLITS}
VALIDATION_FRACTION = flags.DEFINE_float(
    'validation_fraction', 0.0, 'Part of the images that is held out for '
    'validation, where there are no validation images; which, the size and '
    'the middle of their files alone decide.', lower_bound=0.0, upper_bound=0.9)
CHECK = flags.DEFINE_enum(
    'check', 'header', images.CHECKS,
    'header: read the structure of each JPEG; decode: decode its pixels too.')
MAX_CORRUPT = flags.DEFINE_integer(
    'max_corrupt', 0, 'Corrupt images up to which the conversion counts.',
    lower_bound=0)
JPEG_QUALITY = flags.DEFINE_integer(
    'jpeg_quality', images.JPEG_QUALITY,
    'Of images that are no JPEG and have to become one.',
    lower_bound=1, upper_bound=100)
SEED = flags.DEFINE_integer('seed', 0, 'Of the order of the images.')
_NUM_WORKERS = flags.DEFINE_integer(
    'num_workers', None, 'Processes; by default one per CPU core.',
    lower_bound=1)
_BEAM = flags.DEFINE_multi_string(
    'beam', None, 'Convert on Apache Beam instead, with this argument of it, '
    'such as --beam=--runner=DataflowRunner; can be repeated.')


def check_arguments(argv: Sequence[str], paths: Sequence[tuple[str, str]],
                    needed: str) -> None:
  """Ends the program where an argument is no flag, or one is missing.

  Args:
    argv: of the command.
    paths: of the inputs.
    needed: what is said if there are none.
  """
  if len(argv) > 1:
    raise SystemExit(f'error: unexpected argument {argv[1]!r}; give inputs as '
                     f'--input={shlex.quote(argv[1])}. A path with spaces '
                     "goes in quotes: --input='my photos'")
  if not paths:
    raise SystemExit(f'error: {needed} --help lists the flags.')
  if not OUTPUT_DIR.value:
    raise SystemExit('error: --output_dir must be given')


def run(inputs: conversion.Inputs, options: plans.Options,
        report: types.ModuleType) -> None:
  """Converts by the flags; ends the program with status 1 if it fails.

  Args:
    inputs: what is to be converted.
    options: what decides the bytes of the shards.
    report: has `summary`, `experiment_yaml`, `commands` and `CORRUPT` as
      `conversion_report`.
  """
  try:
    is_finished = _convert(inputs, options, report)
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


def _convert(inputs: conversion.Inputs, options: plans.Options,
             report: types.ModuleType) -> bool:
  """Converts; returns whether the records count."""
  start = time.monotonic()
  output_dir = OUTPUT_DIR.value.rstrip('/') or '/'
  reporter = conversion_report.Reporter(sys.stderr)
  try:
    done = conversion.convert(
        inputs, output_dir, options,
        {split: number.value for split, number in SHARDS.items()},
        MAX_CORRUPT.value, lambda tasks: _run(tasks, reporter), reporter)
  finally:
    reporter.close()
  lines = ''
  if done.is_finished:
    lines = _write_experiment(done, output_dir, report)
  print(report.summary(done, output_dir, time.monotonic() - start), flush=True)
  num_corrupt = done.manifest['quarantined']['count']
  if not done.is_finished:
    are_corrupt = wording.counted(num_corrupt, *report.CORRUPT)
    print(f'error: {are_corrupt}, and --max_corrupt is '
          f'{MAX_CORRUPT.value}. Fix what is listed and run the same command '
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


def _write_experiment(done: conversion.Conversion, output_dir: str,
                      report: types.ModuleType) -> str:
  """Writes the settings that an experiment needs; returns what to say."""
  folder = output_dir if storage.is_remote(output_dir) else os.path.abspath(
      output_dir)
  lines = report.experiment_yaml(done.manifest, folder)
  path = os.path.join(output_dir, EXPERIMENT_FILE)
  storage.write_bytes(path, lines.encode())
  advice = report.commands(done.manifest, output_dir, path)
  shown = f'\n{path}:\n\n{lines}' if 'train' in done.manifest['splits'] else ''
  return f'\n{advice}\n{shown}'
