"""Times the train step of layouts beside Model Garden's ViT.

  python -m official_ext.benchmarks.train_step --layouts=B12,B6-6,B4-4-4

The same command on CPU, GPU and TPU. Every layout runs in a process of its
own, in rounds, so that a slow minute of the machine meets all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
import os
import sys

from absl import flags

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import figure
from official_ext.benchmarks import machine
from official_ext.benchmarks import report
from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_MODULE = 'official_ext.benchmarks.train_step'
_OUTPUT_FILES = ('train_step.csv', 'train_step.png')
_LAYOUTS = flags.DEFINE_string(
    'layouts', 'B12,B6-6,B4-4-4',
    "Layouts, separated by commas outside of parentheses; Model Garden's own "
    'vit is always in the run.')
_POOLING = flags.DEFINE_list(
    'pooling', [], 'How each layout of several blocks pools, several side by '
    'side; by default what the settings say.')
_ATTENTION_BIAS = flags.DEFINE_list(
    'attention_bias', [], 'Likewise what is added to its scores: none, '
    'proportional, or both.')
_FEATURE_MAPS = flags.DEFINE_list(
    'feature_maps', [settings_lib.NO_MAPS], 'Maps for decoders: none; '
    'recovered_0 or recovered_2, a map of the recovered tokens with so many '
    'layers after them; pyramid, four levels of the first; or several. With '
    "maps a linear head segments, and Model Garden's vit has its own map.")
_MODEL_NAME = flags.DEFINE_string('model_name', 'vit-b16', 'The preset.')
_IMAGE_SIZE = flags.DEFINE_integer(
    'image_size', 224, 'Side of the images, px.', lower_bound=1)
_BATCH_SIZE = flag_types.define_positive_integers(
    'batch_size', [8], 'Images per step and replica; several for a sweep.')
_DTYPE = flags.DEFINE_list(
    'dtype', ['float32'], 'float32, bfloat16 (mixed), or both.')
_XLA = flags.DEFINE_list('xla', ['off'], 'off, on, or both.')
_MODE = flags.DEFINE_enum('mode', 'train', settings_lib.MODES, 'What to time.')
_ROUNDS = flags.DEFINE_integer(
    'rounds', 3, 'Times that each layout has its turn.', lower_bound=1)
_STEPS = flags.DEFINE_integer(
    'steps', 3, 'Timed steps of a turn.', lower_bound=1)
_WARMUP_STEPS = flags.DEFINE_integer(
    'warmup_steps', 2, 'Steps before them that do not count, the one that '
    'compiles among them; once for each process.', lower_bound=1)
_PROCESSES = flags.DEFINE_enum(
    'processes', None, ['together', 'in_turn'],
    'Whether the processes of all layouts live together, one of them running, '
    'or one at a time, begun anew each round. Default: together on CPU.')
_ACTIVATIONS = flags.DEFINE_bool(
    'activations', True, "Measure the compiled step's activation memory too.")
_FIND_BATCH = flags.DEFINE_bool(
    'find_batch', False,
    'Look for the largest batch that fits, and time that, in place of '
    '--batch_size.')
_MEMORY_LIMIT_GIB = flags.DEFINE_float(
    'memory_limit_gib', 0.0, 'What each process may allocate on the host, '
    'GiB; 0: no limit, with --find_batch on CPU what is free.',
    lower_bound=0.0)
flags.register_validator(
    'memory_limit_gib', math.isfinite, 'must be a finite number')
_PEERS = flags.DEFINE_list(
    'peers', [], "Rows of PyTorch too: timm, its ViT, or timm_pooled, the same "
    'with the pooling of each layout, or both; XLA stands for torch.compile. '
    "Needs the extra 'peers'.")
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', "Further settings, as train.py's.")
_TPU = flags.DEFINE_string('tpu', '', "The TPU's address, such as 'local'.")
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'Where to write train_step.csv and train_step.png; '
    'none by default.')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv, (
      'a layout with parentheses needs quotes, as in '
      "--layouts='B12,B6(197)-6(50)'"))
  library_logs.silence()
  from official_ext.benchmarks import measure  # pylint: disable=g-import-not-at-top
  with errors.reported(ValueError, step_process.WorkerError):
    settings = settings_lib.with_peers(settings_lib.combine(
        settings_lib.Settings(
            layout='', model_name=_MODEL_NAME.value,
            image_size=_IMAGE_SIZE.value, mode=_MODE.value,
            params_override=_PARAMS_OVERRIDE.value, tpu=_TPU.value,
            memory_limit_gib=_MEMORY_LIMIT_GIB.value),
        _LAYOUTS.value, _BATCH_SIZE.value, _DTYPE.value, _XLA.value,
        _POOLING.value, _ATTENTION_BIAS.value, _FEATURE_MAPS.value),
        _PEERS.value)
    if _FIND_BATCH.value and len(set(_BATCH_SIZE.value)) > 1:
      raise ValueError(
          '--find_batch begins at one --batch_size; several were given.')
    rows = measure.begin(settings)
    for path in _output_files():
      csv_file.check_writable(path, '--output_dir')
    plan = measure.Plan(
        rounds=_ROUNDS.value, steps=_STEPS.value,
        warmup_steps=_WARMUP_STEPS.value, activations=_ACTIVATIONS.value,
        find_batch=_FIND_BATCH.value, together=measure.may_live_together(
            _PROCESSES.value, bool(_TPU.value)))
    measured = []
    measure.run(rows, plan, sys.stderr, lambda group: _show(group, measured))
  if len({row.settings.circumstances for row in rows}) > 1:
    print(report.format_fastest(rows) + '\n')
  print(_measured_on(rows))
  if _OUTPUT_DIR.value:
    print(f'wrote {" and ".join(_output_files())}')


def _output_files() -> list[str]:
  """Returns the paths of the CSV file and the figure, if there is a folder."""
  return [os.path.join(_OUTPUT_DIR.value, name)
          for name in _OUTPUT_FILES if _OUTPUT_DIR.value]


def _show(rows, measured) -> None:
  """Prints what was measured under one set of circumstances.

  Args:
    rows: these.
    measured: all rows so far; they are added, and written to the files.
  """
  title = rows[0].settings.circumstances
  if len({row.settings.batch_size for row in rows}) > 1:
    title = 'the largest batches that fit'
  measured += rows
  if _OUTPUT_DIR.value:
    # Before anything is printed: the reader of a pipe may be gone by then.
    table, drawing = _output_files()
    csv_file.write(
        table, [report.columns(row) for row in measured],
        csv_file.describe_run(
            _MODULE, _device(measured), _has_pytorch(measured)))
    figure.draw(drawing, measured, _measured_on(measured))
  print(f'{rows[0].settings.model_name}, {title}\n'
        f'{report.format_tables(rows)}\n', flush=True)


def _device(rows) -> str:
  """Returns what the steps of rows ran on; empty if none did."""
  return next((row.device for row in rows if row.device), '')


def _measured_on(rows) -> str:
  """Returns the device and the versions of the libraries."""
  return '; '.join(filter(None, [
      _device(rows), machine.versions(_has_pytorch(rows))]))


def _has_pytorch(rows) -> bool:
  return any(row.settings.peer for row in rows)


if __name__ == '__main__':
  library_logs.run(main)
