"""Builds a training, takes a few steps of it and says what to expect.

It runs in a folder of its own, which is removed: what it would read is checked
as at the start of a training, and nothing is left behind.
"""

from __future__ import annotations

import tempfile

from official.core import config_definitions as cfg
import tqdm

from official_ext.training import memory
from official_ext.training import modes
from official_ext.training import session
from official_ext.training import trainer as trainer_lib

# The first one compiles, the other is timed.
_NUM_STEPS = 2


def run(params: cfg.ExperimentConfig, mode: str) -> str:
  """Takes the first steps of a training that begins anew.

  Args:
    params: the experiment's configuration.
    mode: one of `modes.MODES`, which trains.

  Returns:
    Steps, epochs, time and memory to expect, as lines.

  Raises:
    ValueError: if the mode does not train, the training has several workers, or
      it could not begin.
    errors.UserError: if it fails.
  """
  if not modes.trains(mode):
    raise ValueError(
        f'--dry_run tries a training, but --mode={mode} does not train. Use '
        'train or train_and_eval.')
  if params.runtime.distribution_strategy == 'multi_worker_mirrored':
    raise ValueError(
        '--dry_run tries a training in one process, but '
        'runtime.distribution_strategy is multi_worker_mirrored. Set it to '
        'mirrored.')
  with tempfile.TemporaryDirectory() as folder:
    trainer = session.prepare(_shortened(params), mode, folder).execute(
        enable_async_checkpointing=False)
  return _describe(params, trainer)


def _shortened(params: cfg.ExperimentConfig) -> cfg.ExperimentConfig:
  """Returns the configuration of the first steps, with a short evaluation."""
  export = params.trainer.export.replace(
      at_end=False, at_best=False, export_dir='')
  # The derived decay and warm-up stay those of the whole training.
  return params.replace(trainer=params.trainer.replace(
      train_steps=_NUM_STEPS, steps_per_loop=_NUM_STEPS,
      summary_interval=_NUM_STEPS, checkpoint_interval=_NUM_STEPS,
      validation_interval=_NUM_STEPS, validation_steps=1, export=export))


def _describe(params: cfg.ExperimentConfig,
              trainer: trainer_lib.Trainer) -> str:
  num_steps, data = params.trainer.train_steps, params.task.train_data
  lines = [f'dry run: {num_steps:,} steps of {data.global_batch_size} images']
  if data.num_examples:
    epochs = num_steps * data.global_batch_size / data.num_examples
    lines[0] += f', {epochs:.3g} epochs of {data.num_examples:,} images'
  rate = trainer.throughput.run_steps_per_second
  if rate:
    duration = tqdm.tqdm.format_interval(
        trainer.throughput.compile_seconds + num_steps / rate)
    lines.append(
        f'time    about {duration}: the first step takes '
        f'{trainer.throughput.compile_seconds:.0f} s, the next took '
        f'{1 / rate:.3g} s; evaluations and checkpoints besides')
  lines += [f'memory  {memory.measure()}', 'nothing of it is kept']
  return '\n'.join(lines)
