"""A training in a process of its own, which is measured from outside.

Its reports come through a pipe; at each one the process is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import multiprocessing
from multiprocessing import connection as connection_lib
import os
import re

from absl import flags
from absl import logging

from official_ext.benchmarks import resident_memory
from official_ext.command_line import errors
from official_ext.command_line import library_logs

# The kinds of training, and on how many logical devices of the CPU each runs.
NUM_DEVICES = {'one_device': 1, 'mirrored': 2}

_REPORT = re.compile(r'step (\d+)\S*  (?:train|validation): ')


@dataclasses.dataclass(frozen=True)
class Training:
  """What to train.

  Attributes:
    strategy: one of NUM_DEVICES.
    model_dir: an empty folder.
    experiment: the registered name.
    params_override: settings over those of the experiment.
  """
  strategy: str
  model_dir: str
  experiment: str
  params_override: str


def measure(training: Training) -> Iterator[resident_memory.Sample]:
  """Trains and evaluates in a new process.

  Args:
    training: what to train.

  Yields:
    What the process holds at each report of a training interval or an
    evaluation.

  Raises:
    errors.UserError: if the process fails; it has said why.
  """
  # A fork would inherit the TensorFlow of this process.
  context = multiprocessing.get_context('spawn')
  reports, other_end = context.Pipe(duplex=False)
  process = context.Process(
      target=_train, args=(training, other_end), daemon=True)
  process.start()
  other_end.close()
  try:
    with open(os.dup(reports.fileno()), encoding='utf-8') as lines:
      for line in lines:
        if report := _REPORT.match(line):
          yield resident_memory.measure(process.pid, int(report[1]))
    process.join()
  finally:
    process.kill()
    process.join()
    reports.close()
  if process.exitcode:
    raise errors.UserError(
        f'the training with {training.strategy} ended with '
        f'{process.exitcode}.')


def _train(training: Training, reports: connection_lib.Connection) -> None:
  """Trains; what it tells goes into the pipe."""
  # pylint: disable=g-import-not-at-top
  # As absl begins a command.
  flags.FLAGS.mark_as_parsed()
  logging.use_absl_handler()
  library_logs.silence()
  import tensorflow as tf

  from official_ext import registry_imports  # noqa: F401
  from official_ext.params import experiment
  from official_ext.training import session
  # pylint: enable=g-import-not-at-top
  num_devices = NUM_DEVICES[training.strategy]
  tf.config.set_visible_devices([], 'GPU')
  cpu, = tf.config.list_physical_devices('CPU')
  tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * num_devices)
  strategy = None
  if num_devices > 1:
    strategy = tf.distribute.MirroredStrategy(
        [f'CPU:{index}' for index in range(num_devices)],
        cross_device_ops=tf.distribute.ReductionToOneDevice())
  params = experiment.load(
      training.experiment, params_override=training.params_override)
  with open(reports.fileno(), 'w', encoding='utf-8',
            closefd=False) as stream, contextlib.redirect_stdout(stream):
    session.prepare(params, 'train_and_eval', training.model_dir,
                    strategy=strategy).execute()
