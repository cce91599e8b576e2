"""Writes ImageNet, or any images in class folders, as TFRecords.

  python -m data_prep.imagenet_to_tfrecord --input=PATH --output_dir=DIR

PATH is a folder or a tar archive, as downloaded; --input can be repeated. What
is understood, and how long it takes: docs/data.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from . import command_process
from . import conversion
from . import conversion_command
from . import conversion_report
from . import hold_out
from . import images
from . import plan as plans
from . import records
from . import sources

flags.adopt_module_key_flags(conversion_command)

_SPLIT_INPUTS = {
    split: flags.DEFINE_multi_string(
        split, [], f'Folder or .tar archive of {split} images.')
    for split in records.SPLITS}
_VALIDATION_LABELS = flags.DEFINE_string(
    'validation_labels', '', "Labels of ImageNet's validation images: the "
    'devkit, LOC_val_solution.csv or a text file with one synset per line; '
    'needed where they lie in no class folders and no such list is beside '
    'them.')
_FORM = flags.DEFINE_enum(
    'form', 'auto', sources.FORMS, "imagenet: labels 1..1000 by ImageNet's "
    'synsets; folders: labels from 0 by the class folders; auto: imagenet if '
    'all its classes are there.')
_HELD_OUT_BY = flags.DEFINE_enum(
    'held_out_by', None, hold_out.METHODS,
    'class: --validation_fraction is that of each class, to an image; content: '
    'it is so on average, and what is held out stays so when images are added '
    'to its class. By default class, or that of a finished conversion in the '
    '--output_dir.')
_EXIF_ORIENTATION = flags.DEFINE_enum(
    'exif_orientation', None, images.EXIF_ORIENTATIONS,
    'apply: images are turned as their EXIF orientation says, and re-encoded '
    'for it; ignore: none is turned. By default ignore of ImageNet, as its '
    'convention is, and apply of others.')


def main(argv: Sequence[str]) -> None:
  paths = tuple(('', path) for path in conversion_command.INPUT.value) + tuple(
      (split, path) for split, values in _SPLIT_INPUTS.items()
      for path in values.value)
  conversion_command.check_arguments(
      argv, paths, '--input must be given: a folder or a .tar archive.')
  fraction = conversion_command.VALIDATION_FRACTION.value
  if _HELD_OUT_BY.value and not fraction:
    raise SystemExit(
        f'error: --held_out_by={_HELD_OUT_BY.value}, but nothing is held out. '
        'Add --validation_fraction=0.1, or leave it out.')
  conversion_command.run(
      conversion.Inputs(paths, _FORM.value, _VALIDATION_LABELS.value,
                        conversion_command.CLASS_NAMES.value),
      plans.Options(
          conversion_command.SEED.value, conversion_command.CHECK.value,
          conversion_command.JPEG_QUALITY.value, fraction,
          _EXIF_ORIENTATION.value or '', _HELD_OUT_BY.value or ''),
      conversion_report)


if __name__ == '__main__':
  command_process.run(main)
