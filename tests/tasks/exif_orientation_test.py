"""Tests of orientation in the graph: as where the images were converted."""

import contextlib
import io
import json

import classifiers
import handmade_images
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from data_prep import exif_orientation as conversion
from data_prep import jpeg_structure
from official_ext.tasks import exif_orientation

STORED = np.arange(6).reshape(2, 3, 1)
# As in EXIF 2.32, 4.6.4: where row 0 and column 0 of [[0, 1, 2], [3, 4, 5]]
# belong.
SEEN = {
    1: [[0, 1, 2], [3, 4, 5]], 2: [[2, 1, 0], [5, 4, 3]],
    3: [[5, 4, 3], [2, 1, 0]], 4: [[3, 4, 5], [0, 1, 2]],
    5: [[0, 3], [1, 4], [2, 5]], 6: [[3, 0], [4, 1], [5, 2]],
    7: [[5, 2], [4, 1], [3, 0]], 8: [[2, 5], [1, 4], [0, 3]]}


@pytest.fixture(name='read', scope='module')
def _read():
  """The graph, and what the conversion says of the same file."""
  graph = tf.function(exif_orientation.read).get_concrete_function(
      tf.TensorSpec([], tf.string))

  def read(encoded):
    found = int(graph(tf.constant(encoded)))
    if encoded.startswith(handmade_images.PNG_START):
      assert found == conversion.of_file(encoded, 'PNG')
    elif encoded.startswith(b'\xff\xd8\xff'):
      try:
        exif = jpeg_structure.parse(encoded).exif
      except jpeg_structure.InvalidJpegError:
        return found
      assert found == conversion.of_exif(exif)
    return found
  return read


def jpeg():
  encoded = io.BytesIO()
  Image.new('RGB', (8, 8)).save(encoded, 'JPEG')
  return encoded.getvalue()


def segment(marker, content):
  return (b'\xff' + bytes([marker]) + (len(content) + 2).to_bytes(2, 'big') +
          content)


def png(exif, place='before_pixels'):
  return handmade_images.png(
      STORED, 8, 0, **{place: ((b'eXIf', exif),)} if exif else {})


@pytest.mark.parametrize('orientation', SEEN)
def test_what_is_seen(orientation):
  seen = exif_orientation.turn(
      tf.constant(STORED), tf.constant(orientation))
  assert seen[..., 0].numpy().tolist() == SEEN[orientation]


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('kind', 'HI')
def test_every_orientation_of_jpeg_and_png(read, order, kind):
  for orientation in range(11):
    exif = handmade_images.exif(orientation, order, kind)
    expected = orientation if orientation in SEEN else 1
    assert read(handmade_images.with_exif(jpeg(), exif)) == expected
    for place in ('before_pixels', 'after_pixels'):
      assert read(png(exif, place)) == expected
    # Some write it in PNG as in JPEG.
    assert read(png(b'Exif\0\0' + exif)) == expected


def test_where_it_stands_in_a_jpeg(read):
  exif = handmade_images.exif(6)
  start, rest = jpeg()[:2], jpeg()[2:]
  profile = segment(0xE2, b'ICC_PROFILE\0' + bytes(60_000))
  written = segment(0xE1, b'Exif\0\0' + exif)
  xmp = segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x/>')
  for before in (b'', profile * 9, xmp, segment(0xFE, b'a comment'),
                 b'\xff\xff\xff', segment(0xE1, b''), segment(0xE1, b'Exif')):
    assert read(start + before + written + rest) == 6
  # The first counts, and none within or after the tables.
  other = segment(0xE1, b'Exif\0\0' + handmade_images.exif(3))
  assert read(start + other + written + rest) == 3
  at = jpeg().index(b'\xff\xdb')
  assert read(jpeg()[:at] + segment(0xDB, bytes(65)) + written +
              jpeg()[at:]) == 1
  assert read(jpeg() + written) == 1
  assert read(jpeg()) == read(png(b'')) == read(b'BM' + exif) == 1


def test_no_damage_fails_a_request(read):
  generator = np.random.default_rng(0)
  files = [handmade_images.with_exif(jpeg(), handmade_images.exif(6, '<')),
           png(handmade_images.exif(6))]
  for encoded in files:
    for end in range(3, 120):
      assert read(encoded[:end]) in (1, 6)
      damaged = bytearray(encoded)
      damaged[end] = int(generator.integers(256))
      damaged[int(generator.integers(3, 90))] ^= 0xff
      assert read(bytes(damaged)) in range(1, 9)
  for exif in (b'', b'MM\0*', b'MM\0*\x7f\xff\xff\xff' + bytes(9),
               b'MM\0*\xff\xff\xff\xff' + bytes(9), b'II*\0' + bytes(4),
               b'II*\0\6\0\0\0\xff\xff'):
    assert read(handmade_images.with_exif(jpeg(), exif)) == 1


@pytest.mark.parametrize('options, expected', [
    ({'exif_orientation': 'apply'}, 'apply'),
    ({'exif_orientation': 'ignore'}, 'ignore'), ({}, 'ignore'),
    (None, 'ignore')])
def test_what_the_training_data_say(tmp_path, options, expected):
  (tmp_path / 'class_names.txt').write_text('cat\ndog\n')
  if options is not None:
    (tmp_path / 'manifest.json').write_text(json.dumps({'options': options}))
  task = classifiers.load_params().task
  task.data_dir = str(tmp_path)
  task.train_data.input_path = str(tmp_path / 'train-*')
  described = exif_orientation.describe(task)
  assert described == (options or {})
  assert exif_orientation.of_model(described) == expected


@pytest.mark.parametrize('known, found, num_turned, is_refused', [
    ('apply', 'apply', 3, False), ('ignore', 'ignore', 0, False),
    ('apply', 'ignore', 0, True), ('ignore', 'apply', 3, True),
    # None had to be turned; nothing is known.
    ('ignore', 'apply', 0, False), (None, 'apply', 3, False),
    ('apply', None, 0, False)])
def test_records_that_were_turned_otherwise(
    tmp_path, known, found, num_turned, is_refused):
  (tmp_path / 'class_names.txt').write_text('cat\ndog\n')
  options = {'exif_orientation': found} if found else {}
  (tmp_path / 'manifest.json').write_text(
      json.dumps({'options': options, 'num_turned': num_turned}))
  (tmp_path / 'validation-00000-of-00001').touch()
  with contextlib.ExitStack() as stack:
    if is_refused:
      stack.enter_context(pytest.raises(
          ValueError, match=f'^these: .* with --exif_orientation={found}, .* '
          f'Convert them anew with --exif_orientation={known}'))
    exif_orientation.check_same(
        {'exif_orientation': known} if known else {},
        f'{tmp_path}/validation-*', '', 'these')


@pytest.mark.parametrize('text', ['[]', '{', '3', ''])
def test_a_damaged_manifest_is_named(tmp_path, text):
  (tmp_path / 'class_names.txt').write_text('a\n')
  (tmp_path / 'train-00000-of-00001').write_bytes(b'')
  (tmp_path / 'manifest.json').write_text(text)
  with pytest.raises(ValueError, match='manifest.json is damaged'):
    exif_orientation.check_same(
        {}, str(tmp_path / 'train*'), str(tmp_path), 'data')


def folder_of(path, orientation, num_turned=3):
  """A folder of records whose names of classes lie elsewhere."""
  path.mkdir(parents=True)
  (path / 'train-00000-of-00001').touch()
  (path / 'manifest.json').write_text(json.dumps({
      'options': {'exif_orientation': orientation}, 'num_turned': num_turned}))
  return f'{path}/train*'


def test_a_manifest_counts_without_the_names_of_the_classes(tmp_path):
  pattern = folder_of(tmp_path / 'turned', 'apply')
  with pytest.raises(ValueError, match='^these: .* with ignore'):
    exif_orientation.check_same(
        {'exif_orientation': 'ignore'}, pattern, '', 'these')
  task = classifiers.load_params().task
  task.train_data.input_path = pattern
  assert exif_orientation.describe(task) == {'exif_orientation': 'apply'}


@pytest.mark.parametrize('is_list', [False, True])
@pytest.mark.parametrize('num_turned', [0, 3])
def test_folders_of_records_that_were_turned_otherwise(
    tmp_path, num_turned, is_list):
  paths = [folder_of(tmp_path / 'b', 'apply', num_turned),
           folder_of(tmp_path / 'a', 'ignore')]
  task = classifiers.load_params().task
  task.train_data.input_path = paths if is_list else ','.join(paths)
  if not num_turned:
    assert exif_orientation.describe(task) == {'exif_orientation': 'ignore'}
    return
  for described in (lambda: exif_orientation.describe(task),
                    lambda: exif_orientation.check_same(
                        {}, paths, '', 'task.train_data')):
    with pytest.raises(ValueError, match=(
        '^task.train_data: by .*/b/manifest.json .*=apply, by '
        '.*/a/manifest.json with ignore')):
      described()
