"""How far two right results may be apart.

A rounding changes a value by at most half an epsilon of its type. A sum of n
products rounds n times; in another order, as another CPU, another number of
threads or a fused operation takes them, it ends elsewhere by a random walk:
epsilon * sqrt(n) * the size of the values (Higham and Mary, A new approach to
probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019). Layers
whose sizes a normalisation keeps take the walk further, to depth * n steps.
The bound is absolute and set by the largest value: a small one may be the
difference of large ones.
"""

import numpy as np
import tensorflow as tf

_EPSILONS = {'float64': 2.**-52, 'float32': 2.**-23, 'float16': 2.**-10,
             'bfloat16': 2.**-7}
# The random walk is a standard deviation, and of thousands of values the
# worst counts: 4 of it are passed once in 16,000.
_DEVIATIONS = 4


def atol(expected, depth=1, length=1, dtype='float32', scale=None):
  """Returns the absolute difference that roundings explain.

  Args:
    expected: Values; the largest of them sets the size.
    depth: How many layers, or other sums, come one after the other.
    length: How many terms the longest sum has.
    dtype: In which type it is computed, or the coarser of two.
    scale: The size of the terms, where it is more than that of the result, as
      of differences.
  """
  if scale is None:
    scale = np.abs(np.asarray(tf.cast(expected, tf.float64))).max()
  if not np.isfinite(scale):
    raise ValueError('values that are not finite have no tolerance')
  return (_DEVIATIONS * _EPSILONS[tf.as_dtype(dtype).name] * scale *
          np.sqrt(depth * length))


def assert_close(actual, expected, depth=1, length=1, dtype='float32',
                 scale=None, message=''):
  """Fails where `actual` differs by more than roundings explain; see `atol`."""
  actual, expected = (np.asarray(tf.cast(values, tf.float64))
                      for values in (actual, expected))
  np.testing.assert_allclose(
      actual, np.broadcast_to(expected, actual.shape), rtol=0,
      atol=atol(expected, depth, length, dtype, scale), err_msg=message)
