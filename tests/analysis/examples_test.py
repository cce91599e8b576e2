"""Tests of the images that a command is given."""

import dataclasses

import animals
import handmade_images
import numpy as np
from PIL import Image
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.analysis import examples as examples_lib
from official_ext.analysis import models as models_lib
from official_ext.analysis import pixels
from official_ext.trained import trained_model
from official_ext.trained import validation_data


@pytest.fixture(name='model', scope='module')
def _model(trained_dir):
  return models_lib.NamedModel(
      'model', trained_model.find(trained_dir), [str(i) for i in range(10)])


@pytest.mark.slow
def test_records_are_read_as_evaluation_reads_them(model, digits_dir):
  examples = examples_lib.read([f'{digits_dir}/validation-*'], 7, model)
  batch = next(validation_data.read_records(model.trained, None, 7))
  assert [example.label for example in examples] == batch.labels.tolist()
  np.testing.assert_array_equal(
      examples_lib.prepare(examples, model), batch.images)
  shown = pixels.displayable(batch.images, model.normalization)
  # Bicubic resizing overshoots black and white, which no screen shows.
  black, white = (
      pixels.normalize(np.full([3], value, 'f'), model.normalization)
      for value in (0, 1))
  np.testing.assert_allclose(
      pixels.normalize(shown, model.normalization),
      np.clip(batch.images, black, white), atol=1e-5)
  assert examples[6].name.endswith('[6]')


@pytest.mark.slow
def test_folders_are_spread_and_name_the_classes(model, tmp_path):
  for folder in ('3', '7', 'none of them'):
    (tmp_path / folder).mkdir()
    for index in range(4):
      (tmp_path / folder / f'{index}.jpg').write_bytes(
          records_for_tests.encode())
  (tmp_path / '3' / 'notes.txt').write_text('not an image')
  found = examples_lib.read([str(tmp_path)], 6, model)
  assert [(example.name[len(str(tmp_path)) + 1:], example.label)
          for example in found] == [
              ('3/0.jpg', 3), ('3/2.jpg', 3), ('7/0.jpg', 7), ('7/2.jpg', 7),
              ('none of them/0.jpg', None), ('none of them/2.jpg', None)]
  assert len(examples_lib.read([f'{tmp_path}/3/*.jpg'], 6, model)) == 4


def test_labels_are_those_of_the_model(model, tmp_path):
  names = ['cat', 'dog', 'caf\xe9']
  named = models_lib.NamedModel(
      'model', dataclasses.replace(
          model.trained, data={'class_names': names}), names)
  # On its own: other numbers, and another Unicode form.
  records = animals.write(
      tmp_path / 'records, [1]', ['cafe\u0301', 'dog'], count=1)
  assert [example.label for example in examples_lib.read(
      [f'{records}/validation*'], 9, named)] == [2, 1]
  folder = tmp_path / 'images' / 'cafe\u0301'
  folder.mkdir(parents=True)
  (folder / '1.jpg').write_bytes(records_for_tests.encode())
  example, = examples_lib.read([str(tmp_path / 'images')], 9, named)
  assert example.label == 2
  animals.write(records, ['fox', 'dog'], count=1)
  with pytest.raises(ValueError, match="--images: .*: label 0 is 'fox', but"):
    examples_lib.read([f'{records}/validation*'], 9, named)


def reading(model, data):
  """The model, with other settings of its data, and names of no data set."""
  trained = model.trained
  return dataclasses.replace(model, trained=dataclasses.replace(
      trained, data={}, params=trained.params.replace(task=data)))


def write(path, labels, compression=None):
  with tf.io.TFRecordWriter(str(path), compression) as writer:
    for label in labels:
      writer.write(records_for_tests.example(label))
  return str(path)


def labels_of(path, model):
  return [example.label for example in examples_lib.read([path], 9, model)]


def test_compressed_records(model, tmp_path):
  path = write(tmp_path / 'records', [3, 5], 'GZIP')
  compressed = reading(
      model, {'validation_data': {'file_type': 'tfrecord_compressed'}})
  assert labels_of(path, compressed) == [3, 5]
  with pytest.raises(ValueError, match=r'records of the model \(tfrecord\)'):
    labels_of(path, model)


def test_of_several_labels_none_is_shown(model, tmp_path):
  several = reading(model, {'train_data': {'is_multilabel': True},
                            'validation_data': {'label_offset': 1}})
  path = write(tmp_path / 'records', [[0, 9], [2], []])
  assert labels_of(path, several) == [None, 2, None]


def test_labels_of_no_class(model, tmp_path):
  one_more = reading(model, {'validation_data': {'label_offset': 1}})
  path = write(tmp_path / 'records', [-1, 8])
  assert labels_of(path, one_more) == [None, 9]
  path = write(tmp_path / 'other', [9])
  assert labels_of(path, model) == [9]
  with pytest.raises(ValueError, match=r'other\[0\] has label 9, but model has '
                     r'classes 0\.\.9'):
    labels_of(path, one_more)


@pytest.mark.parametrize('orientations', ['apply', 'ignore'])
def test_files_are_turned_as_the_training_data_were(
    model, tmp_path, orientations):
  model = dataclasses.replace(model, trained=dataclasses.replace(
      model.trained, data={'exif_orientation': orientations}))
  stored = np.zeros([32, 32, 3], np.uint8)
  stored[:16] = 255  # The sky, which is to the right of what is seen.
  encoded = handmade_images.with_png_chunk(
      handmade_images.png(stored, 8, 2), b'eXIf', handmade_images.exif(6))
  (tmp_path / 'image.png').write_bytes(encoded)
  path = records_for_tests.write(
      tmp_path / 'records', [records_for_tests.example(1, encoded)])
  of_file, of_record = (pixels.displayable(examples_lib.prepare(
      examples_lib.read([str(name)], 1, model), model),
                                            model.normalization)[0, ..., 0]
                        for name in (tmp_path / 'image.png', path))
  # A record is read as it stands.
  assert of_record[:4].min() > 0.9 and of_record[-4:].max() < 0.1
  sky, ground = ((of_file[:, -4:], of_file[:, :4])
                 if orientations == 'apply' else (of_file[:4], of_file[-4:]))
  assert sky.min() > 0.9 and ground.max() < 0.1


@pytest.mark.parametrize('image_format', [
    'JPEG', 'PNG', 'BMP', 'GIF', 'TIFF', 'WEBP'])
def test_formats(model, tmp_path, image_format):
  path = tmp_path / 'image'
  path.write_bytes(records_for_tests.encode(image_format, (160, 120)))
  images = examples_lib.prepare(
      examples_lib.read([str(path)], 1, model), model)
  assert images.shape == (1, 16, 16, 3)
  np.testing.assert_allclose(
      255 * pixels.displayable(images, model.normalization),
      np.broadcast_to([200, 30, 40], images.shape), atol=2)


def test_what_is_no_image(model, tmp_path):
  text = tmp_path / 'notes.jpg'
  text.write_text('I am a text, and a long one, which is no TFRecord either.')
  with pytest.raises(ValueError, match='notes.jpg is neither an image'):
    examples_lib.read([str(text)], 1, model)
  photo = tmp_path / 'photo.heic'
  photo.write_bytes(b'\0\0\0\x1cftypheic' + bytes(40))
  with pytest.raises(ValueError, match='HEIC, AVIF or a video; save it as JPE'):
    examples_lib.read([str(photo)], 1, model)
  with pytest.raises(ValueError, match=r"no file matches '.*\*.png'"):
    examples_lib.read([f'{tmp_path}/*.png'], 1, model)
  empty = tmp_path / 'empty'
  empty.mkdir()
  with pytest.raises(ValueError, match='there is no image in'):
    examples_lib.read([str(empty)], 1, model)
  truncated = tmp_path / 'truncated.png'
  Image.new('RGB', (40, 40)).save(truncated)
  truncated.write_bytes(truncated.read_bytes()[:30])
  with pytest.raises(ValueError, match='truncated.png cannot be decoded'):
    examples_lib.prepare(examples_lib.read([str(truncated)], 1, model), model)
  # A record without an image.
  path = records_for_tests.write(tmp_path / 'records', [
      records_for_tests.example(1, image=b'')])
  with pytest.raises(ValueError, match=r'records\[0\] cannot be decoded'):
    examples_lib.prepare(examples_lib.read([path], 1, model), model)
