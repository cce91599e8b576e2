"""Tests of splits and classes from folders."""

import pytest

from data_prep import folder_tree


def read(*folders):
  return {folder: (place.split, place.class_name)
          for folder, place in folder_tree.read(folders).items()}


@pytest.mark.parametrize('folders', [
    {'birds/wren': ('train', 'wren'), 'birds/robin': ('train', 'robin')},
    {'a/b/c/wren': ('train', 'wren'), 'a/b/c/robin': ('train', 'robin')},
    {'birds/train/wren': ('train', 'wren'),
     'birds/val/wren': ('validation', 'wren'),
     'birds/test/wren': ('test', 'wren')},
    {'train/wren': ('train', 'wren'), 'valid/robin': ('validation', 'robin')},
    # Given as --train, wrapped in its archive's name.
    {'train/imagenet-train/n01': ('train', 'n01'),
     'train/imagenet-train/n02': ('train', 'n02'),
     'validation/x': ('validation', 'x')},
    {'ILSVRC/Data/CLS-LOC/train/n01440764': ('train', 'n01440764'),
     'ILSVRC/Data/CLS-LOC/val': ('validation', None),
     'ILSVRC/Data/CLS-LOC/test': ('test', None)},
    {'x/ILSVRC2012_img_train/n01440764': ('train', 'n01440764'),
     'x/ILSVRC2012_img_val': ('validation', None),
     'x/ILSVRC2012_img_test_v10102019': ('test', None)},
    {'tiny/train/n01443537/images': ('train', 'n01443537'),
     'tiny/val/images': ('validation', None),
     'tiny/test/images': ('test', None)},
    # Several inputs, of which one names its splits itself.
    {'imagenet/Data/train/n01': ('train', 'n01'),
     'imagenet/Data/val/n01': ('validation', 'n01'), 'test': ('test', None)},
    # Within a split, a class may be called like one.
    {'train/vehicles/bus': ('train', 'bus'),
     'train/vehicles/train': ('train', 'train')},
    # And, beside others, like Tiny-ImageNet's folders.
    {'x/images': ('train', 'images'), 'x/texts': ('train', 'texts')},
    {'train/bus': ('train', 'bus'), 'train/train': ('train', 'train')},
])
def test_places(folders):
  assert read(*folders) == folders


@pytest.mark.parametrize('folders, reason', [
    (['x/train/cat', 'x/extra/cat'], "'extra' beside 'train'"),
    (['x/train', 'x/bus'], "'bus' beside 'train'"),
    (['x/cat/kittens', 'x/dog/puppies'], 'lies 2 folders deep'),
    (['x/cat/kittens', 'x/cat', 'x/dog'], 'x/cat holds images and, beside'),
    (['x', 'x/cat'], 'holds images and, beside them, folders of images'),
    (['train', 'train/cat'], 'holds images and, beside them'),
    (['x/val/a', 'x/valid/a', 'x/train/a'], 'val and valid both name'),
])
def test_what_is_ambiguous_says_what_was_seen(folders, reason):
  with pytest.raises(ValueError, match=reason):
    read(*folders)
