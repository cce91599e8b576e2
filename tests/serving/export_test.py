"""Tests of the command that exports."""

import commands
import pytest

from official_ext.checkpoints import integrity
from official_ext.serving.runtimes import loading


@pytest.mark.parametrize('arguments, message', [
    ([], 'give --model_dir, or --config_file'),
    (['--config_file=a'], 'give the prefix of a checkpoint'),
    (['--model_dir=a', '--precision=int8'],
     '--precision is for --format=tflite'),
    (['--model_dir=a', '--format=onnx', '--version=1'],
     '--version is for --format=saved_model, not onnx'),
    (['--model_dir=a', '--format=onnx', '--xla'],
     '--xla is for --format=saved_model, not onnx'),
    (['--model_dir=a', '--format=tflite', '--calibration_images=1'],
     '--calibration_images is for --precision=int8'),
    (['--model_dir=nowhere'], 'there is no params.yaml in nowhere'),
])
def test_an_export_of_nothing(repository, tmp_path, arguments, message):
  result = commands.run(
      '-m', 'official_ext.serving.export',
      f'--export_dir={tmp_path}/exports', *arguments, cwd=repository)
  assert result.returncode == 1 and result.stdout == ''
  assert message in result.stderr.replace('\n', ' ')
  assert 'Traceback' not in result.stderr


@pytest.mark.long
def test_an_export_under_the_former_name(repository, trained_dir, tmp_path):
  result = commands.run(
      '-m', 'official_ext.serving.export_saved_model',
      f'--model_dir={trained_dir}', f'--export_dir={tmp_path}',
      '--format=tflite', '--precision=float16', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert result.stdout == f'exported to {tmp_path}/model_float16.tflite\n'
  assert result.stderr == ('note: official_ext.serving.export_saved_model is '
                           'now official_ext.serving.export\n')
  runner, = loading.load_all(str(tmp_path), num_threads=1)
  assert runner.description['source'] == {
      'checkpoint': f'{trained_dir}/ckpt-10',
      'fingerprint': integrity.fingerprint(f'{trained_dir}/ckpt-10'),
      'step': 10, 'ema': False}


@pytest.mark.parametrize('flag', ['--ema', '--averaged'])
def test_averages_that_were_not_kept(repository, trained_dir, tmp_path, flag):
  result = commands.run(
      '-m', 'official_ext.serving.export', f'--model_dir={trained_dir}',
      f'--export_dir={tmp_path}', flag, cwd=repository)
  assert result.returncode == 1
  assert 'Leave --ema out' in result.stderr
