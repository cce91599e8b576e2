"""Tests of the table of the crosses on the digits."""

import write_crosses

from official_ext.benchmarks import csv_file


def result(pretrained, fine_tuned, before, after):
  return {'pretrained': pretrained, 'fine_tuned': fine_tuned, 'layout': 'B6',
          'gmacs': 0.01234, 'before': before, 'after': after}


def test_the_lines():
  results = [result(one, other, before, before + gain)
             for before in (90.0, 91.0)
             for one, other, gain in (
                 ('ViT', 'ViT', 3), ('ViT', 'Funnel-ViT', 1),
                 ('Funnel-ViT', 'ViT', 4),
                 ('Funnel-ViT', 'Funnel-ViT', 2 * before - 179))]
  lines = write_crosses.rows(results)
  assert [tuple(line.values()) for line in lines] == [
      ('ViT', 'ViT', 'B6', '0.0123', 2, '90.50', '93.50', '0.71'),
      ('ViT', 'Funnel-ViT', 'B6', '0.0123', 2, '90.50', '91.50', '0.71'),
      ('Funnel-ViT', 'ViT', 'B6', '0.0123', 2, '90.50', '94.50', '0.71'),
      ('Funnel-ViT', 'Funnel-ViT', 'B6', '0.0123', 2, '90.50', '92.50',
       '2.12')]
  assert write_crosses.rows(results[:4])[0]['standard deviation'] == ''


def test_the_table_is_of_what_is_run():
  table = csv_file.read(str(write_crosses.FIGURE))
  assert table.head['command'] == 'make crosses'
  assert [(row['pretrained'], row['fine-tuned']) for row in table.rows] == [
      ('ViT', 'ViT'), ('ViT', 'Funnel-ViT'), ('Funnel-ViT', 'ViT'),
      ('Funnel-ViT', 'Funnel-ViT')]
  assert {int(row['trainings']) for row in table.rows} == {
      len(write_crosses.SEEDS)}
