"""Tests of warnings that many rows share."""

from absl import logging
import pytest

from official_ext.studies import row_warnings


def test_they_are_said_once_with_their_rows(caplog):
  kept = row_warnings.RowWarnings()
  for row in ('ViT', 'max', 'grid'):
    with kept.of(row):
      logging.warning('the rate %s is high.', 0.1)
      if row != 'max':
        logging.warning('a long warmup.')
        logging.warning('a long warmup.')
  with kept.of('grid'):
    logging.error('an error is said at once.')
  assert [one.getMessage() for one in caplog.records] == [
      'an error is said at once.']
  caplog.clear()
  kept.say(3)
  kept.say(3)
  assert [one.getMessage() for one in caplog.records] == [
      'all rows: the rate 0.1 is high.',
      "rows 'ViT', 'grid': a long warmup."]


def test_of_one_row_and_around_an_error(caplog):
  kept = row_warnings.RowWarnings()
  with pytest.raises(ValueError), kept.of('ViT'):
    logging.warning('wrong soon.')
    raise ValueError
  logging.warning('of no row.')
  kept.say(1)
  assert [one.getMessage() for one in caplog.records] == [
      'of no row.', "row 'ViT': wrong soon."]
