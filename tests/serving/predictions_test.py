"""Tests of what a model says of files, and of how it is written."""

import numpy as np
import pytest
import records_for_tests

from official_ext.serving import image_paths
from official_ext.serving import predictions
from official_ext.serving.runtimes import classifier as classifier_lib

CAT = classifier_lib.Prediction(1, 'cat, tom', 0.75)
DOG = classifier_lib.Prediction(0, 'dog', 0.25)
RESULTS = [predictions.Result('a.png', [CAT, DOG]),
           predictions.Result('b.png', error='no image')]


class ByLength:
  """Answers with the length of a file; refuses what is no PNG."""

  def __init__(self):
    self.batches = []

  def classify_all(self, images, top_k):
    self.batches.append(len(images))
    return [
        [classifier_lib.Prediction(len(image), 'length', 1.0)] * top_k
        if image.startswith(b'\x89PNG') else ValueError('refused')
        for image in images]


class Refusing:
  """Refuses every image, as a graph does one with too many pixels."""

  def classify_all(self, images, top_k):
    del top_k
    return [ValueError('the image claims more pixels than are decoded')
            for _ in images]


def files(*contents):
  return [image_paths.ImageFile(f'{index}', lambda found=found: found)
          for index, found in enumerate(contents)]


def test_files_in_batches_in_their_order():
  def fail():
    raise FileNotFoundError('3; no such file')

  images = [records_for_tests.encode('PNG', (8, 8), (red, 7, 9))
            for red in range(5)]
  asked = files(images[0], b'text', images[1], None, images[2],
                b'\xff\xd8\xff', images[3], images[4])
  asked[3] = image_paths.ImageFile('3', fail)
  classifier = ByLength()
  found = list(predictions.classify(classifier, asked, 2, 3, num_drawn=2))
  assert [result.image for result in found] == [str(i) for i in range(8)]
  assert [result.error for result in found] == [
      '', 'not an image: begins with 74 65 78 74', '', 'no such file', '',
      'JPEG: truncated: no end-of-image marker', '', '']
  assert [[one.number for one in result.predictions] for result in found] == [
      [len(image)] * 2 if image else [] for image in (
          images[0], None, images[1], None, images[2], None, *images[3:])]
  # Of 3 files each, those that hold an image.
  assert classifier.batches == [2, 2, 2]
  assert [result.thumbnail is not None for result in found] == [
      True, False, True] + 5 * [False]
  np.testing.assert_allclose(
      found[2].thumbnail, np.broadcast_to([1, 7, 9], [8, 8, 3]), atol=2)


def test_what_the_conversion_would_take_has_the_reason_of_the_model():
  whole = records_for_tests.encode('JPEG', (8, 8), (1, 7, 9))
  found, = predictions.classify(Refusing(), files(whole), 1, 3)
  assert found.error == 'the image claims more pixels than are decoded'


def test_nothing_that_can_be_read():
  classifier = ByLength()
  found, = predictions.classify(classifier, files(b''), 1, 3)
  assert found.error == 'empty: zero bytes' and not classifier.batches


def test_a_name_with_control_characters_stays_on_its_line():
  result = predictions.Result('a\nb\x1b[2J\tc, "d\xe9".png', [CAT])
  assert predictions.as_text(result).splitlines() == [
      'a\\nb\\x1b[2J\\tc, "d\xe9".png', '   75.00 %  cat, tom']


def test_as_text():
  assert [predictions.as_text(result) for result in RESULTS[:2]] == [
      'a.png\n   75.00 %  cat, tom\n   25.00 %  dog', '']


@pytest.mark.parametrize('count, num_cells', [(1, 1), (7, 12)])
def test_the_picture(count, num_cells):
  pixels = records_for_tests.pixels(0, (4, 5, 3))
  results = [predictions.Result(f'x/$a{index}.png', [CAT, DOG],
                                thumbnail=pixels) for index in range(count)]
  figure = predictions.draw([*results, RESULTS[1]])
  assert len(figure.axes) == num_cells
  drawn = [axes for axes in figure.axes if axes.get_visible()]
  assert [axes.get_title() for axes in drawn] == [
      f'$a{index}.png' for index in range(count)]
  for axes in drawn:
    assert axes.get_xlabel() == 'cat, tom: 75 %'
    np.testing.assert_array_equal(axes.images[0].get_array(), pixels)
