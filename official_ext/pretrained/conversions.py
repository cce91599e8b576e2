"""Between the arrays of a published file and the variables of our model.

PyTorch keeps the kernel of a linear layer as [out, in], and the heads of
attention side by side in one axis; Flax and Keras keep [in, out], and the heads
in an axis of their own. Every conversion only moves values, so that the way
back gives the same bits; the one that does not says so.

Legend: D width of what comes in, M of what goes out, N heads, H size of a head,
P patch size, T tokens, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Conversion:
  """How arrays of a file become one variable, and the way back.

  Attributes:
    to_ours: of the arrays in the file, the variable's value.
    to_theirs: of the variable's value, the arrays in the file.
  """
  to_ours: Callable[..., np.ndarray]
  to_theirs: Callable[[np.ndarray], Sequence[np.ndarray]]

  def shape(self, *shapes: Sequence[int]) -> tuple[int, ...]:
    """Returns the shape of the variable, for those of the arrays."""
    # Without memory for the values, of which there are none yet.
    arrays = [np.broadcast_to(np.False_, shape) for shape in shapes]
    return self.to_ours(*arrays).shape


SAME = Conversion(lambda value: value, lambda value: [value])
# [M, D] <-> [D, M]
LINEAR = Conversion(np.transpose, lambda value: [value.T])
# [M, 3, P, P] <-> [P, P, 3, M]
CONVOLUTION = Conversion(
    lambda value: value.transpose(2, 3, 1, 0),
    lambda value: [value.transpose(3, 2, 0, 1)])
# [D] <-> [1, 1, D]
VECTOR = Conversion(
    lambda value: value.reshape(1, 1, -1), lambda value: [value.reshape(-1)])
# [T, D] <-> [1, T, D]
TOKENS = Conversion(lambda value: value[None], lambda value: [value[0]])
# Two heads of which the mean is the answer are one head on both features
# (DeiT, arXiv 2012.12877): [C, D], [C, D] <-> [2 D, C]. A half and a double are
# exact.
MEAN_OF_HEADS = Conversion(
    lambda first, second: _halved(np.concatenate([first.T, second.T])),
    lambda value: [2 * half.T for half in np.split(value, 2)])
# [C], [C] -> [C]. What each of the two was is not known any more: both get the
# mean, which answers the same.
MEAN_OF_BIASES = Conversion(
    lambda first, second: _halved(first) + _halved(second),
    lambda value: [value, value])


def split_heads(num_heads: int) -> Conversion:
  """Returns the conversion of a kernel to queries, keys or values."""
  return Conversion(
      # [N * H, D] <-> [D, N, H]
      lambda value: value.T.reshape(value.shape[1], num_heads, -1),
      lambda value: [value.reshape(value.shape[0], -1).T])


def split_heads_bias(num_heads: int) -> Conversion:
  """Returns the conversion of the bias beside such a kernel."""
  return Conversion(
      # [N * H] <-> [N, H]
      lambda value: value.reshape(num_heads, -1),
      lambda value: [value.reshape(-1)])


def join_heads(num_heads: int) -> Conversion:
  """Returns the conversion of the kernel of an attention's output."""
  return Conversion(
      # [D, N * H] <-> [N, H, D]
      lambda value: value.T.reshape(num_heads, -1, value.shape[0]),
      lambda value: [value.reshape(-1, value.shape[-1]).T])


def _halved(value: np.ndarray) -> np.ndarray:
  """Returns half of numbers; of a shape alone, where there are none, itself."""
  return value if value.dtype == bool else value * np.float32(0.5)
