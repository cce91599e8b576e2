"""Tests of the words of what the commands say."""

from data_prep import wording
from official_ext.command_line import tables


def test_counts():
  for counted in (wording.counted, tables.counted):
    assert [counted(number, 'image') for number in (0, 1, 2, 12_345)] == [
        '0 images', '1 image', '2 images', '12,345 images']
    assert [counted(number, 'class', 'classes') for number in (1, 2)] == [
        '1 class', '2 classes']
