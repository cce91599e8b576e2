"""Counts what the structure of the code is like: `make structure`.

  python3 scripts/structure.py [FOLDER ...]

Prints one column per checkout, so that two versions can be compared. Needs
nothing but Python. `tests/imports_test.py` holds the order of the packages
with the functions of this file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
import pathlib
import sys

PACKAGES = ('data_prep', 'official_ext')
# data_prep is installed, and imported by the other, in there.
_INSIDE = 'official_ext.'

# Model Garden's registries and TensorFlow are used by their public names; what
# begins with an underscore is private unless it is the own object's.
_OWN = ('self', 'cls')


def modules(root: pathlib.Path) -> Iterator[tuple[pathlib.Path, str]]:
  """Yields every file of the two packages with the name of its module."""
  for package in PACKAGES:
    for path in sorted((root / package).rglob('*.py')):
      parts = path.relative_to(root).with_suffix('').parts
      yield path, '.'.join(part for part in parts if part != '__init__')


def imported(path: pathlib.Path) -> Iterator[str]:
  """Yields what a file imports of the project, inside functions too.

  Args:
    path: a Python file.

  Yields:
    Dotted names, such as 'official_ext.modeling.layout'; what is in data_prep
    by the name that `modules` gives it.

  Raises:
    ValueError: if an import is relative, but for those of data_prep, which has
      two names.
  """
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      module = node.module
      if node.level:
        if node.level > 1 or path.parent.name != 'data_prep':
          raise ValueError(f'{path}: the import is relative. Name the package.')
        module = '.'.join(filter(None, ['data_prep', module]))
      names = [f'{module}.{alias.name}' for alias in node.names]
    else:
      continue
    names = [name.removeprefix(_INSIDE) if f'{name}.'.startswith(
        f'{_INSIDE}data_prep.') else name for name in names]
    yield from (name for name in names if name.split('.')[0] in PACKAGES)


def room(module: str) -> str:
  """Returns the package of a module, or a loose module itself."""
  return '.'.join(module.split('.')[:2])


def climbs(root: pathlib.Path) -> list[str]:
  """Finds the imports that run against the direction of the others.

  Two packages that import each other have no order. Of the two directions the
  rarer one is taken for the one that climbs.

  Args:
    root: a checkout.

  Returns:
    The imports, as 'module -> module'.
  """
  between: dict[tuple[str, str], list[str]] = {}
  for path, module in modules(root):
    for name in imported(path):
      pair = room(module), room(name)
      if pair[0] != pair[1]:
        between.setdefault(pair, []).append(f'{module} -> {name}')
  return [
      line for (above, below), lines in sorted(between.items())
      for line in lines
      if (len(lines), above) < (
          len(between.get((below, above), ())), below)]


def count(root: pathlib.Path) -> dict[str, str]:
  """Counts the structure of a checkout.

  Args:
    root: its folder.

  Returns:
    Figures by what they count, in the order of the table.
  """
  files = [(path, ast.parse(path.read_text(encoding='utf-8')))
           for path, _ in modules(root)]
  nodes = [(path, node) for path, tree in files for node in ast.walk(tree)]
  longest = max(
      (node.end_lineno - node.lineno + 1, node.name, path.relative_to(root))
      for path, node in nodes
      if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
  package = root / 'official_ext'
  return {
      'packages in official_ext': str(sum(
          path.is_dir() and not path.is_symlink() and any(path.glob('*.py'))
          for path in package.iterdir())),
      'loose modules in official_ext': str(len(
          [path for path in package.glob('*.py')
           if path.name != '__init__.py'])),
      'imports that climb': str(len(climbs(root))),
      'longest function, lines':
          f'{longest[0]} ({longest[2].name}: {longest[1]})',
      'accesses to foreign private attributes': str(sum(
          isinstance(node, ast.Attribute) and node.attr.startswith('_') and
          not node.attr.startswith('__') and not (
              isinstance(node.value, ast.Name) and node.value.id in _OWN) and
          not (isinstance(node.value, ast.Call) and
               isinstance(node.value.func, ast.Name) and
               node.value.func.id == 'super')
          for _, node in nodes)),
      'getattr with a default': str(sum(
          isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and
          node.func.id == 'getattr' and len(node.args) == 3
          for _, node in nodes)),
      'lines of code, official_ext': f'{_lines(files, package):,}',
      'lines of code, data_prep': f'{_lines(files, root / "data_prep"):,}',
  }


def _lines(files: list[tuple[pathlib.Path, ast.Module]],
           folder: pathlib.Path) -> int:
  """Counts lines that are not blank, comments or docstrings."""
  total = 0
  for path, tree in files:
    if folder not in path.parents:
      continue
    skipped = set()
    for node in ast.walk(tree):
      if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (
          ast.get_docstring(node) is not None):
        text = node.body[0]
        skipped |= set(range(text.lineno, text.end_lineno + 1))
    lines = path.read_text(encoding='utf-8').splitlines()
    total += sum(
        number not in skipped and bool(line.strip()) and
        not line.strip().startswith('#')
        for number, line in enumerate(lines, start=1))
  return total


def main() -> None:
  """Prints the table."""
  roots = [pathlib.Path(argument).resolve() for argument in sys.argv[1:]] or [
      pathlib.Path(__file__).resolve().parent.parent]
  columns = [count(root) for root in roots]
  for name in columns[0]:
    values = ''.join(f'{column[name]:>36}' for column in columns)
    print(f'{name:40}{values}')


if __name__ == '__main__':
  main()
