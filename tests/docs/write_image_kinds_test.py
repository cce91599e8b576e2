"""Tests of the table of image kinds: it says what becomes of them now."""

import image_kinds
import pytest
import write_image_kinds

from official_ext.benchmarks import csv_file


def table(name):
  return csv_file.read(str(write_image_kinds.FIGURES / name)).rows


def test_every_kind_has_its_row_and_is_converted_as_it_says():
  kinds = image_kinds.every()
  assert len({kind.name for kind in kinds}) == len(kinds)
  rows = table('image_kinds.csv')
  for kind, row in zip(kinds, rows, strict=True):
    assert (row['form'], row['channels'], row['bits'], row['other']) == (
        kind.form, kind.channels, str(kind.bits), kind.other)
    assert row['conversion'] == write_image_kinds.converted(kind)


def test_the_profiles():
  assert table('color_profiles.csv') == write_image_kinds.profile_rows()


@pytest.mark.parametrize('orientation', range(1, 9))
def test_wrong_pixels_are_found(orientation):
  """Of each orientation, but the one that is meant."""
  kinds = {kind.other: kind for kind in image_kinds.every()
           if kind.form == 'JPEG'}
  kind = kinds[f'orientation {orientation}']
  for other in range(1, 9):
    seen = kinds[f'orientation {other}'].seen.repeat(8, 0).repeat(8, 1)
    if other == orientation:
      write_image_kinds.check_seen(kind, 'this', seen)
    else:
      with pytest.raises(ValueError, match='this is .* of 255 off'):
        write_image_kinds.check_seen(kind, 'this', seen)


@pytest.mark.long
def test_all_of_the_table():
  assert table('image_kinds.csv') == write_image_kinds.rows(
      image_kinds.every())
