"""Writes experiments/README.md and the heads of its files: `make tables`.

What they say is in docs/experiments.yaml, the lab record of every file;
parameters and multiply-adds are computed from the models.
"""

from __future__ import annotations

import pathlib
import textwrap

import yaml

from official_ext import registry_imports  # noqa: F401
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment

DOCS = pathlib.Path(__file__).parent
RECORDS = DOCS / 'experiments.yaml'
OUTPUT = DOCS.parent / 'experiments' / 'README.md'

HEAD = """\
# Experiments

YAML files for `--config_file`, found by the names below or by path; they ship
inside the package. `--experiment` is in the head of each, with the command. A
row holds only what the paper varies; everything else is the registered
experiment's. `runtime/tpu` and `runtime/gpu` hold the machine, and go with any
of them. `fine_tuning/` is for images of one's own
([fine-tuning](../docs/fine_tuning.md)). `optimizers/` holds the settings of tensorflow-addons' optimizers on
the digits; their table is in [addons](../docs/addons.md). `cifar10/small` is a
small ViT for CIFAR-10, on which [studies](../docs/studies.md) are built;
`cifar10/strong` and `tiny_imagenet/strong` are [recipes](../docs/training.md)
for small images from scratch; `segmentation/digit_scenes` segments the
[scenes of digits](../docs/data.md#scenes-of-digits); `imagenet21k/` holds layouts at B and L size, some
at the cost of full length
([ImageNet-21k](../docs/training.md#imagenet-21k)); the files in `studies/` are
of several trainings, and no `--config_file`.

Table 3 fine-tunes the checkpoints of table 2 (`task.init_checkpoint`), so run
`table2/b12` and `table2/b6-6_mean` first. Top-1 and top-5 are in per cent, on
validation; memory and steps/s are the paper's, on hardware that it does not
name. Parameters include the head of 1,001 classes.

`make tables` writes this page and the heads of the files from
[docs/experiments.yaml](../docs/experiments.yaml): enter there what a run has
reached.

| row | layout | paper: top-1 / top-5, memory, steps/s | ours | parameters, M | GMACs |
|---|---|---|---|---|---|
"""  # noqa: E501
# What is in no table of the paper.
NO_ROWS = ('cifar10/', 'fine_tuning/', 'optimizers/', 'runtime/',
           'segmentation/', 'tiny_imagenet/')
REQUIRED = {'title', 'experiment', 'hardware', 'reached'}
OPTIONAL = {'paper', 'paper_says', 'flags', 'hours', 'versions', 'note'}
PAPER = ('train_top_1', 'train_top_5', 'top_1', 'top_5', 'memory_g',
         'steps_per_s')
REACHED = ('top_1', 'num_runs', 'seed')
# Of a segmentation.
REACHED_MASKS = ('mean_iou', 'num_runs', 'seed')
_WIDTH = 80
_INDENT = ' ' * 11


def read_records(path: pathlib.Path = RECORDS) -> dict[str, dict]:
  """Reads the lab records.

  Args:
    path: of the YAML file.

  Returns:
    The record of each file by the name that --config_file takes.

  Raises:
    ValueError: if a record lacks a field, or has one that is not known.
  """
  records = yaml.safe_load(path.read_text())
  for name, record in records.items():
    wrong = (REQUIRED - set(record)) | (set(record) - REQUIRED - OPTIONAL)
    of_masks = 'mean_iou' in (record.get('reached') or ())
    for field, expected in (
        ('paper', PAPER), ('reached', REACHED_MASKS if of_masks else REACHED)):
      if record.get(field) is not None:
        wrong |= set(expected) ^ set(record[field])
    # A figure is worth nothing without what it was reached with.
    if record.get('reached') and not record.get('versions'):
      wrong.add('versions')
    if wrong:
      raise ValueError(
          f'{path.name}: {name} lacks or does not know {sorted(wrong)}. '
          f'A record has {sorted(REQUIRED)} and may have {sorted(OPTIONAL)}.')
  return records


def command(name: str, record: dict) -> list[str]:
  """Returns the words of the command that trains a file's experiment."""
  python = 'python'
  flags = f'--model_dir=runs/{name} --config_file={name}'
  if name.startswith('optimizers/'):
    python = '.venv-addons/bin/python'
  else:
    flags += ' --config_file=tpu --tpu=local'
  return [python, 'train.py', f'--experiment={record["experiment"]}',
          '--mode=train_and_eval', *record.get('flags', flags).split()]


def head(name: str, record: dict) -> str:
  """Returns the comment that a file begins with."""
  fields = {}
  if 'paper' in record:
    fields['Paper'] = _wrap(
        'train top-1 {}, top-5 {}; validation top-1 {}, top-5 {}; {} G, {} '
        'steps/s.'.format(*(record['paper'][key] for key in PAPER)))
  elif 'paper_says' in record:
    fields['Paper'] = _wrap(record['paper_says'])
  fields['Command'] = _wrap(' '.join(command(name, record)), ' \\', '  ')
  fields['Hardware'] = _wrap(record['hardware'] + '.')
  hours = record.get('hours')
  fields['Hours'] = ['not recorded.' if hours is None else f'{hours}.']
  fields['Reached'] = [f'{reached(record)}.']
  if 'versions' in record:
    fields['Versions'] = [record['versions'] + '.']
  if not record['reached']:
    del fields['Hours']
  lines = [*textwrap.wrap(record['title'], _WIDTH - 2), '']
  for field, (first, *others) in fields.items():
    lines += [f'{field + ":":{len(_INDENT)}}{first}',
              *(_INDENT + other for other in others)]
  if 'note' in record:
    lines += ['', *textwrap.wrap(record['note'], _WIDTH - 2)]
  return ''.join(f'# {line}'.rstrip() + '\n' for line in lines)


def reached(record: dict) -> str:
  """Returns what a record says of accuracy, in words."""
  if not record['reached']:
    return 'not run'
  found = record['reached']
  measure = (f'{found["mean_iou"]} % mean IoU' if 'mean_iou' in found
             else f'{found["top_1"]} % top-1')
  runs = ('one run, seed' if found['num_runs'] == 1 else
          f'mean of {found["num_runs"]} runs, seeds')
  return f'{measure} on validation, {runs} {found["seed"]}'


def _wrap(text: str, end: str = '', indent: str = '') -> list[str]:
  """Wraps the text of a field; every line but the last ends in `end`."""
  lines = textwrap.wrap(
      text, _WIDTH - 2 - len(_INDENT) - len(end), subsequent_indent=indent,
      break_long_words=False, break_on_hyphens=False)
  return [line + end for line in lines[:-1]] + lines[-1:]


def with_head(text: str, comment: str) -> str:
  """Returns the text of a file under another head."""
  lines = text.splitlines(keepends=True)
  while lines and lines[0].startswith('#'):
    del lines[0]
  return comment + ''.join(lines)


def row(name: str, record: dict) -> str:
  """Returns one row of the table."""
  params = experiment.load(record['experiment'], [name])
  model = params.task.model
  spec = specs.of_model(model)
  paper = 'in the text'
  if 'paper' in record:
    paper = '{} / {}, {} G, {}'.format(
        *(record['paper'][key] for key in PAPER[2:]))
  parameters = costs.count_parameters(spec, model.num_classes)
  multiply_adds = costs.count_multiply_adds(spec, model.num_classes)
  return (f'| [{name}]({name}.yaml) | {spec.layout_with_tokens}, '
          f'{spec.pooling} | {paper} | {reached(record)} | '
          f'{parameters / 1e6:.1f} | {multiply_adds / 1e9:.2f} |\n')


def page() -> str:
  """Returns the whole page."""
  return HEAD + ''.join(
      row(name, record) for name, record in sorted(read_records().items())
      if not name.startswith(NO_ROWS))


if __name__ == '__main__':
  files = experiment.shipped_config_files()
  for file_name, file_record in read_records().items():
    files[file_name].write_text(with_head(
        files[file_name].read_text(), head(file_name, file_record)))
  OUTPUT.write_text(page())
  print(f'wrote {OUTPUT} and the heads of {len(files)} files')
