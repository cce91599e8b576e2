"""Tests of the table of the crosses on the digits."""

import numpy as np
from official.core import task_factory
import pytest
import write_crosses

from official_ext.benchmarks import csv_file
from official_ext.checkpoints import variable_names
from official_ext.trained import trained_model


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
      ('ViT', 'ViT', 'B6', '0.0123', 2, '90.50', '93.50', '93.00', '94.00'),
      ('ViT', 'Funnel-ViT', 'B6', '0.0123', 2, '90.50', '91.50', '91.00',
       '92.00'),
      ('Funnel-ViT', 'ViT', 'B6', '0.0123', 2, '90.50', '94.50', '94.00',
       '95.00'),
      ('Funnel-ViT', 'Funnel-ViT', 'B6', '0.0123', 2, '90.50', '92.50',
       '91.00', '94.00')]


def test_the_table_is_of_what_is_run():
  table = csv_file.read(str(write_crosses.FIGURE))
  assert table.head['command'] == 'make crosses'
  assert [(row['pretrained'], row['fine-tuned']) for row in table.rows] == [
      ('ViT', 'ViT'), ('ViT', 'Funnel-ViT'), ('Funnel-ViT', 'ViT'),
      ('Funnel-ViT', 'Funnel-ViT')]
  assert {int(row['trainings']) for row in table.rows} == {
      len(write_crosses.SEEDS)}


@pytest.mark.long
@pytest.mark.parametrize('layout, other', [('B6', 'B3-3'), ('B3-3', 'B6')])
def test_a_fine_tuning_begins_from_what_was_exchanged(
    digits_dir, tmp_path, layout, other):
  folder = str(tmp_path / 'run')
  write_crosses.pretrain(layout, 1, folder, 2, digits_dir)
  config_file = write_crosses.exchange(folder, str(tmp_path / 'exchange'))
  params = write_crosses.fine_tuning(config_file, other, 1, 2, digits_dir)
  backbone = params.task.model.backbone.funnel_vit
  assert backbone.layout == other
  assert list(params.task.model.input_size) == [24, 24, 3]
  task = task_factory.get_task(params.task)
  model = task.build_model()
  task.initialize(model)
  before = trained_model.find(folder).model
  found, expected = ({
      name: variable.numpy() for variable in one.variables
      if (name := variable_names.of_model(one)[id(variable)])
  } for one in (model, before))
  assert set(found) == set(expected)
  different = {name for name, value in found.items()
               if not np.array_equal(value, expected[name])}
  # Of another resolution, and of other classes.
  assert all('position' in name or 'head' in name for name in different)
  assert len(different) <= 3 < len(found)
