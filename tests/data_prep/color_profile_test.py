"""Tests of profiles: what they do counts, not what they are called."""

import handmade_images
import numpy as np
from PIL import ImageCms
import pytest

from data_prep import color_profile

# X, Y, Z of red, green and blue, adapted to D50.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708),
        (0.14307, 0.06061, 0.71410))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189),
              (0.15710, 0.06657, 0.78407))


def built_in(space):
  return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def test_srgb_by_any_name():
  assert color_profile.is_srgb(b'')
  assert color_profile.is_srgb(built_in('sRGB'))
  assert color_profile.is_srgb(handmade_images.color_profile(SRGB, 2.2))


@pytest.mark.parametrize('name, profile', [
    ('Display P3', handmade_images.color_profile(DISPLAY_P3, 2.2)),
    ('linear', handmade_images.color_profile(SRGB, 1.0)),
    ('Lab', built_in('LAB')), ('damaged', b'no profile'),
])
def test_others(name, profile):
  assert not color_profile.is_srgb(profile), name


def test_how_far_colors_are_off():
  # Of gamma 1: 64 of 255 is seen as 137.
  linear = color_profile.distance(handmade_images.color_profile(SRGB, 1.0))
  assert linear == pytest.approx(137 - 64, abs=1)
  # Through X, Y and Z, on the same grid.
  shades = np.array([0, 32, 64, 96, 128, 160, 192, 224, 255])
  grid = np.stack(np.meshgrid(shades, shades, shades), -1).reshape(-1, 3)
  light = (grid / 255)**2.2 @ np.array(DISPLAY_P3) @ np.linalg.inv(SRGB)
  light = np.clip(light, 0, 1)
  seen = np.where(light <= 0.0031308, 12.92 * light,
                  1.055 * light**(1 / 2.4) - 0.055)
  assert color_profile.distance(
      handmade_images.color_profile(DISPLAY_P3, 2.2)) == pytest.approx(
          np.abs(255 * seen - grid).max(), abs=3)
