"""Tests of the options of an encoder."""

import dataclasses

import pytest

from official_ext.modeling import options as options_lib


def test_options_are_frozen():
  with pytest.raises(dataclasses.FrozenInstanceError):
    options_lib.EncoderOptions().pooling = 'max'


def test_an_unknown_activation_is_refused():
  with pytest.raises(ValueError, match="activation is 'relu', but must be one"):
    options_lib.EncoderOptions(activation='relu')


def test_unknown_pools_and_biases_are_refused():
  with pytest.raises(ValueError, match="pooling is 'sum', but must be one of "
                     'mean, max, conv, weighted'):
    options_lib.EncoderOptions(pooling='sum')
  with pytest.raises(ValueError, match="attention_bias is 'log', but must be"):
    options_lib.EncoderOptions(attention_bias='log')


def test_class_token_only_needs_a_class_token():
  with pytest.raises(ValueError, match='has_class_token is False'):
    options_lib.EncoderOptions(has_class_token=False, class_token_only=True)


@pytest.mark.parametrize('rate', [
    'dropout_rate', 'attention_dropout_rate', 'init_stochastic_depth_rate'])
def test_layers_with_dropout_are_not_checkpointed(rate):
  with pytest.raises(ValueError, match='would drop other values'):
    options_lib.EncoderOptions(gradient_checkpointing=True, **{rate: 0.1})
