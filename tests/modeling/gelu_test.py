"""Tests of the GELUs and their derivatives, by hand and by SciPy."""

import numpy as np
import pytest
from scipy import special
import tensorflow as tf
import tolerances

from official_ext.modeling import gelu

pytestmark = pytest.mark.numerics

ROWS = np.linspace(-12, 12, 97)
BY_SCIPY = {
    'gelu_tanh': lambda x: 0.5 * x * (
        1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    'gelu_erf': lambda x: x * special.ndtr(x),
    'gelu_quick': lambda x: x * special.expit(1.702 * x),
}


def test_every_gelu_is_tested():
  assert BY_SCIPY.keys() == gelu.BY_NAME.keys()


@pytest.mark.parametrize('name', BY_SCIPY)
def test_agrees_with_scipy(name):
  function = BY_SCIPY[name]
  values, derivatives = gelu.BY_NAME[name](tf.constant(ROWS))
  tolerances.assert_close(values, function(ROWS), length=8, dtype='float64')
  step = 1e-5
  slopes = (function(ROWS + step) - function(ROWS - step)) / (2 * step)
  # What a difference of two values 2e-5 apart leaves of float64.
  np.testing.assert_allclose(derivatives, slopes, rtol=0, atol=1e-8)


# 0.5 (1 + tanh(sqrt(2 / pi) 1.044715)), the normal distribution at 1, and
# 1 / (1 + exp(-1.702)).
@pytest.mark.parametrize('name, at_one', [
    ('gelu_tanh', 0.841192), ('gelu_erf', 0.841345), ('gelu_quick', 0.845795)])
def test_by_hand(name, at_one):
  """x = 0 gives 0 with slope a half, large x gives x, -x gives 0."""
  values, slopes = gelu.BY_NAME[name](tf.constant([0., 20., -20., 1.]))
  # at_one has six digits.
  np.testing.assert_allclose(values[3], at_one, atol=1e-6)
  tolerances.assert_close(values[:3], [0, 20, 0])
  tolerances.assert_close(slopes[:3], [0.5, 1, 0])
