"""Tests of what a long training is, and of its table."""

from official_ext.benchmarks import memory_report
from official_ext.benchmarks import resident_memory
from official_ext.params import experiment


def test_evaluations_and_reports_divide_the_steps(tmp_path):
  trainer = experiment.load(
      'funnel_vit_digits', params_override=memory_report.settings(
          str(tmp_path), 3000, 20, 'trainer.seed=7')).trainer
  assert trainer.train_steps == 3000
  assert trainer.validation_interval == trainer.checkpoint_interval == 150
  assert trainer.steps_per_loop == trainer.summary_interval == 30
  assert trainer.seed == 7


def test_a_line_of_the_table():
  line = memory_report.row('mirrored', [
      resident_memory.Sample(step, 1000 + step, 30 + step, step)
      for step in (1, 2, 3)])
  assert memory_report.format_row(line).split() == [
      'mirrored', '3', '1,002.0', 'MiB', '1,003.0', 'MiB', '+1000.00', 'MiB',
      '32', 'to', '33', '2', 'to', '3']
