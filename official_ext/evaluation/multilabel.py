"""Evaluation of a model of several labels per image.

It has what carries over: the loss, the areas under the precision-recall curve
that its training's evaluation logs, and precision, recall and F1 of every class
at a probability of one half. A prediction of one class, and with it confusions,
calibration and McNemar's test, it does not have.

Legend: N images, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import numpy as np
from official.core import task_factory

from official_ext.command_line import output_files
from official_ext.command_line import tables
from official_ext.evaluation import evaluated_model
from official_ext.evaluation import files
from official_ext.evaluation import per_class
from official_ext.evaluation import run
from official_ext.evaluation import summary
from official_ext.trained import validation_data


@dataclasses.dataclass(frozen=True)
class Results:
  """The figures of a model.

  Attributes:
    model: the model.
    num_images: N.
    loss: the mean loss that it was trained with.
    metrics: of Model Garden's evaluation, by their names.
    classes: precision, recall and F1 of every class.
  """
  model: evaluated_model.EvaluatedModel
  num_images: int
  loss: float
  metrics: Mapping[str, float]
  classes: list[per_class.ClassFigures]


def evaluate(model: evaluated_model.EvaluatedModel,
             source: validation_data.Source, num_images: int | None) -> Results:
  """Evaluates a model of several labels per image.

  Args:
    model: the model, of a training that is there.
    source: the records.
    num_images: how many to take; None: all.

  Returns:
    The figures.

  Raises:
    ValueError: as `validation_data.read`.
  """
  metrics = task_factory.get_task(model.task).build_metrics(training=False)
  labels, predicted = [], []
  loss_sum = 0.0
  for batch, in run.batches([model], source, num_images):
    logits = model.logits(batch)
    for metric in metrics:
      metric.update_state(batch.labels, logits)
    labels.append(batch.labels > 0)
    predicted.append(logits > 0)  # A probability above one half.
    loss_sum += model.loss(logits, batch.labels) * len(logits)
  total = sum(map(len, labels))
  return Results(
      model, total, loss_sum / total,
      {metric.name: float(metric.result()) for metric in metrics},
      per_class.of_predictions(
          np.concatenate(labels), np.concatenate(predicted),
          model.class_names))


def as_text(results: Results) -> str:
  """Writes the figures as a table."""
  rows = [['loss', f'{results.loss:.4f}'],
          *([name, f'{value:.4f}'] for name, value in results.metrics.items()),
          *([f'{label}, mean of classes', _share(results, name)]
            for name, label in summary.AVERAGES.items())]
  return (f'{tables.counted(results.num_images, "image")}; a class counts as '
          'predicted at a probability above one half\n\n'
          f'{tables.aligned(["", results.model.path], rows)}')


def write(folder: str, results: Results, pattern: str) -> list[str]:
  """Writes the figures as JSON and CSV; of an evaluation before, none is left.

  Args:
    folder: an existing folder.
    results: the figures.
    pattern: of the records.

  Returns:
    The paths of the files.

  Raises:
    OSError: if one cannot be written.
  """
  averages = {f'mean_{name}': per_class.macro_average(results.classes, name)
              for name in summary.AVERAGES}
  described = summary.without_nan({
      'format_version': summary.FORMAT_VERSION, 'data': pattern,
      'model': {'path': results.model.path, **results.model.description},
      'num_images': results.num_images, 'loss': results.loss,
      **results.metrics, **averages,
      'classes': [dataclasses.asdict(one) for one in results.classes]})
  figures = {'loss': results.loss, **results.metrics, **averages}
  return files.write_all(folder, {
      files.JSON_FILE: output_files.json_text(described),
      'summary.csv': output_files.csv_text(
          ('model', 'figure', 'value'),
          ((results.model.path, *item) for item in figures.items())),
      'classes.csv': output_files.csv_text(*files.class_rows(results.classes))})


def _share(results: Results, name: str) -> str:
  return summary.share(per_class.macro_average(results.classes, name))
