"""What people do with data of their own, from the conversion to the answer."""

import re

import animals
import commands
from PIL import Image
import pytest
import short_runs
import tensorflow as tf

pytestmark = pytest.mark.long


def run(repository, *arguments):
  result = commands.run(*arguments, cwd=repository)
  assert result.returncode == 0, result.stderr
  return result.stdout


def test_tied_logits_rank_alike_everywhere(repository, tmp_path):
  names = ['ape', 'bee', 'cat', 'dog', 'eel', 'fox', 'gnu', 'hen']
  for split in ('train', 'validation'):
    data = animals.write(tmp_path / 'data', names, split, count=2)
  run_dir = tmp_path / 'run'
  settings = {'task.model.num_classes': 8, 'trainer.train_steps': 1,
              'task.train_data.global_batch_size': 8,
              'trainer.export.at_end': False}
  trainer = short_runs.train(data, run_dir, **settings)
  for variable in trainer.model.layers[-1].trainable_variables:
    variable.assign(tf.zeros_like(variable))
  trainer.checkpoint.write(tf.train.latest_checkpoint(str(run_dir)))
  # Of eight classes of two images one is first, five among the first five.
  logs = short_runs.train(data, run_dir, 'eval', **settings).validation_logs
  assert logs['accuracy'] == pytest.approx(1 / 8)
  assert logs['top_5_accuracy'] == pytest.approx(5 / 8)
  export = tmp_path / 'export'
  run(repository, '-m', 'official_ext.serving.export',
      f'--model_dir={run_dir}', f'--export_dir={export}')
  verified = run(repository, '-m', 'official_ext.serving.verify', export,
                 '--batch_sizes=')
  assert verified.count('| 12.50 % | 62.50 % |') == 2
  Image.new('RGB', (20, 20)).save(tmp_path / 'black.png')
  predicted = run(repository, '-m', 'official_ext.serving.predict',
                  f'--model={export}', tmp_path / 'black.png')
  assert re.findall(r'12.50 %  (\w+)', predicted) == names[:5]
