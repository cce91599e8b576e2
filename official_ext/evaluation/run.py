"""Reads a validation set once, and asks one model or two about every image.

Legend: B images, K most probable classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses

import numpy as np
import tqdm

from official_ext.evaluation import evaluated_model
from official_ext.evaluation import mistakes as mistakes_lib
from official_ext.evaluation import outcomes as outcomes_lib
from official_ext.tasks import record_counts
from official_ext.trained import validation_data


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """A model and what it answered.

  Attributes:
    model: the model.
    outcomes: of every image, in the order of the records.
    mistakes: the worst of them, the worst first.
  """
  model: evaluated_model.EvaluatedModel
  outcomes: outcomes_lib.Outcomes
  mistakes: list[mistakes_lib.Mistake]


def evaluate(models: Sequence[evaluated_model.EvaluatedModel],
             source: validation_data.Source, num_images: int | None,
             top_k: int, num_mistakes: int) -> list[Evaluation]:
  """Evaluates models of one label per image, side by side.

  Args:
    models: one, or several that are to be compared.
    source: the records.
    num_images: how many to take; None: all.
    top_k: K; of fewer classes, all of them.
    num_mistakes: how many to keep at most.

  Returns:
    What came of it, for each model.

  Raises:
    ValueError: if a label is of no class, the models read different labels, or
      a logit is no number.
  """
  collectors = [outcomes_lib.Collector(
      min(top_k, len(model.class_names)), model.loss) for model in models]
  worst = [mistakes_lib.Worst(num_mistakes) for _ in models]
  for group in batches(models, source, num_images):
    for model, batch, collector, mistakes in zip(
        models, group, collectors, worst):
      logits = model.logits(batch)
      mistakes.add(
          batch.encoded, batch.labels, logits,
          collector.add(logits, batch.labels))
  return [
      Evaluation(model, collector.outcomes(), mistakes.found())
      for model, collector, mistakes in zip(models, collectors, worst)]


def batches(models: Sequence[evaluated_model.EvaluatedModel],
            source: validation_data.Source, num_images: int | None
            ) -> Iterator[tuple[validation_data.Batch, ...]]:
  """Reads the same images for each model, prepared as it is evaluated.

  Args:
    models: at least one.
    source: the records.
    num_images: how many to take; None: all.

  Yields:
    A batch for each model.

  Raises:
    ValueError: as `validation_data.read`, or if the models do not mean the
      same classes by the labels.
  """
  readers = [validation_data.read(
      model.task, model.known, source, num_images) for model in models]
  with tqdm.tqdm(desc='evaluate', unit=' images', disable=None,
                 total=_total(source, num_images)) as bar:
    for group in zip(*readers, strict=True):
      for model, batch in zip(models[1:], group[1:]):
        _check_same(models[0], group[0].labels, model, batch.labels)
      yield group
      bar.update(len(group[0].labels))


def _check_same(first: evaluated_model.EvaluatedModel, labels: np.ndarray,
                other: evaluated_model.EvaluatedModel,
                other_labels: np.ndarray) -> None:
  """Refuses models to which a record is an image of different classes."""
  for label, other_label in zip(labels, other_labels):
    name, other_name = (model.class_names[number] for model, number in (
        (first, label), (other, other_label)))
    if name != other_name:
      raise ValueError(
          f'a record is of class {name!r} of {first.path}, but of class '
          f'{other_name!r} of {other.path}. Compare models of the same '
          'classes.')


def _total(source: validation_data.Source, num_images: int | None
           ) -> int | None:
  """Returns how many images come; None where they must be read to know."""
  counted = record_counts.count_quickly(source.paths, source.file_type)
  if counted is None:
    return num_images
  return min(counted, num_images or counted)
