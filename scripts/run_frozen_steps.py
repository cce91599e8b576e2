"""Times steps that `official_ext.benchmarks.freeze_step` wrote, side by side.

  python run_frozen_steps.py time frozen/*
  python run_frozen_steps.py check frozen/*

It needs JAX and NumPy alone: neither TensorFlow nor this project. `time` runs
all steps in turns, so that a slow moment meets all of them, on variables drawn
at random; `check` takes three steps from the variables that were written with
--values, and compares their results with TensorFlow's.

JAX has no public way to compile a program that it did not make itself: what
this takes of its inside is as in JAX 0.10 and 0.11.
"""

import argparse
import csv
import json
import pathlib
import re
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
# Logits of random weights nearly cancel out in the sum that is compared.
_TOLERANCE = 1e-4
_COLUMNS = ('step', 'circumstances', 'ms', 'ms_min', 'ms_max',
            'images_per_second', 'speed_up', 'temporary_gib', 'arguments_gib',
            'compile_seconds')


class FrozenStep:
  """One compiled step and its variables."""

  def __init__(self, folder, device):
    self.name = folder.name
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

  def run(self, num_steps):
    """Runs steps one after the other; returns the last result, a number."""
    for _ in range(num_steps):
      arrays = self._program.execute_sharded(self._state)
      outputs = [one[0] for one in
                 arrays.disassemble_into_single_device_arrays()]
      results = []
      for index, output in enumerate(outputs):
        if index in self._inputs:
          self._state[self._inputs[index]] = output
        else:
          results.append(output)
    return float(np.asarray(results[0]))

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


def _time(folders, device, num_rounds, num_steps, output_csv):
  steps = []
  for folder in folders:
    step = FrozenStep(folder, device)
    step.draw()
    step.run(3)
    steps.append(step)
    print(f'compiled {step.name} in {step.compile_seconds:.0f} s',
          file=sys.stderr, flush=True)
  times = [[] for _ in steps]
  for _ in range(num_rounds):
    for step, of_step in zip(steps, times):
      start = time.perf_counter()
      step.run(num_steps)
      of_step.append(1e3 * (time.perf_counter() - start) / num_steps)
  rows = []
  for step, of_step in zip(steps, times):
    median = statistics.median(of_step)
    rows.append(dict(zip(_COLUMNS, (
        step.name, step.description['circumstances'], median, min(of_step),
        max(of_step), 1e3 * step.description['batch_size'] / median,
        statistics.median(times[0]) / median, *step.memory_gib(),
        step.compile_seconds))))
  print(f'{"":24}{"ms":>10}{"min":>10}{"max":>10}{"images/s":>12}'
        f'{"speed-up":>10}{"temporary, GiB":>16}{"arguments, GiB":>16}')
  for row in rows:
    print(f'{row["step"]:24}{row["ms"]:10.2f}{row["ms_min"]:10.2f}'
          f'{row["ms_max"]:10.2f}{row["images_per_second"]:12,.1f}'
          f'{row["speed_up"]:10.2f}{row["temporary_gib"]:16.3f}'
          f'{row["arguments_gib"]:16.3f}')
  print(f'{device.device_kind}; JAX {jax.__version__}')
  if output_csv:
    with open(output_csv, 'w', newline='', encoding='utf-8') as file:
      file.write(f'# command: {" ".join(sys.argv)}\n'
                 f'# date: {time.strftime("%Y-%m-%d")}\n'
                 f'# machine: {device.device_kind}\n'
                 f'# versions: JAX {jax.__version__}\n')
      writer = csv.DictWriter(file, _COLUMNS, lineterminator='\n')
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


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('command', choices=['time', 'check'])
  parser.add_argument('folders', nargs='+', type=pathlib.Path)
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--steps', type=int, default=8, help='of a round')
  parser.add_argument('--output_csv')
  arguments = parser.parse_args()
  for folder in arguments.folders:
    if not (folder / 'step.json').exists():
      sys.exit(f'{folder} is no frozen step: it has no step.json.')
  device = jax.devices()[0]
  if arguments.command == 'check':
    _check(arguments.folders, device)
  else:
    _time(arguments.folders, device, arguments.rounds, arguments.steps,
          arguments.output_csv)


if __name__ == '__main__':
  main()
