"""The strategy of tf.distribute that the configuration asks for.

Model Garden builds it. Here the configuration is held against the machine
first: GPUs, the workers of the job, and how files divide.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import os
import re

from absl import logging
from official.common import distribute_utils
from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.params import input_files

_MULTI_WORKER = 'multi_worker_mirrored'
# As TensorFlow names workers that it no longer hears from.
_TASK = re.compile(r'^/job:(\w+)/replica:\d+/task:(\d+)$', re.MULTILINE)


class LostWorkerError(errors.UserError):
  """Another worker is gone: this one can do nothing but begin again with it."""
  # So that a supervisor tells it from what a person has to mend.
  exit_status = os.EX_TEMPFAIL


def build(params: cfg.ExperimentConfig) -> tf.distribute.Strategy:
  """Builds the strategy of the configuration, checked against the machine.

  Waits for the other workers, if the job has several.

  Args:
    params: the experiment's configuration.

  Returns:
    The strategy.

  Raises:
    ValueError: if the machine has too few GPUs, or TF_CONFIG does not fit.
  """
  runtime = params.runtime
  num_workers = _check_workers(runtime.distribution_strategy)
  _check_devices(runtime)
  try:
    strategy = distribute_utils.get_distribution_strategy(
        distribution_strategy=runtime.distribution_strategy,
        all_reduce_alg=runtime.all_reduce_alg,
        num_gpus=runtime.num_gpus,
        tpu_address=runtime.tpu)
  except (ValueError, OSError, tf.errors.OpError) as error:
    name = runtime.distribution_strategy
    if name == 'tpu':
      name += f' with runtime.tpu={runtime.tpu!r}'
    raise ValueError(
        f'runtime.distribution_strategy={name} cannot be built here: '
        f'{errors.reason(error)}. Use one_device, mirrored, '
        'multi_worker_mirrored or tpu, as the machine has it.') from error
  if num_workers > 1 and is_chief(strategy):
    _warn_of_few_files(params.task.train_data, num_workers)
  return strategy


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Returns whether this process is the one that writes for all."""
  return bool(strategy.extended.should_checkpoint)


def num_workers(strategy: tf.distribute.Strategy) -> int:
  """Returns how many processes or hosts read a share of the data each."""
  if isinstance(strategy, tf.distribute.TPUStrategy):
    return strategy.extended.num_hosts
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    tasks = strategy.cluster_resolver.cluster_spec().as_dict()
    return max(1, sum(map(len, tasks.values())))
  return 1


def mean_over_workers(
    strategy: tf.distribute.Strategy) -> Callable[[float], float]:
  """Returns how workers agree on a number.

  Args:
    strategy: of the job.

  Returns:
    A function of a worker's number that returns the mean of all; every worker
    must call it as often. Where there is one process, the number itself.
  """
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return lambda value: value

  @tf.function
  def mean(value):
    values = strategy.run(lambda: tf.identity(value))
    return strategy.reduce(tf.distribute.ReduceOp.MEAN, values, axis=None)

  return lambda value: float(mean(tf.constant(value, tf.float32)))


def lost_worker_message(error: tf.errors.OpError) -> str | None:
  """Says what happened to another worker, if that is why a step failed.

  Args:
    error: an error of a training or evaluation step.

  Returns:
    The message, or None if it was another error.
  """
  if not isinstance(error, (tf.errors.UnavailableError,
                            tf.errors.AbortedError)):
    return None
  lost = [f'{kind} {index}' for kind, index in _TASK.findall(error.message)]
  # It is not always known which: a broken connection may be noticed first.
  return 'another worker was lost' + (f': {", ".join(lost)}' if lost else '')


def _check_workers(name: str) -> int:
  """Returns how many workers TF_CONFIG names; 1 if it is not set."""
  text = os.environ.get('TF_CONFIG', '')
  if not text:
    if name == _MULTI_WORKER:
      logging.warning(
          'runtime.distribution_strategy is multi_worker_mirrored, but '
          'TF_CONFIG is not set: this process trains alone.')
    return 1
  example = (
      '\'{"cluster": {"worker": ["HOST1:2222", "HOST2:2222"]}, "task": '
      '{"type": "worker", "index": 0}}\'')
  try:
    config = json.loads(text)
    tasks = {kind: len(config.get('cluster', {}).get(kind, ()))
             for kind in ('chief', 'worker')}
    kind, index = config['task']['type'], config['task']['index']
    is_named = 0 <= int(index) < tasks.get(kind, 1)
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
        f'TF_CONFIG is {text!r}, which cannot be read ({error!r}). Set it to '
        f'the like of {example}, or unset it.') from error
  num_workers = sum(tasks.values())
  if num_workers > 1 and name in ('mirrored', 'one_device', 'off'):
    raise ValueError(
        f'TF_CONFIG names {num_workers} workers, but '
        f'runtime.distribution_strategy is {name}: each would train alone and '
        'write to the same --model_dir. Add --params_override='
        'runtime.distribution_strategy=multi_worker_mirrored, or unset '
        'TF_CONFIG.')
  if not is_named:
    raise ValueError(
        f'TF_CONFIG: this is {kind} {index}, but the cluster has '
        f'{tasks.get(kind, 0)} of type {kind}, counted from 0.')
  return num_workers


def _check_devices(runtime: cfg.RuntimeConfig) -> None:
  num_visible = len(tf.config.list_physical_devices('GPU'))
  if runtime.num_gpus > num_visible:
    raise ValueError(
        f'runtime.num_gpus is {runtime.num_gpus}, but TensorFlow sees '
        f'{num_visible} GPUs. Lower it, or install tensorflow[and-cuda].')
  if (num_visible and not runtime.num_gpus and
      runtime.distribution_strategy in ('mirrored', 'one_device')):
    logging.warning(
        'TensorFlow sees %d GPUs, but runtime.num_gpus is 0: this run uses '
        'the CPU. Add --params_override=runtime.num_gpus=%d.', num_visible,
        num_visible)
  if (runtime.enable_xla and not runtime.num_gpus and
      runtime.distribution_strategy != 'tpu'):
    logging.warning(
        'runtime.enable_xla has no effect: Model Garden applies it on GPUs '
        'alone, and runtime.num_gpus is 0.')


def _warn_of_few_files(data: cfg.DataConfig, num_workers: int) -> None:
  """Warns of how the training data is divided where files are too few."""
  if data.tfds_name:
    return
  num_files = len(input_files.match(data.input_path))
  if num_files < num_workers:
    logging.warning(
        'task.train_data has %d file(s) for %d workers: every worker reads '
        'them all and takes one record in %d. More files read faster.',
        num_files, num_workers, num_workers)
