"""The one form of the benchmarks' tables: CSV under lines that say whence.

  # command: python -m official_ext.benchmarks.train_step --layouts=B12
  # date: 2026-11-28
  # machine: AMD EPYC 7B13, 2 cores
  # versions: TensorFlow 2.20.0, Model Garden 2.20.0, Python 3.11.2
  layout,batch_size,median_ms
  vit,8,2310
  B12,8,1705.5

The names of the columns hold their units; an empty cell is what is not known.
Needs no TensorFlow, so that the documentation can read the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import datetime
import io
import os
import shlex
import sys

from official_ext.benchmarks import machine as machine_lib

_MARK = '# '


@dataclasses.dataclass(frozen=True)
class Table:
  """A table and where its figures are from.

  Attributes:
    head: the command, the date, the machine and the versions, by name.
    rows: the cells of each line by the name of the column, as text.
    columns: their names, also of a table without rows.
  """
  head: Mapping[str, str]
  rows: list[dict[str, str]]
  columns: Sequence[str] = ()


def describe_run(module: str, device: str | None = None,
                 has_pytorch: bool = False) -> dict[str, str]:
  """Returns the head of a table that this process has measured.

  Args:
    module: the command, such as 'official_ext.benchmarks.serving'.
    device: what the figures were measured on; None: the CPU.
    has_pytorch: whether models of PyTorch are among them.
  """
  return {
      'command': shlex.join(['python', '-m', module, *sys.argv[1:]]),
      'date': datetime.date.today().isoformat(),
      'machine': device or machine_lib.cpu(),
      'versions': machine_lib.versions(has_pytorch),
  }


def dump(rows: Sequence[Mapping[str, object]],
         head: Mapping[str, str]) -> str:
  """Returns the text of a file.

  Args:
    rows: the cells by the name of the column, the same columns in all rows;
      None is "not known". Floats are written with seven digits.
    head: what `describe_run` returned.
  """
  text = io.StringIO()
  for name, value in head.items():
    text.write(f'{_MARK}{name}: {" ".join(value.split())}\n')
  writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
  writer.writeheader()
  for row in rows:
    writer.writerow({
        key: f'{value:.7g}' if isinstance(value, float) else value
        for key, value in row.items()})
  return text.getvalue()


def parse(text: str) -> Table:
  """Reads what `dump` wrote; a file without a head is read as well."""
  lines = text.splitlines(keepends=True)
  num_head = next((number for number, line in enumerate(lines)
                   if not line.startswith(_MARK)), len(lines))
  head = {}
  for line in lines[:num_head]:
    name, _, value = line.removeprefix(_MARK).partition(':')
    head[name] = value.strip()
  reader = csv.DictReader(lines[num_head:], restval='')
  return Table(head, list(reader), tuple(reader.fieldnames or ()))


def check_writable(path: str, flag: str) -> None:
  """Makes the folder of a file, and tries whether it can be written.

  Before hours of measuring, not after.

  Args:
    path: of the file.
    flag: what named it, such as '--output_dir'.

  Raises:
    ValueError: if it cannot be written.
  """
  try:
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'ab') as file:
      is_new = not file.tell()
    if is_new:
      os.remove(path)
  except OSError as error:
    raise ValueError(
        f'{path} cannot be written: {error.strerror}. Name another '
        f'{flag}.') from error


def write(path: str, rows: Sequence[Mapping[str, object]],
          head: Mapping[str, str]) -> None:
  """Writes a file; see `dump`."""
  with open(path, 'w', encoding='utf-8') as file:
    file.write(dump(rows, head))


def read(path: str) -> Table:
  """Reads a file; see `parse`."""
  with open(path, encoding='utf-8', newline='') as file:
    return parse(file.read())
