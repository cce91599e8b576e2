"""Builds a training, takes a few steps of it and says what to expect.

It runs in a folder of its own, which is removed: what it would read is checked
as at the start of a training, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile

from official.core import config_definitions as cfg
import tqdm

from official_ext.training import memory
from official_ext.training import modes
from official_ext.training import session
from official_ext.training import tracking
from official_ext.training import trainer as trainer_lib

# The first one compiles, the other is timed.
_NUM_STEPS = 2


def run(params: cfg.ExperimentConfig, mode: str | None,
        enable_async_checkpointing: bool = True) -> str:
  """Takes the first steps of a training that begins anew.

  Args:
    params: the experiment's configuration.
    mode: one of `modes.MODES`, which trains; None: train_and_eval.
    enable_async_checkpointing: whether the training is to go on while a
      checkpoint is written, which takes memory.

  Returns:
    Steps, epochs, time and memory to expect, as lines.

  Raises:
    ValueError: if the mode does not train, the training has several workers, or
      it could not begin.
    errors.UserError: if it fails.
  """
  mode = mode or 'train_and_eval'
  if not modes.trains(mode):
    raise ValueError(
        f'--dry_run tries a training, but --mode={mode} does not train. Use '
        'train or train_and_eval.')
  if params.runtime.distribution_strategy == 'multi_worker_mirrored':
    raise ValueError(
        '--dry_run tries a training in one process, but '
        'runtime.distribution_strategy is multi_worker_mirrored. Set it to '
        'mirrored.')
  tracking.check(params.trainer.logging, begins=True)
  with tempfile.TemporaryDirectory() as folder, open(
      os.devnull, 'w', encoding='utf-8') as sink:
    run_ = session.prepare(_shortened(params, mode), mode, folder)
    print(f'taking {_NUM_STEPS} steps, the first of which compiles',
          file=sys.stderr, flush=True)
    # Of a folder that will be gone, and of two steps.
    with contextlib.redirect_stdout(sink):
      trainer = run_.execute(
          enable_async_checkpointing=enable_async_checkpointing)
  return '\n'.join([run_.task.describe(), *_describe(params, trainer)])


def _shortened(params: cfg.ExperimentConfig,
               mode: str) -> cfg.ExperimentConfig:
  """Returns the configuration of the first steps, with a short evaluation."""
  export = params.trainer.export.replace(
      at_end=False, at_best=False, export_dir='')
  # Of a mode that does not evaluate, it would be a setting without effect.
  evaluation = {'validation_steps': 1} if modes.evaluates(mode) else {}
  # The derived decay and warm-up stay those of the whole training.
  return params.replace(trainer=params.trainer.replace(
      train_steps=_NUM_STEPS, steps_per_loop=_NUM_STEPS,
      summary_interval=_NUM_STEPS, checkpoint_interval=_NUM_STEPS,
      validation_interval=_NUM_STEPS, export=export, **evaluation,
      logging=params.trainer.logging.replace(
          training_images=0, wandb='', mlflow=''),
      # Whoever stops it wants nothing saved.
      preemption_on_demand_checkpoint=False))


def _describe(params: cfg.ExperimentConfig,
              trainer: trainer_lib.Trainer) -> list[str]:
  num_steps, data = params.trainer.train_steps, params.task.train_data
  lines = [f'dry run: {num_steps:,} steps of {data.global_batch_size} images']
  if data.num_examples:
    epochs = num_steps * data.global_batch_size / data.num_examples
    lines[0] += f', {epochs:.3g} epochs of {data.num_examples:,} images'
  rate = trainer.throughput.run_steps_per_second
  if rate:
    duration = tqdm.tqdm.format_interval(
        trainer.throughput.compile_seconds + num_steps / rate)
    at_most = 'at most ' if (
        params.trainer.early_stopping.patience_evaluations) else ''
    lines.append(
        f'time    {at_most}about {duration}: the first step takes '
        f'{trainer.throughput.compile_seconds:.0f} s, the next took '
        f'{1 / rate:.3g} s; start-up, evaluations and '
        'checkpoints besides')
  return [*lines, f'memory  {memory.measure()}', 'nothing of it is kept']
