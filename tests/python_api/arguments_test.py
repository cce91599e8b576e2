"""Tests of what a program hands over."""

import pathlib

from absl import logging
import numpy as np
import pytest
import tensorflow as tf

from official_ext.checkpoints import restore
from official_ext.command_line import errors
from official_ext.configs import backbones
from official_ext.python_api import arguments


@pytest.mark.parametrize('value', [
    3, np.int64(3), np.uint8(3), np.array(3), tf.constant(3)], ids=str)
def test_integers_of_any_library_are_taken(value):
  number = arguments.whole_number('top_k', value)
  assert number == 3 and type(number) is int


@pytest.mark.parametrize('value, message', [
    (0, '^top_k is 0, but must be at least 1.$'),
    (np.int64(-1), '^top_k is -1, but must be at least 1.$'),
    (1.5, '^top_k is 1.5, but must be a whole number of at least 1.$'),
    (None, '^top_k is None, but must be a whole number'),
    ('3', "^top_k is '3', but must be a whole number"),
    (True, '^top_k is True, but must be a whole number'),
    ([3], r'^top_k is \[3\], but must be a whole number'),
], ids=str)
def test_what_counts_nothing_is_refused(value, message):
  with pytest.raises(errors.UserError, match=message):
    arguments.whole_number('top_k', value)


@pytest.mark.parametrize('image_size, expected', [
    (24, (24, 24)), (np.int64(24), (24, 24)), ((np.int64(8), 16), (8, 16)),
    (np.array([8, 16]), (8, 16)), ([8, 16], (8, 16)),
    *((wrong, None) for wrong in (
        0, 8.0, '24', (24, 24, 3), (24,), (8, 0), (8, -8), (8, 8.0), True,
        {24, 8}))], ids=str)
def test_sizes(image_size, expected):
  if expected:
    assert arguments.sides(image_size) == expected
    return
  with pytest.raises(errors.UserError, match='must be a side in px'):
    arguments.sides(image_size)


def test_paths_are_text():
  assert arguments.path('weights', pathlib.Path('runs/a')) == 'runs/a'
  for wrong in (b'runs/a', 3, '', None):
    with pytest.raises(errors.UserError, match='^weights is .*, but must be a'):
      arguments.path('weights', wrong)


def test_settings_become_plain():
  found = arguments.plain({
      'transformer': backbones.FunnelTransformer(mlp_dim=24),
      'sizes': (np.float32(0.5), np.array([1, 2])), 'size': np.int64(24),
      'layout': 'B2'})
  assert found == {
      'transformer': backbones.FunnelTransformer(mlp_dim=24).as_dict(),
      'sizes': [0.5, [1, 2]], 'size': 24, 'layout': 'B2'}
  assert type(found['size']) is int


@pytest.mark.parametrize('typed, here', [
    ('--params_override: task.model.backbone.funnel_vit.layout is 3',
     'layout is 3'),
    ('--checkpoint=best: none; use --checkpoint=latest.',
     'checkpoint=best: none; use checkpoint=latest.'),
    ('Leave --ema out.', 'Leave ema out.'),
    ('or task.init_checkpoint_modules=all_but_head where only',
     'or num_classes=N, of a new head, where only'),
    ('task.model.input_size and task.model.num_classes',
     'image_size and num_classes'),
    ('task.init_checkpoint: the layers', 'weights: the layers'),
], ids=range(6))
def test_messages_name_what_is_typed_in_python(typed, here, caplog):
  for kind, raised in ((ValueError, errors.UserError),
                       (restore.LoadError, restore.LoadError)):
    with pytest.raises(raised) as found, arguments.in_words_of_python():
      raise kind(typed)
    assert str(found.value) == here and type(found.value) is raised
  # Warnings of the block, and of no other.
  with arguments.in_words_of_python():
    logging.warning('%s', typed)
  logging.warning('%s', typed)
  assert [record.getMessage() for record in caplog.records] == [here, typed]
