"""Says how a training attends, before it begins: in one kernel or plainly."""

from __future__ import annotations

from absl import logging
from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.modeling import attention
from official_ext.modeling import fused_attention
from official_ext.modeling import specs
from official_ext.modeling import token_windows

_SETTING = 'task.model.backbone.funnel_vit.fast_path.attention'


def check(params: cfg.ExperimentConfig) -> None:
  """Logs which attention a training on GPUs takes, and why.

  Args:
    params: the experiment's configuration, resolved.

  Raises:
    ValueError: if it demands the kernel, and the kernel does not serve it.
  """
  model = params.task.model
  spec = specs.of_model(model)
  if spec is None:
    return
  config = model.backbone.get()
  kind = config.fast_path.attention
  reason = _reason_against(params, spec)
  if kind == 'fused' and reason:
    raise _refusal(reason)
  if not params.runtime.num_gpus:
    return
  if kind == 'plain':
    logging.info('attention: plain, as %s says', _SETTING)
  elif reason:
    logging.info('attention: plain, since %s', reason)
  else:
    logging.info("attention: fused, in one kernel of cuDNN's")


def check_step(params: cfg.ExperimentConfig, is_compiled: bool,
               dtype: str) -> None:
  """Refuses to demand the kernel of a train step that it does not serve.

  Args:
    params: the experiment's configuration, resolved; its runtime is not read.
    is_compiled: whether XLA compiles the step.
    dtype: that the layers compute in, 'float32', 'bfloat16' or 'float16'.

  Raises:
    ValueError: if it is demanded, and the kernel does not serve the step.
  """
  spec = specs.of_model(params.task.model)
  if (spec is None or
      params.task.model.backbone.get().fast_path.attention != 'fused'):
    return
  reason = (
      _reason_against_step(params, spec, tf.as_dtype(dtype)) if is_compiled
      else 'XLA does not compile the step')
  if reason:
    raise _refusal(reason)


def _refusal(reason: str) -> ValueError:
  capability = '.'.join(map(str, fused_attention.MIN_CAPABILITY))
  return ValueError(
      f'{_SETTING} is fused, but {reason}. The kernel needs an NVIDIA GPU of '
      f'compute capability {capability} or newer, XLA, and layers in bfloat16 '
      'or float16. Set it to auto, which takes what there is.')


def _reason_against(params: cfg.ExperimentConfig, spec: specs.ModelSpec
                    ) -> str | None:
  """Returns why the kernel does not serve a training; None: it does."""
  runtime = params.runtime
  if not runtime.num_gpus:
    return 'runtime.num_gpus is 0'
  if not runtime.enable_xla:
    return 'runtime.enable_xla is false'
  return _reason_against_step(
      params, spec, tf.as_dtype(runtime.mixed_precision_dtype or 'float32'))


def _reason_against_step(params: cfg.ExperimentConfig, spec: specs.ModelSpec,
                         dtype: tf.DType) -> str | None:
  """Returns why the kernel does not serve a step of XLA's; None: it does."""
  dropout_rate = params.task.model.backbone.get(
      ).transformer.attention_dropout_rate
  reasons = [fused_attention.reason_against_hardware()]
  reasons += [
      fused_attention.reason_against_layers(dtype, size, bool(dropout_rate))
      for size in _head_sizes(spec)]
  return next(filter(None, reasons), None)


def _head_sizes(spec: specs.ModelSpec) -> list[int]:
  """Returns the sizes of the heads of every layer, those with a bias wider."""
  sizes = [block.hidden_size // block.num_heads
           for block in spec.blocks for _ in range(block.num_layers)]
  if spec.attention_bias == 'none':
    return sizes
  return [
      attention.fused_head_size(size, attention.proportional_bias(keys))
      for size, keys in zip(sizes, token_windows.key_sizes(
          spec.blocks, spec.num_prefix_tokens, spec.pool_query_only),
                            strict=True)]
