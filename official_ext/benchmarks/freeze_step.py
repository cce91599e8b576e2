"""Writes train and prediction steps for machines without TensorFlow.

  python -m official_ext.benchmarks.freeze_step --output=frozen

Each step is a folder of --output with its program in portable StableHLO.
`scripts/run_frozen_steps.py`, one file that needs JAX and NumPy alone, times
them side by side where there is an accelerator. --parity writes attention alone
in their place, for `scripts/check_frozen_attention.py`.
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
    'results of three steps, for run_frozen_steps.py check; for a CPU and in '
    'float32 alone.')
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', "Further settings, as train.py's.")
_PARITY = flags.DEFINE_bool(
    'parity', False, 'Write attention alone, forward and backward, at the '
    'lengths of the layouts in place of steps: of a GPU in one kernel, of a '
    'CPU plain.')
_LONGEST = flags.DEFINE_integer(
    'longest', None, 'With --parity: leave out what has more tokens.',
    lower_bound=1)
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
    if _VALUES.value and _DTYPE.value != 'float32':
      raise ValueError(
          f'--values has results compared, and those of {_DTYPE.value} differ '
          'by per cents where another compiler rounds elsewhere. Add '
          '--dtype=float32.')
    _check_parity()
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
    if _PARITY.value:
      _freeze_attention(capability)
      return
    folders = [_new_folder(f'{one.layout}-{one.mode}') for one in settings]
    # pylint: disable=g-import-not-at-top
    from official_ext.benchmarks import frozen_steps
    from official_ext.benchmarks import measure
    # pylint: enable=g-import-not-at-top
    with frozen_steps.machine(capability):
      rows = measure.begin(settings)
    _make_output()
    for one, folder, row in zip(settings, folders, rows, strict=True):
      frozen_steps.freeze(
          one, folder, capability, _VALUES.value, row.multiply_adds)
      print(f'{folder}: {one.circumstances}', flush=True)


def _freeze_attention(capability: tuple[int, int] | None) -> None:
  from official_ext.benchmarks import frozen_attention  # pylint: disable=g-import-not-at-top
  cases = list(frozen_attention.cases(bool(capability), _LONGEST.value))
  if not cases:
    raise ValueError(
        f'--longest={_LONGEST.value}: the shortest has '
        f'{min(map(max, frozen_attention.LENGTHS))} tokens.')
  folders = [_new_folder(case.name) for case in cases]
  _make_output()
  for case, folder in zip(cases, folders, strict=True):
    frozen_attention.freeze(case, folder, capability)
  print(f'{_OUTPUT.value}: {len(cases)} times attention', flush=True)


def _new_folder(name: str) -> pathlib.Path:
  folder = pathlib.Path(_OUTPUT.value, name)
  if folder.exists():
    raise ValueError(f'--output: {folder} exists already. Name another.')
  return folder


def _make_output() -> None:
  try:
    os.makedirs(_OUTPUT.value, exist_ok=True)
  except OSError as error:
    raise ValueError(
        f'--output={_OUTPUT.value} cannot be made: {error.strerror}. Name '
        'another.') from error


def _check_parity() -> None:
  """Refuses flags that would be without effect."""
  of_steps = ('layouts', 'model_name', 'image_size', 'batch_size', 'dtype',
              'modes', 'values', 'params_override')
  for name in of_steps if _PARITY.value else ('longest',):
    if flags.FLAGS[name].present:
      raise ValueError(
          f'--{name} is for steps, and --parity writes none.' if _PARITY.value
          else f'--{name} is for --parity.')


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
