"""Tests of models side by side over a validation set."""

import dataclasses

import numpy as np
import pytest
import records_for_tests

from official_ext.analysis import models as models_lib
from official_ext.analysis import saliency_maps
from official_ext.analysis import validation
from official_ext.trained import trained_model
from official_ext.trained import validation_data


@pytest.fixture(name='pair', scope='module')
def _pair(trained_dir):
  """Two models; the second takes the class the first knows best for others."""
  first, second = (
      models_lib.NamedModel(
          name, trained_model.find(trained_dir), [str(i) for i in range(10)])
      for name in ('A', 'B'))
  images, labels = read(first, None)
  predicted = first.logits(images).numpy().argmax(-1)
  best = np.bincount(labels[predicted == labels], minlength=10).argmax()
  swapped = np.arange(10)
  swapped[[best, (best + 1) % 10]] = swapped[[(best + 1) % 10, best]]
  head = second.trained.model.layers[-1]
  kernel, bias = head.get_weights()
  head.set_weights([kernel[:, swapped], bias[swapped]])
  return first, second


def read(model, num_images):
  batches = list(validation_data.read_records(model.trained, None, num_images))
  return (np.concatenate([batch.images for batch in batches]),
          np.concatenate([batch.labels for batch in batches]))


@pytest.mark.slow
def test_disagreements(pair):
  images, labels = read(pair[0], None)
  is_right = np.array([
      model.logits(images).numpy().argmax(-1) == labels for model in pair])
  found = validation.disagreements(*pair, None, None, 2)
  assert (found.counts[1, 1], found.counts[1, 0], found.counts[0, 1],
          found.counts[0, 0]) == tuple(
              ((is_right[0] == a) & (is_right[1] == b)).sum()
              for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
  assert found.counts[1, 0] > 2
  first = [example for example, name in zip(found.examples, found.only_right)
           if name == 'A']
  assert len(first) == 2
  assert len(found.examples) == 2 + min(2, found.counts[0, 1])
  # Of all images that A alone gets right, it is most confident of these.
  confidence = models_lib.softmax(pair[0].logits(images))[
      np.arange(len(labels)), labels]
  alone = is_right[0] & ~is_right[1]
  best = sorted(np.flatnonzero(alone), key=lambda i: -confidence[i])[:2]
  assert [example.name for example in first] == [f'image {i}' for i in best]
  assert [example.label for example in first] == labels[best].tolist()


def test_how_disagreements_are_told():
  found = validation.Disagreements(
      ('A', 'B'), np.array([[3, 1], [6, 90]]), [], [])
  *counts, chance = validation.format_disagreements(found).splitlines()
  assert [line.split()[-3:] for line in counts] == [
      ['90', '90.00', '%'], ['6', '6.00', '%'], ['1', '1.00', '%'],
      ['3', '3.00', '%']]
  # Seven coins that fall 6 to 1, or 7 to 0, either way: 2 (7 + 1) / 2^7.
  assert chance.endswith('probability 0.12')


@pytest.mark.slow
def test_models_that_agree(pair):
  found = validation.disagreements(pair[0], pair[0], None, 20, 3)
  assert (found.counts[1, 0], found.counts[0, 1], found.examples) == (0, 0, [])
  assert 'probability' not in validation.format_disagreements(found)


@pytest.mark.long
def test_salient_areas(pair):
  areas = validation.salient_areas(pair, None, 40, 'gradient')
  assert areas.shape == (2, 2, 40)
  # Swapping two classes moves their saliency, not its size.
  np.testing.assert_allclose(areas[0], areas[1])
  images, _ = read(pair[0], 40)
  predicted = pair[0].logits(images).numpy().argmax(-1)
  maps = saliency_maps.Saliency(pair[0].logits)(images, predicted)
  half = [np.searchsorted(np.cumsum(np.sort(item.ravel())[::-1]),
                          item.sum() / 2) + 1 for item in maps]
  np.testing.assert_allclose(areas[0, 0], np.array(half) / 256, atol=1.01 / 256)


@pytest.mark.slow
def test_a_model_without_any_saliency(pair, trained_dir):
  untrained = models_lib.NamedModel(
      'untrained', trained_model.find(trained_dir), pair[0].class_names)
  head = untrained.trained.model.layers[-1]
  head.set_weights([np.zeros_like(value) for value in head.get_weights()])
  with pytest.raises(ValueError, match=(
      'untrained has no saliency on any of the 4 images')):
    validation.salient_areas([pair[0], untrained], None, 4, 'gradient')


def test_how_areas_are_told():
  first = np.array([[0.1, 0.2, 0.3, np.nan], [0.5, 0.6, 0.7, 0.8]])
  second = np.array([[0.2, 0.3, 0.7, 0.1], [0.5, 0.6, 0.7, 0.8]])
  text = validation.format_areas(['A', 'B'], np.stack([first, second]))
  title, _, *table = text.splitlines()
  assert title == '3 images; 1 without any saliency left out'
  rows = [[cell.strip() for cell in line[1:-1].split('|')] for line in table]
  assert rows[2] == ['A', '20.00 % of the pixels', '60.00 % of the pixels',
                     '', '']
  # Differences 10, 10, 40 points: mean 20, standard error 10, t(0.975, 2).
  assert rows[3][1:] == ['40.00 % of the pixels', '60.00 % of the pixels',
                         '+20.00 ± 43.03', '+0.00 ± 0.00']


def test_labels_that_the_model_lacks(pair, tmp_path):
  path = records_for_tests.write(
      tmp_path / 'records', [records_for_tests.example(10)])
  with pytest.raises(ValueError, match='a record has label 10'):
    list(validation.batches(pair, path, None))


def test_models_of_several_labels_are_not_compared(pair):
  first, second = pair
  several = dataclasses.replace(second, trained=dataclasses.replace(
      second.trained, params=second.trained.params.replace(
          task={'train_data': {'is_multilabel': True}})))
  with pytest.raises(ValueError, match='^B has several labels per image'):
    next(validation.batches([first, several], None, None))
