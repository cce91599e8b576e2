"""Times steps that `official_ext.benchmarks.freeze_step` wrote, side by side.

  python run_frozen_steps.py time frozen/*
  python run_frozen_steps.py memory frozen/*
  python run_frozen_steps.py check frozen/*

It needs JAX and NumPy alone: neither TensorFlow nor this project. `time` runs
all steps in turns, so that a slow moment meets all of them, on variables drawn
at random; `memory` compiles them, and says what they would take; `check` takes
three steps from the variables that were written with --values, and compares
their results with TensorFlow's. What --parity wrote is for
`check_frozen_attention.py`.

What fails is said and left out, and the exit status is 1 then. Of a GPU's
programs a machine without one can do `memory` alone: what a CPU's compiler
would take, cuDNN's kernels compiled as calls that are never made.

JAX has no public way to compile a program that it did not make itself: what
this takes of its inside is as in JAX 0.10 and 0.11.
"""

import argparse
from concurrent import futures
import csv
import ctypes
import json
import os
import pathlib
import re
import shlex
import signal
import statistics
import sys
import time

import jax
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lib import _jax
from jaxlib.mlir import ir
import ml_dtypes
import numpy as np

# Counts of steps have 64 bits.
jax.config.update('jax_enable_x64', True)

_ALIAS = re.compile(
    r'parameter_number = (\d+) : i64\}, output_index = array<i64: (\d+)>')
# Forward and backward.
_KERNELS = ('__cudnn$fmhaSoftmax', '__cudnn$fmhaSoftmaxBackward')
_CALL = re.compile(r'custom_call @"?__cudnn\$fmhaSoftmax')
# What step.json says of a step, and of attention alone.
_OF_A_STEP = ('platform', 'state', 'circumstances', 'batch_size', 'mode')
_OF_ATTENTION = ('platform', 'state', 'results', 'bias')
# Logits of random weights nearly cancel out in the sum that is compared.
_TOLERANCE = 1e-4
_MEMORY_COLUMNS = ('step', 'circumstances', 'fused_calls', 'temporary_gib',
                   'arguments_gib', 'compile_seconds')
_COLUMNS = (*_MEMORY_COLUMNS, 'ms', 'ms_min', 'ms_max', 'images_per_second',
            'speed_up', 'tflops')


class FrozenStep:
  """One step and its variables."""

  def __init__(self, folder, name):
    self.name = name
    self.description = _describe(folder / 'step.json')
    self.folder = folder

  def compile(self, device):
    """Compiles the step for a device; it can be run then."""
    self._device = device
    with mlir.make_ir_context():
      module = _jax.mlir.deserialize_portable_artifact(
          (self.folder / 'step.stablehlo').read_bytes())
      if not hasattr(module, 'operation'):
        module = ir.Module.parse(module)
      self.fused_calls = len(_CALL.findall(str(module)))
      attributes = module.operation.attributes
      alias = (str(attributes['mhlo.input_output_alias'])
               if 'mhlo.input_output_alias' in attributes else '')
      # The input that an output is the new value of.
      self._inputs = {
          int(output): int(number) for number, output in _ALIAS.findall(alias)}
      start = time.perf_counter()
      self._program = compiler.backend_compile_and_load(
          device.client, module, _jax.DeviceList((device,)),
          compiler.get_compile_options(num_replicas=1, num_partitions=1), [])
      self._compile_seconds = time.perf_counter() - start
    print(f'compiled {self.name} in {self._compile_seconds:.0f} s',
          file=sys.stderr, flush=True)

  def draw(self):
    """Draws variables: small, and positive where a root is taken of them."""
    key, state = jax.random.PRNGKey(0), []
    for index, one in enumerate(self.description['state']):
      shape, dtype = one['shape'], one['dtype']
      if one['kind'] == 'constant':
        value = np.array(one['value'], dtype)
      elif one['kind'] in ('count', 'benchmark_labels'):
        value = np.zeros(shape, dtype)
      else:
        value = jax.random.normal(
            jax.random.fold_in(key, index), shape, 'float32')
        if one['kind'] != 'benchmark_images':
          value *= 0.02
        if one['kind'] == 'slot':
          value = abs(value)
        value = value.astype(dtype)
      state.append(value)
    self.take(state)

  def load(self):
    """Takes the variables that were written."""
    values, state = np.load(self.folder / 'values.npz'), []
    for index, one in enumerate(self.description['state']):
      value = values[str(index)]
      if one['dtype'] == 'bfloat16':
        value = value.view(ml_dtypes.bfloat16)
      state.append(value)
    self.take(state)

  def take(self, values):
    """Takes these for what the step reads."""
    self._state = [jax.device_put(value, self._device) for value in values]

  def run(self, num_steps):
    """Runs steps one after the other; returns the last result, a number."""
    for _ in range(num_steps):
      results = self.step()
    return float(np.asarray(results[0]))

  def step(self):
    """Runs one; returns its results, the new values of variables apart."""
    arrays = self._program.execute_sharded(self._state)
    results = []
    for index, (output,) in enumerate(
        arrays.disassemble_into_single_device_arrays()):
      if index in self._inputs:
        self._state[self._inputs[index]] = output
      else:
        results.append(output)
    return results

  def compiled(self):
    """Returns what compiling it told: _MEMORY_COLUMNS, by name."""
    stats = self._program.get_compiled_memory_stats()
    # Besides its variables, and they alone.
    return dict(zip(_MEMORY_COLUMNS, (
        self.name, self.description['circumstances'], self.fused_calls,
        stats.temp_size_in_bytes / 2**30, stats.argument_size_in_bytes / 2**30,
        self._compile_seconds)))


def _describe(path):
  """Returns what a step.json says, or raises a ValueError."""
  described = json.loads(path.read_text())
  if not isinstance(described, dict):
    raise ValueError('it describes nothing')
  is_attention = described.get('kind') == 'attention'
  missing = [key for key in (_OF_ATTENTION if is_attention else _OF_A_STEP)
             if key not in described]
  if missing:
    raise ValueError(f'it lacks {", ".join(missing)}')
  return described


def each(function, steps, num_threads):
  """Calls a function with steps, some at once.

  Args:
    function: what is called.
    steps: each is an argument.
    num_threads: how many at once.

  Yields:
    The steps in order, each with the result; one that failed is left out, and
    said: the others are measured, whatever it failed with.
  """
  with futures.ThreadPoolExecutor(num_threads) as pool:
    results = [pool.submit(function, step) for step in steps]
    for step, result in zip(steps, results):
      try:
        yield step, result.result()
      except Exception as error:  # pylint: disable=broad-except
        print(f'error: {step.name} failed: {str(error)[:2_000]}',
              file=sys.stderr, flush=True)


def _time(steps, device, arguments):

  def warm_up(step):
    step.draw()
    step.run(3)

  ready = _compile(steps, device, arguments)
  ready = [step for step, _ in each(warm_up, ready, 1)]
  times = {step: [] for step in ready}
  # What is compared with: the first of each circumstances, if it runs.
  first = {}
  for step in steps:
    first.setdefault(step.description['circumstances'], step)
  rows = []
  for _ in range(arguments.rounds if ready else 0):
    for step, of_step in times.items():
      start = time.perf_counter()
      step.run(arguments.steps)
      of_step.append(1e3 * (time.perf_counter() - start) / arguments.steps)
    rows = [
        _row(step, of_step, times.get(first[step.description['circumstances']]))
        for step, of_step in times.items()]
    # Each round, for whoever has no time for the next.
    write(arguments.output_csv, _COLUMNS, rows, device)
  _print(rows, ('ms', 'ms_min', 'ms_max', 'images_per_second', 'speed_up',
                'tflops', 'temporary_gib', 'arguments_gib', 'fused_calls'))
  return len(ready)


def _compile(steps, device, arguments):
  """Compiles steps; returns those that could be."""
  return [step for step, _ in each(
      lambda step: step.compile(device), steps, arguments.compile_threads)]


def _row(step, times, first_times):
  """Returns the columns of a step, by name."""
  description, median = step.description, statistics.median(times)
  images_per_second = 1e3 * description['batch_size'] / median
  # The backward pass multiplies twice as much; what is computed anew, and the
  # optimizer, do not count.
  passes = 3 if description['mode'] == 'train' else 1
  multiply_adds = description.get('multiply_adds')
  return step.compiled() | {
      'ms': median, 'ms_min': min(times), 'ms_max': max(times),
      'images_per_second': images_per_second,
      'speed_up': first_times and statistics.median(first_times) / median,
      'tflops': multiply_adds and (
          2 * passes * multiply_adds * images_per_second / 1e12)}


def _memory(steps, device, arguments):
  if device.platform == 'cpu':
    _declare_kernels()
  ready = _compile(steps, device, arguments)
  rows = [step.compiled() for step in ready]
  write(arguments.output_csv, _MEMORY_COLUMNS, rows, device)
  _print(rows, _MEMORY_COLUMNS[2:])
  return len(ready)


def _declare_kernels():
  """Has a CPU's compiler take calls of the kernels, which it has not."""
  new_capsule = ctypes.pythonapi.PyCapsule_New
  new_capsule.restype = ctypes.py_object
  new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
  # Any address will do.
  address = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p)
  for kernel in _KERNELS:
    jax.ffi.register_ffi_target(
        kernel, new_capsule(address.value, b'xla._CUSTOM_CALL_TARGET', None),
        platform='cpu', api_version=0)


def _print(rows, columns):
  """Prints columns of rows, and the circumstances once for all they are of."""
  circumstances = None
  for row in rows:
    if row['circumstances'] != circumstances:
      circumstances = row['circumstances']
      print(f'{circumstances}\n{"":24}' +
            ''.join(f'{column:>19}' for column in columns))
    print(f'{row["step"]:24}' + ''.join(
        f'{"" if row[column] is None else format(row[column], ",.5g"):>19}'
        for column in columns))


def write(path, columns, rows, device):
  """Writes a table, under lines that say whence it is."""
  if not path:
    return
  with open(path, 'w', newline='', encoding='utf-8') as file:
    file.write(f'# command: {shlex.join(["python", *sys.argv])}\n'
               f'# date: {time.strftime("%Y-%m-%d")}\n'
               f'# machine: {device.device_kind}\n'
               f'# versions: JAX {jax.__version__}\n')
    writer = csv.DictWriter(file, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


def check_writable(path):
  """Ends the process if a table cannot be written."""
  if not path:
    return
  try:
    is_new = not os.path.exists(path)
    with open(path, 'a', encoding='utf-8'):
      pass
    if is_new:
      os.remove(path)
  except OSError as error:
    sys.exit(f'--output_csv={path} cannot be written: {error.strerror}.')


def _check(steps, device, arguments):
  num_equal = 0
  for step, _ in each(FrozenStep.load, _compile(steps, device, arguments), 1):
    is_equal = True
    for expected in step.description['results']:
      found = step.run(1)
      apart = abs(found - expected) / abs(expected)
      is_equal &= apart <= _TOLERANCE
      print(f'{step.name}: {found:.7g} here, {expected:.7g} by TensorFlow, '
            f'{apart:.1e} apart{"" if is_equal else "  FAILED"}')
    num_equal += is_equal
  return num_equal


def read(folders, device=None):
  """Reads steps, called what their folders do not share.

  Args:
    folders: of the steps.
    device: what they are to run on; None: on nothing.
  """
  shared, steps = os.path.commonpath([one.absolute() for one in folders]), []
  for folder in folders:
    for name in ('step.json', 'step.stablehlo'):
      if not (folder / name).exists():
        sys.exit(f'{folder} is no frozen step: it has no {name}.')
    name = str(folder.absolute().relative_to(shared))
    try:
      steps.append(FrozenStep(
          folder, folder.resolve().name if name == '.' else name))
    except ValueError as error:
      sys.exit(f'{folder}/step.json is not as it was written ({error}). Write '
               'the step anew.')
    if (device and device.platform == 'cpu' and
        steps[-1].description['platform'] == 'gpu'):
      sys.exit(f'{folder} is for a GPU, and JAX sees none here. Write it with '
               '--capability= for a CPU.')
  return steps


def end(num_done, steps, device):
  """Says on what it was, and ends the process if not all was done."""
  print(f'{device.device_kind}; JAX {jax.__version__}')
  if num_done < len(steps):
    sys.exit(f'{len(steps) - num_done} of {len(steps)} failed')


def positive(text):
  """Returns a whole number of at least 1, as a parser of arguments asks."""
  if int(text) < 1:
    raise argparse.ArgumentTypeError(f'{text} must be at least 1')
  return int(text)


def main():
  # A reader of the output that has gone is no error.
  signal.signal(signal.SIGPIPE, signal.SIG_DFL)
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  subparsers = parser.add_subparsers(dest='command', required=True)
  for name, text in (
      ('time', 'times steps in turns, on variables drawn at random'),
      ('memory', 'says what steps would take, without running them'),
      ('check', "compares three steps with TensorFlow's, from what --values "
       'wrote')):
    one = subparsers.add_parser(name, help=text, description=text)
    one.add_argument('folders', nargs='+', type=pathlib.Path,
                     help='of steps, as freeze_step writes them')
    one.add_argument('--compile_threads', type=positive, default=4,
                     help='steps that are compiled at once')
    if name == 'time':
      one.add_argument('--rounds', type=positive, default=5,
                       help='turns of each step')
      one.add_argument('--steps', type=positive, default=8, help='of a turn')
    if name != 'check':
      one.add_argument('--output_csv', help='file to write the table to')
  arguments = parser.parse_args()
  command = arguments.command
  check_writable(getattr(arguments, 'output_csv', None))
  device = jax.devices()[0]
  steps = read(arguments.folders, None if command == 'memory' else device)
  for step in steps:
    if step.description.get('kind') == 'attention':
      sys.exit(f'{step.folder} is attention alone: check_frozen_attention.py '
               'takes it.')
    if command == 'check' and 'results' not in step.description:
      sys.exit(f'{step.folder} has no values. Write it with --values.')
    if command == 'check' and not (step.folder / 'values.npz').exists():
      sys.exit(f'{step.folder} has no values.npz any more. Write it anew with '
               '--values.')
  measure = {'time': _time, 'memory': _memory, 'check': _check}[command]
  end(measure(steps, device, arguments), steps, device)


if __name__ == '__main__':
  main()
