"""Tests of what is kept of every image."""

import numpy as np
import pytest

from official_ext.evaluation import outcomes
from official_ext.tasks import ranking

# The second image has two equal logits, of which the lower class comes first.
LOGITS = np.log(np.array(
    [[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]], np.float32))
LABELS = np.array([0, 1, 0])


def collect(logits, labels, top_k, sizes, loss=None):
  collector = outcomes.Collector(top_k, loss)
  start = 0
  for size in sizes:
    part = slice(start, start + size)
    added = collector.add(logits[part], labels[part])
    np.testing.assert_array_equal(
        added, collector.outcomes().cross_entropies[start:])
    start += size
  return collector.outcomes()


@pytest.mark.parametrize('sizes', [(3,), (2, 1), (1, 1, 1)])
def test_by_hand(sizes):
  found = collect(LOGITS, LABELS, 2, sizes)
  assert found.labels.tolist() == [0, 1, 0]
  assert found.top_classes.tolist() == [[0, 1], [0, 1], [2, 1]]
  np.testing.assert_allclose(
      found.top_probabilities, [[0.7, 0.2], [0.4, 0.4], [0.7, 0.2]], rtol=1e-6)
  np.testing.assert_allclose(
      found.label_probabilities, [0.7, 0.4, 0.1], rtol=1e-6)
  np.testing.assert_allclose(
      found.cross_entropies, -np.log([0.7, 0.4, 0.1]), rtol=1e-6)
  assert found.predicted.tolist() == [0, 0, 2]
  np.testing.assert_allclose(found.confidences, [0.7, 0.4, 0.7], rtol=1e-6)
  assert found.is_right().tolist() == [True, False, False]
  assert found.is_right(2).tolist() == [True, True, False]
  assert found.loss is None


def test_right_is_what_evaluation_calls_right():
  # Rounded, so that many are equal.
  logits = np.random.default_rng(0).normal(
      size=[200, 6]).astype(np.float32).round(1)
  labels = np.arange(200) % 6
  found = collect(logits, labels, 4, (150, 50))
  for k in (1, 2, 4):
    assert found.is_right(k).tolist() == ranking.is_among_first(
        logits, labels, k).numpy().tolist()


def test_the_loss_counts_every_image_once():
  found = collect(LOGITS, LABELS, 1, (2, 1),
                  loss=lambda logits, labels: float(len(labels)))
  assert found.loss == pytest.approx((2 * 2 + 1 * 1) / 3)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_logit_that_is_no_number(value):
  logits = LOGITS.copy()
  logits[2, 1] = value
  with pytest.raises(ValueError, match='image 2 has logits that are not fin'):
    collect(logits, LABELS, 2, (2, 1))
