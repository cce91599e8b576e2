"""Tests of what train.py exports by itself."""

import os

import numpy as np
import pytest
import serving_runs
import tensorflow as tf

from official_ext.configs import experiment
from official_ext.serving import description
from official_ext.serving import exporter
from official_ext.serving import training_export
from official_ext.training import best_checkpoint
from official_ext.training import driver

BEST = {
    'trainer.best_checkpoint_export_subdir': 'best',
    'trainer.best_checkpoint_eval_metric': 'accuracy',
    'trainer.export.at_best': True,
}


def run(digits_dir, model_dir, mode='train_and_eval', **settings):
  """As train.py does; returns the export."""
  model_dir = str(model_dir)
  params = serving_runs.parameters(digits_dir, **settings)
  export = training_export.TrainingExport(params, model_dir)
  trainer = driver.run(
      params, mode, model_dir, driver.build_strategy(params),
      on_best=export.at_best)
  return export, export.at_end(
      int(trainer.global_step.numpy()), bool(trainer.train_logs))


def test_at_each_new_best_and_at_the_end(digits_dir, tmp_path):
  _, path = run(digits_dir, tmp_path, **BEST | {
      'trainer.train_steps': 20, 'trainer.validation_interval': 10,
      'trainer.checkpoint_interval': 10,
      'runtime.mixed_precision_dtype': 'bfloat16'})
  assert path == f'{tmp_path}/export/last/1'
  assert description.read(path)['source']['step'] == 20
  best = sorted(os.listdir(tmp_path / 'export' / 'best'))
  assert best in (['1'], ['1', '2'])
  described = [description.read(f'{tmp_path}/export/best/{number}')
               for number in best]
  assert described[0]['source']['step'] == 10
  assert 'best_ckpt' in described[0]['source']['checkpoint']
  # In float32, and outside the strategy of the training.
  loaded = tf.saved_model.load(path)
  logits = loaded.signatures['serving_default'](image_bytes=tf.constant(
      serving_runs.held_out_images(digits_dir)[:3]))['logits']
  assert np.isfinite(logits).all()
  dtypes = tf.train.load_checkpoint(
      f'{path}/variables/variables').get_variable_to_dtype_map()
  assert {dtype for name, dtype in dtypes.items()
          if name.startswith('model/')} == {tf.float32}

  # The same command again: there is nothing left to do.
  export, path = run(digits_dir, tmp_path, **BEST | {
      'trainer.train_steps': 20, 'trainer.validation_interval': 10,
      'trainer.checkpoint_interval': 10})
  assert path is None
  # Unless the export had failed.
  tf.io.gfile.rmtree(f'{tmp_path}/export/last')
  assert export.at_end(20, has_trained=False) == f'{tmp_path}/export/last/1'
  assert export.at_end(19, has_trained=True) is None


def test_a_failed_export_does_not_end_the_training(
    digits_dir, tmp_path, monkeypatch, caplog):
  def fail(*unused_args, **unused_kwargs):
    raise OSError('disk full')
  monkeypatch.setattr(exporter, 'export', fail)
  model_dir = str(tmp_path)
  params = serving_runs.parameters(digits_dir, **BEST)
  export = training_export.TrainingExport(params, model_dir)
  trainer = driver.run(params, 'train_and_eval', model_dir,
                       driver.build_strategy(params), on_best=export.at_best,
                       enable_async_checkpointing=False)
  assert int(trainer.global_step.numpy()) == 10
  assert 'The best checkpoint was not exported: disk full' in caplog.text
  with pytest.raises(OSError, match='disk full'):
    export.at_end(10, has_trained=True)


def test_elsewhere_or_not_at_all(trained_dir, digits_dir, tmp_path):
  params = serving_runs.parameters(
      digits_dir, **{'trainer.export.export_dir': str(tmp_path / 'served')})
  export = training_export.TrainingExport(params, trained_dir)
  assert export.at_end(10, True) == str(tmp_path / 'served' / 'last' / '1')
  params = serving_runs.parameters(
      digits_dir, **{'trainer.export.at_end': False})
  export = training_export.TrainingExport(params, trained_dir)
  assert export.at_end(10, True) is None


@pytest.mark.parametrize(('settings', 'message'), [
    ({'trainer.export.at_best': True}, 'none is kept'),
    ({'trainer.best_checkpoint_export_subdir': 'best'}, 'needs both'),
    (BEST | {'trainer.best_checkpoint_eval_metric': 'acuracy'},
     'must be one of accuracy, top_5_accuracy, validation_loss'),
    (BEST | {'trainer.best_checkpoint_metric_comp': 'more'}, 'higher or'),
])
def test_settings_that_would_fail_after_an_epoch(digits_dir, settings, message):
  params = serving_runs.parameters(digits_dir, **settings)
  with pytest.raises(ValueError, match=message):
    best_checkpoint.check(params)


def test_the_settings_are_read(digits_dir):
  params = serving_runs.parameters(digits_dir)
  assert params.trainer.export.as_dict() == {
      'at_end': True, 'at_best': False, 'export_dir': ''}
  assert experiment.load('vit_imagenet').trainer.export.at_end
