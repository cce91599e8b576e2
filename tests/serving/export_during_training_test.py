"""Tests of what train.py exports by itself."""

import hashlib
import os

import damaged_checkpoints
import pytest
import short_runs
import tensorflow as tf

from official_ext.checkpoints import preprocessing
from official_ext.params import experiment
from official_ext.serving import export_during_training
from official_ext.serving.formats import description
from official_ext.serving.formats import write
from official_ext.training import session

BEST = {
    'trainer.best_checkpoint_export_subdir': 'best',
    'trainer.best_checkpoint_eval_metric': 'accuracy',
    'trainer.export.at_best': True,
}


def run(digits_dir, model_dir, mode='train_and_eval', **settings):
  """As train.py does; returns the export."""
  model_dir = str(model_dir)
  params = short_runs.parameters(digits_dir, **settings)
  export = export_during_training.TrainingExport(params, model_dir)
  trainer = session.prepare(params, mode, model_dir).execute(export.at_best)
  return export, export.at_end(
      int(trainer.global_step.numpy()), bool(trainer.train_logs))


@pytest.mark.long
def test_at_a_new_best_and_at_the_end(digits_dir, tmp_path):
  export, path = run(digits_dir, tmp_path, **BEST | {
      'runtime.mixed_precision_dtype': 'bfloat16'})
  assert path == f'{tmp_path}/export/last/1'
  assert os.listdir(tmp_path / 'export' / 'best') == ['1']
  assert export.exported_best() == f'{tmp_path}/export/best'
  for folder, prefix in ((path, 'ckpt-10'),
                         (tmp_path / 'export/best/1', 'best/best_ckpt-')):
    source = description.read(str(folder))['source']
    assert source.pop('checkpoint').startswith(f'{tmp_path}/{prefix}')
    assert source.pop('fingerprint')
    assert source == {'step': 10, 'ema': False}
    # In float32, and outside the strategy of the training.
    dtypes = tf.train.load_checkpoint(
        f'{folder}/variables/variables').get_variable_to_dtype_map()
    assert {dtype for name, dtype in dtypes.items()
            if name.startswith('model/')} == {tf.float32}
  # The same command again finds nothing left to do, unless the export failed.
  assert export.at_end(10, has_trained=False) is None
  tf.io.gfile.rmtree(f'{tmp_path}/export/last')
  assert export.at_end(10, has_trained=False) == f'{tmp_path}/export/last/1'
  assert export.at_end(9, has_trained=True) is None


def test_the_export_of_another_training_of_as_many_steps(
    digits_dir, tmp_path, monkeypatch):
  params = short_runs.parameters(digits_dir)
  export = export_during_training.TrainingExport(params, str(tmp_path))
  made = tmp_path / 'export' / 'last' / '1' / 'assets'

  def described(checkpoint):
    return description.as_json({
        'preprocessing': {'center_crop_fraction': 1.0},
        'source': {'step': 10} | checkpoint})

  damaged_checkpoints.save(tmp_path, [10])
  index = (tmp_path / 'ckpt-10.index').read_bytes()
  same = {'fingerprint': hashlib.sha256(index).hexdigest()}
  monkeypatch.setattr(export, '_export', lambda *_: 'exported')
  made.mkdir(parents=True)
  for source, expected in (
      (same, None), ({'fingerprint': 'another'}, 'exported'),
      # Of the version before.
      ({}, 'exported')):
    (made / 'model.json').write_text(described(source))
    assert export.at_end(10, has_trained=False) == expected
  # The same step of a training begun anew.
  (made / 'model.json').write_text(described(same))
  damaged_checkpoints.save(tmp_path, [10], size=60)
  assert export.at_end(10, has_trained=False) == 'exported'


def test_a_best_that_an_earlier_start_did_not_export(
    digits_dir, tmp_path, monkeypatch, caplog):
  params = short_runs.parameters(digits_dir, **BEST)
  damaged_checkpoints.save(tmp_path / 'best', [10])
  index = (tmp_path / 'best' / 'ckpt-10.index').read_bytes()
  fingerprint = hashlib.sha256(index).hexdigest()
  made = tmp_path / 'export' / 'best' / '1' / 'assets'
  made.mkdir(parents=True)
  for exported, expected in ((fingerprint, []), ('another', ['best'])):
    (made / 'model.json').write_text(description.as_json({
        'preprocessing': {'center_crop_fraction': 1.0},
        'source': {'step': 10, 'fingerprint': exported}}))
    export = export_during_training.TrainingExport(params, str(tmp_path))
    # What another checkpoint left there is not called the best.
    assert export.exported_best() == (
        None if expected else f'{tmp_path}/export/best')
    calls = []

    def fail(subdir, _, calls=calls):
      calls.append(subdir)
      raise OSError('disk full')

    monkeypatch.setattr(export, '_export', fail)
    # Once in a start, however often it evaluates.
    for _ in range(2):
      export.at_best()
    assert calls == expected
  assert caplog.text.count('The best checkpoint was not exported: disk') == 1


def test_the_export_of_the_newest_checkpoint_is_found(
    digits_dir, tmp_path):
  params = short_runs.parameters(digits_dir)

  def find():
    return export_during_training.find_newest(params, str(tmp_path))

  assert find() is None
  damaged_checkpoints.save(tmp_path, [10])
  index = (tmp_path / 'ckpt-10.index').read_bytes()
  same = {'step': 10, 'ema': False,
          'fingerprint': hashlib.sha256(index).hexdigest()}
  prepared = {'image_size': params.task.model.input_size[:2],
              **preprocessing.describe(params.task)}
  for folder in ('last', 'best', ''):
    made = tmp_path / 'export' / folder / '1'
    (made / 'assets').mkdir(parents=True)
    for source, other, is_found in (
        (same, {}, True), (same | {'ema': True}, {}, False),
        (same | {'fingerprint': 'another'}, {}, False),
        ({'step': 10, 'ema': False}, {}, False),
        (same, {'image_size': [32, 32]}, False),
        (same, {'mean': [0.0, 0.0, 0.0]}, False)):
      (made / 'assets' / 'model.json').write_text(description.as_json({
          'preprocessing': prepared | other, 'source': source}))
      assert find() == (str(made) if is_found else None), (source, other)
    (made / 'assets' / 'model.json').write_text('damaged')
    assert find() is None


@pytest.mark.long
def test_a_best_that_is_not_the_last(digits_dir, tmp_path):
  settings = BEST | {
      'trainer.train_steps': 60, 'trainer.validation_interval': 20,
      'trainer.checkpoint_interval': 20}
  _, path = run(digits_dir, tmp_path, **settings)
  assert description.read(path)['source']['step'] == 60
  steps = [description.read(f'{tmp_path}/export/best/{number}')[
      'source']['step']
           for number in sorted(os.listdir(tmp_path / 'export' / 'best'))]
  assert steps[0] == 20 and steps == sorted(steps)
  # Once more: it is trained already.
  assert run(digits_dir, tmp_path, **settings)[1] is None


@pytest.mark.long
def test_a_failed_export_does_not_end_the_training(
    digits_dir, tmp_path, monkeypatch, caplog):
  def fail(*unused_args, **unused_kwargs):
    raise OSError('disk full')
  monkeypatch.setattr(write, 'export', fail)
  model_dir = str(tmp_path)
  params = short_runs.parameters(digits_dir, **BEST)
  export = export_during_training.TrainingExport(params, model_dir)
  trainer = session.prepare(params, 'train_and_eval', model_dir).execute(
      export.at_best, enable_async_checkpointing=False)
  assert int(trainer.global_step.numpy()) == 10
  assert 'The best checkpoint was not exported: disk full' in caplog.text
  with pytest.raises(OSError, match='disk full'):
    export.at_end(10, has_trained=True)


@pytest.mark.long
def test_elsewhere_or_not_at_all(trained_dir, digits_dir, tmp_path):
  params = short_runs.parameters(
      digits_dir, **{'trainer.export.export_dir': str(tmp_path / 'served')})
  export = export_during_training.TrainingExport(params, trained_dir)
  assert export.at_end(10, True) == str(tmp_path / 'served' / 'last' / '1')
  params = short_runs.parameters(
      digits_dir, **{'trainer.export.at_end': False})
  export = export_during_training.TrainingExport(params, trained_dir)
  assert export.at_end(10, True) is None


@pytest.mark.parametrize(('settings', 'message'), [
    ({'trainer.export.at_best': True}, 'none is kept'),
    ({'trainer.best_checkpoint_export_subdir': 'best'}, 'needs both'),
    (BEST | {'trainer.best_checkpoint_eval_metric': 'acuracy'},
     'must be one of accuracy, top_5_accuracy, validation_loss'),
])
def test_settings_that_would_fail_after_an_epoch(
    digits_dir, tmp_path, settings, message):
  params = short_runs.parameters(digits_dir, **settings)
  with pytest.raises(ValueError, match=message):
    session.prepare(params, 'train_and_eval', str(tmp_path))


def test_the_settings_are_read(digits_dir):
  params = short_runs.parameters(digits_dir)
  assert params.trainer.export.as_dict() == {
      'at_end': True, 'at_best': False, 'export_dir': ''}
  assert experiment.load('vit_imagenet').trainer.export.at_end
