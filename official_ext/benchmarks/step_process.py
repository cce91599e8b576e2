"""The process that holds one model and runs its step when it is told to.

`Worker` starts it, asks it and ends it. It takes one command after the other
from a pipe and answers each: `{'steps': 3}` runs that many steps, one after the
other, and is answered with their times in ms; `{'memory': True}` with the peak
memory so far. The first answer, before any command, is what the device is
called. An answer may be an exception, and is then the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import multiprocessing
from multiprocessing import connection as connection_lib
import os
import pathlib
import resource
import sys
import tempfile
import time
from typing import Any

from official_ext.benchmarks import machine
from official_ext.benchmarks import settings as settings_lib
from official_ext.command_line import errors

# The step of this name is what is looked for in the files that XLA writes.
DUMPED_FUNCTION = 'benchmark_gradients'
# The variables that a step reads its batch from.
IMAGES, LABELS = 'benchmark_images', 'benchmark_labels'
# Of what a process may allocate.
_CLOSE_TO_LIMIT = 0.4
_OUT_OF_MEMORY = (
    'RESOURCE_EXHAUSTED', 'Out of memory', 'CUDA out of memory',
    'OOM when allocating', 'bad_alloc', "can't allocate memory")
# The last lines of what a process wrote before it died.
_LAST_LINES = 15


class OutOfMemoryError(Exception):
  """The model does not fit."""


class WorkerError(Exception):
  """The process failed for another reason than memory."""


class Worker:
  """One benchmark process; a context manager that ends it."""

  def __init__(self, settings: settings_lib.Settings):
    """Starts the process and waits until its model is built.

    Args:
      settings: what to measure.

    Raises:
      OutOfMemoryError: if the model does not fit.
      WorkerError: if the process fails.
      ValueError: if the settings do not fit together.
    """
    self.settings = settings
    self._folder = tempfile.TemporaryDirectory()
    self._log = pathlib.Path(self._folder.name, 'log')
    # A fork would inherit the TensorFlow of this process.
    context = multiprocessing.get_context('spawn')
    self._connection, other_end = context.Pipe()
    self._process = context.Process(
        target=run, args=(settings, other_end, str(self._log)),
        daemon=True)
    self._process.start()
    other_end.close()
    try:
      self.device_name = self._receive()
    except BaseException:
      self.close()
      raise

  def run_steps(self, num_steps: int) -> list[float]:
    """Runs steps one after the other and returns the time of each, ms."""
    return self._ask({'steps': num_steps})

  def peak_memory(self) -> Mapping[str, Any]:
    """Returns the peak so far: `peak_gib`, which may be None, and `peak_of`."""
    return self._ask({'memory': True})

  def _ask(self, command: Mapping[str, Any]) -> Any:
    try:
      self._connection.send(command)
    except BrokenPipeError:
      pass  # What the process said before it ended is still to be read.
    return self._receive()

  def _receive(self) -> Any:
    try:
      answer = self._connection.recv()
    except (EOFError, ConnectionResetError):
      self._process.join()
      answer = self._cause_of_death()
    if isinstance(answer, Exception):
      raise answer
    return answer

  def _cause_of_death(self) -> Exception:
    """Returns why the process ended without a word."""
    code, layout = self._process.exitcode, self.settings.layout
    log = self._log.read_text(errors='replace') if self._log.exists() else ''
    last = '\n'.join(log.splitlines()[-_LAST_LINES:])
    was_refused = 'bad_alloc' in last or 'memory' in last.lower()
    if code == -9:
      print(f'the process of layout {layout} was killed (signal 9): taken for '
            'out of memory, as Linux ends a process then', file=sys.stderr,
            flush=True)
    # Under a limit, libraries end the process in ways of their own.
    if code == -9 or (code == -6 and was_refused) or (
        self.settings.memory_limit_gib):
      return OutOfMemoryError(f'the process ended with {code}')
    return WorkerError(
        f'the process of layout {layout} ended with {code}:\n{last}')

  def close(self) -> None:
    """Ends the process, whatever it does."""
    self._process.kill()
    self._process.join()
    self._connection.close()
    self._folder.cleanup()

  def __enter__(self) -> Worker:
    return self

  def __exit__(self, *exception) -> None:
    self.close()


def run(settings: settings_lib.Settings,
        connection: connection_lib.Connection, log: str) -> None:
  """Builds the model and obeys until it is ended; the whole of a process.

  Args:
    settings: what to build.
    connection: where commands come from and answers go to.
    log: file for what libraries print.
  """
  log_file = os.open(log, os.O_WRONLY | os.O_CREAT)
  os.dup2(log_file, 1)
  os.dup2(log_file, 2)
  # Before TensorFlow is imported, which reads these.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')
  if settings.dump_dir:
    os.environ['XLA_FLAGS'] = ' '.join(filter(None, [
        os.environ.get('XLA_FLAGS'), f'--xla_dump_to={settings.dump_dir}',
        f'--xla_dump_hlo_module_re=.*{DUMPED_FUNCTION}.*']))
  if settings.memory_limit_gib:
    if not settings.peer:
      # First: libraries that are refused memory as they are loaded may hang.
      from official_ext import registry_imports  # noqa: F401  pylint: disable=g-import-not-at-top
    limit = int(settings.memory_limit_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
  try:
    _obey(settings, connection)
  except Exception as error:  # pylint: disable=broad-except
    connection.send(_as_answer(error, settings))
    # What is left of TensorFlow may hang or crash as it is taken apart.
    os._exit(1)  # pylint: disable=protected-access


def _obey(settings: settings_lib.Settings,
          connection: connection_lib.Connection) -> None:
  if settings.peer:
    from official_ext.benchmarks import peer_step  # pylint: disable=g-import-not-at-top
    run_step, count, device_name, measure_peak = peer_step.build(settings)
  else:
    run_step, count = build_step(settings)
    device_name, measure_peak = _device_name(), _measure_peak
  connection.send(device_name)
  while True:
    command = connection.recv()
    if 'steps' in command:
      before, times = count(), []
      for _ in range(command['steps']):
        start = time.perf_counter()
        run_step()
        times.append(1e3 * (time.perf_counter() - start))
      if count() - before != command['steps']:
        raise AssertionError(
            f'{command["steps"]} steps were timed, but the optimizer counted '
            f'{count() - before}.')
      connection.send(times)
    else:
      connection.send(measure_peak())


def _measure_peak() -> dict[str, Any]:
  from official_ext.training import memory  # pylint: disable=g-import-not-at-top
  peak = memory.measure()
  return {'peak_gib': peak.gib, 'peak_of': peak.kind}


def build_step(settings: settings_lib.Settings
               ) -> tuple[Callable[[], float], Callable[[], int]]:
  """Builds a model with Model Garden's task, and its step.

  Args:
    settings: what to build.

  Returns:
    What runs one step to its end and returns the loss (the sum of the
    logits in mode 'eval'), and what says how many steps have been run.
  """
  import tensorflow as tf  # pylint: disable=g-import-not-at-top
  step = build_function(settings)

  @tf.function
  def distributed():
    return step.strategy.run(step.function)

  def run():
    results = tf.nest.flatten(step.strategy.experimental_local_results(
        distributed() if settings.tpu else step.function()))
    # Waits for the device to finish.
    return float(results[0].numpy())

  return run, step.count


@dataclasses.dataclass(frozen=True)
class Step:
  """A step of a model that has been built.

  Attributes:
    function: a `tf.function` without arguments; the batch is variables too.
    count: says how many steps have been run.
    variables: `tf.Variable`s, all that it may read.
    strategy: the `tf.distribute.Strategy`.
  """
  function: Callable[[], Any]
  count: Callable[[], int]
  variables: list[Any]
  strategy: Any


def build_function(settings: settings_lib.Settings) -> Step:
  """Builds a model with Model Garden's task, and its step.

  Args:
    settings: what to build.

  Returns:
    The step, not yet traced.
  """
  # pylint: disable=g-import-not-at-top
  from official.common import distribute_utils
  from official.modeling import performance
  import tensorflow as tf
  # pylint: enable=g-import-not-at-top
  tf.random.set_seed(0)
  has_gpu = bool(tf.config.list_physical_devices('GPU'))
  strategy = distribute_utils.get_distribution_strategy(
      'tpu' if settings.tpu else 'one_device', num_gpus=int(has_gpu),
      tpu_address=settings.tpu or None)
  performance.set_mixed_precision_policy(settings.dtype)
  with strategy.scope():
    step, count, variables = _step_of_a_replica(settings)
  # A TPU compiles without being asked.
  function = tf.function(
      step, jit_compile=True if settings.xla and not settings.tpu else None)
  return Step(function, count, variables, strategy)


def _step_of_a_replica(settings: settings_lib.Settings) -> tuple[
    Callable[[], Any], Callable[[], int], list[Any]]:
  """Returns the step, what counts its runs, and the variables there are."""
  # pylint: disable=g-import-not-at-top
  from official.core import task_factory
  import tensorflow as tf

  from official_ext import registry_imports  # noqa: F401
  from official_ext.training import teacher
  # pylint: enable=g-import-not-at-top
  params = settings_lib.load_experiment(settings)
  size, batch_size = settings.image_size, settings.batch_size
  task = task_factory.get_task(params.task)
  model = task.build_model()
  if settings.mode == 'train':
    task.teacher = teacher.find(params)
    if task.teacher:
      task.teacher.begin(params.task.distillation, model)
  optimizer = task.create_optimizer(params.trainer.optimizer_config)
  # Slots are made on first use, which must not be inside the compiled step.
  optimizer._create_all_weights(  # pylint: disable=protected-access
      model.trainable_variables)
  # On the device, so that no step waits for images.
  images = tf.Variable(
      tf.random.normal([batch_size, size, size, 3]), trainable=False,
      name=IMAGES)
  labels = tf.Variable(
      _labels(settings, params.task.model.num_classes), trainable=False,
      name=LABELS)
  counter = tf.Variable(0, dtype=tf.int64, trainable=False)

  def read_labels():
    masks = labels.value()
    return {'masks': masks, 'valid_masks': tf.ones_like(masks, tf.bool)
            } if settings.has_maps else masks

  def train():
    return task.train_step(
        (images.value(), read_labels()), model, optimizer)['loss']

  def evaluate():
    outputs = task.inference_step(images.value(), model)
    counter.assign_add(1)
    return tf.reduce_sum(tf.cast(
        outputs['logits'] if settings.has_maps else outputs, tf.float32))

  def loss_of(outputs):
    if settings.has_maps:
      return task.build_losses(
          read_labels(), {'logits': tf.cast(outputs['logits'], tf.float32)},
          model.losses)
    return task.build_losses(
        model_outputs=tf.cast(outputs, tf.float32),
        labels=task.targets(labels.value()), aux_losses=model.losses)

  def benchmark_gradients():
    """Returns loss and gradients, so that they are not activations."""
    if settings.mode == 'eval':
      return [evaluate()]
    with tf.GradientTape() as tape:
      loss = loss_of(model(images.value(), training=True))
    counter.assign_add(1)
    return [loss, *tape.gradient(loss, model.trainable_variables)]

  variables = [
      *model.variables, *optimizer.variables(), images, labels, counter]
  if settings.dump_dir:
    return benchmark_gradients, lambda: int(counter.numpy()), variables
  if settings.mode == 'train':
    return train, lambda: int(optimizer.iterations.numpy()), variables
  return evaluate, lambda: int(counter.numpy()), variables


def _labels(settings: settings_lib.Settings, num_classes: int) -> Any:
  """Returns labels [B], 0 not among them, or masks [B, H, W, 1] of them."""
  import tensorflow as tf  # pylint: disable=g-import-not-at-top
  labels = 1 + tf.range(settings.batch_size) % (num_classes - 1)
  if not settings.has_maps:
    return labels
  side = settings.image_size
  return tf.broadcast_to(
      tf.cast(labels, tf.float32)[:, tf.newaxis, tf.newaxis, tf.newaxis],
      [settings.batch_size, side, side, 1])


def _device_name() -> str:
  """Returns what the device calls itself."""
  import tensorflow as tf  # pylint: disable=g-import-not-at-top
  tpus = tf.config.list_logical_devices('TPU')
  if tpus:
    return f'TPU, {len(tpus)} cores'
  gpus = tf.config.list_physical_devices('GPU')
  if gpus:
    details = tf.config.experimental.get_device_details(gpus[0])
    return details.get('device_name', 'GPU')
  return machine.cpu()


def _as_answer(error: Exception, settings: settings_lib.Settings) -> Exception:
  """Returns an error to be raised at the other end."""
  text = errors.message(error)
  if (isinstance(error, MemoryError) or
      type(error).__name__ == 'ResourceExhaustedError' or
      any(words in text for words in _OUT_OF_MEMORY) or
      # Close to a limit, anything may fail in any way.
      (not isinstance(error, ValueError) and _is_close_to_limit(settings))):
    return OutOfMemoryError(text.splitlines()[0])
  if isinstance(error, ValueError):
    return ValueError(text)
  return WorkerError(
      f'layout {settings.layout}, {type(error).__name__}: {text}')


def _is_close_to_limit(settings: settings_lib.Settings) -> bool:
  limit = settings.memory_limit_gib
  if not limit or settings.peer:
    # Beside a peer's triton TensorFlow, which is imported here, would crash.
    return False
  from official_ext.training import memory  # pylint: disable=g-import-not-at-top
  return (memory.proc_gib('/proc/self/status', 'VmData') >
          _CLOSE_TO_LIMIT * limit)
