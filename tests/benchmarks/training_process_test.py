"""Tests of a training that is measured from outside."""

import pytest

from official_ext.benchmarks import memory_report
from official_ext.benchmarks import training_process
from official_ext.command_line import errors


def training(digits_dir, model_dir, strategy, further=''):
  return training_process.Training(
      strategy, str(model_dir), 'funnel_vit_digits', memory_report.settings(
          digits_dir, steps=10, evaluations=2, params_override=further))


@pytest.mark.long
@pytest.mark.parametrize('strategy', training_process.NUM_DEVICES)
def test_a_sample_at_every_report(digits_dir, tmp_path, strategy):
  samples = list(training_process.measure(
      training(digits_dir, tmp_path, strategy)))
  # Five reports of training before each of the two evaluations.
  assert [sample.step for sample in samples] == [
      1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
  # TensorFlow alone takes some 400 MiB.
  assert all(300 < sample.resident_mib < 4000 for sample in samples)
  assert (tmp_path / 'ckpt-10.index').exists()


@pytest.mark.long
def test_a_training_that_fails(tmp_path):
  with pytest.raises(errors.UserError, match='one_device ended with 1'):
    list(training_process.measure(
        training(tmp_path / 'none', tmp_path, 'one_device')))
