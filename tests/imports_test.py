"""Imports follow the data: nothing earlier on the way imports what is later."""

import ast
import pathlib

import pytest

# Each may import itself and what stands before it.
ORDER = [
    'data_prep',
    'data_prep.storage',
    'data_prep.tfrecord_file',
    'data_prep.records',
    'data_prep.digits_to_tfrecord',
    'data_prep.jpeg_structure',
    'data_prep.images',
    'data_prep.cifar',
    'data_prep.containers',
    'data_prep.image_index',
    'data_prep.scan',
    'data_prep.imagenet_labels',
    'data_prep.folder_tree',
    'data_prep.sources',
    'data_prep.plan',
    'data_prep.shards',
    'data_prep.process_pool',
    'data_prep.beam_pipeline',
    'data_prep.manifest',
    'data_prep.conversion',
    'data_prep.conversion_report',
    'data_prep.imagenet_to_tfrecord',
    'data_prep.benchmark_conversion',
    'data_prep.verification',
    'data_prep.verify_tfrecords',
    'official_ext.legacy_keras',
    'official_ext',  # Its __init__: the version.
    'official_ext.scaling',
    'official_ext.configs.backbones',
    'official_ext.modeling.layout',
    'official_ext.modeling.hardware',
    'official_ext.modeling.token_ops',
    'official_ext.modeling.fused_ops',
    'official_ext.modeling.transformer_layer',
    'official_ext.modeling.funnel_encoder',
    'official_ext.modeling.specs',
    'official_ext.modeling.costs',
    'official_ext.modeling.planner',
    'official_ext.modeling.funnel_vit',
    'official_ext.optimization',
    'official_ext.configs.image_classification',
    'official_ext.configs.overrides',
    'official_ext.configs.derive',
    'official_ext.configs.experiment',
    'official_ext.checkpoints',
    'official_ext.tasks',
    'official_ext.registry_imports',
    'official_ext.library_logs',
    'official_ext.flag_types',
    'official_ext.describe_checkpoint',
    'official_ext.describe_layouts',
    'official_ext.plan_layouts',
    'official_ext.class_names',
    'official_ext.training',
    'official_ext.trained',
    'official_ext.validation_data',
    'official_ext.serving',
    'official_ext.train',
    'official_ext.benchmarks',
    'official_ext.analysis',
    'train',
]
# The whole project, or none of it, on both sides.
PACKAGES = ('data_prep', 'official_ext')
MAX_LINES = 400


def modules(repository):
  paths = [repository / 'train.py']
  for package in PACKAGES:
    paths += sorted((repository / package).rglob('*.py'))
  for path in paths:
    parts = path.relative_to(repository).with_suffix('').parts
    yield path, '.'.join(part for part in parts if part != '__init__')


def imported(path):
  """Every module of the project that a file imports, inside functions too."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, f'{path}: relative import'
      names = [f'{node.module}.{alias.name}' for alias in node.names]
    else:
      continue
    yield from (name for name in names if name.split('.')[0] in PACKAGES)


def position(module):
  """Where a module stands on the way: by its longest listed prefix."""
  matches = [entry for entry in ORDER
             if module == entry or module.startswith(f'{entry}.')]
  return ORDER.index(max(matches, key=len))


def test_every_module_has_its_place(repository):
  for _, module in modules(repository):
    if module in ('official_ext.configs', 'official_ext.modeling'):
      continue  # Their __init__ is a docstring.
    entry = ORDER[position(module)]
    assert entry not in PACKAGES or module == entry, module


def test_imports_run_one_way(repository):
  checked = 0
  for path, module in modules(repository):
    for name in imported(path):
      assert position(name) <= position(module), f'{module} imports {name}'
      checked += 1
  assert checked > 30


def test_data_prep_and_the_project_do_not_know_each_other(repository):
  for path, module in modules(repository):
    for name in imported(path):
      assert name.split('.')[0] == module.split('.')[0] or module == 'train', (
          f'{module} imports {name}')


@pytest.mark.parametrize('folder', ['data_prep', 'official_ext', 'tests'])
def test_files_are_short(repository, folder):
  for path in pathlib.Path(repository, folder).rglob('*.py'):
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f'{path} has {lines} lines'
