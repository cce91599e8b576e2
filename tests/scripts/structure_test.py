"""Tests of the figures of the structure, on a small tree counted by hand."""

import subprocess
import sys

import pytest

from scripts import structure

_FILES = {
    'data_prep/__init__.py': '"""Data."""\n',
    # Three lines of code.
    'data_prep/records.py': """'''Records.

Two paragraphs.
'''

import json

# A comment.
def write(record):
  '''Writes.'''
  return json.dumps(record)
""",
    'official_ext/__init__.py': '',
    'official_ext/train.py': """
from official_ext.low import tool
from official_ext.low import base
""",
    'official_ext/low/__init__.py': '',
    'official_ext/low/base.py': """
def read(value):
  def inner():
    return value

  return inner
""",
    'official_ext/low/tool.py': """
import official_ext.low.base


class Tool(base.Tool):
  '''A tool.'''

  def use(self, other):
    # Own, inherited and special names are not foreign.
    self._a = self.__class__
    super()._use()
    other._b = other._c.d
    getattr(other, 'e')
    return getattr(other, 'f', getattr(other, 'g', None))

  @classmethod
  async def make(cls):
    from official_ext.high import plan
    return cls._cache
""",
    'official_ext/high/plan.py': """
from official_ext.low import base
from official_ext.low import tool
""",
    # No Python: no package.
    'official_ext/texts/words.txt': 'def f(): pass',
}


@pytest.fixture(name='root')
def fixture_root(tmp_path):
  for name, text in _FILES.items():
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  return tmp_path


def test_the_figures(root):
  assert structure.count(root) == {
      'packages in official_ext': '2',  # low, high.
      'loose modules in official_ext': '1',  # train.
      'imports that climb': '1',
      'longest function, lines': '7 (tool.py: use)',
      'accesses to foreign private attributes': '2',  # other._b, other._c.
      'getattr with a default': '2',
      # train 2, base 4, tool 12, plan 2.
      'lines of code, official_ext': '20',
      'lines of code, data_prep': '3',
  }


def test_the_rarer_direction_climbs(root):
  assert structure.climbs(root) == [
      'official_ext.low.tool -> official_ext.high.plan']


def test_equally_many_imports_climb_once(root):
  (root / 'official_ext/high/plan.py').write_text(
      'from official_ext.low import base\n')
  assert len(structure.climbs(root)) == 1


def test_names_of_modules(root):
  assert [module for _, module in structure.modules(root)] == [
      'data_prep', 'data_prep.records', 'official_ext',
      'official_ext.high.plan', 'official_ext.low', 'official_ext.low.base',
      'official_ext.low.tool', 'official_ext.train']
  assert structure.room('official_ext.low.tool') == 'official_ext.low'
  assert structure.room('official_ext.train') == 'official_ext.train'


def test_what_a_file_imports(root):
  assert sorted(structure.imported(root / 'official_ext/low/tool.py')) == [
      'official_ext.high.plan', 'official_ext.low.base']
  # Of other projects nothing.
  assert not list(structure.imported(root / 'data_prep/records.py'))


def test_data_prep_has_one_name_here(root):
  path = root / 'data_prep/shards.py'
  path.write_text('from . import records\nfrom .records import write\n')
  assert list(structure.imported(path)) == [
      'data_prep.records', 'data_prep.records.write']
  path = root / 'official_ext/low/tool.py'
  path.write_text('from official_ext.data_prep import records\n'
                  'import official_ext.data_prepared\n')
  assert list(structure.imported(path)) == [
      'data_prep.records', 'official_ext.data_prepared']


@pytest.mark.parametrize('name, line', [
    ('official_ext/low/base.py', 'from . import tool\n'),
    ('data_prep/records.py', 'from ..official_ext import train\n')])
def test_a_relative_import_is_refused(root, name, line):
  path = root / name
  path.write_text(line)
  with pytest.raises(ValueError, match=f'{path.name}: the import is relative'):
    list(structure.imported(path))


def test_one_column_per_checkout(repository, root):
  result = subprocess.run(
      [sys.executable, 'scripts/structure.py', root, root], cwd=repository,
      check=True, capture_output=True, text=True)
  lines = result.stdout.splitlines()
  assert len(lines) == 8
  assert lines[0].split() == ['packages', 'in', 'official_ext', '2', '2']
