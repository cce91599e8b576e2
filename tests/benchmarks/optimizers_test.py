"""Tests of the table of the optimizers."""

from official_ext.benchmarks import optimizers
from official_ext.params import experiment


def test_a_line_of_the_table():
  settings = experiment.load('funnel_vit_digits', params_override=(
      'trainer.optimizer_config.learning_rate.cosine.initial_learning_rate='
      '0.002,trainer.optimizer_config.optimizer.adamw.weight_decay_rate='
      '0.05')).trainer.optimizer_config
  results = [dict(accuracy=0.5, validation_loss=2.0),
             dict(accuracy=0.75, validation_loss=1.0)]
  row = optimizers.columns('adamw', settings, results)
  assert row == {
      'optimizer': 'adamw', 'learning_rate': 0.002, 'weight_decay': 0.05,
      'num_trainings': 2, 'top_1_percent': 62.5, 'top_1_percent_min': 50,
      'top_1_percent_max': 75, 'loss': 1.5}
  assert optimizers.format_row(row).split() == [
      'adamw', '0.002', '0.05', '62.50', '%', '(50.00', 'to', '75.00)',
      '1.5000']
  row = optimizers.columns('adamw', settings, results[:1])
  assert optimizers.format_row(row).split() == [
      'adamw', '0.002', '0.05', '50.00', '%', '2.0000']
