"""Tests of the images that int8 is calibrated on."""

import os

import numpy as np
import pytest
import short_runs

from official_ext.serving.formats import calibration
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.tasks import normalization
from official_ext.trained import validation_data


def test_calibration_needs_images(trained, tmp_path):
  with pytest.raises(ValueError, match='calibrated on images.*nowhere'):
    write.export(trained, names.LITERT, str(tmp_path), write.Options(
        precision='int8',
        calibration=calibration.Calibration(records='nowhere/*')))
  assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_calibration_sees_images_as_the_file_will(trained, digits_dir):
  images = list(calibration.images(
      trained, calibration.Calibration(num_images=400)))
  # All 360, without those that fill the last batch up.
  assert len(images) == len(short_runs.held_out_images(digits_dir)) == 360
  batch = next(validation_data.read_records(trained, None, None))
  np.testing.assert_allclose(
      images[:32], normalization.IMAGENET.denormalize(batch.images), atol=1e-3)
  assert np.max(images) > 200 and np.min(images) > -60
