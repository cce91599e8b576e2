"""Draws digits on photographs, with masks, as folders for segmentation.

Handwritten digits on parts of two photographs, all bundled with scikit-learn:
nothing is downloaded. Images of 96 to 128 px a side, 2 to 5 digits in each;
`images/train/NAME.jpg` has the mask `masks/train/NAME.png` of 8 bits, whose
values are 0 for the background, 1 to 10 for the digits 0 to 9, and 255 for the
rim of a digit, which is to be ignored; `val` is likewise of other digits and
other parts of the photographs.

  python -m data_prep.digit_scenes --output_dir=data/digit_scenes
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from . import command_process
from . import drawn_scenes
from . import wording

_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', 'data/digit_scenes', 'Folder of both; made if missing.')
_NUM_TRAIN = flags.DEFINE_integer(
    'num_train', 400, 'Scenes for training.', lower_bound=1)
_NUM_VALIDATION = flags.DEFINE_integer(
    'num_validation', 100, 'Scenes for validation.', lower_bound=1)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'Of all that is random; the same one draws the same scenes.',
    lower_bound=0)


def main(argv: Sequence[str]) -> None:
  if not _OUTPUT_DIR.value:
    raise app.UsageError('--output_dir must not be empty')
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  try:
    drawn_scenes.write(_OUTPUT_DIR.value, {
        drawn_scenes.TRAIN: _NUM_TRAIN.value,
        drawn_scenes.VALIDATION: _NUM_VALIDATION.value}, _SEED.value)
  except (ValueError, OSError) as error:
    raise SystemExit(f'error: {error}') from None
  print(f'{_OUTPUT_DIR.value}: '
        f'{wording.counted(_NUM_TRAIN.value, "training scene")} and '
        f'{wording.counted(_NUM_VALIDATION.value, "validation scene")}, with '
        'masks of 11 classes; 255 is to be ignored.')


if __name__ == '__main__':
  command_process.run(main)
