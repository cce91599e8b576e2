"""Tests of what can be loaded, and of the light import."""

import gc
import logging
import pathlib

import commands
import numpy as np
import pytest
import tensorflow as tf

import official_ext
from official_ext.checkpoints import choose


def test_the_import_is_light(repository):
  result = commands.run_alone(
      '-c', 'import sys, official_ext; '
      "print(sorted({'tensorflow', 'official', 'numpy'} & set(sys.modules)), "
      "{'load', 'create'} <= set(dir(official_ext)))", cwd=repository)
  assert result.stdout == '[] True\n', result.stderr
  with pytest.raises(AttributeError, match="no attribute 'laod'"):
    _ = official_ext.laod


def test_a_training_a_checkpoint_and_an_export_are_found(
    trained_dir, export_dir, funnel, exported):
  prefix = choose.newest(trained_dir)
  assert funnel.path == prefix
  assert exported.path == f'{export_dir}/1'
  image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
  expected = funnel.logits(image)
  np.testing.assert_array_equal(
      official_ext.load(pathlib.Path(prefix)).logits(image), expected)
  assert official_ext.load(f'{export_dir}/1').path == exported.path


def test_an_export_is_loaded_without_a_word(export_dir):
  records = []
  handler = logging.Handler()
  handler.emit = records.append
  logger = logging.getLogger('tensorflow')
  logger.addHandler(handler)
  try:
    official_ext.load(export_dir)
    gc.collect()
    assert not [record.getMessage() for record in records]
    logger.warning('Others are seen.')
    assert len(records) == 1
  finally:
    logger.removeHandler(handler)


def test_what_is_no_model_is_refused(trained_dir, export_dir, tmp_path):
  prefix = choose.newest(trained_dir)
  copied = str(tmp_path / 'ckpt-10')
  for suffix in ('.index', '.data-00000-of-00001'):
    tf.io.gfile.copy(prefix + suffix, copied + suffix)
  for arguments, message in (
      (['nowhere'], 'there is no such folder or checkpoint'),
      ([str(tmp_path / 'empty.keras')], 'does not know its preprocessing'),
      (['model_int8.tflite'], 'its caller has resized'),
      ([copied], 'there is no params.yaml beside the checkpoint'),
      ([prefix, 'best'], "checkpoint='best' is looked for in the folder"),
      ([trained_dir, 'best'], 'checkpoint=best: this training kept no best'),
      ([trained_dir, ''], "checkpoint is '', but must be a path"),
      ([trained_dir, None, True], 'not set). Leave ema out'),
      ([trained_dir, None, None, (24, 24, 3)], 'must be a side in px'),
      ([trained_dir, None, None, 24.0], 'must be a side in px'),
      ([trained_dir.encode()], 'but must be a path'),
      ([export_dir, 'best'], "checkpoint='best' is for the folder"),
      ([export_dir, None, True], 'ema=True is for the folder'),
      ([export_dir, None, None, 32], 'image_size=32 is for the folder'),
      ([f'{trained_dir}*'], 'TensorFlow takes'),
  ):
    with pytest.raises(ValueError) as raised:
      official_ext.load(*arguments)
    assert message in str(raised.value)
    assert '--' not in str(raised.value)
