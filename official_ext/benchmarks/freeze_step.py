"""Writes train and prediction steps for machines without TensorFlow.

  python -m official_ext.benchmarks.freeze_step --output=frozen

Each step is a folder of --output with its program in portable StableHLO.
`scripts/run_frozen_steps.py`, one file that needs JAX and NumPy alone, times
them side by side where there is an accelerator.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib
import re

from absl import flags

from official_ext.benchmarks import settings as settings_lib
from official_ext.command_line import errors
from official_ext.command_line import library_logs

_MODULE = 'official_ext.benchmarks.freeze_step'
_LAYOUTS = flags.DEFINE_string(
    'layouts', 'B12,B6-6,B4-4-4',
    "Layouts, separated by commas outside of parentheses; Model Garden's own "
    'vit is always written too.')
_MODEL_NAME = flags.DEFINE_string('model_name', 'vit-b16', 'The preset.')
_IMAGE_SIZE = flags.DEFINE_integer(
    'image_size', 224, 'Side of the images, px.', lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', 256, 'Images of a step.', lower_bound=1)
_DTYPE = flags.DEFINE_enum(
    'dtype', 'bfloat16', settings_lib.DTYPES, 'bfloat16 is mixed.')
_MODES = flags.DEFINE_list('modes', ['train'], 'train, eval, or both.')
_CAPABILITY = flags.DEFINE_string(
    'capability', '9.0',
    'Compute capability of the NVIDIA GPU that the steps are for; empty: they '
    'are for a CPU.')
_VALUES = flags.DEFINE_bool(
    'values', False, 'Whether to write what the variables hold too, and the '
    'results of three steps, for run_frozen_steps.py check; for a CPU alone.')
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', "Further settings, as train.py's.")
_OUTPUT = flags.DEFINE_string('output', None, 'Folder to write to.')
flags.mark_flag_as_required('output')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv, (
      'a layout with parentheses needs quotes, as in '
      "--layouts='B12,B6(197)-6(50)'"))
  library_logs.silence()
  with errors.reported():
    capability = _parse_capability(_CAPABILITY.value)
    if _VALUES.value and capability:
      raise ValueError(
          '--values has a step taken here, and those for a GPU cannot be. Add '
          '--capability= for steps for a CPU.')
    if not _MODES.value or not set(_MODES.value) <= set(settings_lib.MODES):
      raise ValueError(
          f'--modes={",".join(_MODES.value)}: must be '
          f'{" or ".join(settings_lib.MODES)}, or both with a comma between '
          'them.')
    settings = [
        one.replace(mode=mode)
        for mode in dict.fromkeys(_MODES.value)
        for one in settings_lib.combine(
            settings_lib.Settings(
                layout='', model_name=_MODEL_NAME.value,
                image_size=_IMAGE_SIZE.value,
                params_override=_PARAMS_OVERRIDE.value),
            _LAYOUTS.value, [_BATCH_SIZE.value], [_DTYPE.value], ['on'])]
    folders = [pathlib.Path(_OUTPUT.value, f'{one.layout}-{one.mode}')
               for one in settings]
    for folder in folders:
      if folder.exists():
        raise ValueError(f'--output: {folder} exists already. Name another.')
    os.makedirs(_OUTPUT.value, exist_ok=True)
    from official_ext.benchmarks import frozen_steps  # pylint: disable=g-import-not-at-top
    for one, folder in zip(settings, folders, strict=True):
      frozen_steps.freeze(one, folder, capability, _VALUES.value)
      print(f'{folder}: {one.circumstances}', flush=True)


def _parse_capability(text: str) -> tuple[int, int] | None:
  if not text:
    return None
  if not re.fullmatch(r'\d+\.\d', text):
    raise ValueError(
        f'--capability={text}: must be like 9.0, or empty for a CPU.')
  major, _, minor = text.partition('.')
  return int(major), int(minor)


def run() -> None:
  """Runs the command."""
  library_logs.run(main, _MODULE)


if __name__ == '__main__':
  run()
