"""Checks attention that `official_ext.benchmarks.freeze_step --parity` wrote.

  python check_frozen_attention.py attention/*

Each program computes attention and its gradients, on a GPU in one kernel. Here
they meet random operands, and float32 arithmetic of NumPy. The exit status is 1
if one is further from it than twice what plain arithmetic in the same type is.
Needs JAX, NumPy and `run_frozen_steps.py` beside this file.
"""

import argparse
import functools
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import run_frozen_steps as frozen

_COLUMNS = ('attention', 'result', 'fused_calls', 'error', 'plain_error',
            'passed')
# How often the error of plain arithmetic in the same type the kernel's may be.
_TIMES_PLAIN = 2


def _compare(step, device):
  """Compares attention, forward and backward, with float32 arithmetic."""
  step.compile(device)
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
    rows.append(dict(zip(_COLUMNS, (
        step.name, name, step.fused_calls, float(error), float(plain_error),
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
  parser.add_argument('folders', nargs='+', type=pathlib.Path,
                      help='of attention, as freeze_step --parity writes them')
  parser.add_argument('--compile_threads', type=frozen.positive, default=4,
                      help='programs that are compiled at once')
  parser.add_argument('--output_csv', help='file to write the table to')
  arguments = parser.parse_args()
  frozen.check_writable(arguments.output_csv)
  device = jax.devices()[0]
  steps = frozen.read(arguments.folders, device)
  for step in steps:
    if step.description.get('kind') != 'attention':
      sys.exit(f'{step.folder} was written without --parity: '
               'run_frozen_steps.py takes it.')
  rows, num_passed = [], 0
  print(f'{"":34}{"result":>8}{"error":>10}{"plain":>10}')
  for _, of_step in frozen.each(
      functools.partial(_compare, device=device), steps,
      arguments.compile_threads):
    num_passed += all(row['passed'] for row in of_step)
    rows += of_step
    for row in of_step:
      print(f'{row["attention"]:34}{row["result"]:>8}{row["error"]:10.1e}'
            f'{row["plain_error"]:10.1e}{"" if row["passed"] else "  FAILED"}',
            flush=True)
    frozen.write(arguments.output_csv, _COLUMNS, rows, device)
  print('the largest difference from float32 over the largest value; plain: of '
        'plain arithmetic in the same type')
  frozen.end(num_passed, steps, device)


if __name__ == '__main__':
  main()
