"""Tests of the classes that are written for the values of masks."""

import pytest

from data_prep import label_map


def test_values_and_ranges():
  assert label_map.parse('0-2:255, 7:0,8:1\n,9:1') == {
      0: 255, 1: 255, 2: 255, 7: 0, 8: 1, 9: 1}
  assert label_map.num_classes('0-2:255,7:0,8:1', 255) == 2
  # 255 may be a class, as of masks of 0 and 255.
  assert label_map.parse('0:0,255:1') == {0: 0, 255: 1}


@pytest.mark.parametrize('text, reason', [
    ('7', "'7' is not VALUE:CLASS"),
    ('-1:0', "'-1:0' is not VALUE:CLASS"),
    ('0:256', "'0:256' must have values and a class from 0 to 255"),
    ('300:0', "'300:0' must have values"),
    ('6-0:255', 'the first value before the last'),
    ('0-6:255,3:1', 'the value 3 two classes, 255 and 1. Remove one')])
def test_what_is_no_map(text, reason):
  with pytest.raises(ValueError) as refused:
    label_map.parse(text)
  assert reason in str(refused.value)


def test_a_map_to_nothing():
  with pytest.raises(ValueError, match='no value a class but the label to ign'):
    label_map.num_classes('0-10:255', 255)
