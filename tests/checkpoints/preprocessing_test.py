"""Tests of what checkpoints and exports say of their preprocessing."""

import json

from official.core import task_factory
import pytest
import short_runs

from official_ext.checkpoints import preprocessing
from official_ext.params import experiment
from official_ext.training import session

HALF = [127.5] * 3
CLIP = ('task.train_data.mean_rgb=[122.771,116.746,104.094],'
        'task.train_data.stddev_rgb=[68.5,66.632,70.323]')


def task(override=''):
  return experiment.load('funnel_vit_digits', params_override=override).task


def test_the_description():
  described = preprocessing.describe(task(
      'task.train_data.mean_rgb=[127.5,127.5,127.5],'
      'task.train_data.stddev_rgb=[127.5,127.5,127.5],'
      'task.train_data.resize_antialias=true,'
      'task.validation_data.aug_crop=true,'
      'task.validation_data.center_crop_fraction=0.9,'
      'task.validation_data.resize_mode=resize_then_crop,'
      'task.validation_data.tf_resize_method=bicubic'))
  assert json.loads(json.dumps(described)) == described == {
      'center_crop_fraction': 0.9, 'resize_mode': 'resize_then_crop',
      'resize_method': 'bicubic', 'resize_antialias': True,
      'mean': HALF, 'stddev': HALF}


def test_the_description_of_what_is_not_cropped():
  described = preprocessing.describe(task())
  assert described['center_crop_fraction'] is None
  assert described['resize_mode'] == 'squash_then_crop'
  assert described['resize_antialias'] is False
  assert described['mean'] == pytest.approx([123.675, 116.28, 103.53])
  assert described['stddev'] == pytest.approx([58.395, 57.12, 57.375])


def test_a_model_normalised_otherwise_is_refused():
  known = {preprocessing.KEY: preprocessing.describe(task(CLIP))}
  with pytest.raises(ValueError, match=(
      r'^run was trained on images normalised otherwise: '
      r'task.train_data.mean_rgb is \[123.67.* here and \[122.771, 116.746, '
      r'104.094\] there. Set task.train_data.mean_rgb=\[122.771,116.746,104.09'
      r'4\]; task.train_data.stddev_rgb is .*\[68.5,66.632,70.323\].$')):
    preprocessing.check_same(known, task(), 'run')
  # As it says.
  preprocessing.check_same(known, task(CLIP), 'run')


def test_what_is_not_known_or_rounded_passes():
  preprocessing.check_same({}, task(CLIP), 'run')
  described = preprocessing.describe(task())
  described['mean'] = [123.68, 116.28, 103.53]
  preprocessing.check_same({preprocessing.KEY: described}, task(), 'run')
  # Other crops are an evaluation's own business.
  described['center_crop_fraction'] = 1
  preprocessing.check_same({preprocessing.KEY: described}, task(), 'run')


def test_a_training_that_begins_from_such_a_model_is_warned(caplog):
  known = {preprocessing.KEY: preprocessing.describe(task(CLIP))}
  preprocessing.warn_of_others(known, task(CLIP))
  assert not caplog.records
  preprocessing.warn_of_others(known, task())
  assert ('task.init_checkpoint was trained on images normalised otherwise: '
          'task.train_data.mean_rgb is ') in caplog.text


@pytest.mark.parametrize('fraction, mode', [
    (0.875, 'crop_then_resize'), (None, 'squash_then_crop')])
def test_exports_of_the_version_before(fraction, mode):
  old = {'center_crop_fraction': fraction, 'resize_method': 'bilinear'}
  assert preprocessing.of_version_before(old) == old | {
      'resize_mode': mode, 'resize_antialias': False}
  new = old | {'resize_mode': 'resize_then_crop', 'resize_antialias': True}
  assert preprocessing.of_version_before(new) == new


def test_an_evaluation_is_compared_and_not_a_training(
    trained_dir, digits_dir):
  other = short_runs.parameters(
      digits_dir, **{'task.train_data.mean_rgb': [127.5] * 3})
  with pytest.raises(ValueError, match=(
      'ckpt-10 was trained on images normalised otherwise: task.train_data.mea'
      )):
    session.prepare(other, 'eval', trained_dir)
  # Whoever goes on with other settings is asked by their names.
  with pytest.raises(ValueError, match=(
      'with other settings: task.train_data.mean_rgb was .*--allow_changes')):
    session.prepare(other, 'train', trained_dir)


@pytest.mark.slow
def test_a_training_from_the_weights_is_warned(trained_dir, digits_dir, caplog):
  for mean, is_warned in ((None, False), ([127.5] * 3, True)):
    params = short_runs.parameters(digits_dir, **{
        'task.init_checkpoint': trained_dir, 'task.train_data.mean_rgb': mean})
    task = task_factory.get_task(params.task)
    task.initialize(task.build_model())
    assert ('task.init_checkpoint was trained on images normalised otherwise'
            in caplog.text) == is_warned
