"""Tests of the picture of a confusion matrix."""

from matplotlib import pyplot
import numpy as np

from official_ext.evaluation import confusion
from official_ext.evaluation import confusion_figure


def test_the_confusion_matrix(by_hand):
  figure = confusion_figure.draw(
      confusion.grouped(by_hand().confusion), ['cat', '$d^g$ $', 'a' * 30])
  axes = figure.axes[0]
  # In per cent of each row.
  np.testing.assert_allclose(
      axes.images[0].get_array(), [[100, 0, 0], [50, 50, 0], [0, 100, 0]])
  # Each count in its cell, (column, row), readable on its colour.
  assert {text.get_position(): (text.get_text(), text.get_color())
          for text in axes.texts} == {
              (0, 0): ('2', 'white'), (0, 1): ('1', 'white'),
              (1, 1): ('1', 'white'), (1, 2): ('1', 'white')}
  assert (axes.get_xlabel(), axes.get_ylabel()) == ('predicted', 'class')
  assert [text.get_text() for text in axes.get_yticklabels()] == [
      'cat', '$d^g$ $', 'a' * 21 + '…']
  assert not any(text.get_parse_math() for text in axes.get_yticklabels())
  assert axes.get_title() == ''
  pyplot.close(figure)


def test_counts_are_readable_on_their_colours():
  counts = confusion.matrix(np.zeros(4, int), np.array([0, 0, 0, 1]), 2)
  figure = confusion_figure.draw(confusion.grouped(counts), ['cat', 'dog'])
  assert [(text.get_text(), text.get_color())
          for text in figure.axes[0].texts] == [('3', 'white'), ('1', '0.1')]
  pyplot.close(figure)


def test_many_classes_are_drawn_in_groups():
  labels = np.arange(100) % 50
  counts = confusion.matrix(labels, labels, 50)
  figure = confusion_figure.draw(
      confusion.grouped(counts), [f'class {index}' for index in range(50)])
  axes = figure.axes[0]
  assert axes.images[0].get_array().shape == (30, 30)
  assert axes.get_title().startswith('50 classes in groups')
  assert not axes.texts
  pyplot.close(figure)
