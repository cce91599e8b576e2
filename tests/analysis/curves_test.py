"""Tests of the curves of trainings."""

import logged_runs
from matplotlib import colors
import numpy as np
import pytest

from official_ext import figures
from official_ext.analysis import command
from official_ext.analysis import curves
from official_ext.analysis import runs as runs_lib


def load(*paths):
  return runs_lib.load([command.ModelArgument(path, name)
                        for name, path in paths])


@pytest.fixture(name='runs', scope='module')
def _runs(digits_dir, tmp_path_factory):
  """One that is finished, one with one point, one without an evaluation."""
  folder = tmp_path_factory.mktemp('curves')
  runs = [('done', [0.5, 0.75]), ('short', [0.25]), ('no evaluation', [])]
  paths = []
  for name, accuracies in runs:
    logged_runs.write_run(
        folder / name, digits_dir, accuracies or [0.5],
        **{'trainer.train_steps': 20})
    paths.append((name, str(folder / name)))
  for path in (folder / 'no evaluation' / 'validation').iterdir():
    path.unlink()
  return load(*paths)


def lines(axes):
  return [(line.get_xdata().tolist(), line.get_ydata().tolist())
          for line in axes.get_lines()]


@pytest.mark.slow
def test_panels_show_what_was_logged(runs):
  figure = curves.draw(runs)
  loss, loss_by_time, accuracy, accuracy_by_time = figure.axes
  assert lines(loss) == [
      ([10, 20], pytest.approx([0.2, 0.1])), ([10], pytest.approx([0.2])),
      ([10], pytest.approx([0.2]))]
  # The file was opened with the first record; less than three minutes.
  assert lines(loss_by_time)[0][0] == pytest.approx([0, 10])
  assert loss_by_time.get_shared_x_axes().joined(
      loss_by_time, accuracy_by_time)
  assert accuracy_by_time.get_xlabel() == 'training time, s'
  assert lines(accuracy) == [([10, 20], [50, 75]), ([10], [25])]
  assert {line.get_marker() for line in loss.get_lines()} == {'o'}
  figures.png(figure)


def test_the_legend_says_how_far_trainings_are(runs):
  figure = curves.draw(runs)
  legend, = figure.legends
  assert [text.get_text() for text in legend.get_texts()] == [
      'done', 'short: step 10 of 20', 'no evaluation: step 10 of 20']
  figure.draw_without_rendering()
  bottom = legend.get_window_extent().y0
  for axes in figure.axes:
    assert axes.get_tightbbox().y1 < bottom
  figures.png(figure)


@pytest.mark.parametrize('num_columns', [1, 2])
def test_raw_values_stay_pale_beside_smoothed_ones(runs, num_columns):
  figure = curves.draw(runs[:1], 0.5, num_columns)
  raw, smoothed = figure.axes[0].get_lines()
  assert raw.get_alpha() < 0.5 and smoothed.get_alpha() is None
  assert raw.get_ydata() == pytest.approx([0.2, 0.1])
  assert smoothed.get_ydata() == pytest.approx([0.2, 0.1 / 0.75])
  assert raw.get_color() == smoothed.get_color()
  assert figure.get_supxlabel() == 'smoothed by 0.5, raw values pale'
  figures.png(figure)


def test_nothing_to_draw_is_said(runs):
  figure = curves.draw(runs[2:])
  assert [text.get_text() for axes in figure.axes for text in axes.texts] == [
      'no evaluation yet'] * 2
  figures.png(figure)


def test_long_curves_have_no_markers(digits_dir, tmp_path):
  path = logged_runs.write_run(tmp_path, digits_dir, np.linspace(0, 1, 40))
  figure = curves.draw(load(('long', path)))
  assert {line.get_marker() for axes in figure.axes
          for line in axes.get_lines()} == {'None'}
  figures.png(figure)


def test_no_two_lines_look_the_same(runs):
  many = [runs[0]] * curves.MAX_RUNS
  figure = curves.draw(many)
  looks = {(colors.to_hex(line.get_color()), line.get_linestyle())
           for line in figure.axes[0].get_lines()}
  assert len(looks) == len(many)
  figures.png(figure)
  with pytest.raises(ValueError, match='29 trainings are too many'):
    curves.draw([*many, runs[0]])


@pytest.mark.parametrize('name', ['_hidden', 'a $x^$ b', 'x' * 300])
def test_names_are_drawn_as_they_are(digits_dir, tmp_path, name):
  path = logged_runs.write_run(tmp_path, digits_dir, [0.5, 0.75])
  figure = curves.draw(load((name, path)))
  text, = figure.legends[0].get_texts()
  assert text.get_text().replace('\n', '').replace('\\', '') == name
  assert figures.png(figure).startswith(b'\x89PNG')


def test_by_hand():
  # 0.4 * 1 / 0.4; (0.6 * 0.4 + 0.4 * 3) / (1 - 0.36); and so on.
  np.testing.assert_allclose(
      curves.smooth(np.array([1.0, 3.0, 2.0]), 0.6),
      [1, 1.44 / 0.64, (0.6 * 1.44 + 0.8) / 0.784])


def test_nothing_is_smoothed_by_0():
  values = np.array([1.0, 3.0, 2.0])
  np.testing.assert_array_equal(curves.smooth(values, 0), values)


def test_a_constant_stays():
  np.testing.assert_allclose(
      curves.smooth(np.full(50, 7.0), 0.999), np.full(50, 7.0))


def test_what_is_not_finite_is_left_out_of_the_average():
  smoothed = curves.smooth(np.array([1.0, np.nan, np.inf, 3.0]), 0.5)
  np.testing.assert_allclose(smoothed, [1, np.nan, np.inf, 1.75 / 0.75])
