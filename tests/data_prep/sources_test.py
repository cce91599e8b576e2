"""Tests of what is recognised: which forms, and what labels their images."""

import tarfile

import conversions
import image_trees
import pytest

from data_prep import imagenet_labels
from data_prep import verification

SYNSETS = imagenet_labels.SYNSETS


@pytest.fixture(name='imagenet', scope='module')
def _imagenet(tmp_path_factory):
  """The archives as they are downloaded, with an image of every class."""
  root = tmp_path_factory.mktemp('imagenet')
  image_trees.imagenet_archives(root, SYNSETS)
  # Image number i is of class i, and over again.
  image_trees.write(root / 'labels.list', '\n'.join(
      SYNSETS[number % 1000] for number in range(50_000)).encode())
  return root


def convert_imagenet(imagenet, output_dir, **how):
  return conversions.convert(
      [('', imagenet)], output_dir, shards={'train': 4},
      validation_labels=imagenet / 'labels.list', **how)


@pytest.mark.slow
def test_the_archives_of_imagenet(imagenet, tmp_path):
  done = convert_imagenet(imagenet, tmp_path)
  assert done.data_set.form == 'ImageNet (ILSVRC 2012)'
  assert conversions.labels(tmp_path, 'train') == {
      f'{synset}_{7 * label}.JPEG': label
      for label, synset in enumerate(SYNSETS, start=1)}
  assert conversions.labels(tmp_path, 'validation') == {
      f'ILSVRC2012_val_{number:08d}.JPEG': number for number in range(1, 6)}
  assert set(conversions.labels(tmp_path, 'test').values()) == {-1}
  for label, record in ((record['image/class/label'], record)
                        for record in conversions.read(tmp_path, 'train')):
    assert record['image/class/synset'].decode() == SYNSETS[label - 1]
    assert record['image/encoded'] == image_trees.encode(
        label, width=8, height=8)
  names = (tmp_path / 'class_names.txt').read_text().splitlines()
  assert names == ['background', *SYNSETS]
  assert '1,000 train images; the complete ImageNet has 1,281,167' in (
      done.data_set.notes)


# Of ImageNet, one image is a PNG and these are CMYK.
PNG = 'n02105855_2933'
CMYK = (
    'n01739381_1309 n02077923_14822 n02447366_23489 n02492035_15739 '
    'n02747177_10752 n03018349_4028 n03062245_4620 n03347037_9675 '
    'n03467068_12171 n03529860_11437 n03544143_17228 n03633091_5218 '
    'n03710637_5125 n03961711_5286 n04033995_2932 n04258138_17003 '
    'n04264628_27969 n04336792_7448 n04371774_5854 n04596742_4225 '
    'n07583066_647 n13037406_4650').split()


@pytest.mark.slow
@pytest.mark.parametrize('are_odd', [
    True, pytest.param(False, marks=pytest.mark.long)])
def test_the_odd_images_of_imagenet_are_known_by_content(tmp_path, are_odd):
  files = {}
  for number, name in enumerate((PNG, *CMYK)):
    form, mode = ('PNG', 'RGB') if name == PNG else ('JPEG', 'CMYK')
    if not are_odd:
      form, mode = 'JPEG', 'RGB'
    files[f'{name}.JPEG'] = image_trees.encode(number, form, mode)
    image_trees.write(
        tmp_path / 'in' / name.split('_')[0] / f'{name}.JPEG',
        files[f'{name}.JPEG'])
  conversions.convert(tmp_path / 'in', tmp_path / 'out', form='imagenet')
  reencoded = conversions.listed(tmp_path / 'out', 'reencoded.jsonl')
  assert [row['file'] for row in reencoded] == [f'{PNG}.JPEG'] * are_odd
  images = conversions.images(tmp_path / 'out', 'train')
  for name, content in files.items():
    if not are_odd or name != f'{PNG}.JPEG':
      assert images[name] == content
  # Training decodes them all.
  assert not list(verification.verify(str(tmp_path / 'out'), lambda *_: None))


@pytest.mark.slow
def test_archives_and_folders_give_the_same_shards(imagenet, tmp_path):
  convert_imagenet(imagenet, tmp_path / 'from_archives')
  for name in ('train', 'val', 'test_v10102019'):
    target = tmp_path / 'Data/CLS-LOC' / name.split('_')[0]
    with tarfile.open(imagenet / f'ILSVRC2012_img_{name}.tar') as archive:
      archive.extractall(target, filter='data')
    for inner in target.glob('*.tar'):
      with tarfile.open(inner) as archive:
        archive.extractall(target / inner.stem, filter='data')
      inner.unlink()
  conversions.convert(
      tmp_path / 'Data', tmp_path / 'from_folders', shards={'train': 4},
      validation_labels=imagenet / 'labels.list')
  assert conversions.shards(tmp_path / 'from_archives') == conversions.shards(
      tmp_path / 'from_folders')


def test_the_validation_archive_alone(imagenet, tmp_path):
  path = imagenet / 'ILSVRC2012_img_val.tar'
  with pytest.raises(ValueError, match='--validation_labels=PATH'):
    conversions.convert(path, tmp_path)
  conversions.convert(
      [('validation', path)], tmp_path,
      validation_labels=imagenet / 'labels.list')
  assert sorted(conversions.labels(tmp_path, 'validation').values()) == [
      1, 2, 3, 4, 5]


@pytest.mark.parametrize('form, first', [('imagenet', SYNSETS.index(
    'n02085620') + 1), ('folders', 0)])
def test_a_part_of_imagenet_is_ambiguous(tmp_path, form, first):
  image_trees.class_folders(tmp_path / 'in', {'n02085620': 1, 'n02085782': 1})
  with pytest.raises(ValueError, match='2 of the 1,000 classes.*n01440764'):
    conversions.convert(tmp_path / 'in', tmp_path / 'out')
  conversions.convert(tmp_path / 'in', tmp_path / 'out', form=form)
  assert list(conversions.labels(tmp_path / 'out', 'train').values()).count(
      first) == 1
  assert len((tmp_path / 'out/class_names.txt').read_text().split()) == (
      1001 if form == 'imagenet' else 2)


def test_tiny_imagenet(tmp_path):
  tiny = tmp_path / 'tiny-imagenet-200'
  for synset in ('n01443537', 'n01629819', 'n99999999'):
    image_trees.write(tiny / f'train/{synset}/images/{synset}_0.JPEG',
                      image_trees.encode(int(synset[1:])))
    image_trees.write(tiny / f'train/{synset}/{synset}_boxes.txt', b'x')
  for number in range(2):
    image_trees.write(
        tiny / f'val/images/val_{number}.JPEG', image_trees.encode(10 + number))
  image_trees.write(tiny / 'val/val_annotations.txt', (
      b'val_0.JPEG\tn01629819\t0\t32\t44\t62\n'
      b'val_1.JPEG\tn01443537\t5\t1\t4\t6\n'))
  image_trees.write(tiny / 'test/images/test_0.JPEG', image_trees.encode(20))
  image_trees.write(tiny / 'words.txt', b'n01443537\tgoldfish\n')
  done = conversions.convert(tiny, tmp_path / 'out')
  assert done.data_set.form == 'Tiny-ImageNet'
  assert conversions.labels(tmp_path / 'out', 'train') == {
      'n01443537_0.JPEG': 0, 'n01629819_0.JPEG': 1, 'n99999999_0.JPEG': 2}
  assert conversions.labels(tmp_path / 'out', 'validation') == {
      'val_0.JPEG': 1, 'val_1.JPEG': 0}
  assert conversions.labels(tmp_path / 'out', 'test') == {'test_0.JPEG': -1}
  assert (tmp_path / 'out/class_names.txt').read_text().split() == [
      'goldfish', 'n01629819', 'n99999999']


def test_imagenet_21k(tmp_path):
  for number, synset in enumerate(('n00004475', 'n00005787', 'n00006024')):
    image_trees.write(tmp_path / f'in/{synset}.tar', image_trees.tar_bytes(
        {f'{synset}_{number}.JPEG': image_trees.encode(number)}))
  done = conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert done.data_set.form == '3 synsets of ImageNet-21k'
  assert conversions.labels(tmp_path / 'out', 'train') == {
      'n00004475_0.JPEG': 0, 'n00005787_1.JPEG': 1, 'n00006024_2.JPEG': 2}


def test_folders_of_classes(tmp_path):
  files = image_trees.class_folders(
      tmp_path / 'in', {'wren': 3, 'robin': 2, 'Zebra finch': 1})
  done = conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert done.data_set.form == 'a folder per class'
  labels = {'Zebra finch': 0, 'robin': 1, 'wren': 2}
  assert conversions.labels(tmp_path / 'out', 'train') == {
      path: labels[path.split('/')[0]] for path in files}
  assert conversions.images(tmp_path / 'out', 'train') == files


def test_numbers_as_classes_keep_their_order(tmp_path):
  image_trees.class_folders(
      tmp_path / 'in', {str(number): 1 for number in range(11)})
  conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert conversions.labels(tmp_path / 'out', 'train') == {
      f'{number}/000.jpg': number for number in range(11)}


def test_a_test_split_takes_the_place_of_validation(tmp_path):
  image_trees.class_folders(tmp_path / 'in/train', {'a': 2, 'b': 2})
  image_trees.class_folders(tmp_path / 'in/test', {'a': 1, 'b': 1})
  done = conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert any('written as validation-*' in note for note in done.data_set.notes)
  assert conversions.labels(tmp_path / 'out', 'validation') == {
      'a/000.jpg': 0, 'b/000.jpg': 1}


@pytest.mark.parametrize('files, reason', [
    ({}, 'no images among the inputs. They are empty'),
    ({'a.txt': b'x'}, 'no images.*1 file was left out, such as in/a.txt'),
    ({'cat/1.jpg': b'x'}, "one class only, 'cat'"),
    ({'1.jpg': b'x'}, 'one class only|lie in no class folder'),
    ({'train/cat/1.jpg': b'x', 'train/dog/1.jpg': b'x', 'val/cow/1.jpg': b'x'},
     "'cow' is no class of the training images"),
    ({'train/1.jpg': b'x', 'test/2.jpg': b'x'}, 'lie in no class folder'),
    ({b'\xff/1.jpg': b'x', 'c/1.jpg': b'x'}, 'is not UTF-8'),
])
def test_what_cannot_be_understood(tmp_path, files, reason):
  (tmp_path / 'in').mkdir()
  for name, content in files.items():
    if isinstance(name, bytes):
      name = name.decode(errors='surrogateescape')
    image_trees.write(tmp_path / 'in' / name, content)
  with pytest.raises(ValueError, match=reason):
    conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert not conversions.shards(tmp_path / 'out')
