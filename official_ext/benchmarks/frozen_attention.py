"""Writes attention alone, forward and backward, as programs for a GPU.

Each is what a layer of a train step computes, from query, key and value to the
context and, from the gradient of the context, those of the three.
`scripts/check_frozen_attention.py` runs them on random operands and compares
with float32 arithmetic, on the machine that the programs are for.

Legend: B batch, N heads, T query tokens, S key tokens, H head size.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from official_ext.benchmarks import frozen_steps
from official_ext.modeling import attention
from official_ext.modeling import hardware

_BATCH_SIZE = 2
_NUM_HEADS = 12
_HEAD_SIZE = 64
DTYPES = ('bfloat16', 'float16')
# Query and key tokens: the paper's layouts at 224 and 384 px, those after a
# pool with as many keys as before it.
LENGTHS = ((197, 197), (99, 99), (50, 50), (577, 577), (289, 289), (145, 145),
           (99, 197), (50, 99), (289, 577), (145, 289))
# Proportional attention has a bias after a pool alone.
LENGTHS_WITH_BIAS = ((99, 99), (145, 145), (50, 99), (145, 289))
OPERANDS = ('query', 'key', 'value', 'upstream')
RESULTS = ('context', 'query', 'key', 'value')


@dataclasses.dataclass(frozen=True)
class Case:
  """An attention that is written.

  Attributes:
    num_query_tokens: T.
    num_key_tokens: S.
    dtype: of its operands and results.
    has_bias: whether the keys have a bias, carried in a channel of the heads.
    is_fused: whether cuDNN's kernel computes it.
  """
  num_query_tokens: int
  num_key_tokens: int
  dtype: str
  has_bias: bool
  is_fused: bool

  @property
  def name(self) -> str:
    return (f'attention-{self.num_query_tokens}x{self.num_key_tokens}-'
            f'{self.dtype}{"-biased" * self.has_bias}')

  def bias(self) -> np.ndarray | None:
    """Returns the bias, float32 [S]: keys of 1 to 4 patches, in turn."""
    if not self.has_bias:
      return None
    return attention.proportional_bias(
        [1 + index % 4 for index in range(self.num_key_tokens)])


def cases(is_fused: bool, longest: int | None = None) -> Iterator[Case]:
  """Yields all that a GPU is asked for.

  Args:
    is_fused: whether cuDNN's kernel computes them.
    longest: more tokens than these are left out; None: nothing is.
  """
  for has_bias, all_lengths in ((False, LENGTHS), (True, LENGTHS_WITH_BIAS)):
    for dtype in DTYPES:
      for lengths in all_lengths:
        if longest is None or max(lengths) <= longest:
          yield Case(*lengths, dtype, has_bias, is_fused)


def freeze(case: Case, folder: pathlib.Path,
           capability: tuple[int, int] | None) -> None:
  """Writes an attention and its gradients into a folder.

  Args:
    case: which.
    folder: is made.
    capability: of the GPU that it is for; None: for a CPU, which has no kernel.

  Raises:
    ValueError: if the kernel is to compute it and does not serve.
  """
  bias = case.bias()
  attend = attention.choose('fused' if case.is_fused else 'plain')

  @tf.function(jit_compile=True)
  def step(query, key, value, upstream):
    with tf.GradientTape() as tape:
      tape.watch([query, key, value])
      context = attend(query, key, value, training=True, bias=bias)
    return [context, *tape.gradient(
        context, [query, key, value], output_gradients=upstream)]

  query, key = (
      tf.TensorSpec([_BATCH_SIZE, _NUM_HEADS, length, _HEAD_SIZE], case.dtype)
      for length in (case.num_query_tokens, case.num_key_tokens))
  with (hardware.assume_gpu(capability) if capability
        else contextlib.nullcontext()):
    program = frozen_steps.as_stablehlo(step, query, key, key, query)
  folder.mkdir(parents=True, exist_ok=True)
  (folder / frozen_steps.PROGRAM).write_bytes(program)
  (folder / frozen_steps.DESCRIPTION).write_text(json.dumps({
      'kind': 'attention', 'is_fused': case.is_fused,
      'platform': 'gpu' if capability else 'cpu',
      'versions': {'tensorflow': tf.__version__},
      'bias': None if bias is None else bias.tolist(),
      'state': [
          {'kind': 'operand', 'name': name, 'dtype': case.dtype,
           'shape': spec.shape.as_list()}
          for name, spec in zip(
              OPERANDS, (query, key, key, query), strict=True)],
      'results': list(RESULTS)}, indent=1) + '\n')
