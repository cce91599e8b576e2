"""Tests of the comparison of exports with their checkpoint."""

import dataclasses
import io

import handmade_images
import numpy as np
from PIL import Image
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.serving import comparison
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.serving.runtimes import runners
from official_ext.tasks import image_header
from official_ext.trained import validation_data


def test_accuracy_is_counted_image_by_image():
  accuracy = comparison.Accuracy()
  logits = np.eye(8, dtype=np.float32)[[0, 1, 2]] + np.linspace(0, 0.1, 8)
  # Right; not the first but among five; not among five.
  accuracy.add(logits, np.array([0, 7, 0]), logits + [[0.5], [0], [0]])
  assert (accuracy.num_images, accuracy.num_top_1, accuracy.num_top_5) == (
      3, 1, 2)
  assert accuracy.max_difference == pytest.approx(0.5)
  accuracy.add(logits, np.array([0, 1, 2]), logits)
  assert (accuracy.num_images, accuracy.num_top_1) == (6, 4)
  assert accuracy.max_difference == pytest.approx(0.5)
  accuracy.add(logits * np.nan, np.array([0, 1, 2]), logits)
  assert np.isnan(accuracy.max_difference)
  accuracy.add(logits, np.array([0, 1, 2]), logits)
  assert not accuracy.max_difference <= 1


@pytest.mark.parametrize('num_classes, columns', [
    (5, '|  | top-1 | largest'), (6, '|  | top-1 | top-5 | largest')])
def test_an_accuracy_that_is_always_whole_is_left_out(num_classes, columns):
  row = comparison.Row()
  row.accuracy.add(
      np.eye(num_classes, dtype=np.float32), np.zeros(num_classes, int), None)
  table = comparison.format_table([row], [])
  assert table.startswith(columns)
  assert f'| checkpoint | {100 / num_classes:.2f} % |' in table


class Header:
  """A runner that reads the header of a file alone, and has one answer."""
  name, takes_bytes = 'Header', True

  def __init__(self, orientations):
    self.description = {'preprocessing': {'exif_orientation': orientations}}

  def logits(self, batch):
    check = tf.function(image_header.check)
    for encoded in batch:
      check(tf.constant(encoded))
    return np.zeros([len(batch), 10])


def compare(trained, runner, folder, *images):
  path = records_for_tests.write(
      folder / 'validation', [records_for_tests.example(3, image)
                              for image in images])
  return comparison.compare(trained, [runner], validation_data.read_records(
      trained, path, None))


def upright_and_lying():
  upright = encode(records_for_tests.pixels(0, (40, 60, 3)))
  return upright, handmade_images.with_exif(upright, handmade_images.exif(6))


@pytest.mark.slow
def test_records_that_an_export_turns_are_counted(trained, tmp_path):
  upright, lying = upright_and_lying()
  path = records_for_tests.write(tmp_path / 'validation', [
      records_for_tests.example(3, image) for image in (lying, upright, lying)])
  rows = comparison.compare(
      trained, [Header('apply'), Header('ignore')],
      validation_data.read_records(trained, path, None))
  assert [row.num_turned for row in rows] == [0, 2, 0]
  assert comparison.cause_of_difference(rows).startswith(
      ' 2 records hold an image that is to be turned by its EXIF data')
  assert comparison.cause_of_difference(rows[::2]) == ''


@pytest.mark.slow
def test_a_record_that_an_export_refuses_is_named(trained, tmp_path):
  upright, _ = upright_and_lying()
  small = encode(records_for_tests.pixels(0, (40, 1, 3)))
  with pytest.raises(ValueError, match=(
      '^Header refuses the image of record 33: the image has fewer than 2 px '
      'on a side: 40 1. A server does so too')):
    compare(trained, Header('ignore'), tmp_path, *[upright] * 33, small)


@pytest.mark.long
def test_the_cause_of_a_difference(trained, tmp_path):
  turning = dataclasses.replace(trained, data={'exif_orientation': 'apply'})
  runner = runners.SavedModelRunner(write.export(
      turning, names.SAVED_MODEL, str(tmp_path / 'export')))
  upright, lying = upright_and_lying()
  for image, differs in ((upright, False), (lying, True)):
    rows = compare(turning, runner, tmp_path, image)
    assert (rows[1].accuracy.max_difference > 1e-3) == differs
    assert bool(comparison.cause_of_difference(rows)) == differs


def encode(pixels):
  encoded = io.BytesIO()
  Image.fromarray(pixels).save(encoded, 'JPEG', quality=100)
  return encoded.getvalue()


def test_exports_of_different_weights():
  class Export:

    def __init__(self, path, step):
      self.path = path
      self.description = {'source': {'step': step}, 'preprocessing': {}}

  same = [Export('a', 1), Export('b', 1)]
  assert comparison.common_source(same) == {'step': 1}
  with pytest.raises(ValueError, match='a and c are not exports of the same'):
    comparison.common_source([*same, Export('c', 2)])


def test_a_training_that_has_moved(tmp_path):
  (tmp_path / 'best').mkdir()
  for name in ('ckpt-10', 'best/best_ckpt-2'):
    (tmp_path / f'{name}.index').touch()
    assert comparison.locate(f'/gone/{name}', str(tmp_path)) == (
        f'{tmp_path}/{name}', str(tmp_path))
  with pytest.raises(ValueError, match='has no checkpoint ckpt-11, of which'):
    comparison.locate('/gone/ckpt-11', str(tmp_path))


def test_where_the_training_is(trained_dir, tmp_path):
  for checkpoint in (f'{trained_dir}/ckpt-10', f'{trained_dir}/best/ckpt-10'):
    assert comparison.locate(checkpoint, None) == (checkpoint, trained_dir)
  with pytest.raises(ValueError, match='with --model_dir'):
    comparison.locate(str(tmp_path / 'gone' / 'ckpt-1'), None)
