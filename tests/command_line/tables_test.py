"""Tests of the tables that commands print."""

import pytest

from official_ext.command_line import tables


def test_a_table():
  assert tables.markdown(['', 'top-1'], [['vit', '75 %'], ['B4-4', '-']]) == (
      '|  | top-1 |\n| --- | --- |\n| vit | 75 % |\n| B4-4 | - |')


def test_a_bar_does_not_end_a_cell():
  assert tables.markdown(['a|b'], [['|c|'], [r'd\|e']]) == (
      '| a\\|b |\n| --- |\n| \\|c\\| |\n| d\\|e |')


def test_a_table_for_a_terminal():
  assert tables.aligned(['', 'top-1', 'ms'], [
      ['vit', '75 %', '1,000'], ['B4-4', 'failed']]) == """\
       top-1     ms
vit     75 %  1,000
B4-4  failed"""


@pytest.mark.parametrize('value, text', [
    (0.012345, '0.0123'), (1.2, '1.20'), (99.94, '99.9'), (99.96, '100'),
    (543.21, '543'), (12345.6, '12,346')])
def test_three_digits(value, text):
  assert tables.significant(value) == text
