"""Tests of what a training says of its attention before it begins."""

import contextlib
import logging

import pytest

from official_ext.modeling import hardware
from official_ext.params import experiment
from official_ext.training import attention_kernel

FAST_PATH = 'task.model.backbone.funnel_vit.fast_path'
TRANSFORMER = 'task.model.backbone.funnel_vit.transformer'
BIAS = 'task.model.backbone.funnel_vit.attention_bias'
ON_A_GPU = {'runtime.num_gpus': 1, 'runtime.enable_xla': 'true',
            'runtime.mixed_precision_dtype': 'bfloat16'}


def load(**settings):
  return experiment.load('funnel_vit_imagenet', params_override=','.join(
      f'{name}={value}' for name, value in (ON_A_GPU | settings).items()))


@pytest.mark.parametrize('settings, capability, expected', [
    ({}, (9, 0), 'attention: fused'),
    ({}, (8, 0), 'attention: fused'),
    ({}, (7, 0), 'plain, since a GPU has compute capability 7.0'),
    ({'runtime.enable_xla': 'false'}, (9, 0), 'enable_xla is false'),
    ({'runtime.mixed_precision_dtype': 'float32'}, (9, 0), 'in float32'),
    ({f'{TRANSFORMER}.attention_dropout_rate': 0.1}, (9, 0),
     'attention_dropout_rate'),
    ({f'{TRANSFORMER}.num_heads': 128}, (9, 0), 'theirs have 6'),
    ({f'{FAST_PATH}.attention': 'plain'}, (9, 0), 'plain, as'),
    # Heads of 64 have room for a bias, and those of 128 have not.
    ({BIAS: 'proportional'}, (9, 0), 'attention: fused'),
    ({f'{TRANSFORMER}.num_heads': 6}, (9, 0), 'attention: fused'),
    ({f'{TRANSFORMER}.num_heads': 6, BIAS: 'proportional'}, (9, 0),
     'theirs have 136'),
], ids=str)
def test_what_is_taken_is_logged(settings, capability, expected, caplog):
  params = load(**settings)
  caplog.set_level(logging.INFO, logger='absl')
  with hardware.assume_gpu(capability):
    attention_kernel.check(params)
  assert expected in caplog.text


def test_what_is_demanded_and_cannot_be_is_an_error():
  params = load(**{f'{FAST_PATH}.attention': 'fused'})
  with pytest.raises(ValueError, match='is fused, but TensorFlow sees no GPU'):
    attention_kernel.check(params)
  with hardware.assume_gpu():
    attention_kernel.check(params)


def test_without_a_gpu_it_is_an_error_and_no_warning(caplog):
  params = load(**{f'{FAST_PATH}.attention': 'fused', 'runtime.num_gpus': 0})
  with pytest.raises(ValueError, match='but runtime.num_gpus is 0. The kernel '
                     'needs an NVIDIA GPU of compute capability 8.0 or newer, '
                     'XLA, and layers in bfloat16 or float16. Set it to auto'):
    attention_kernel.check(params)
  assert 'has no effect' not in caplog.text


@pytest.mark.parametrize('is_compiled, dtype, expected', [
    (False, 'bfloat16', 'XLA does not compile the step'),
    (True, 'float32', 'the layers in float32'),
    (True, 'bfloat16', '')])
def test_of_a_step_alone(is_compiled, dtype, expected):
  params = load(**{f'{FAST_PATH}.attention': 'fused', 'runtime.num_gpus': 0})
  with hardware.assume_gpu(), (
      pytest.raises(ValueError, match=expected) if expected
      else contextlib.nullcontext()):
    attention_kernel.check_step(params, is_compiled, dtype)


@pytest.mark.parametrize('settings', [
    {'runtime.num_gpus': 0}, {'task.model.backbone.type': 'vit'}], ids=str)
def test_where_there_is_no_choice_nothing_is_said(settings, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  with hardware.assume_gpu():
    attention_kernel.check(load(**settings))
  assert 'attention' not in caplog.text
