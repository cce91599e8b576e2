"""Writes experiments/README.md from the YAML files: `make figures`.

The paper's figures and ours come from the head of each file, parameters and
multiply-adds from its model.
"""

import pathlib
import re

from official_ext import registry_imports  # noqa: F401
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment

OUTPUT = pathlib.Path(__file__).parent.parent / 'experiments' / 'README.md'

HEAD = """\
# Experiments

YAML files for `--config_file`, found by the names below or by path; they ship
inside the package. `--experiment` is in the head of each, with the command. A
row holds only what the paper varies; everything else is the registered
experiment's. `runtime/tpu` and `runtime/gpu` hold the machine, and go with any
of them. `optimizers/` holds the settings of tensorflow-addons' optimizers on
the digits; their table is in the [README](../README.md#tensorflow-addons).

Table 3 fine-tunes the checkpoints of table 2 (`task.init_checkpoint`), so run
`table2/b12` and `table2/b6-6_mean` first. Top-1 and top-5 are in per cent, on
validation; memory and steps/s are the paper's, on hardware that it does not
name. Parameters include the head of 1,001 classes.

`make figures` writes this page.

| row | layout | paper: top-1 / top-5, memory, steps/s | ours | parameters, M | GMACs |
|---|---|---|---|---|---|
"""  # noqa: E501
# What is in no table of the paper.
NO_ROWS = ('optimizers/', 'runtime/')
_FIELD = re.compile(r'^# (\w+): +(.*?)\n(?=#( \w+:|$)|[^#])', re.M | re.S)
_FIGURES = re.compile(
    r'validation top-1 ([\d.]+), top-5 ([\d.]+); ([\d.]+) G, ([\d.]+) steps/s')


def read_head(path):
  """The fields of a file's head, {'Paper': ..., 'Command': ...}."""
  return {name: re.sub(r'\s*\n# +', ' ', value)
          for name, value, _ in _FIELD.findall(path.read_text())}


def row(name, path):
  """One row of the table."""
  fields = read_head(path)
  base = re.search(r'--experiment=(\w+)', fields['Command'])[1]
  params = experiment.load(base, [name])
  model = params.task.model
  spec = specs.resolve(model.backbone.funnel_vit, tuple(model.input_size[:2]))
  figures = _FIGURES.search(fields['Paper'])
  paper = ('{} / {}, {} G, {}'.format(*figures.groups()) if figures
           else 'in the text')
  parameters = costs.count_parameters(spec, model.num_classes)
  multiply_adds = costs.count_multiply_adds(spec, model.num_classes)
  return (f'| [{name}]({name}.yaml) | {spec.layout_with_tokens}, '
          f'{spec.pooling} | {paper} | {fields["Reached"].rstrip(".")} | '
          f'{parameters / 1e6:.1f} | {multiply_adds / 1e9:.2f} |\n')


def page():
  """The whole page."""
  files = experiment.shipped_config_files()
  return HEAD + ''.join(row(name, path) for name, path in files.items()
                        if not name.startswith(NO_ROWS))


if __name__ == '__main__':
  OUTPUT.write_text(page())
  print(f'wrote {OUTPUT}')
