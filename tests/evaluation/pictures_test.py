"""Tests of the pictures of an evaluation."""

from matplotlib import pyplot
import numpy as np
import pytest
import records_for_tests

from official_ext.evaluation import calibration
from official_ext.evaluation import mistakes
from official_ext.evaluation import pictures


def test_the_reliability_diagram():
  found = calibration.bins(np.array([0.75, 0.75, 0.35]),
                           np.array([True, False, True]), 2)
  figure = pictures.draw_calibration(found)
  top, below = figure.axes
  points = top.containers[0].lines[0].get_xydata()
  np.testing.assert_allclose(points, [[35, 100], [75, 50]])
  assert [bar.get_height() for bar in below.patches] == [1, 2]
  # Within their bins, one beside the other.
  assert [(bar.get_x(), bar.get_width()) for bar in below.patches] == [
      pytest.approx((1.25, 47.5)), pytest.approx((51.25, 47.5))]
  # From the lower to the upper end of each interval.
  bars, = top.containers[0].lines[2]
  for (_, low), (_, high), one in zip(
      *np.swapaxes(bars.get_segments(), 0, 1), found):
    assert (low, high) == pytest.approx(
        (100 * one.accuracy.low, 100 * one.accuracy.high))
  assert (top.get_xlim(), top.get_ylim()) == ((0, 100), (0, 100))
  np.testing.assert_array_equal(
      top.lines[0].get_xydata(), [[0, 0], [100, 100]])
  assert top.get_title() == 'Calibration error 38.33 %'
  pyplot.close(figure)


def test_the_mistakes():
  found = [mistakes.Mistake(
      number, records_for_tests.encode('PNG', color=(0, 0, 50 * number)), 0, 1,
      float(-np.log(0.02))) for number in range(4)]
  figure = pictures.draw_mistakes(found[:1], ['cat', 'dog'])
  axes, = figure.axes
  assert (axes.get_title(), axes.get_xlabel()) == ('cat: 2.0 %', 'dog ✗')
  assert axes.images[0].get_array().shape == (16, 20, 3)
  pyplot.close(figure)
  figure = pictures.draw_mistakes(found * 2, ['cat', 'dog'])
  # Two rows of six, of which the last four stay empty.
  assert [axes.get_visible() for axes in figure.axes] == [True] * 8 + [
      False] * 4
  assert figure.axes[7].images[0].get_array()[0, 0].tolist() == pytest.approx(
      [0, 0, 150])
  pyplot.close(figure)
