"""Writes what came of an evaluation: JSON, CSV files and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import os
import tempfile
from typing import Any

from official_ext import figures
from official_ext.command_line import output_files
from official_ext.evaluation import confusion
from official_ext.evaluation import confusion_figure
from official_ext.evaluation import paired
from official_ext.evaluation import per_class
from official_ext.evaluation import pictures
from official_ext.evaluation import results as results_lib
from official_ext.evaluation import summary

JSON_FILE = 'evaluation.json'
_ENDINGS = ('.csv', '.png')
_TABLES = ('summary', 'classes', 'confusion', 'groups', 'calibration',
           'images', 'mistakes')
# All that an evaluation may write.
NAMES = (JSON_FILE, *(name + ending for name in _TABLES
                      for ending in _ENDINGS))


@contextlib.contextmanager
def output_folder(path: str) -> Iterator[None]:
  """Makes a folder to write to, before the work that it waits for.

  Args:
    path: of the folder.

  Yields:
    Once: the folder can be written to. If the block fails, the folders that
    were made for it are removed again.

  Raises:
    ValueError: if it is a file, or cannot be written to.
  """
  missing = []
  folder = os.path.abspath(path)
  while not os.path.lexists(folder):
    missing.append(folder)
    folder = os.path.dirname(folder)
  try:
    os.makedirs(path, exist_ok=True)
    # Permissions do not tell of every file system what happens.
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    _remove(missing)
    raise ValueError(
        f'--output={path} cannot be written to ({error.strerror}). Name '
        'another folder.') from error
  try:
    yield
  except BaseException:
    _remove(missing)
    raise


def _remove(folders: Sequence[str]) -> None:
  """Removes folders as far as they are empty, the innermost first."""
  with contextlib.suppress(OSError):
    for folder in folders:
      os.rmdir(folder)


def write(folder: str, results: results_lib.Results,
          baseline: results_lib.Results | None,
          comparison: paired.Comparison | None, pattern: str) -> list[str]:
  """Writes all files; of an evaluation before, none is left.

  Args:
    folder: an existing folder.
    results: of the model.
    baseline: of another, or None.
    comparison: of both, or None.
    pattern: of the records.

  Returns:
    The paths of the files.

  Raises:
    OSError: if one cannot be written.
  """
  grouped = confusion.grouped(results.confusion)
  names = results.model.class_names
  contents = {JSON_FILE: _json(results, baseline, comparison, pattern)}
  contents |= {f'{name}.csv': output_files.csv_text(header, rows)
               for name, header, rows in (
      ('summary', *_summary_rows(results, baseline, comparison)),
      ('classes', *class_rows(results.classes)),
      ('confusion', *_confusion_rows(results)),
      ('calibration', *_calibration_rows(results)),
      ('images', *_image_rows(results, baseline)))}
  if len(grouped.groups) < len(names):
    contents['groups.csv'] = output_files.csv_text(
        ('group', 'class', 'name'),
        ((number, one, names[one])
         for number, group in enumerate(grouped.groups) for one in group))
  contents['confusion.png'] = figures.png(
      confusion_figure.draw(grouped, names))
  contents['calibration.png'] = figures.png(
      pictures.draw_calibration(results.bins))
  if results.mistakes:
    contents['mistakes.png'] = figures.png(
        pictures.draw_mistakes(results.mistakes, names))
  return write_all(folder, contents)


def write_all(folder: str, contents: dict[str, bytes]) -> list[str]:
  """Writes files into a folder, and removes what else is of an evaluation.

  Args:
    folder: an existing folder.
    contents: by the names of the files.

  Returns:
    Their paths.

  Raises:
    OSError: if one cannot be written.
  """
  for name in set(NAMES) - set(contents):
    with contextlib.suppress(FileNotFoundError):
      os.remove(os.path.join(folder, name))
  paths = []
  for name, content in contents.items():
    paths.append(os.path.join(folder, name))
    with open(paths[-1], 'wb') as file:
      file.write(content)
  return paths


def _json(results: results_lib.Results, baseline: results_lib.Results | None,
          comparison: paired.Comparison | None, pattern: str) -> bytes:
  described = {
      'format_version': summary.FORMAT_VERSION, 'data': pattern,
      **summary.as_json(results),
      'baseline': baseline and summary.as_json(baseline),
      'comparison': comparison and summary.comparison_as_json(comparison)}
  return output_files.json_text(described)


def _summary_rows(results, baseline, comparison):
  """Returns the figures of the models, one per line, with their intervals."""
  rows = []
  for one in filter(None, (results, baseline)):
    described = summary.as_json(one)
    path = one.model.path
    rows += [(path, f'{name}_accuracy', *estimate.values())
             for name, estimate in described['accuracy'].items()]
    rows += [
        (path, 'cross_entropy', *described['cross_entropy'].values()),
        (path, 'loss', described['loss'], None, None),
        *((path, f'mean_{name}', value, None, None)
          for name, value in described['mean_of_classes'].items()),
        *((path, f'{name}_calibration_error',
           described['calibration'][f'{name}_error'], None, None)
          for name in ('expected', 'maximum'))]
  if comparison:
    described = summary.comparison_as_json(comparison)
    rows += [('difference', f'{name}_accuracy', *estimate.values())
             for name, estimate in described['differences'].items()]
    rows += [
        ('difference', 'cross_entropy', *described['cross_entropy'].values()),
        ('difference', 'mcnemar_p_value', comparison.p_value, None, None)]
  return ('model', 'figure', 'value', 'low', 'high'), rows


def class_rows(classes: Sequence[per_class.ClassFigures]
               ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
  """Returns the header and the rows of the figures of classes."""
  return ('class', 'name', 'count', 'predicted', 'precision', 'recall', 'f1'), (
      (one.number, one.name, one.count, one.predicted, one.precision,
       one.recall, one.f1) for one in classes)


def _confusion_rows(results):
  """Returns the pairs that there are: of most of many classes there is none."""
  cells = results.confusion.tocoo()
  names = results.model.class_names
  return ('class', 'name', 'predicted', 'predicted_name', 'count'), (
      (label, names[label], predicted, names[predicted], count)
      for label, predicted, count in zip(cells.row, cells.col, cells.data))


def _calibration_rows(results):
  return ('above', 'up_to', 'count', 'confidence', 'accuracy', 'low', 'high'), (
      (one.low, one.high, one.count, one.confidence, *(
          (one.accuracy.value, one.accuracy.low, one.accuracy.high)
          if one.accuracy else (None, None, None)))
      for one in results.bins)


def _image_rows(results, baseline):
  """Returns a line for every image, in the order of the records."""
  outcomes, names = results.outcomes, results.model.class_names
  top_k = outcomes.top_classes.shape[1]
  header = ['image', 'class', 'name', 'class_probability',
            *(f'{part}_{rank}' for rank in range(1, top_k + 1)
              for part in ('predicted', 'predicted_name', 'probability'))]
  if baseline:
    header += ['baseline_predicted_name', 'baseline_probability']

  def rows():
    for index, label in enumerate(outcomes.labels):
      row = [index, label, names[label], outcomes.label_probabilities[index]]
      for predicted, probability in zip(outcomes.top_classes[index],
                                        outcomes.top_probabilities[index]):
        row += [predicted, names[predicted], probability]
      if baseline:
        other = baseline.outcomes
        row += [baseline.model.class_names[other.predicted[index]],
                other.confidences[index]]
      yield row

  return header, rows()
