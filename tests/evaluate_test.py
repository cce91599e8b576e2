"""Tests of the command that evaluates, from end to end."""

import csv
import json
import re

import commands
import pytest
import records_for_tests
import short_runs
import tensorflow as tf

from official_ext.params import experiment
from official_ext.serving import comparison
from official_ext.trained import trained_model
from official_ext.trained import validation_data
from official_ext.training import session


def evaluate(repository, *arguments):
  return commands.run('-m', 'official_ext.evaluate', *arguments, cwd=repository)


def as_trained(model_dir):
  """What --mode=eval says of a training."""
  params = experiment.load_saved(model_dir)
  trainer = session.prepare(params, 'eval', model_dir).execute()
  return {metric.name: float(metric.result()) for metric in (
      trainer.validation_loss, *trainer.validation_metrics)}


@pytest.mark.long
def test_a_training_beside_its_export(
    repository, trained_dir, export_dir, tmp_path):
  result = evaluate(
      repository, f'--model={trained_dir}', f'--baseline={export_dir}',
      '--num_mistakes=0', f'--output={tmp_path}/new/out')
  assert (result.returncode, result.stderr) == (0, '')
  assert result.stdout.splitlines()[0].startswith('360 images; ')
  assert re.search(r'^top-1 +\d', result.stdout, re.M)
  assert f'wrote to {tmp_path}/new/out: evaluation.json, ' in result.stdout
  assert not (tmp_path / 'new/out/mistakes.png').exists()
  described = json.loads((tmp_path / 'new/out/evaluation.json').read_text())
  # The figures are those of --mode=eval, to the image.
  metrics = as_trained(trained_dir)
  assert described['loss'] == pytest.approx(
      metrics['validation_loss'], rel=1e-5)
  for name, metric in (('top_1', 'accuracy'), ('top_5', 'top_5_accuracy')):
    found = described['accuracy'][name]
    assert found['value'] == round(360 * metrics[metric]) / 360
    assert found['low'] < found['value'] < found['high']
    assert described['baseline']['accuracy'][name] == found
  assert described['baseline']['model']['kind'] == 'SavedModel'
  assert described['comparison']['only_model'] == 0
  assert described['comparison']['only_baseline'] == 0
  # Every class of the digits is there.
  assert sum(one['count'] for one in described['classes']) == 360
  assert [one['name'] for one in described['classes']] == list('0123456789')
  with open(tmp_path / 'new/out/images.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 360
  for row in rows:
    assert row['predicted_name_1'] == row['baseline_predicted_name']
    assert float(row['probability_1']) == pytest.approx(
        float(row['baseline_probability']), abs=1e-5)


@pytest.mark.long
def test_the_figures_are_those_that_exports_are_verified_by(
    repository, trained_dir, digits_dir, tmp_path):
  result = evaluate(
      repository, f'--model={trained_dir}', '--top_k=5', '--num_images=300',
      f'--data={digits_dir}/validation*', f'--output={tmp_path}')
  assert (result.returncode, result.stderr) == (0, '')
  described = json.loads((tmp_path / 'evaluation.json').read_text())
  trained = trained_model.find(trained_dir)
  row, = comparison.compare(
      trained, [], validation_data.read_records(trained, None, 300))
  for name, count in (('top_1', row.accuracy.num_top_1),
                      ('top_5', row.accuracy.num_top_5)):
    assert described['accuracy'][name]['value'] == count / 300


@pytest.mark.parametrize('arguments, message', [
    (['--model=/nowhere'], '/nowhere does not exist. Name the folder of a'),
    (['--model={model}', '--data=/nowhere*'], "no file matches '/nowhere*'."),
    pytest.param(['--model={export}', '--ema'],
                 '--ema: {export} is an export, which has',
                 marks=pytest.mark.long),
    pytest.param(['--model={model}', '--checkpoint=best'],
                 'kept no best checkpoint', marks=pytest.mark.long),
])
def test_what_is_refused_leaves_nothing(
    repository, trained_dir, export_dir, tmp_path, arguments, message):
  paths = {'model': trained_dir, 'export': export_dir}
  result = evaluate(repository, *(
      argument.format(**paths) for argument in arguments),
                    f'--output={tmp_path}/new/out')
  assert result.returncode == 1
  assert message.format(**paths) in result.stderr
  assert result.stderr.count('\n') == 1
  assert not (tmp_path / 'new').exists()


@pytest.mark.long
def test_several_labels_per_image(repository, tmp_path):
  records = [records_for_tests.example(
      labels, records_for_tests.encode('JPEG', (16, 16), (20 * number, 0, 0)))
             for number, labels in enumerate([[0], [1, 3], [2], [0, 3]] * 3)]
  for split in ('train', 'validation'):
    records_for_tests.write(tmp_path / f'{split}-0', records)
  short_runs.train(str(tmp_path), tmp_path / 'run', **{
      'task.train_data.is_multilabel': True, 'task.model.num_classes': 4,
      'task.train_data.mixup_and_cutmix': None, 'trainer.train_steps': 2,
      'task.train_data.num_examples': 12, 'task.losses.one_hot': False,
      'task.train_data.global_batch_size': 4})
  model = f'--model={tmp_path}/run'
  result = evaluate(repository, model, f'--output={tmp_path}/out')
  assert result.returncode == 0, result.stderr
  described = json.loads((tmp_path / 'out/evaluation.json').read_text())
  metrics = as_trained(f'{tmp_path}/run')
  assert described['loss'] == pytest.approx(
      metrics.pop('validation_loss'), rel=1e-5)
  assert len(metrics) == 2
  for name, value in metrics.items():
    assert described[name] == pytest.approx(value, rel=1e-5)
  assert [one['count'] for one in described['classes']] == [6, 3, 3, 6]
  result = evaluate(repository, model, f'--baseline={tmp_path}/run',
                    f'--output={tmp_path}/new')
  assert f'--baseline: {tmp_path}/run has several labels' in result.stderr
  assert not (tmp_path / 'new').exists()


def test_the_command_needs_a_model(repository):
  assert '--model must have a value' in evaluate(repository).stderr
  result = evaluate(repository, 'runs/a', '--model=runs/a')
  assert "unexpected argument 'runs/a': name the model with" in result.stderr


@pytest.mark.long
def test_a_training_in_bfloat16_says_so(repository, digits_dir, tmp_path):
  short_runs.train(digits_dir, tmp_path / 'run', **{
      'runtime.mixed_precision_dtype': 'bfloat16', 'trainer.train_steps': 2})
  result = evaluate(repository, f'--model={tmp_path}/run',
                    '--num_images=3', f'--output={tmp_path}/out')
  assert result.returncode == 0, result.stderr
  assert 'run: evaluated in float32, as it is served; trained in bfloat16' in (
      result.stdout)
  assert tf.io.gfile.exists(f'{tmp_path}/out/evaluation.json')
