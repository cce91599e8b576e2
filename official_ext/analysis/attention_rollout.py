"""Attention rollout (arXiv 2005.00928), carried back through the pooling.

How much of each input token is there in an output token? A pre-norm layer adds
to each token what its attention gathers. Averaged over the heads the attention
is a matrix A whose rows sum to one, and the token itself a matrix R that is
the identity. Their mixture M = (1 - residual) A + residual R is a step of the
way back, and the product of the steps of all layers is the rollout. The paper
takes residual = 1/2. The MLPs, the widths' projections and the values are left
out: they act on a token, or on its channels, alone.

A pool is a matrix P whose row says what the pooled token is made of, of the
class token itself. Mean pooling takes equal parts of a window, a short last
one of the tokens it has. Max pooling takes each channel from one token: its
weight is the fraction of channels in which it is the largest, and tokens that
are equal divide a channel. It depends on the image, so P does. Learned pools
say their shares themselves.

The first layer after a pool has its query, and the residual, from the pooled
tokens: R = P. With `pool_query_only` its keys are the unpooled tokens, so A is
already over these and M = (1 - residual) A + residual P. Without it the keys
are pooled too, and M = ((1 - residual) A + residual I) P. Either way the rows
of M, and so of the rollout, sum to one.

Legend: B batch, H x W the grid of patches, N tokens of the first block, T
tokens of a layer, S tokens of its keys, D hidden size.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from official_ext.analysis import models as models_lib
from official_ext.modeling import funnel_encoder
from official_ext.modeling import funnel_vit
from official_ext.modeling import specs
from official_ext.modeling import token_windows


def traceable(model: models_lib.NamedModel) -> funnel_vit.FunnelViT:
  """Returns the backbone of a model, if its layers can be looked into.

  Args:
    model: the model.

  Returns:
    Its backbone.

  Raises:
    ValueError: if it is another backbone than funnel_vit.
  """
  backbone = model.trained.model.backbone
  if isinstance(backbone, funnel_vit.FunnelViT):
    return backbone
  config = model.trained.params.task.model.backbone
  settings = ''
  preset = config.type == 'vit' and specs.PRESETS.get(config.get().model_name)
  if preset:
    num_layers = preset['transformer']['num_layers']
    settings = (
        ' Its weights are those of a funnel_vit of one block: train on from '
        f'task.init_checkpoint={model.trained.checkpoint} with '
        'task.model.backbone.type=funnel_vit, '
        'task.model.backbone.funnel_vit.model_name='
        f'{config.get().model_name} and '
        f'task.model.backbone.funnel_vit.layout=B{num_layers}, and name that '
        'training.')
  raise ValueError(
      f'{model.name} has the backbone {config.type!r}, which does not tell '
      f'what its layers attend to; funnel_vit does.{settings}')


def pooling_matrix(pool: funnel_encoder.Pool, pooling: str,
                   num_prefix_tokens: int) -> np.ndarray:
  """Says what every pooled token is made of.

  Args:
    pool: the pool.
    pooling: 'mean' or 'max', of a pool that has learned nothing.
    num_prefix_tokens: tokens before the patches, which are not pooled.

  Returns:
    [B, T, S], float64; rows sum to one.
  """
  tokens = np.asarray(pool.unpooled)
  members = token_windows.windows(pool.patch_shape, pool.window)
  matrix = np.zeros(
      (len(tokens), num_prefix_tokens + len(members), tokens.shape[1]))
  for token in range(num_prefix_tokens):
    matrix[:, token, token] = 1
  shares = pool.layer and np.asarray(pool.layer.shares(pool.unpooled))
  for row, window in enumerate(members, start=num_prefix_tokens):
    columns = [num_prefix_tokens + token for token in window]
    if pool.layer:
      matrix[:, row, columns] = shares[:, window]
    elif pooling == 'mean':
      matrix[:, row, columns] = 1 / len(window)
    else:
      matrix[:, row, columns] = _largest_fractions(tokens[:, columns])
  return matrix


def _largest_fractions(tokens: np.ndarray) -> np.ndarray:
  """Counts in which fraction of D each is largest, [B, S, D] -> [B, S]."""
  is_largest = tokens == tokens.max(axis=1, keepdims=True)
  return np.mean(is_largest / is_largest.sum(axis=1, keepdims=True), axis=-1)


def layer_matrix(trace: funnel_encoder.LayerTrace, spec: specs.ModelSpec,
                 residual: float) -> np.ndarray:
  """Says what a layer's output tokens are made of, of what came before it.

  Args:
    trace: the layer, and the pool before it if there is one.
    spec: of the model.
    residual: the weight of the token itself, from 0 to 1.

  Returns:
    [B, num_outputs, S], float64; rows sum to one.
  """
  attention = np.asarray(
      trace.attention_weights(), np.float64).mean(axis=1)  # [B, T, S]
  if trace.pool is None:
    return _mix(attention, np.eye(attention.shape[-1]), residual)
  pool = pooling_matrix(trace.pool, spec.pooling, spec.num_prefix_tokens)
  if spec.pool_query_only:
    return _mix(attention, pool, residual)
  return _mix(attention, np.eye(attention.shape[-1]), residual) @ pool


def _mix(attention: np.ndarray, itself: np.ndarray,
         residual: float) -> np.ndarray:
  """Mixes the two ways into a layer's tokens, of which it may compute few."""
  num_outputs = attention.shape[-2]
  return (1 - residual) * attention + residual * itself[..., :num_outputs, :]


def rollout(backbone: funnel_vit.FunnelViT, images: tf.Tensor,
            residual: float = 0.5) -> np.ndarray:
  """Says what the last tokens of a model are made of, of its first ones.

  Args:
    backbone: the backbone.
    images: normalised, [B, height, width, 3].
    residual: the weight of a token itself in each layer, from 0 to 1.

  Returns:
    [B, T, N], float64, the T last tokens that the model computes; the tokens
    before the patches come first in both. Rows sum to one.

  Raises:
    ValueError: if `residual` is out of its range.
  """
  if not 0 <= residual <= 1:
    raise ValueError(f'residual is {residual}, but must be 0 to 1.')
  result = None
  for trace in backbone.trace(images):
    step = layer_matrix(trace, backbone.spec, residual)
    result = step if result is None else step @ result
  return result


def patch_map(tokens: np.ndarray, spec: specs.ModelSpec) -> np.ndarray:
  """Says what the image representation is made of, by patch.

  Args:
    tokens: what `rollout` returned, [B, T, N].
    spec: of the model.

  Returns:
    [B, H, W]: the rows of the tokens that the head reads, in equal parts, and
    of them what is from patches: the weight of the tokens before the patches
    is what is missing to a sum of 1. A mean of patch tokens counts as one, and
    of an attention-pooling head and the pooler 'none' it is the mean of all.
  """
  prefix = spec.num_prefix_tokens
  if spec.pooler in specs.TOKEN_POOLERS:
    rows = [tokens[:, 0]]
    if spec.pooler == 'token_and_distillation':
      rows.append(tokens[:, 1])
    elif spec.pooler == 'token_and_mean':
      rows.append(tokens[:, prefix:].mean(axis=1))
  elif spec.pooler == 'gap':
    rows = [tokens[:, prefix:].mean(axis=1)]
  else:
    rows = [tokens.mean(axis=1)]
  patches = np.mean(rows, axis=0)[:, prefix:]
  return patches.reshape(-1, *spec.grid)  # [B, H * W] -> [B, H, W]
