"""What people do with data of their own, from the conversion to the answer."""

import re

import animals
import commands
from PIL import Image
import pytest
import short_runs
import tensorflow as tf

pytestmark = pytest.mark.long
COLORS = {'Cat': (250, 20, 20), 'cat': (20, 250, 20), 'dog': (20, 20, 250)}


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


def test_two_class_folders_that_differ_in_case(repository, tmp_path):
  for split in ('train', 'val'):
    for name, color in COLORS.items():
      folder = tmp_path / 'in' / split / name
      folder.mkdir(parents=True)
      for number in range(8):
        Image.new('RGB', (20 + number, 20), color).save(
            folder / f'{number}.png')
  data, run_dir = tmp_path / 'out', tmp_path / 'run'
  run(repository, '-m', 'data_prep.imagenet_to_tfrecord',
      f'--input={tmp_path}/in', f'--output_dir={data}', '--num_workers=1',
      '--num_train_shards=1')
  assert (data / 'class_names.txt').read_text() == 'Cat\ncat\ndog\n'
  trained = short_runs.train(str(data), run_dir, 'train_and_eval', **{
      'task.model.num_classes': 3, 'trainer.train_steps': 150,
      'task.train_data.global_batch_size': 24})
  assert trained.validation_logs['accuracy'] == 1
  predicted = run(
      repository, '-m', 'official_ext.serving.predict', f'--model={run_dir}',
      '--top_k=1', *(tmp_path / 'in/val' / name / '0.png' for name in COLORS))
  assert re.findall(r'%  (\w+)', predicted) == list(COLORS)
