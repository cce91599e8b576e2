"""Attention in one kernel of cuDNN, which XLA calls on an NVIDIA GPU.

The scores of attention, [B, N, T, S], never leave the kernel: neither are they
written nor saved for the backward pass, which computes them anew from one
statistic per query token (FlashAttention, arXiv 2205.14135). XLA finds no such
kernel by itself: whoever writes the program calls it by its name, as JAX does.

Legend: B batch, N heads, T query tokens, S key tokens, H head size.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.ops import control_flow_util

from official_ext.modeling import custom_gradients
from official_ext.modeling import hardware

FORWARD_TARGET = '__cudnn$fmhaSoftmax'
BACKWARD_TARGET = '__cudnn$fmhaSoftmaxBackward'

# What the kernel computes in.
ELEMENT_TYPES = {tf.bfloat16: 'BF16', tf.float16: 'F16'}
MIN_CAPABILITY = (8, 0)
# Of all GPUs that have the kernel; Hopper takes larger ones.
_MAX_HEAD_SIZE = 128
_HEAD_SIZE_MULTIPLE = 8

# Which dimension of the left and of the right operand each matrix product sums
# over, where batch and heads are the first two of both.
_FORWARD_PRODUCTS = {'bmm1': (3, 3), 'bmm2': (3, 2)}
_BACKWARD_PRODUCTS = {
    'bmm1_grad_gemm1': (2, 2), 'bmm1_grad_gemm2': (3, 2),
    'bmm2_grad_gemm1': (2, 2), 'bmm2_grad_gemm2': (3, 3)}
# XLA gives the kernel as much as it needs.
_WORKSPACE = tf.TensorSpec([0], tf.uint8)


@dataclasses.dataclass(frozen=True)
class Kernels:
  """The two kernels; a test has others that take and give the same.

  Attributes:
    forward: takes query [B, N, T, H], key and value [B, N, S, H]; returns the
      context [B, N, T, H] and float32 statistics [B, N, T], the logarithms of
      the sums of the softmax.
    backward: takes query, key, value, statistics, the gradient of the context
      and the context; returns the gradients of query, key and value.
  """
  forward: Callable[..., tuple[tf.Tensor, tf.Tensor]]
  backward: Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
           kernels: Kernels | None = None) -> tf.Tensor:
  """Computes scaled dot-product attention (arXiv 1706.03762).

  Args:
    query: [B, N, T, H], bfloat16 or float16; every side is known.
    key: [B, N, S, H], of the same type.
    value: [B, N, S, H], of the same type.
    kernels: what computes it; None: cuDNN's.

  Returns:
    [B, N, T, H], of the same type.
  """
  kernels = kernels or CUDNN

  @custom_gradients.with_gradient
  def apply(query, key, value):
    context, statistics = kernels.forward(query, key, value)

    def gradient(upstream):
      return kernels.backward(
          query, key, value, statistics, upstream, context)

    return context, gradient

  return apply(query, key, value)


def reason_against_hardware() -> str | None:
  """Returns why the machine has no such kernel; None: it has."""
  capabilities = hardware.gpu_capabilities()
  if not capabilities:
    return 'TensorFlow sees no GPU'
  for capability in capabilities:
    if not capability or capability < MIN_CAPABILITY:
      shown = '.'.join(map(str, capability)) if capability else 'none'
      return (f'a GPU has compute capability {shown}, and the kernel needs '
              f'{".".join(map(str, MIN_CAPABILITY))}')
  return None


def reason_against_layers(dtype: tf.DType, head_size: int,
                          is_dropping: bool) -> str | None:
  """Returns why the kernel does not serve layers; None: it does.

  Args:
    dtype: that they compute in.
    head_size: H.
    is_dropping: whether attention weights are dropped.
  """
  if dtype not in ELEMENT_TYPES:
    return ('the kernel computes in bfloat16 or float16, and the layers in '
            f'{dtype.name}')
  if head_size > _MAX_HEAD_SIZE or head_size % _HEAD_SIZE_MULTIPLE:
    return (f'the kernel takes heads of a multiple of {_HEAD_SIZE_MULTIPLE} up '
            f'to {_MAX_HEAD_SIZE}, and theirs have {head_size}')
  if is_dropping:
    return ('attention_dropout_rate is not 0: the kernel draws by itself what '
            'it drops, and a training that goes on could not draw the same')
  return None


def is_compiled_by_xla() -> bool:
  """Returns whether what is traced now becomes a program of XLA's."""
  return control_flow_util.GraphOrParentsInXlaContext(
      tf.compat.v1.get_default_graph())


def backend_config(query: tf.TensorSpec | tf.Tensor,
                   num_key_tokens: int, is_backward: bool) -> dict[str, Any]:
  """Returns what XLA reads about a call, as JAX 0.10 writes it.

  Args:
    query: [B, N, T, H].
    num_key_tokens: S.
    is_backward: whether the call computes gradients.

  Returns:
    What is sent as JSON.
  """
  batch, num_heads, num_query_tokens, head_size = query.shape
  products = _BACKWARD_PRODUCTS if is_backward else _FORWARD_PRODUCTS
  dimensions = {
      f'{name}_dot_dimension_numbers': {
          'lhs_contracting_dimensions': [str(left)],
          'rhs_contracting_dimensions': [str(right)],
          'lhs_batch_dimensions': ['0', '1'],
          'rhs_batch_dimensions': ['0', '1'],
      } for name, (left, right) in products.items()}
  return {
      'operation_queue_id': '0',
      'cudnn_fmha_backend_config': {
          'algorithm': {
              'algo_id': '0',
              'math_type': 'TENSOR_OP_MATH',
              'tuning_knobs': {'17': '1', '24': '0'},
              'is_cudnn_frontend': True,
              'workspace_size': '0',
          },
          'fmha_scale': head_size ** -0.5,
          'intermediate_tensor_shape': {
              'element_type': ELEMENT_TYPES[query.dtype],
              'dimensions': [str(side) for side in (
                  batch, num_heads, num_query_tokens, num_key_tokens)],
              'tuple_shapes': [],
              'layout': {
                  'dim_level_types': [],
                  'dim_unique': [],
                  'dim_ordered': [],
                  'minor_to_major': ['3', '2', '1', '0'],
                  'tiles': [],
                  'element_size_in_bits': '0',
                  'memory_space': '0',
                  'index_primitive_type': 'PRIMITIVE_TYPE_INVALID',
                  'pointer_primitive_type': 'PRIMITIVE_TYPE_INVALID',
                  'dynamic_shape_metadata_prefix_bytes': '0',
              },
              'is_dynamic_dimension': [False] * 4,
          },
          'is_flash_attention': True,
          'mask_type': 'NO_MASK',
          **dimensions,
          'dropout_rate': 0.0,
          'seed': 42,
          'sliding_window_length': 0,
          'max_seg_per_batch': 1,
          'is_paged_attention': False,
      },
  }


def _forward(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor
             ) -> tuple[tf.Tensor, tf.Tensor]:
  statistics = tf.TensorSpec(query.shape[:-1], tf.float32)
  return tuple(_call(
      FORWARD_TARGET, backend_config(query, key.shape[2], False),
      [query, key, value],
      [tf.TensorSpec(query.shape, query.dtype), statistics]))


def _backward(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
              statistics: tf.Tensor, upstream: tf.Tensor, context: tf.Tensor
              ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  return tuple(_call(
      BACKWARD_TARGET, backend_config(query, key.shape[2], True),
      [query, key, value, statistics, upstream, context],
      [tf.TensorSpec(one.shape, one.dtype) for one in (query, key, value)]))


def _call(target: str, config: dict[str, Any], operands: list[tf.Tensor],
          results: list[tf.TensorSpec]) -> list[tf.Tensor]:
  """Calls a kernel by its name; its workspace is the last of its results."""
  specs = [*results, _WORKSPACE]
  return gen_xla_ops.xla_custom_call_v2(
      operands=operands, call_target_name=target,
      backend_config=json.dumps(config), has_side_effect=False,
      result_dtypes=[one.dtype for one in specs],
      result_shapes=[one.shape for one in specs])[:-1]


CUDNN = Kernels(_forward, _backward)
