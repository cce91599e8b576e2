"""Tests of ImageNet's classes and of the lists that label its validation."""

import io
import pathlib
import random
import tarfile

import image_trees
import numpy as np
import pytest
from scipy import io as scipy_io
import tensorflow_datasets as tfds

from data_prep import containers
from data_prep import imagenet_labels

NUM = imagenet_labels.NUM_VALIDATION
GROUND_TRUTH = 'ILSVRC2012_validation_ground_truth.txt'


@pytest.fixture(name='order', scope='module')
def _order():
  """The devkit's order of the synsets, which is not the sorted one."""
  order = list(imagenet_labels.SYNSETS)
  random.Random(0).shuffle(order)
  return order


@pytest.fixture(name='numbers', scope='module')
def _numbers():
  return np.random.default_rng(0).integers(1, 1001, NUM)


@pytest.fixture(name='expected', scope='module')
def _expected(order, numbers):
  return {f'ILSVRC2012_val_{image:08d}': order[number - 1]
          for image, number in enumerate(numbers, start=1)}


@pytest.fixture(name='devkit', scope='module')
def _devkit(tmp_path_factory, order, numbers):
  """A folder and an archive like the devkit's."""
  table = np.array(
      [(number, synset, f'words of {synset}')
       # Beyond 1,000 there are inner nodes of the hierarchy.
       for number, synset in enumerate([*order, 'n99999999'], start=1)],
      dtype=[('ILSVRC2012_ID', 'O'), ('WNID', 'O'), ('words', 'O')])
  meta = io.BytesIO()
  scipy_io.savemat(meta, {'synsets': table[:, None]})
  root = tmp_path_factory.mktemp('devkit')
  files = {'data/meta.mat': meta.getvalue(), f'data/{GROUND_TRUTH}':
           ''.join(f'{number}\n' for number in numbers).encode()}
  with tarfile.open(root / 'ILSVRC2012_devkit_t12.tar.gz', 'w:gz') as archive:
    for name, content in files.items():
      image_trees.write(root / 'folder' / name, content)
      image_trees.add_to_tar(
          archive, f'ILSVRC2012_devkit_t12/{name}', content)
  return root


def test_the_synsets_are_those_of_tfds():
  path = tfds.core.tfds_path('datasets/imagenet2012/labels.txt')
  assert list(imagenet_labels.SYNSETS) == path.read_text().split()
  assert list(imagenet_labels.SYNSETS) == sorted(imagenet_labels.SYNSETS)
  assert len(set(imagenet_labels.SYNSETS)) == 1000


@pytest.mark.parametrize('name', [
    'ILSVRC2012_devkit_t12.tar.gz', 'folder', 'folder/data',
    f'folder/data/{GROUND_TRUTH}'])
def test_the_devkit(devkit, expected, name):
  labels = imagenet_labels.read_validation_labels(str(devkit / name))
  assert labels == expected


def test_a_devkit_beside_the_images_is_found(devkit, expected):
  def lists(folder):
    return {pathlib.Path(member.path).name: member
            for member in containers.walk(str(devkit / folder))}
  assert imagenet_labels.find_validation_labels(lists('folder')) == expected
  assert imagenet_labels.find_validation_labels(lists('.')) == expected
  assert imagenet_labels.find_validation_labels({}) is None


def test_a_list_of_synsets(tmp_path, expected):
  path = image_trees.write(
      tmp_path / 'list.txt', '\r\n'.join(expected.values()).encode())
  assert imagenet_labels.read_validation_labels(str(path)) == expected


def test_the_list_that_tfds_ships():
  path = tfds.core.tfds_path('datasets/imagenet2012/validation_labels.txt')
  labels = imagenet_labels.read_validation_labels(str(path))
  assert len(labels) == NUM
  counts = np.unique(list(labels.values()), return_counts=True)[1]
  assert len(counts) == 1000 and set(counts) == {50}


def test_kaggles_list(tmp_path):
  path = image_trees.write(tmp_path / 'LOC_val_solution.csv', (
      b'ImageId,PredictionString\n'
      b'ILSVRC2012_val_00048981,n03995372 85 1 499 272 \n'
      b'ILSVRC2012_val_00037956,n03481172 131 0 499 254 n03481172 0 0 1 1\n'))
  assert imagenet_labels.read_validation_labels(str(path)) == {
      'ILSVRC2012_val_00048981': 'n03995372',
      'ILSVRC2012_val_00037956': 'n03481172'}


@pytest.mark.parametrize('content, reason', [
    (b'', 'is empty'),
    (b'n01440764\n', 'labels 1 images; ImageNet has 50000'),
    (b'n00000000\n' * NUM, "'n00000000', which is no synset of ImageNet"),
    (b'490\n361\n', 'meta.mat explains; put it beside'),
    (b'\xff\xfe', 'is not a text file'),
    (b'ImageId,PredictionString\nx,\n', 'names no synset'),
])
def test_wrong_lists_are_named(tmp_path, content, reason):
  path = image_trees.write(tmp_path / 'list.txt', content)
  with pytest.raises(ValueError, match=reason):
    imagenet_labels.read_validation_labels(str(path))


def test_wrong_devkits_are_named(tmp_path, devkit):
  whole = (devkit / 'ILSVRC2012_devkit_t12.tar.gz').read_bytes()
  path = image_trees.write(tmp_path / 'devkit.tar.gz', whole[:-5000])
  with pytest.raises(ValueError, match='is damaged'):
    imagenet_labels.read_validation_labels(str(path))
  with pytest.raises(ValueError, match=f'holds no {GROUND_TRUTH}'):
    imagenet_labels.read_validation_labels(str(tmp_path))
  with pytest.raises(ValueError, match='does not exist'):
    imagenet_labels.read_validation_labels(str(tmp_path / 'missing'))


def test_names_of_synsets():
  assert imagenet_labels.read_class_names(
      'n01440764 tench, Tinca tinca\nn01443537\tgoldfish\n\nother line\n') == {
          'n01440764': 'tench, Tinca tinca', 'n01443537': 'goldfish'}


def test_names_that_tell_a_split():
  assert imagenet_labels.flat_split('ILSVRC2012_val_00000001.JPEG') == (
      'validation')
  assert imagenet_labels.flat_split('ILSVRC2012_test_00000001.JPEG') == 'test'
  assert imagenet_labels.flat_split('n01440764_18.JPEG') is None
