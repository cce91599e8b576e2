"""Times steps that `official_ext.benchmarks.freeze_step` wrote, side by side.

  python run_frozen_steps.py time frozen/*
  python run_frozen_steps.py check frozen/*
  python run_frozen_steps.py parity attention/*

It needs JAX and NumPy alone: neither TensorFlow nor this project. `time` runs
all steps in turns, so that a slow moment meets all of them, on variables drawn
at random; `check` takes three steps from the variables that were written with
--values, and compares their results with TensorFlow's; `parity` compares
attention that was written with --parity with float32 arithmetic of NumPy.

What fails is said and left out, and the exit status is 1 then.

JAX has no public way to compile a program that it did not make itself: what
this takes of its inside is as in JAX 0.10 and 0.11.
"""

import argparse
from concurrent import futures
import csv
import functools
import json
import os
import pathlib
import re
import statistics
import sys
import time

import jax
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lib import _jax
import jax.numpy as jnp
from jaxlib.mlir import ir
import ml_dtypes
import numpy as np

# Counts of steps have 64 bits.
jax.config.update('jax_enable_x64', True)

_ALIAS = re.compile(
    r'parameter_number = (\d+) : i64\}, output_index = array<i64: (\d+)>')
# Logits of random weights nearly cancel out in the sum that is compared.
_TOLERANCE = 1e-4
_COLUMNS = ('step', 'circumstances', 'ms', 'ms_min', 'ms_max',
            'images_per_second', 'speed_up', 'tflops', 'temporary_gib',
            'arguments_gib', 'compile_seconds')
_PARITY_COLUMNS = ('attention', 'result', 'error', 'plain_error', 'passed')
# How often the error of plain arithmetic in the same type the kernel's may be.
_TIMES_PLAIN = 2


class FrozenStep:
  """One compiled step and its variables."""

  def __init__(self, folder, device, name=None):
    self.name = name or folder.name
    self.description = json.loads((folder / 'step.json').read_text())
    self._folder = folder
    self._device = device
    with mlir.make_ir_context():
      module = _jax.mlir.deserialize_portable_artifact(
          (folder / 'step.stablehlo').read_bytes())
      if not hasattr(module, 'operation'):
        module = ir.Module.parse(module)
      _remove_copies(module.body)
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
      self.compile_seconds = time.perf_counter() - start
    self._state = None

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
      state.append(jax.device_put(value, self._device))
    self._state = state

  def load(self):
    """Takes the variables that were written."""
    values = np.load(self._folder / 'values.npz')
    self._state = []
    for index, one in enumerate(self.description['state']):
      value = values[str(index)]
      if one['dtype'] == 'bfloat16':
        value = value.view(ml_dtypes.bfloat16)
      self._state.append(jax.device_put(value, self._device))

  def take(self, values):
    """Takes these in place of variables."""
    self._state = [jax.device_put(value, self._device) for value in values]

  def run(self, num_steps):
    """Runs steps one after the other; returns the last result, a number."""
    for _ in range(num_steps):
      results = self.step()
    return float(np.asarray(results[0]))

  def step(self):
    """Runs one; returns its results, the new values of variables apart."""
    arrays = self._program.execute_sharded(self._state)
    outputs = [one[0] for one in arrays.disassemble_into_single_device_arrays()]
    results = []
    for index, output in enumerate(outputs):
      if index in self._inputs:
        self._state[self._inputs[index]] = output
      else:
        results.append(output)
    return results

  def memory_gib(self):
    """Returns what the program holds besides, and its variables, in GiB."""
    stats = self._program.get_compiled_memory_stats()
    return [size / 2**30 for size in (
        stats.temp_size_in_bytes, stats.argument_size_in_bytes)]


def _remove_copies(block):
  """Takes out `mhlo.copy`, which some compilers do not know."""
  for operation in list(block.operations):
    for region in operation.operation.regions:
      for inner in region.blocks:
        _remove_copies(inner)
    if operation.operation.name == 'mhlo.copy':
      operation.operation.results[0].replace_all_uses_with(
          operation.operation.operands[0])
      operation.operation.erase()


def _compile(folders, device, num_threads):
  """Compiles steps at once; yields each in order, or what it failed with."""
  names = _names(folders)
  with futures.ThreadPoolExecutor(num_threads) as pool:
    compiled = [pool.submit(FrozenStep, folder, device, name)
                for folder, name in zip(folders, names)]
    for name, one in zip(names, compiled):
      # Whatever it fails with, the others are measured.
      try:
        step = one.result()
        print(f'compiled {step.name} in {step.compile_seconds:.0f} s',
              file=sys.stderr, flush=True)
        yield step
      except Exception as error:  # pylint: disable=broad-except
        yield _failed(name, error)


def _names(folders):
  """Returns what is shown of folders: what they do not share."""
  if len(folders) == 1:
    return [folders[0].name]
  shared = os.path.commonpath([folder.absolute() for folder in folders])
  return [str(folder.absolute().relative_to(shared)) for folder in folders]


def _failed(name, error):
  print(f'error: {name} failed: {str(error)[:2_000]}', file=sys.stderr,
        flush=True)


def _time(folders, device, arguments):
  steps = []
  for step in _compile(folders, device, arguments.compile_threads):
    if step is None:
      continue
    try:
      step.draw()
      step.run(3)
      steps.append(step)
    except Exception as error:  # pylint: disable=broad-except
      _failed(step.name, error)
  times = [[] for _ in steps]
  rows = []
  for _ in range(arguments.rounds if steps else 0):
    for step, of_step in zip(steps, times):
      start = time.perf_counter()
      step.run(arguments.steps)
      of_step.append(1e3 * (time.perf_counter() - start) / arguments.steps)
    rows = [_row(step, of_step, times[0])
            for step, of_step in zip(steps, times)]
    # Each round, for whoever has no time for the next.
    _write(arguments.output_csv, _COLUMNS, rows, device)
  print(f'{"":24}{"ms":>10}{"min":>10}{"max":>10}{"images/s":>12}'
        f'{"speed-up":>10}{"TFLOP/s":>10}{"temporary, GiB":>16}'
        f'{"arguments, GiB":>16}')
  for row in rows:
    print(f'{row["step"]:24}{row["ms"]:10.2f}{row["ms_min"]:10.2f}'
          f'{row["ms_max"]:10.2f}{row["images_per_second"]:12,.1f}'
          f'{row["speed_up"]:10.2f}{row["tflops"] or 0:10.4g}'
          f'{row["temporary_gib"]:16.3f}{row["arguments_gib"]:16.3f}')
  print(f'{device.device_kind}; JAX {jax.__version__}')
  if len(steps) < len(folders):
    sys.exit(f'{len(folders) - len(steps)} of {len(folders)} steps failed')


def _row(step, times, first_times):
  """Returns the columns of a step, by name."""
  description, median = step.description, statistics.median(times)
  images_per_second = 1e3 * description['batch_size'] / median
  # The backward pass multiplies twice as much; what is computed anew, and the
  # optimizer, do not count.
  passes = 3 if description['mode'] == 'train' else 1
  multiply_adds = description.get('multiply_adds')
  tflops = multiply_adds and (
      2 * passes * multiply_adds * images_per_second / 1e12)
  return dict(zip(_COLUMNS, (
      step.name, description['circumstances'], median, min(times), max(times),
      images_per_second, statistics.median(first_times) / median, tflops,
      *step.memory_gib(), step.compile_seconds)))


def _write(path, columns, rows, device):
  """Writes a table, under lines that say whence it is."""
  if not path:
    return
  with open(path, 'w', newline='', encoding='utf-8') as file:
    file.write(f'# command: {" ".join(sys.argv)}\n'
               f'# date: {time.strftime("%Y-%m-%d")}\n'
               f'# machine: {device.device_kind}\n'
               f'# versions: JAX {jax.__version__}\n')
    writer = csv.DictWriter(file, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


def _check(folders, device):
  is_equal = True
  for folder in folders:
    step = FrozenStep(folder, device)
    if 'results' not in step.description:
      sys.exit(f'{folder} has no values. Write it with --values.')
    step.load()
    for expected in step.description['results']:
      found = step.run(1)
      apart = abs(found - expected) / abs(expected)
      is_equal &= apart <= _TOLERANCE
      print(f'{step.name}: {found:.7g} here, {expected:.7g} by TensorFlow, '
            f'{apart:.1e} apart')
  if not is_equal:
    sys.exit(f'more than {_TOLERANCE:g} apart')


def _parity(folders, device, arguments):
  rows, num_failed = [], 0
  print(f'{"":34}{"result":>8}{"error":>10}{"plain":>10}')
  for folder, step in zip(
      folders, _compile(folders, device, arguments.compile_threads)):
    try:
      of_step = _compare(step) if step else []
    except Exception as error:  # pylint: disable=broad-except
      _failed(folder.name, error)
      of_step = []
    num_failed += not of_step or not all(row['passed'] for row in of_step)
    rows += of_step
    for row in of_step:
      print(f'{row["attention"]:34}{row["result"]:>8}{row["error"]:10.1e}'
            f'{row["plain_error"]:10.1e}{"" if row["passed"] else "  FAILED"}',
            flush=True)
    _write(arguments.output_csv, _PARITY_COLUMNS, rows, device)
  print('the largest difference from float32 over the largest value; plain: of '
        f'plain arithmetic in the same type\n{device.device_kind}; JAX '
        f'{jax.__version__}')
  if num_failed:
    sys.exit(f'{num_failed} of {len(folders)} failed')


def _compare(step):
  """Compares attention, forward and backward, with float32 arithmetic."""
  generator = np.random.default_rng(0)
  operands = [
      generator.standard_normal(one['shape']).astype(jnp.dtype(one['dtype']))
      for one in step.description['state']]
  bias = step.description['bias']
  bias = None if bias is None else np.array(bias, np.float32)
  step.take(operands)
  found = step.step()
  plain = jax.jit(functools.partial(_plain, bias=bias))(*operands)
  exact = _exact(*(one.astype(np.float32) for one in operands), bias)
  rows = []
  for name, *results, expected in zip(
      step.description['results'], found, plain, exact):
    error, plain_error = (
        np.abs(np.asarray(one).astype(np.float32) - expected).max() /
        np.abs(expected).max() for one in results)
    # No result is nearer than the rounding of its type.
    allowed = max(_TIMES_PLAIN * plain_error,
                  float(jnp.finfo(results[0].dtype).eps) / 2)
    rows.append(dict(zip(_PARITY_COLUMNS, (
        step.name, name, float(error), float(plain_error),
        bool(error <= allowed)))))
  return rows


def _plain(query, key, value, upstream, bias):
  """Attention and its gradients, in the type of its operands."""
  def attend(query, key, value):
    query = query * jnp.asarray(query.shape[-1] ** -0.5, query.dtype)
    scores = jnp.matmul(query, key.swapaxes(2, 3))
    if bias is not None:
      scores = scores + jnp.asarray(bias, scores.dtype)
    return jnp.matmul(jax.nn.softmax(scores), value)

  context, backward = jax.vjp(attend, query, key, value)
  return [context, *backward(upstream)]


def _exact(query, key, value, upstream, bias):
  """The same in NumPy's float32: a GPU's may be TensorFloat-32."""
  scale = query.shape[-1] ** -0.5
  scores = np.float32(scale) * (query @ key.swapaxes(2, 3))
  if bias is not None:
    scores += bias
  weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
  weights /= weights.sum(axis=-1, keepdims=True)
  of_weights = upstream @ value.swapaxes(2, 3)
  of_scores = np.float32(scale) * weights * (
      of_weights - (weights * of_weights).sum(axis=-1, keepdims=True))
  return (weights @ value, of_scores @ key, of_scores.swapaxes(2, 3) @ query,
          weights.swapaxes(2, 3) @ upstream)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('command', choices=['time', 'check', 'parity'])
  parser.add_argument('folders', nargs='+', type=pathlib.Path)
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--steps', type=int, default=8, help='of a round')
  parser.add_argument('--compile_threads', type=int, default=4)
  parser.add_argument('--output_csv')
  arguments = parser.parse_args()
  is_parity = arguments.command == 'parity'
  for folder in arguments.folders:
    path = folder / 'step.json'
    if not path.exists():
      sys.exit(f'{folder} is no frozen step: it has no step.json.')
    if is_parity != (json.loads(path.read_text()).get('kind') == 'attention'):
      sys.exit(f'{folder} was written {"without" if is_parity else "with"} '
               '--parity.')
  device = jax.devices()[0]
  if arguments.command == 'check':
    _check(arguments.folders, device)
  elif is_parity:
    _parity(arguments.folders, device, arguments)
  else:
    _time(arguments.folders, device, arguments)


if __name__ == '__main__':
  main()
