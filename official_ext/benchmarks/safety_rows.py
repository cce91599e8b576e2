"""Trainings with and without what keeps them from losing anything, timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import contextlib
import dataclasses
import functools
import math
import multiprocessing
import statistics
import tempfile
import time
from typing import Any

from absl import flags
from absl import logging
from official.common import dataset_fn
from official.core import base_trainer
from official.core import config_definitions as cfg
from official.core import task_factory
from official.core import train_utils
from official.vision.dataloaders import classification_input
from official.vision.dataloaders import input_reader
import tensorflow as tf

from official_ext import registry_imports  # noqa: F401
from official_ext.command_line import library_logs
from official_ext.params import experiment
from official_ext.tasks import image_classification
from official_ext.tasks import label_offset
from official_ext.tasks import parsing
from official_ext.training import checkpoint_folder
from official_ext.training import controller
from official_ext.training import data_position
from official_ext.training import goodput
from official_ext.training import input_waiting
from official_ext.training import preemption
from official_ext.training import progress
from official_ext.training import session
from official_ext.training import trainer as trainer_lib

# Masks and augmentation follow from it.
_SEED = 1
_KINDS = ('without', 'with')
_CLOCKS = {'cpu': time.process_time, 'wall': time.perf_counter}
_FOREVER = 10**9


class _PlainTask(image_classification.ImageClassificationTask):
  """The task on Model Garden's reader, which shuffles records as they come."""

  def build_inputs(self, params, input_context=None):
    config = self.task_config
    decoder = classification_input.Decoder(
        image_field_key=config.train_data.image_field_key,
        label_field_key=config.train_data.label_field_key)
    garden_mix, mix = parsing.mixing(config, params), None
    if garden_mix:
      mix = functools.partial(parsing.after_offset(
          lambda number, *batch: garden_mix(*batch), config, params), None)
    dataset = parsing.InputReader(
        params,
        dataset_fn=dataset_fn.pick_dataset_fn(params.file_type),
        decoder_fn=decoder.decode,
        combine_fn=input_reader.create_combine_fn(params),
        parser_fn=parsing.build_parser(config, params).parse_fn(True),
        postprocess_fn=mix,
    ).read(input_context=input_context)
    return label_offset.check(dataset, config, params).prefetch(
        params.prefetch_buffer_size or tf.data.AUTOTUNE)


@dataclasses.dataclass(frozen=True)
class Measured:
  """What is measured.

  Attributes:
    experiment: the registered name.
    params_override: settings over those of the experiment.
    clock: 'cpu' or 'wall'.
  """
  experiment: str
  params_override: str
  clock: str

  def rows(self, num_rounds: int, num_steps: int, num_starts: int
           ) -> Iterator[Mapping[str, Any]]:
    """Measures.

    Args:
      num_rounds: turns of each training.
      num_steps: steps of a turn.
      num_starts: of each training; below 2: none.

    Yields:
      The lines of the table.

    Raises:
      ValueError: if the settings or the data are wrong.
    """
    data = self.params().task.train_data
    for name in ('is_multilabel', 'tfds_name'):
      if getattr(data, name):
        raise ValueError(
            f'task.train_data.{name} is {getattr(data, name)!r}, but what '
            'Model Garden does with it is not measured here. Leave it out.')
    trainings = {kind: _Training(kind, self) for kind in _KINDS}
    for training in trainings.values():
      # It compiles, and fills the buffers of the input.
      training.step_seconds(num_steps)
    yield row('a step, ms', 1e3, _in_turns({
        kind: functools.partial(training.step_seconds, num_steps)
        for kind, training in trainings.items()}, num_rounds))
    yield row('a checkpoint, s', 1, _in_turns({
        kind: training.save_seconds
        for kind, training in trainings.items()}, num_rounds))
    if num_starts > 1:
      yield row('a start and its first step, s', 1, _in_turns({
          kind: functools.partial(_in_its_process, self, kind)
          for kind in _KINDS}, num_starts))

  def params(self, train_steps: int = _FOREVER) -> cfg.ExperimentConfig:
    """Returns the experiment's configuration.

    Args:
      train_steps: where it ends.
    """
    return experiment.load(self.experiment, params_override=','.join([
        f'trainer.seed={_SEED}', f'trainer.train_steps={train_steps}',
        'trainer.optimizer_config.warmup.linear.warmup_steps=1',
        self.params_override]))

  @contextlib.contextmanager
  def timed(self) -> Iterator[list[float]]:
    """Measures what runs inside.

    Yields:
      A list, into which its seconds come.
    """
    clock, seconds = _CLOCKS[self.clock], []
    start = clock()
    yield seconds
    seconds.append(clock() - start)


class _Training:
  """A training that takes steps when it is told to."""

  def __init__(self, kind: str, measured: Measured):
    self._measured = measured
    self._folder = tempfile.TemporaryDirectory()
    folder = self._folder.name
    self._trainer = _BUILDERS[kind](measured.params(), folder)
    self._manager = _manager(kind, self._trainer, folder)
    self._trainer.initialize()

  def step_seconds(self, num_steps: int) -> float:
    """Takes steps; returns the seconds of each."""
    with self._measured.timed() as seconds:
      self._trainer.train(tf.constant(num_steps, tf.int32))
    return seconds[0] / num_steps

  def save_seconds(self) -> float:
    """Saves what a step has changed; returns the seconds of that."""
    self._trainer.train(tf.constant(1, tf.int32))
    with self._measured.timed() as seconds:
      self._manager.save(int(self._trainer.global_step.numpy()))
    return seconds[0]


def _build_plain(params: cfg.ExperimentConfig, model_dir: str
                 ) -> base_trainer.Trainer:
  del model_dir
  return train_utils.create_trainer(
      params, _PlainTask(params.task), train=True, evaluate=False)


def _build(params: cfg.ExperimentConfig, model_dir: str
           ) -> trainer_lib.Trainer:
  """Builds the trainer as a session does."""
  task = task_factory.get_task(params.task)
  task.seed = params.trainer.seed
  stopwatch = goodput.Stopwatch()
  return train_utils.create_trainer(
      params, task, train=True, evaluate=False,
      trainer_cls=functools.partial(
          trainer_lib.Trainer, progress=progress.Progress(),
          watch=preemption.Watch(lambda number: number), model_dir=model_dir,
          position=data_position.enter(task, params, None, 1),
          stopwatch=stopwatch, history=goodput.History(model_dir, stopwatch),
          waiting=input_waiting.InputWaiting()))


_BUILDERS = {'without': _build_plain, 'with': _build}


def _manager(kind: str, trainer: base_trainer.Trainer, folder: str
             ) -> tf.train.CheckpointManager:
  arguments = dict(
      checkpoint=trainer.checkpoint, directory=folder, max_to_keep=2,
      step_counter=trainer.global_step, checkpoint_interval=1)
  if kind == 'without':
    return tf.train.CheckpointManager(**arguments)
  return controller.CheckpointManager(
      **arguments, folder=checkpoint_folder.CheckpointFolder(folder))


def _in_turns(actions: Mapping[str, Callable[[], float]], num_rounds: int
              ) -> dict[str, list[float]]:
  """Calls functions in turns, another one first each time; returns the rest."""
  found = {kind: [] for kind in actions}
  for number in range(num_rounds):
    for kind in list(actions)[::1 if number % 2 else -1]:
      found[kind].append(actions[kind]())
  return found


def _in_its_process(measured: Measured, kind: str) -> float:
  # A fork would inherit the TensorFlow of this process.
  with futures.ProcessPoolExecutor(
      1, multiprocessing.get_context('spawn')) as pool:
    return pool.submit(_start_seconds, measured, kind).result()


def _start_seconds(measured: Measured, kind: str) -> float:
  """Trains for one step and saves; returns the seconds without imports."""
  # As absl begins a command.
  flags.FLAGS.mark_as_parsed()
  logging.use_absl_handler()
  library_logs.silence()
  with tempfile.TemporaryDirectory() as folder, measured.timed() as seconds:
    params = measured.params(train_steps=1)
    if kind == 'with':
      with library_logs.without_prints():
        session.prepare(params, 'train', folder).execute(
            enable_async_checkpointing=False)
    else:
      trainer = _build_plain(params, folder)
      trainer.initialize()
      trainer.train(tf.constant(1, tf.int32))
      _manager(kind, trainer, folder).save(1)
  return seconds[0]


def row(what: str, scale: float, seconds: Mapping[str, Sequence[float]]
        ) -> dict[str, Any]:
  """Returns a line of the table.

  Args:
    what: was measured, with its unit.
    scale: makes that unit of seconds.
    seconds: of each turn, without and with it; turns of one place are compared
      with each other, since they met the same moment of the machine.

  Returns:
    The medians, and by how many per cent the one with it is more: the median
    over the turns, and twice its standard error.
  """
  without, with_it = (
      [scale * value for value in seconds[kind]] for kind in _KINDS)
  more = [100 * (b / a - 1) for a, b in zip(without, with_it, strict=True)]
  error = 2 * statistics.stdev(more) / math.sqrt(len(more))
  return {
      'what': what,
      'without': statistics.median(without),
      'with': statistics.median(with_it),
      'more_percent': statistics.median(more),
      'error_percent': error,
      'turns': len(more),
  }


HEAD = (f'{"":31}{"without":>10}{"with it":>10}{"more":>9}')


def format_row(line: Mapping[str, Any]) -> str:
  """Returns a line of the table as text."""
  return (f'{line["what"]:31}{line["without"]:10.4g}{line["with"]:10.4g}'
          f'{line["more_percent"]:+7.1f} % ± {line["error_percent"]:.1f}')
