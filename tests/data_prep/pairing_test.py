"""Tests of pairs in an index: what has no partner is on the list."""

import collections

import conversions
import image_trees
import mask_trees
import pytest

from data_prep import class_names
from data_prep import image_index
from data_prep import pair_names
from data_prep import pairing


def read(root, inputs=None, image='', mask=''):
  index = image_index.ImageIndex()
  data_set = pairing.read(inputs or [('', str(root))], index, (),
                          suffixes=pair_names.Suffixes(image, mask))
  pairs = {}
  for split in index.totals():
    for image in index.ordered(split):
      pairs[split, pairing.file_name(image, data_set.groups)] = (
          image.mask_file.removeprefix(f'{root}/'))
  lost = dict(index.left_out(is_lost=True))
  left_out = dict(index.left_out(is_lost=False))
  index.close()
  return data_set, pairs, lost, left_out


def touch(root, *names):
  for number, name in enumerate(names):
    image_trees.write(root / name, b'%d' % number)


def test_pairs_by_the_stem_of_their_names(tmp_path):
  root = tmp_path / 'in'
  touch(root, 'images/train/a.b.jpg', 'masks/train/a.b.png',
        'images/train/city/a.b.jpeg', 'masks/train/city/a.b.png',
        'images/val/c.png', 'masks/val/c.png')
  data_set, pairs, lost, _ = read(root)
  assert pairs == {
      ('train', 'a.b.jpg'): 'masks/train/a.b.png',
      ('train', 'city/a.b.jpeg'): 'masks/train/city/a.b.png',
      ('validation', 'c.png'): 'masks/val/c.png'}
  assert not lost and data_set.form == 'images with masks (images and masks)'
  assert data_set.groups == (class_names.ImageClass(''),
                             class_names.ImageClass('city'))
  assert not data_set.is_imagenet


CITY = 'aachen_000000_0000{}'
IMAGE, MASK = '_leftImg8bit', '_gtFine_labelIds'


def cityscapes(root):
  for split, city, number in (('train', 'aachen', 19), ('train', 'bonn', 19),
                              ('val', 'aachen', 20)):
    touch(root, *(f'{folder}/{split}/{city}/{CITY.format(number)}{end}'
                  for folder, end in (
                      ('leftImg8bit', f'{IMAGE}.png'),
                      ('gtFine', f'{MASK}.png'),
                      ('gtFine', '_gtFine_color.png'),
                      ('gtFine', '_gtFine_instanceIds.png'),
                      ('gtFine', '_gtFine_polygons.json'))))


@pytest.mark.parametrize('ending', ['', '.png'])
def test_cityscapes(tmp_path, ending):
  root = tmp_path / 'in'
  cityscapes(root)
  data_set, pairs, lost, left_out = read(root, None, IMAGE + ending,
                                         MASK + ending)
  assert pairs == {
      (split, f'{city}/{CITY.format(number)}{IMAGE}.png'):
      f'gtFine/{folder}/{city}/{CITY.format(number)}{MASK}.png'
      for split, folder, city, number in (
          ('train', 'train', 'aachen', 19), ('train', 'train', 'bonn', 19),
          ('validation', 'val', 'aachen', 20))}
  assert not lost and not data_set.notes
  assert collections.Counter(left_out.values()) == {
      f'does not end on --mask_suffix={MASK}{ending}': 6, 'a .json file': 3}
  # Without the suffixes nothing of it is a pair, and that is said.
  with pytest.raises(ValueError, match='not one image has a mask. 12 files are '
                     'in no pair, .*If names end on more than they share'):
    read(root)


def test_masks_beside_their_images(tmp_path):
  root = tmp_path / 'in'
  touch(root, 'train/a.jpg', 'train/a_mask.png', 'train/b.png',
        'train/b_mask.png', 'val/c.jpg', 'val/c_mask.png', 'train/alone.jpg',
        'train/left_mask.png', 'train/two.jpg', 'train/two_mask.png',
        'train/two_mask.gif')
  data_set, pairs, lost, left_out = read(
      root, [('images', str(root))], mask='_mask')
  assert pairs == {('train', 'a.jpg'): 'train/a_mask.png',
                   ('train', 'b.png'): 'train/b_mask.png',
                   ('validation', 'c.jpg'): 'val/c_mask.png'}
  assert data_set.form == 'images with masks (--images, masks beside them)'
  two = ('two_mask.gif and two_mask.png have one name but for the suffix: '
         'which belongs to the other? Rename or remove one')
  assert lost == {
      '--images/train/alone.jpg': 'no mask --images/train/alone_mask.png',
      '--images/train/left_mask.png': (
          'a mask without an image left in --images/train'),
      '--images/train/two.jpg': two, '--images/train/two_mask.png': two,
      '--images/train/two_mask.gif': two}
  assert not left_out
  # With a suffix of images as well, what has neither is left out.
  touch(root, 'train/d_rgb.png', 'train/d_mask.png')
  _, pairs, _, left_out = read(
      root, [('images', str(root / 'train'))], '_rgb', '_mask')
  assert pairs == {('train', 'd_rgb.png'): 'train/d_mask.png'}
  assert left_out == {
      f'--images/{name}': 'does not end on --image_suffix=_rgb or '
      '--mask_suffix=_mask' for name in ('a.jpg', 'alone.jpg', 'b.png',
                                         'two.jpg')}


@pytest.mark.parametrize('image, mask, reason', [
    (IMAGE, '_labels', '--mask_suffix=_labels, but no file ends so: there is '
     'in/gtFine/train/aachen/'),
    ('_left', MASK, '--image_suffix=_left, but no file ends so: there is in/')])
def test_a_suffix_that_no_file_has(tmp_path, image, mask, reason):
  cityscapes(tmp_path / 'in')
  with pytest.raises(ValueError) as refused:
    read(tmp_path / 'in', None, image, mask)
  assert reason in str(refused.value)


def test_what_has_no_partner_is_lost_with_its_reason(tmp_path):
  root = tmp_path / 'in'
  touch(root, 'images/ok.jpg', 'masks/ok.png', 'images/alone.jpg',
        'masks/left.png', 'images/Cat.jpg', 'masks/cat.png',
        'images/two.jpg', 'images/two.png', 'masks/two.png',
        'images/both.jpg', 'masks/both.png', 'masks/both.gif',
        'images/long.jpg', 'masks/long_mask.png')
  data_set, pairs, lost, _ = read(root)
  assert list(pairs.values()) == ['masks/ok.png']
  suffix = ('have one name but for the suffix: which belongs to the other? '
            'Rename or remove one')
  case = ' differs in case, spaces or Unicode form alone: rename one of the two'
  two, both = (f'{first} and {second} {suffix}' for first, second in (
      ('two.jpg', 'two.png'), ('both.gif', 'both.png')))
  assert lost == {
      'in/images/alone.jpg': 'no mask in/masks/alone.png',
      'in/masks/left.png': 'a mask without an image left in in/images',
      'in/images/Cat.jpg': f'no mask in/masks/Cat.png; cat.png{case}',
      'in/masks/cat.png': ('a mask without an image cat in in/images; '
                           f'Cat.jpg{case}'),
      'in/images/two.jpg': two, 'in/images/two.png': two,
      'in/masks/two.png': two, 'in/images/both.jpg': both,
      'in/masks/both.png': both, 'in/masks/both.gif': both,
      'in/images/long.jpg': ('no mask in/masks/long.png; long_mask.png has a '
                             'longer name: if all have, say '
                             '--mask_suffix=_mask'),
      'in/masks/long_mask.png': (
          'a mask without an image long_mask in in/images'),
  }
  assert data_set.notes == (
      '12 files are in no pair, such as in/images/Cat.jpg: '
      + lost['in/images/Cat.jpg'],)


def test_composed_and_decomposed_names(tmp_path):
  touch(tmp_path / 'in', 'images/\u00e9.jpg', 'masks/e\u0301.png',
        'images/a.jpg', 'masks/a.png')
  _, pairs, lost, _ = read(tmp_path / 'in')
  assert len(pairs) == 1 and len(lost) == 2
  assert all('Unicode form alone' in reason for reason in lost.values())


@pytest.mark.parametrize('archived', [False, True])
def test_pascal_voc(tmp_path, archived):
  files = {f'VOCdevkit/VOC2012/{folder}/{name}{suffix}': b'x'
           for folder, suffix in (('JPEGImages', '.jpg'),
                                  ('SegmentationClass', '.png'),
                                  ('SegmentationObject', '.png'))
           for name in ('a', 'b', 'c', 'd')}
  files['VOCdevkit/VOC2012/JPEGImages/only_boxes.jpg'] = b'x'
  lists = 'VOCdevkit/VOC2012/ImageSets'
  files[f'{lists}/Segmentation/train.txt'] = b'a\r\nb \n'
  files[f'{lists}/Segmentation/val.txt'] = b'c\ngone\n\n'
  files[f'{lists}/Main/train.txt'] = b'd\n'
  files['other/ImageSets/Segmentation/train.txt'] = b'd\n'
  root = tmp_path / 'VOC.tar'
  if archived:
    image_trees.write(root, image_trees.tar_bytes(files))
  else:
    root = tmp_path / 'VOC'
    for name, content in files.items():
      image_trees.write(root / name, content)
  data_set, pairs, lost, left_out = read(root)
  assert set(pairs) == {('train', 'a.jpg'), ('train', 'b.jpg'),
                        ('validation', 'c.jpg')}
  base = 'VOC/VOCdevkit/VOC2012'
  assert lost == {f'{base}/JPEGImages/gone.jpg':
                  'is in the list of the validation split, but not there'}
  unlisted = 'in neither train.txt nor val.txt of ImageSets/Segmentation'
  assert {path for path, reason in left_out.items() if reason == unlisted} == {
      f'{base}/JPEGImages/d.jpg', f'{base}/JPEGImages/only_boxes.jpg',
      f'{base}/SegmentationClass/d.png'}
  # A list that is read is not left out.
  assert {path: reason for path, reason in left_out.items()
          if path.endswith('.txt')} == {
              f'{base}/ImageSets/Main/train.txt': 'a .txt file',
              'VOC/other/ImageSets/Segmentation/train.txt':
              'a list of images that are not there'}
  assert left_out[f'{base}/SegmentationObject/'] == (
      '4 files: masks of instances, which say no classes')
  assert data_set.form == (
      'images with masks (JPEGImages and SegmentationClass)')


def test_an_image_in_both_lists_of_voc(tmp_path):
  touch(tmp_path / 'in', 'JPEGImages/a.jpg', 'SegmentationClass/a.png')
  for name in ('train', 'val'):
    image_trees.write(
        tmp_path / f'in/ImageSets/Segmentation/{name}.txt', b'a\n')
  with pytest.raises(ValueError, match='a is in the lists of both splits'):
    read(tmp_path / 'in')


def test_test_images_are_validated_on(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 1, 'test': 2})
  data_set, pairs, _, _ = read(tmp_path / 'in')
  assert collections.Counter(split for split, _ in pairs) == {
      'train': 1, 'validation': 2}
  assert 'the test images are written as validation' in data_set.notes[0]


def test_folders_by_their_flags(tmp_path):
  touch(tmp_path, 'camvid/train/a.png', 'camvid/trainannot/a.png',
        'camvid/val/b.png', 'camvid/valannot/b.png')
  inputs = [(name, str(tmp_path / 'camvid' / folder)) for name, folder in (
      ('images', 'train'), ('masks', 'trainannot'),
      ('validation_images', 'val'), ('validation_masks', 'valannot'))]
  _, pairs, _, _ = read(tmp_path, inputs)
  assert pairs == {('train', 'a.png'): 'camvid/trainannot/a.png',
                   ('validation', 'b.png'): 'camvid/valannot/b.png'}


def test_an_input_that_is_called_as_a_flag(tmp_path):
  mask_trees.write(tmp_path / 'images', {'train': 1})
  _, pairs, _, _ = read(tmp_path / 'images')
  assert list(pairs) == [('train', 'train00.jpg')]


def test_inputs_without_pairs(tmp_path):
  touch(tmp_path / 'in', 'readme.txt')
  with pytest.raises(ValueError, match='no images among the inputs. 1 file'):
    read(tmp_path / 'in')
  touch(tmp_path / 'in', 'images/a.jpg', 'masks/b.png')
  with pytest.raises(ValueError, match='not one image has a mask. 2 files are'):
    read(tmp_path / 'in')


def test_the_same_image_in_both_splits_is_told(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 2, 'val': 1})
  path = tmp_path / 'in/images/val/val00.jpg'
  path.unlink()
  path.hardlink_to(tmp_path / 'in/images/train/train00.jpg')
  data_set, *_ = read(tmp_path / 'in')
  note, = data_set.notes
  assert 'by links 1 file is in several splits' in note


def test_names_of_classes_beside_the_images_are_told(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 1})
  path = image_trees.write(tmp_path / 'in/class_names.txt', b'a\nb\n')
  data_set, *_ = read(tmp_path / 'in')
  assert data_set.notes == (
      f'in/class_names.txt may name the classes: --class_names={path} takes '
      'it',)
  index = image_index.ImageIndex()
  named = pairing.read([('', str(tmp_path / 'in'))], index,
                       [class_names.ImageClass('a')])
  assert not named.notes


def test_names_of_classes_that_are_read_are_not_left_out(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 1})
  path, other = (image_trees.write(tmp_path / 'in' / name, b'a\n')
                 for name in ('class_names.txt', 'masks/class_names.txt'))
  index = image_index.ImageIndex()
  pairing.read([('', str(tmp_path / 'in'))], index,
               [class_names.ImageClass('a')], class_names=str(path))
  assert dict(index.left_out(is_lost=False)) == {
      'in/masks/class_names.txt': 'a .txt file'}
  assert other.exists()


def test_masks_are_not_read_before_the_conversion(tmp_path):
  touch(tmp_path / 'in', 'images/a.jpg', 'masks/a.png')
  with pytest.raises(ValueError, match='not one of the images is whole, such '
                     'as a.jpg: not an image'):
    mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  assert conversions.listed(tmp_path / 'out', 'quarantined.jsonl')
