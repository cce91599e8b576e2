"""The table of the settings that differ between trainings."""

from __future__ import annotations

from collections.abc import Sequence

from official_ext.analysis import comparison
from official_ext.params import differences


def rows(results: Sequence[comparison.Result]) -> list[differences.Difference]:
  """Returns the settings that differ.

  Args:
    results: the trainings.

  Returns:
    A row for each setting; none of a single training.
  """
  return differences.find([result.run.params for result in results])


def columns(results: Sequence[comparison.Result]) -> list[comparison.Column]:
  """Returns the columns of the table, the path of the setting first.

  Args:
    results: the trainings.

  Returns:
    The columns, whose cells take rows of `rows`.
  """
  def of_training(index):
    return lambda row, _: comparison.Cell(
        row.values[index] or comparison.MISSING)

  return [
      comparison.Column(
          '', 'Setting', '', lambda row, _: comparison.Cell(row.setting),
          comparison.WORDS),
      *(comparison.Column('', result.run.name, '', of_training(index),
                          comparison.WORDS)
        for index, result in enumerate(results))]
