"""The one list of all commands, by what they are for.

`funnel-vit` and `python -m official_ext` print it and run what it names.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import pathlib

# Each is a module of this package; the line that says what it does is the first
# of its docstring.
GROUPS = {
    'data': [
        'data_prep.imagenet_to_tfrecord', 'data_prep.masks_to_tfrecord',
        'data_prep.verify_tfrecords', 'data_prep.digits_to_tfrecord',
        'data_prep.digit_scenes'],
    'training and evaluation': [
        'train', 'evaluate', 'checkpoints.describe', 'checkpoints.verify'],
    'layouts': ['layouts.describe', 'layouts.plan'],
    'published ViTs': [
        'pretrained.import_vit', 'pretrained.export_vit',
        'pretrained.search_layouts'],
    'exports': [
        'serving.predict', 'serving.export', 'serving.verify',
        'serving.client'],
    'analysis': [
        'analysis.compare', 'analysis.training_curves', 'analysis.saliency',
        'analysis.salient_area', 'analysis.disagreement',
        'analysis.activation_maximization', 'analysis.rollout',
        'analysis.footprints', 'analysis.segmentation'],
    'studies': ['studies.run', 'studies.report'],
    'benchmarks': [
        'benchmarks.train_step', 'benchmarks.freeze_step',
        'benchmarks.input_pipeline', 'benchmarks.serving',
        'benchmarks.safety_cost', 'benchmarks.long_training',
        'data_prep.benchmark_conversion'],
}
NAMES = tuple(name for names in GROUPS.values() for name in names)
_PREFIX = 'official_ext.'
_USAGE = """\
usage: funnel-vit COMMAND [flags], or python -m official_ext COMMAND [flags]

`funnel-vit COMMAND --help` shows the flags of a command. Each is also a module:
`python -m official_ext.train` is `funnel-vit train`."""


def module(name: str) -> str:
  """Returns the module of a command.

  Args:
    name: of the command; that of its module is taken too.

  Raises:
    ValueError: if there is no such command, naming those that are close.
  """
  short = name.removeprefix(_PREFIX)
  if short not in NAMES:
    # 'predict' is close to 'serving.predict'.
    close = ([one for one in NAMES if one.rpartition('.')[2] == short] or
             difflib.get_close_matches(short, NAMES))
    hint = f' Did you mean {" or ".join(close)}?' if close else ''
    raise ValueError(
        f'there is no command {name!r}.{hint} `funnel-vit` lists all commands.')
  return f'{_PREFIX}{short}'


def summary(name: str) -> str:
  """Returns what a command does, in a line; its module is not imported."""
  path = importlib.util.find_spec(module(name)).origin
  tree = ast.parse(pathlib.Path(path).read_text(encoding='utf-8'))
  return ast.get_docstring(tree).splitlines()[0]


def listing() -> str:
  """Returns the usage and all commands, each with a line."""
  width = max(map(len, NAMES))
  lines = [_USAGE]
  for title, names in GROUPS.items():
    lines += ['', f'{title}:']
    lines += [f'  {name:{width}}  {summary(name)}' for name in names]
  return '\n'.join(lines)
