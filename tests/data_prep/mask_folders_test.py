"""Tests of the folders of images and masks: which belong together."""

import pytest

from data_prep import mask_folders


def read(*folders):
  pairs, _ = mask_folders.read(folders)
  return [(pair.images, pair.masks, pair.split, pair.group) for pair in pairs]


@pytest.mark.parametrize('folders, expected', [
    (['in/images', 'in/masks'], [('in/images', 'in/masks', '', '')]),
    (['in/images/train', 'in/images/val', 'in/masks/train', 'in/masks/val'],
     [('in/images/train', 'in/masks/train', 'train', ''),
      ('in/images/val', 'in/masks/val', 'validation', '')]),
    (['in/train/images', 'in/train/Labels', 'in/test/images', 'in/test/Labels'],
     [('in/test/images', 'in/test/Labels', 'test', ''),
      ('in/train/images', 'in/train/Labels', 'train', '')]),
    # ADE20K.
    (['in/ADE/images/training', 'in/ADE/images/validation',
      'in/ADE/annotations/training', 'in/ADE/annotations/validation'],
     [('in/ADE/images/training', 'in/ADE/annotations/training', 'train', ''),
      ('in/ADE/images/validation', 'in/ADE/annotations/validation',
       'validation', '')]),
    # Cityscapes.
    (['in/leftImg8bit/val/bonn', 'in/gtFine/val/bonn'],
     [('in/leftImg8bit/val/bonn', 'in/gtFine/val/bonn', 'validation', 'bonn')]),
    # The same split by two of its names, and in another order.
    (['in/images/val', 'in/validation/masks'],
     [('in/images/val', 'in/validation/masks', 'validation', '')]),
    (['in/images/train/a/b', 'in/masks/train/a/b'],
     [('in/images/train/a/b', 'in/masks/train/a/b', 'train', 'a/b')]),
    (['VOC2012/JPEGImages', 'VOC2012/SegmentationClass',
      'VOC2012/SegmentationObject'],
     [('VOC2012/JPEGImages', 'VOC2012/SegmentationClass', '', '')]),
    # The name of the input counts where nothing else tells.
    (['train/images', 'train/masks'],
     [('train/images', 'train/masks', 'train', '')]),
    (['train/images/val', 'train/masks/val'],
     [('train/images/val', 'train/masks/val', 'validation', '')]),
    # By the flags.
    (['--images', '--masks'], [('--images', '--masks', '', '')]),
    (['--images/labels', '--masks/labels', '--validation_images',
      '--validation_masks'],
     [('--images/labels', '--masks/labels', '', 'labels'),
      ('--validation_images', '--validation_masks', 'validation', '')]),
    (['--images/val', '--masks/val'],
     [('--images/val', '--masks/val', 'validation', '')]),
])
def test_folders_that_belong_together(folders, expected):
  assert sorted(read(*folders)) == expected


def test_masks_beside_their_images():
  assert mask_folders.beside(['images', 'validation_images', 'masks']) == {
      'validation_images'}
  assert not mask_folders.beside(['', 'masks'])
  pairs, _ = mask_folders.read(
      ['--images', '--masks', '--validation_images/a/b'], ['validation_images'])
  assert [(pair.images, pair.masks, pair.split, pair.group)
          for pair in pairs] == [
              ('--validation_images/a/b', '--validation_images/a/b',
               'validation', 'a/b'), ('--images', '--masks', '', '')]


def test_test_images_without_masks_are_left_out():
  pairs, left_out = mask_folders.read([
      'in/images/train', 'in/masks/train', 'in/images/test'])
  assert [pair.split for pair in pairs] == ['train']
  assert left_out == {'in/images/test': 'test images, which have no masks'}


@pytest.mark.parametrize('folders, reason', [
    (['in/photos', 'in/masks'],
     'in/photos: are these images or masks? Its path says neither.'),
    (['in/images/masks'], "Its path says 'images' and 'masks'."),
    (['in/images'], 'no masks among the inputs, only in/images and its like'),
    (['in/masks'], 'no images among the inputs, only in/masks'),
    (['in/images', 'in/masks', 'in/labels'],
     'in/labels and in/masks may both be the masks of the same split'),
    (['in/images/train', 'in/images/val', 'in/masks/train'],
     'in/images/val has no folder of masks beside it, but in/masks/train.'),
    (['in/images/train', 'in/masks/train', 'in/masks/val'],
     'in/masks/val has no folder of images beside it, but in/images/train.'),
    (['in/images/train/val', 'in/masks/train/val'],
     "names several splits: 'train', 'val'"),
    (['in/images/train', 'in/images/training', 'in/masks/train'],
     'in/images/train and in/images/training may both be the images'),
])
def test_what_is_ambiguous(folders, reason):
  with pytest.raises(ValueError) as refused:
    mask_folders.read(folders)
  assert reason in str(refused.value)
