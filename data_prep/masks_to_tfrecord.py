"""Writes images with masks as TFRecords, for semantic segmentation.

  python -m data_prep.masks_to_tfrecord --input=PATH --output_dir=DIR

PATH is a folder or a tar archive with images/ and masks/, each with or without
splits, PASCAL VOC or Cityscapes. What is understood: docs/data.md, "Masks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from absl import flags

from . import class_names
from . import command_process
from . import conversion
from . import conversion_command
from . import label_map
from . import mask_folders
from . import mask_pairs
from . import mask_report
from . import masks
from . import plan as plans

flags.adopt_module_key_flags(conversion_command)

_NAMED_INPUTS = {
    name: flags.DEFINE_string(
        name, '', 'Folder or .tar archive of the '
        f'{(split or "training")} {role}, instead of --input, where names do '
        'not tell images from masks.')
    for name, (role, split) in mask_folders.NAMED.items()}
_NUM_CLASSES = flags.DEFINE_integer(
    'num_classes', 0, 'Classes are 0 to this - 1, and other values are '
    'refused; 0: as many as --class_names has, or up to the largest value in a '
    'mask.',
    lower_bound=0, upper_bound=masks.MAX_CLASSES)
_IGNORE_LABEL = flags.DEFINE_integer(
    'ignore_label', masks.IGNORE_LABEL, 'Value of pixels that are of no class, '
    'and are neither trained nor evaluated on.', lower_bound=1, upper_bound=255)
_REDUCE_ZERO_LABEL = flags.DEFINE_bool(
    'reduce_zero_label', False, '0 in a mask means that it is none of the '
    'classes, which count from 1, as in ADE20K: 0 is written as the label to '
    'ignore, 1 as 0, 2 as 1 and so on.')
_LABEL_MAP = flags.DEFINE_string(
    'label_map', '', 'Which class is written for a value of a mask, such as '
    '0-6:255,7:0,8:1; a value that is neither in it nor --ignore_label is '
    'refused. Empty: values are classes.')
_IMAGE_SUFFIX = flags.DEFINE_string(
    'image_suffix', '', 'What the names of images end on beside what they '
    'share with their masks, such as _leftImg8bit; others are left out.')
_MASK_SUFFIX = flags.DEFINE_string(
    'mask_suffix', '', 'The same of masks, such as _mask or '
    '_gtFine_labelIds. With --images and without --masks the masks lie beside '
    'their images.')
_EXIF_ORIENTATION = flags.DEFINE_enum(
    'exif_orientation', mask_pairs.BY_SIZE, mask_pairs.EXIF_ORIENTATIONS,
    'What the mask of a photograph with an EXIF orientation is of. apply: of '
    'it as it is seen, so that it is turned; ignore: of its pixels as they are '
    'stored, which stay so; by_size: of what has its size, and both are '
    'written as seen.')


def main(argv: Sequence[str]) -> None:
  paths = [('', path) for path in conversion_command.INPUT.value]
  named = [(name, flag.value) for name, flag in _NAMED_INPUTS.items()
           if flag.value]
  conversion_command.check_arguments(
      argv, paths + named, '--input must be given: a folder or a .tar archive '
      'of images and masks; or --images and --masks.')
  _check_named(dict(named), bool(paths))
  options = plans.MaskOptions(
      seed=conversion_command.SEED.value, check=conversion_command.CHECK.value,
      jpeg_quality=conversion_command.JPEG_QUALITY.value,
      validation_fraction=conversion_command.VALIDATION_FRACTION.value,
      exif_orientation=_EXIF_ORIENTATION.value, num_classes=_num_classes(),
      ignore_label=_IGNORE_LABEL.value,
      reduce_zero_label=_REDUCE_ZERO_LABEL.value, label_map=_LABEL_MAP.value,
      image_suffix=_IMAGE_SUFFIX.value, mask_suffix=_MASK_SUFFIX.value)
  inputs = conversion.Inputs(
      tuple(paths + named), has_masks=True,
      class_names=conversion_command.CLASS_NAMES.value)
  conversion_command.run(inputs, options, mask_report)


def _check_named(names: Mapping[str, str], has_input: bool) -> None:
  if names and has_input:
    raise SystemExit(
        f'error: --input and --{min(names)} both say where the images are. '
        'Give --input alone, or --images and --masks.')
  for images in ('images', 'validation_images'):
    both = [images, images.replace('images', 'masks')]
    given = [name for name in both if name in names]
    if given == [images] and _MASK_SUFFIX.value:
      _check_told_apart()
    elif len(given) == 1:
      missing, = set(both) - set(given)
      raise SystemExit(
          f'error: --{given[0]} is given without --{missing}. Give both; of '
          f'masks that lie beside their images --{images} alone, and what '
          'their names end on: --mask_suffix=_mask, for example.')
    elif given and names[both[0]] == names[both[1]]:
      raise SystemExit(
          f'error: --{both[0]} and --{both[1]} are both {names[images]}. Leave '
          f'out --{both[1]}, and say what the names of masks end on: '
          '--mask_suffix=_mask, for example.')


def _check_told_apart() -> None:
  if _MASK_SUFFIX.value == _IMAGE_SUFFIX.value:
    raise SystemExit(
        f'error: --image_suffix and --mask_suffix are both '
        f'{_MASK_SUFFIX.value}, which does not tell masks from the images '
        'beside them. Correct one, or give the folder of the masks as --masks.')


def _num_classes() -> int:
  """Returns the number of classes by the flags; 0: the masks tell it."""
  number, path = _NUM_CLASSES.value, conversion_command.CLASS_NAMES.value
  if path:
    try:
      names = class_names.read(path)
    except (ValueError, OSError) as error:
      raise SystemExit(f'error: {error}') from None
    if number and number != len(names):
      raise SystemExit(
          f'error: --num_classes={number}, but {path} names {len(names)}. '
          'Correct one, or leave out --num_classes.')
    number = len(names)
  number = _num_mapped(number) if _LABEL_MAP.value else number
  if number > _IGNORE_LABEL.value:
    raise SystemExit(
        f'error: --ignore_label={_IGNORE_LABEL.value} is one of the {number} '
        f'classes, 0 to {number - 1}. Choose one from {number} to 255.'
        if number <= 255 else
        f'error: {path} names {number} classes; a mask of 8 bits has room for '
        f'{masks.MAX_CLASSES} and the label to ignore.')
  return number


def _num_mapped(number: int) -> int:
  """Returns the number of classes; 0: as many as the map leads to."""
  if _REDUCE_ZERO_LABEL.value:
    raise SystemExit(
        'error: --label_map and --reduce_zero_label both say what is written. '
        'Leave out --reduce_zero_label: in the map, classes count from 0.')
  try:
    mapped = label_map.num_classes(_LABEL_MAP.value, _IGNORE_LABEL.value)
  except ValueError as error:
    raise SystemExit(f'error: {error}') from None
  if number and mapped > number:
    raise SystemExit(
        f'error: --label_map writes the class {mapped - 1}, but there are '
        f'{number}, 0 to {number - 1}, and {_IGNORE_LABEL.value} is ignored. '
        'Correct the map, or --num_classes or --class_names.')
  return number or mapped


if __name__ == '__main__':
  command_process.run(main)
