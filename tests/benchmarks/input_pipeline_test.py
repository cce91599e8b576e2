"""Tests of the command that times the input pipeline."""

import os
import subprocess
import sys

import commands
import input_shards
import pytest

from official_ext.benchmarks import csv_file


def command(repository, *arguments, **options):
  return commands.run(
      '-m', 'official_ext.benchmarks.input_pipeline', '--warm_up_seconds=0',
      f'--batch_size={input_shards.BATCH_SIZE}', '--windows=2',
      '--num_images=8', f'--params_override={input_shards.OVERRIDE}',
      *arguments, cwd=repository, **options)


@pytest.mark.long
def test_the_command(repository, data_dir, tmp_path):
  steps = tmp_path / 'train_step.csv'
  steps.write_text('layout,images_per_second\nB12,0.001\nB4-4-4,1e9\n')
  result = command(
      repository, f'--data_dir={data_dir}', '--variants=cache',
      '--threads=1', f'--train_step_csv={steps}', f'--output_dir={tmp_path}/a')
  assert result.returncode == 0, result.stderr
  # No progress in a pipe.
  assert result.stderr == ''
  lines = result.stdout.splitlines()
  size = sum(path.stat().st_size for path in data_dir.glob('train-*'))
  assert lines[0] == (
      f'funnel_vit_imagenet, train: 3 files, {size / 1e6:.0f} MB, about 15 '
      'images; to 64 x 64 px, batches of 4')
  assert lines[1].startswith(f'{len(os.sched_getaffinity(0))} CPU core')
  assert lines[1].endswith('windows of 8 images, 2 of each row')
  names = ['reading the records', '+ JPEG decode, whole image',
           'the whole pipeline', 'the same again', '1 thread', 'cache=true']
  assert [line[:26].strip() for line in lines[4:10]] == names
  assert 'the model is the limit. For the input 1 core would do' in next(
      line for line in lines if line.startswith('B12 consumes 0 images/s'))
  assert 'the input is the limit. It needs' in next(
      line for line in lines if line.startswith('B4-4-4 consumes 1,000,000,'))
  assert lines[-1] == f'written to {tmp_path}/a/input_pipeline.csv'
  table = csv_file.read(tmp_path / 'a' / 'input_pipeline.csv').rows
  assert [line['row'] for line in table] == names
  for line in table:
    assert line['num_images'] == '16'
    speeds = [float(line[f'images_per_second{suffix}'])
              for suffix in ('_min', '', '_max')]
    assert 0 < speeds[0] <= speeds[1] <= speeds[2]
    cores = 1 if line['threads'] else int(line['cores'])
    assert float(line['images_per_second_per_core']) == pytest.approx(
        speeds[1] / cores)


@pytest.mark.long
def test_a_variant_that_does_not_run_is_a_row(repository, tmp_path):
  result = command(
      repository, f'--data_dir={input_shards.write(tmp_path, "PNG")}',
      '--split=validation', '--variants=decode_jpeg_only', '--params_override='
      f'{input_shards.OVERRIDE},task.validation_data.decode_jpeg_only=false')
  assert result.returncode == 0, result.stderr
  assert 'decode_jpeg_only=true' + ' ' * 7 + 'does not run: ' in result.stdout


@pytest.mark.parametrize('arguments, message', [
    (['--data_dir=/no where'],
     'error: --data_dir=/no where holds no train shards (train*). Make them '
     'with python -m official_ext.data_prep.imagenet_to_tfrecord '
     "--input=IMAGES --output_dir='/no where', or name the folder that holds "
     'them.\n'),
    (['--data_dir=/nowhere', '--experiment=retinanet',
      '--params_override='], '--experiment=retinanet does not classify'),
    ([], 'Flag --data_dir must have a value'),
    (['--data_dir=a', '--seconds=1'], 'give --seconds or --num_images'),
    (['--data_dir=a', '--consumes=1', '--train_step_csv=b'],
     'give --consumes or --train_step_csv'),
    (['--data_dir=a', '--consumes=0'], '--consumes=0.0: must be above 0'),
    (['--data_dir=a', '--threads=2,0'], '--threads=2,0: must be positive'),
    (['--data_dir=a', 'b'], "unexpected argument 'b'"),
])
def test_errors_are_for_the_person_who_typed(repository, arguments, message):
  result = command(repository, *arguments)
  assert result.returncode != 0
  assert message in result.stderr + result.stdout
  assert 'Traceback' not in result.stderr


@pytest.mark.long
def test_it_ends_when_its_reader_has_gone(repository, data_dir):
  with subprocess.Popen(
      [sys.executable, '-m', 'official_ext.benchmarks.input_pipeline',
       f'--data_dir={data_dir}', '--windows=1', '--num_images=4',
       '--warm_up_seconds=0', '--variants=', '--batch_size=4',
       f'--params_override={input_shards.OVERRIDE}'],
      cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'}) as process:
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
  assert (process.returncode, errors) == (1, b'')
