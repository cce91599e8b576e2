"""Tests of the word on a training that is worse than guessing."""

import math

import numpy as np
from official.core import task_factory
import pytest
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import guessing


def task(**settings):
  return experiment.base('funnel_vit_digits').task.replace(
      model={'num_classes': 7}, **settings)


@pytest.mark.parametrize('losses', [
    {}, {'label_smoothing': 0.2}, {'one_hot': False}, {'loss_weight': 3.0},
    {'one_hot': False, 'soft_labels': True}], ids=str)
def test_it_is_the_loss_of_equal_probabilities(losses):
  config = task(losses=losses)
  labels = np.arange(5)
  if config.losses.one_hot or config.losses.soft_labels:
    labels = tf.one_hot(labels, 7)
  found = task_factory.get_task(config).build_losses(
      labels, tf.fill([5, 7], 1.5))
  assert float(found) == pytest.approx(guessing.loss(config), rel=1e-6)


@pytest.mark.parametrize('settings', [
    {'losses': {'use_binary_cross_entropy': True}},
    {'losses': {'l2_weight_decay': 1e-4}},
    {'train_data': {'is_multilabel': True}}], ids=str)
def test_of_other_losses_nothing_is_said(settings):
  assert guessing.loss(task(**settings)) is None
  assert guessing.notes(task(**settings), 1e3) == []


def test_only_what_is_far_above_is_told():
  config = task()
  for good in (None, 0.0, math.log(7), 2 * math.log(7)):
    assert guessing.notes(config, good) == []
  # The table of a run has it at its end.
  for found in (guessing.notes(config, 21.3), task_factory.get_task(
      config).notes({'training_loss': 21.3})):
    note, = found
    assert note.startswith('warning     the training loss is 21.3, and that of '
                           'a model that guesses 1.946: it has learnt nothing.')
  assert task_factory.get_task(config).notes({}) == []
