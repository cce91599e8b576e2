"""Measures how fast a machine multiplies matrices: the peak of a train step.

  python measure_matmul_peak.py --output_csv=peak.csv

It needs JAX alone. Each product is run many times in one program, and each
needs the one before, so that neither calls nor transfers are measured.
"""

import argparse
import csv
import statistics
import sys
import time

import jax
import jax.numpy as jnp

_COLUMNS = ('rows', 'inner', 'columns', 'dtype', 'tflops', 'tflops_min',
            'tflops_max')
# Of ViT-B: query, key and value; the projection; the two of the MLP.
_OF_A_LAYER = ((768, 2304), (768, 768), (768, 3072), (3072, 768))


def _tflops(rows, inner, columns, num_products, num_rounds):
  """Returns the rates of rounds, in bfloat16, TFLOP/s."""
  left, right = (
      jax.random.normal(jax.random.PRNGKey(seed), shape, 'bfloat16')
      for seed, shape in enumerate([(rows, inner), (inner, columns)]))

  @jax.jit
  def products(left, right):
    def multiply(_, carried):
      left, kept = carried
      product = jnp.matmul(left, right)
      # One value of the product makes the next another.
      return left.at[0, 0].set(product[0, 0] * 1e-6), kept + product[-1, -1]
    return jax.lax.fori_loop(
        0, num_products, multiply, (left, jnp.zeros([], 'bfloat16')))[1]

  products(left, right).block_until_ready()
  rates = []
  for _ in range(num_rounds):
    start = time.perf_counter()
    products(left, right).block_until_ready()
    seconds = time.perf_counter() - start
    rates.append(2e-12 * rows * inner * columns * num_products / seconds)
  return rates


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--tokens', type=int, default=256 * 197,
                      help='rows of the products of a layer')
  parser.add_argument('--peak', type=int, default=8192,
                      help='side of the square matrices')
  parser.add_argument('--products', type=int, default=20, help='of a round')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--output_csv')
  arguments = parser.parse_args()
  device = jax.devices()[0]
  shapes = [(arguments.peak,) * 3,
            *((arguments.tokens, *sides) for sides in _OF_A_LAYER)]
  rows = []
  for shape in shapes:
    rates = _tflops(*shape, arguments.products, arguments.rounds)
    rows.append(dict(zip(_COLUMNS, (
        *shape, 'bfloat16', statistics.median(rates), min(rates), max(rates)))))
    print('{} x {} x {}: {:.4g} TFLOP/s'.format(*shape, rows[-1]['tflops']),
          flush=True)
  print(f'{device.device_kind}; JAX {jax.__version__}')
  if arguments.output_csv:
    with open(arguments.output_csv, 'w', newline='', encoding='utf-8') as file:
      file.write(f'# command: python {" ".join(sys.argv)}\n'
                 f'# date: {time.strftime("%Y-%m-%d")}\n'
                 f'# machine: {device.device_kind}\n'
                 f'# versions: JAX {jax.__version__}\n')
      writer = csv.DictWriter(file, _COLUMNS, lineterminator='\n')
      writer.writeheader()
      writer.writerows(rows)


if __name__ == '__main__':
  main()
