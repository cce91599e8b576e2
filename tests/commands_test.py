"""The commands from end to end, as a user types them."""

from importlib import metadata
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import commands
import pytest

ON_DIGITS = ('--experiment=funnel_vit_digits', '--mode=train_and_eval')
SHORT = ("task.model.backbone.funnel_vit.layout='B1-1',"
         'trainer.train_steps=6,trainer.steps_per_loop=3,'
         'trainer.optimizer_config.warmup.linear.warmup_steps=1')


def train(repository, *arguments):
  return commands.run('train.py', *arguments, cwd=repository)


def test_train_export_predict(repository, digits_dir, tmp_path):
  gin_file = tmp_path / 'mine.gin'
  gin_file.write_text('build_optimizer.use_legacy_optimizer = 1\n')
  result = train(
      repository, *ON_DIGITS, f'--model_dir={tmp_path}/run',
      f'--gin_file={gin_file}',
      f"--params_override=task.data_dir='{digits_dir}',{SHORT}")
  assert result.returncode == 0, result.stderr
  # No library logs: nothing but our lines, and nothing on stderr.
  assert result.stderr == ''
  lines = result.stdout.splitlines()
  assert lines[0] == (
      'Funnel-ViT vit-nano4, B1(17)-1(9): 0.1 M parameters, 0.00145 GMACs '
      'per image')
  assert lines[1] == 'training from step 0 to 6'
  assert [line.split('  ')[0] for line in lines[2:5]] == [
      'step 3/6', 'step 6/6', 'step 6/6']
  assert [line.split(':')[0].split('  ')[1] for line in lines[2:5]] == [
      'train', 'train', 'validation']
  assert lines[6].split() == ['train', 'validation']
  assert [line.split()[0] for line in lines[7:10]] == ['top-1', 'top-5', 'loss']
  assert f'checkpoint  {tmp_path}/run/ckpt-6' in lines
  assert lines[-1] == f'exported to {tmp_path}/run/export/last/1'
  assert pathlib.Path(tmp_path, 'run/params.yaml').exists()
  gin_config = pathlib.Path(
      tmp_path, 'run/operative_config.train_and_eval.gin').read_text()
  assert 'build_optimizer.use_legacy_optimizer = 1' in gin_config

  result = commands.run(
      '-m', 'official_ext.checkpoints.describe', tmp_path / 'run',
      cwd=repository)
  assert '"layout": "B1(17)-1(9)"' in result.stdout
  assert result.stderr == ''

  images = sorted(pathlib.Path(digits_dir, 'samples').iterdir())[:2]
  result = commands.run(
      '-m', 'official_ext.serving.predict',
      f'--model={tmp_path}/run/export/last',
      '--top_k=2', images[0], gin_file, images[1], tmp_path / 'missing.png',
      cwd=repository)
  assert result.returncode == 1
  lines = result.stdout.splitlines()
  assert [lines[0], lines[3]] == [str(image) for image in images]
  for line in (*lines[1:3], *lines[4:6]):
    probability, name = line.split('%')
    assert 0 <= float(probability) <= 100 and name.strip() in '0123456789'
  errors = result.stderr.splitlines()
  assert len(errors) == 3
  assert errors[0].startswith(f'error: {gin_file}: not an image: begins with')
  assert errors[1].startswith(f'error: {tmp_path}/missing.png')
  assert errors[2] == 'error: 2 of 4 files were not classified; see above.'


@pytest.mark.parametrize('arguments, message', [
    (['--mode=train_and_validate'],
     'should be one of <train|eval|train_and_eval|continuous_eval>'),
    pytest.param(['--mode=train', '--experiment=vit'],
                 '--experiment=vit is not registered', marks=pytest.mark.long),
    pytest.param(['--mode=train', '--params_override=task.data_dir=/nowhere'],
                 "/nowhere/train*' matches no file", marks=pytest.mark.long),
    (['--mode=train', 'extra'], "unexpected argument 'extra'"),
    pytest.param(['--mode=train', '--gin_file=/nowhere.gin'], '/nowhere.gin',
                 marks=pytest.mark.long),
    (['--mode=eval'], 'there is no checkpoint in'),
    pytest.param(['--mode=eval', '--profile'],
                 '--mode=eval has no training step to',
                 marks=pytest.mark.long),
    pytest.param(['--mode=train', '--profile_steps=3'],
                 'is profiled. Add --profile.', marks=pytest.mark.long),
])
def test_errors_are_for_the_person_who_typed(
    repository, tmp_path, arguments, message):
  result = train(repository, '--experiment=funnel_vit_digits',
                 f'--model_dir={tmp_path}/run', *arguments)
  assert result.returncode != 0
  assert message in result.stderr
  assert 'Traceback' not in result.stderr
  # Nothing was begun.
  assert not pathlib.Path(tmp_path, 'run').exists()


@pytest.mark.long
def test_library_logs_come_back(repository, digits_dir, tmp_path):
  result = train(
      repository, '--experiment=funnel_vit_digits', '--mode=train',
      f'--model_dir={tmp_path}', '--library_logs',
      f"--params_override=task.data_dir='{digits_dir}',{SHORT},"
      'trainer.export.at_end=False')
  assert result.returncode == 0, result.stderr
  assert 'Saving experiment configuration' in result.stderr
  assert 'train | step:      3' in result.stdout


@pytest.mark.long
def test_an_installed_package_is_complete(repository, tmp_path):
  # Elsewhere: setuptools would put into the wheel what an earlier build left.
  checkout, installed = tmp_path / 'checkout', tmp_path / 'installed'
  for name in ('data_prep', 'experiments', 'official_ext'):
    shutil.copytree(repository / name, checkout / name, symlinks=True,
                    ignore=shutil.ignore_patterns('__pycache__'))
  for name in ('setup.py', 'README.md', 'LICENSE'):
    shutil.copy(repository / name, checkout)
  for arguments in (
      ('wheel', '--no-build-isolation', '--wheel-dir', tmp_path, checkout),
      ('install', '--target', installed)):
    result = commands.run_alone(
        '-m', 'pip', arguments[0], '--quiet', '--no-deps', *arguments[1:],
        *(tmp_path.glob('*.whl') if arguments[0] == 'install' else ()),
        cwd=tmp_path)
    assert result.returncode == 0, result.stderr
  package, = metadata.distributions(path=[str(installed)])
  assert {path.parts[0] for path in package.files
          if not path.parts[0].endswith('.dist-info')} == {
              '..', 'official_ext'}
  assert [path.name for path in package.files if path.parts[0] == '..'] == [
      'funnel-vit', 'funnel-vit-evaluate', 'funnel-vit-train']
  result = commands.run_alone(
      '-c', 'import runpy, official_ext; print(official_ext.__file__); '
      'from official_ext.params import experiment; '
      'print(*experiment.shipped_config_files()); '
      "runpy.run_module('official_ext.train', run_name='__main__')", '--help',
      cwd=tmp_path, PYTHONPATH=str(installed))
  package, names, *shown = result.stdout.splitlines()
  assert package == f'{installed}/official_ext/__init__.py'
  assert {'runtime/tpu', 'table2/b6-6_mean', 'patch32'} <= set(names.split())
  of_the_tree = train(repository, '--help').stdout
  for flag in ('--experiment:', '--params_override:', '--[no]library_logs:',
               '--[no]profile:', '--profile_steps:'):
    assert flag in '\n'.join(shown)
    assert flag in of_the_tree

  def installed_command(*arguments):
    result = commands.run_alone(installed / 'bin/funnel-vit', *arguments,
                                cwd=tmp_path, PYTHONPATH=str(installed))
    assert result.returncode == 0, result.stderr
    return result.stdout

  assert installed_command() == commands.run(
      '-m', 'official_ext', cwd=repository).stdout
  installed_command('data_prep.digits_to_tfrecord', '--output_dir=digits')
  for path in (tmp_path / 'digits/samples').iterdir():
    shutil.copytree(path.parent, tmp_path / 'photos' / path.stem)
  installed_command(
      'data_prep.imagenet_to_tfrecord', '--train=photos', '--num_workers=2',
      '--num_train_shards=2', '--output_dir=records')
  assert ', all as the manifest says.' in installed_command(
      'data_prep.verify_tfrecords', 'records')


@pytest.mark.long
def test_programs_elsewhere_import_what_make_setup_installs(
    repository, tmp_path):
  # An environment that has what the lock has, but not this package.
  venv = tmp_path / 'venv'
  subprocess.run([sys.executable, '-m', 'venv', '--without-pip', venv],
                 check=True)
  packages, = venv.glob('lib/python*/site-packages')
  (packages / 'locked.pth').write_text(sysconfig.get_path('purelib'))
  (venv / '.installed').touch()

  def setup():
    return subprocess.run(
        ['make', 'setup', f'VENV={venv}'], cwd=repository, check=False,
        capture_output=True, text=True)

  result = setup()
  assert result.returncode == 0, result.stderr
  # It is there, and is not installed again.
  assert 'pip install' not in setup().stdout
  # With another setup.py it is.
  os.utime(venv / '.package', (0, 0))
  assert 'pip install' in setup().stdout
  # Other tests lend their processes the repository.
  environment = {name: value for name, value in os.environ.items()
                 if name != 'PYTHONPATH'}
  elsewhere = subprocess.run(
      [venv / 'bin/python', '-c',
       'import official_ext; official_ext.load; print(official_ext.__file__); '
       'from official_ext.data_prep import images; print(images.__file__)'],
      cwd=tmp_path, check=False, capture_output=True, text=True,
      env=environment)
  assert elsewhere.stdout.splitlines() == [
      f'{repository}/official_ext/__init__.py',
      f'{repository}/official_ext/data_prep/images.py'], elsewhere.stderr
  assert subprocess.run(
      [venv / 'bin/python', '-c', 'import data_prep'], cwd=tmp_path,
      check=False, capture_output=True, env=environment).returncode == 1
  listed = subprocess.run(
      [venv / 'bin/funnel-vit'], cwd=tmp_path, check=False,
      capture_output=True, text=True, env=environment)
  assert listed.stdout == commands.run(
      '-m', 'official_ext', cwd=repository).stdout
  shown = subprocess.run(
      [venv / 'bin/funnel-vit-train', '--help'], cwd=tmp_path, check=False,
      capture_output=True, text=True, env=environment)
  assert '--params_override:' in shown.stdout


def test_a_signal_that_is_sent_twice_lets_a_training_end_in_order(repository):
  result = commands.run_alone('-c', """
import os, signal, time
from official_ext import train
signal.signal(signal.SIGTERM, train._stop)
try:
  os.kill(os.getpid(), signal.SIGTERM)
  time.sleep(60)
finally:
  os.kill(os.getpid(), signal.SIGTERM)
  print('in order')
""", cwd=repository)
  assert (result.returncode, result.stdout) == (143, 'in order\n')
  assert result.stderr.count('stopped by SIGTERM. ') == 1


@pytest.mark.long
def test_where_the_best_checkpoint_is_exported_to_is_said(repository):
  result = commands.run_alone('-c', """
from unittest import mock
from absl import flags
from official_ext import train
flags.FLAGS.mark_as_parsed()
export = mock.Mock(**{'at_end.return_value': 'run/export/last/1',
                      'exported_best.return_value': 'run/export/best'})
for has_trained in (True, False):
  train._export_at_end(export, 6, has_trained, False)
""", cwd=repository)
  assert result.stdout == (
      'exported the best checkpoint to run/export/best\n'
      'exported to run/export/last/1\nexported to run/export/last/1\n')
