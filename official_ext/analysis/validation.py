"""Models side by side over a validation set.

Legend: N images, M models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import heapq
import math

import numpy as np
from scipy import stats
import tqdm

from official_ext.analysis import examples as examples_lib
from official_ext.analysis import models as models_lib
from official_ext.analysis import saliency_maps
from official_ext.command_line import tables
from official_ext.tasks import ranking
from official_ext.trained import validation_data

# Parts of the saliency, a half of it and nearly all.
FRACTIONS = (0.5, 0.9)


def batches(models: Sequence[models_lib.NamedModel], pattern: str | None,
            num_images: int | None
            ) -> Iterator[tuple[validation_data.Batch, ...]]:
  """Reads the same images for each model, preprocessed as it evaluates them.

  Args:
    models: at least one.
    pattern: of TFRecords; None: the validation data of the first.
    num_images: how many to take; None: all.

  Yields:
    A batch for each model.

  Raises:
    ValueError: if there are no images, or the models do not read the same
      labels.
  """
  for model in models:
    if model.trained.params.task.train_data.is_multilabel:
      raise ValueError(
          f'{model.name} has several labels per image (task.train_data.'
          'is_multilabel), but models are compared by one. Name models of one '
          'label per image.')
  pattern = pattern or models[0].trained.params.task.validation_data.input_path
  readers = [validation_data.read_records(model.trained, pattern, num_images)
             for model in models]
  with tqdm.tqdm(unit='image', disable=None, total=num_images) as bar:
    for group in zip(*readers, strict=True):
      for model, batch in zip(models, group):
        _check_labels(model, batch.labels)
        if not np.array_equal(batch.labels, group[0].labels):
          raise ValueError(
              f'{models[0].name} and {model.name} read different labels from '
              f'the same records: {group[0].labels[:5].tolist()} and '
              f'{batch.labels[:5].tolist()}. Their label_offset differs.')
      yield group
      bar.update(len(group[0].labels))


def salient_areas(models: Sequence[models_lib.NamedModel], pattern: str | None,
                  num_images: int | None, method: str,
                  seed: int = 0) -> np.ndarray:
  """Computes how much of every image is salient to each model.

  Args:
    models: M of them.
    pattern: of TFRecords; None: the validation data of the first.
    num_images: how many to take; None: all.
    method: of saliency, of the prediction's score.
    seed: of the noise.

  Returns:
    Fractions of the images' pixels, float [M, len(FRACTIONS), N].

  Raises:
    ValueError: as `batches`; or if a model has no saliency at all.
  """
  maps = [saliency_maps.Saliency(
      model.logits, method, seed, model.normalization) for model in models]
  areas = []
  for group in batches(models, pattern, num_images):
    by_model = []
    for model, saliency_of, batch in zip(models, maps, group):
      predicted = model.logits(batch.images).numpy().argmax(axis=-1)
      saliency = saliency_of(batch.images, predicted)
      by_model.append([saliency_maps.salient_area(saliency, fraction)
                       for fraction in FRACTIONS])
    areas.append(by_model)
  areas = np.concatenate(areas, axis=-1)
  for model, own in zip(models, areas):
    if np.isnan(own).all():
      raise ValueError(
          f'{model.name} has no saliency on any of the {own.shape[-1]} images: '
          'its predictions do not depend on the pixels, as those of a head '
          'that is still zero. Train it, or leave it out.')
  return areas


def format_areas(names: Sequence[str], areas: np.ndarray) -> str:
  """Formats the areas as a Markdown table.

  Args:
    names: of the M models.
    areas: what `salient_areas` returned.

  Returns:
    A line for each model; images that lack saliency in one are left out.
  """
  complete = np.isfinite(areas).all(axis=(0, 1))
  areas = 100 * areas[:, :, complete]
  count = areas.shape[-1]
  header = ['', *(f'{100 * fraction:.0f} % of the saliency is in'
                  for fraction in FRACTIONS),
            *(f'difference at {100 * fraction:.0f} %, points'
              for fraction in FRACTIONS)]
  rows = []
  for name, own in zip(names, areas):
    cells = [f'{area.mean():.2f} % of the pixels' for area in own]
    for difference in own - areas[0]:
      margin = (stats.t.ppf(0.975, count - 1) * stats.sem(difference)
                if count > 1 else math.nan)
      cells.append(f'{difference.mean():+.2f} ± {margin:.2f}' if rows else '')
    rows.append([name, *cells])
  left_out = int((~complete).sum())
  note = f'; {left_out} without any saliency left out' if left_out else ''
  return f'{count} images{note}\n\n{tables.markdown(header, rows)}'


@dataclasses.dataclass(frozen=True)
class Disagreements:
  """About which images two models disagree.

  Attributes:
    names: of the two models.
    counts: int [2, 2], of images; whether the first is right, by whether the
      second is.
    examples: images of which one only is right, the first's before the
      second's, each beginning with the one of which it is most confident.
    only_right: for each of the examples, the name of the model that is right.
  """
  names: tuple[str, str]
  counts: np.ndarray
  examples: list[examples_lib.Example]
  only_right: list[str]


def disagreements(first: models_lib.NamedModel, second: models_lib.NamedModel,
                  pattern: str | None, num_images: int | None,
                  num_examples: int) -> Disagreements:
  """Finds the images that one model gets right and the other wrong.

  Args:
    first: a model.
    second: another, with the same classes.
    pattern: of TFRecords; None: the validation data of the first.
    num_images: how many to take; None: all.
    num_examples: how many images to keep at most, of each kind.

  Returns:
    What was found.

  Raises:
    ValueError: as `batches`.
  """
  counts = np.zeros([2, 2], np.int64)
  # Of each model: (probability, - index, example) where it alone is right.
  most_confident = [[], []]
  index = 0
  for group in batches([first, second], pattern, num_images):
    labels = group[0].labels
    logits = [model.logits(batch.images)
              for model, batch in zip((first, second), group)]
    probabilities = [models_lib.softmax(own) for own in logits]
    is_right = [ranking.is_among_first(own, labels, 1).numpy()
                for own in logits]
    np.add.at(counts, tuple(right.astype(int) for right in is_right), 1)
    for position in np.flatnonzero(is_right[0] != is_right[1]):
      who = 0 if is_right[0][position] else 1
      label = int(labels[position])
      example = examples_lib.Example(
          f'image {index + position}', group[0].encoded[position], label)
      entry = (float(probabilities[who][position, label]),
               -(index + int(position)), example)
      most_confident[who] = heapq.nlargest(
          num_examples, [*most_confident[who], entry])
    index += len(labels)
  examples, only_right = [], []
  for model, entries in zip((first, second), most_confident):
    for _, _, example in entries:
      examples.append(example)
      only_right.append(model.name)
  return Disagreements(
      (first.name, second.name), counts, examples, only_right)


def format_disagreements(found: Disagreements) -> str:
  """Formats the counts, and whether chance explains them.

  Args:
    found: what `disagreements` returned.

  Returns:
    Several lines.
  """
  first, second = found.names
  width = max(len('only  is right') + max(len(first), len(second)), 14)
  counts = {
      'both are right': found.counts[1, 1],
      f'only {first} is right': found.counts[1, 0],
      f'only {second} is right': found.counts[0, 1],
      'both are wrong': found.counts[0, 0],
  }
  total = found.counts.sum()
  lines = [f'{name:{width}}{count:8}{100 * count / total:8.2f} %'
           for name, count in counts.items()]
  num_first, num_second = found.counts[1, 0], found.counts[0, 1]
  if num_first + num_second:
    # McNemar's test, exact: among the images of which one is right, who is?
    chance = stats.binomtest(num_first, num_first + num_second).pvalue
    lines.append(
        f'if both were as good, they would differ at least so much with '
        f'probability {chance:.2g}')
  return '\n'.join(lines)


def _check_labels(model: models_lib.NamedModel, labels: np.ndarray) -> None:
  num_classes = len(model.class_names)
  wrong = labels[(labels < 0) | (labels >= num_classes)]
  if len(wrong):
    raise ValueError(
        f'the records have the label {wrong[0]}, but {model.name} has '
        f'{num_classes} classes, 0 to {num_classes - 1}. Name its own '
        'validation data with --data.')
