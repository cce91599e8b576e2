"""Writes docs/figures/layouts.csv and its sister: `make tables`.

What the commands of official_ext.layouts print, as it is printed.
"""

from __future__ import annotations

import datetime
import pathlib
import re
import subprocess
import sys

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import machine

FIGURES = pathlib.Path(__file__).parent / 'figures'
COMMANDS = {
    'layouts.csv': ['official_ext.layouts.describe', 'B12', 'B6-6', 'B4-4-4',
                    'B6(197)-6(50)', 'B8-8'],
    'layouts_of_a_budget.csv': [
        'official_ext.layouts.plan', '--num_blocks=2', '--max_gmacs=17.6',
        '--top=3'],
}


def rows(printed: str) -> list[dict[str, str]]:
  """Returns the lines of the table in what a command printed.

  Args:
    printed: text with a table, whose first line begins with 'layout' and whose
      columns are two spaces apart.
  """
  cells = [re.split(r'\s{2,}', line.strip()) for line in printed.splitlines()]
  start = next(number for number, line in enumerate(cells)
               if line[0] == 'layout')
  return [dict(zip(cells[start], line)) for line in cells[start + 1:]
          if len(line) == len(cells[start])]


def figures(name: str) -> list[dict[str, str]]:
  """Returns the rows of a file, computed anew."""
  return rows(subprocess.run(
      [sys.executable, '-m', *COMMANDS[name]], check=True, text=True,
      capture_output=True).stdout)


if __name__ == '__main__':
  for file_name, words in COMMANDS.items():
    computed = figures(file_name)
    path = FIGURES / file_name
    if path.exists() and csv_file.read(str(path)).rows == computed:
      continue
    quoted = (f"'{word}'" if '(' in word else word for word in words)
    csv_file.write(str(path), computed, {
        'command': f'python -m {" ".join(quoted)}',
        'date': datetime.date.today().isoformat(),
        'machine': 'computed, the same on any',
        'versions': machine.versions()})
    print(f'wrote {path}')
