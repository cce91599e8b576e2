"""The figures of an evaluation as a table to read, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

from official_ext.command_line import tables
from official_ext.evaluation import calibration
from official_ext.evaluation import confusion
from official_ext.evaluation import intervals
from official_ext.evaluation import paired
from official_ext.evaluation import per_class
from official_ext.evaluation import results as results_lib

FORMAT_VERSION = 1
AVERAGES = {'precision': 'precision', 'recall': 'recall', 'f1': 'F1'}
_NUM_PAIRS = 5


def as_text(results: results_lib.Results,
            baseline: results_lib.Results | None = None,
            comparison: paired.Comparison | None = None) -> str:
  """Writes the figures as a table, and whether a baseline is as good.

  Args:
    results: of the model.
    baseline: of another, or None.
    comparison: of both, or None.

  Returns:
    Several lines.
  """
  columns = [results, *([baseline] if baseline else [])]
  header = ['', *(one.model.path for one in columns)]
  if comparison:
    header.append('difference')
  rows = []
  for k in results.accuracies:
    cells = [_percent(one.accuracies.get(k)) for one in columns]
    if comparison:
      cells.append(_points(comparison.differences.get(k)))
    rows.append([f'top-{k}', *cells])
  rows.append(['loss', *(
      '-' if one.outcomes.loss is None else f'{one.outcomes.loss:.4f}'
      for one in columns)])
  rows.append(['cross-entropy', *(
      _plain(one.cross_entropy) for one in columns), *(
          [_plain(comparison.cross_entropy, '+')] if comparison else [])])
  for name, label in AVERAGES.items():
    rows.append([f'{label}, mean of classes', *(
        share(per_class.macro_average(one.classes, name))
        for one in columns)])
  rows.append(['calibration error', *(
      share(calibration.expected_error(one.bins)) for one in columns)])
  lines = [tables.counted(results.num_images, 'image') +
           '; in brackets what other images of the kind may give (95 %)', '',
           tables.aligned(header, rows)]
  if comparison:
    lines += ['', _chance(results, baseline, comparison)]
  pairs = confusion.most_confused(results.confusion, _NUM_PAIRS)
  if pairs:
    names = results.model.class_names
    lines += ['', 'most often taken for another: ' + ', '.join(
        f'{names[label]} for {names[predicted]} ({count})'
        for label, predicted, count in pairs)]
  return '\n'.join(lines)


def about_top_k(results: results_lib.Results, asked: int | None) -> str:
  """Says why another accuracy is given than was asked for.

  Args:
    results: of the model.
    asked: top-k that was typed; None: none was.

  Returns:
    A line with an empty one before it; '' where there is nothing to say.
  """
  num_classes = len(results.model.class_names)
  if not asked or asked < num_classes:
    return ''
  return (f'\n--top_k={asked} would always be right of {num_classes} classes: '
          f'top-{max(results.accuracies)} is given\n')


def as_json(results: results_lib.Results) -> dict[str, Any]:
  """Returns the figures of a model as values that JSON can hold.

  Args:
    results: the figures.

  Returns:
    Everything but the single images; None where there is no figure.
  """
  cells = results.confusion.tocoo()
  return without_nan({
      'model': {'path': results.model.path, **results.model.description},
      'num_images': results.num_images,
      'accuracy': {f'top_{k}': dataclasses.asdict(estimate)
                   for k, estimate in results.accuracies.items()},
      'loss': results.outcomes.loss,
      'cross_entropy': dataclasses.asdict(results.cross_entropy),
      'mean_of_classes': {
          name: per_class.macro_average(results.classes, name)
          for name in AVERAGES},
      'calibration': {
          'expected_error': calibration.expected_error(results.bins),
          'maximum_error': calibration.maximum_error(results.bins),
          'bins': [dataclasses.asdict(one) for one in results.bins]},
      'classes': [dataclasses.asdict(one) for one in results.classes],
      'confusion': [
          {'label': int(label), 'predicted': int(predicted),
           'count': int(count)}
          for label, predicted, count in zip(
              cells.row, cells.col, cells.data)],
      'mistakes': [
          {'number': one.number, 'label': one.label,
           'predicted': one.predicted, 'cross_entropy': one.cross_entropy}
          for one in results.mistakes],
  })


def comparison_as_json(comparison: paired.Comparison) -> dict[str, Any]:
  """Returns a comparison as values that JSON can hold."""
  described = dataclasses.asdict(comparison)
  described['differences'] = {
      f'top_{k}': dataclasses.asdict(estimate)
      for k, estimate in comparison.differences.items()}
  return described


def _chance(results: results_lib.Results, baseline: results_lib.Results,
            comparison: paired.Comparison) -> str:
  return (
      f'both are right about {comparison.both}, only {results.model.path} '
      f'about {comparison.only_model}, only {baseline.model.path} about '
      f'{comparison.only_baseline}, neither about {comparison.neither}; if '
      'both were as good, they would differ at least so much with probability '
      f"{comparison.p_value:.2g} (McNemar's test)")


def _percent(estimate: intervals.Estimate | None) -> str:
  if estimate is None:
    return '-'
  return (f'{100 * estimate.value:.2f} % '
          f'[{100 * estimate.low:.2f}, {100 * estimate.high:.2f}]')


def _points(estimate: intervals.Estimate | None) -> str:
  if estimate is None:
    return '-'
  return (f'{100 * estimate.value:+.2f} '
          f'[{100 * estimate.low:+.2f}, {100 * estimate.high:+.2f}]')


def _plain(estimate: intervals.Estimate, sign: str = '') -> str:
  return (f'{estimate.value:{sign}.4f} '
          f'[{estimate.low:{sign}.4f}, {estimate.high:{sign}.4f}]')


def share(value: float) -> str:
  """Formats a part of one in per cent, '-' where it is NaN."""
  return '-' if math.isnan(value) else f'{100 * value:.2f} %'


def without_nan(value: Any) -> Any:
  """Returns a value for JSON, which has no NaN: None stands for it."""
  if isinstance(value, dict):
    return {name: without_nan(one) for name, one in value.items()}
  if isinstance(value, Sequence) and not isinstance(value, str):
    return [without_nan(one) for one in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
