"""Tests of the commands, run as a user runs them."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import commands
import conversions
import image_trees
import pytest
import yaml

CONVERT = ('-m', 'data_prep.imagenet_to_tfrecord')
VERIFY = ('-m', 'data_prep.verify_tfrecords')


@pytest.fixture(name='folder')
def _folder(tmp_path):
  image_trees.class_folders(tmp_path / 'in', {'a': 6, 'b': 4})
  return tmp_path / 'in'


def test_convert_and_verify(repository, folder, tmp_path):
  out = tmp_path / "the cat's data"
  (folder / 'a/.DS_Store').write_bytes(b'x')
  result = commands.run(
      *CONVERT, f'--input={folder}', f'--output_dir={out}',
      '--validation_fraction=0.2', '--num_train_shards=2', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert 'a folder per class, 2 classes: 8 train images' in result.stderr
  assert 'left out: in/a/.DS_Store: hidden' in result.stderr
  assert 'Traceback' not in result.stderr
  table = [line.split() for line in result.stdout.splitlines()]
  assert ['train', '8', '2'] in [row[:3] for row in table]
  assert ['validation', '2', '2'] in [row[:3] for row in table]
  settings = yaml.safe_load((out / 'experiment.yaml').read_text())
  assert settings == {'task': {
      'data_dir': str(out), 'model': {'num_classes': 2},
      'train_data': {'num_examples': 8},
      'validation_data': {'num_examples': 2}}}
  assert (out / 'experiment.yaml').read_text() in result.stdout
  said = next(line for line in result.stdout.splitlines()
              if ' official_ext.train ' in line)
  assert shlex.split(said) == [
      'python', '-m', 'official_ext.train', '--experiment=funnel_vit_finetune',
      '--mode=train_and_eval', "--model_dir=runs/the cat's data",
      f'--config_file={out}/experiment.yaml']
  again = commands.run(
      *CONVERT, f'--input={folder}', f'--output_dir={out}',
      '--validation_fraction=0.2', '--num_train_shards=2', cwd=repository)
  assert again.returncode == 0 and 'Nothing to do' in again.stdout
  verified = commands.run(*VERIFY, out, cwd=repository)
  assert (verified.returncode, verified.stdout) == (
      0, f'{out}: 10 images, all as the manifest says.\n')
  assert not verified.stderr
  shard = out / 'train-00000-of-00002'
  shard.write_bytes(shard.read_bytes()[:-1])
  verified = commands.run(*VERIFY, out, cwd=repository)
  assert verified.returncode == 1
  assert 'WRONG train-00000-of-00002: its SHA-256' in verified.stdout
  assert 'faults' in verified.stderr and 'Traceback' not in verified.stderr


def test_too_many_corrupt_images(repository, folder, tmp_path):
  (folder / 'a/000.jpg').write_bytes(b'')
  arguments = (*CONVERT, f'--input={folder}', f'--output_dir={tmp_path / "o"}')
  result = commands.run(*arguments, cwd=repository)
  assert result.returncode == 1
  assert '1 image is corrupt, and --max_corrupt is 0' in result.stderr
  assert 'To train' not in result.stdout
  assert 'Traceback' not in result.stderr
  result = commands.run(*arguments, '--max_corrupt=1', cwd=repository)
  assert result.returncode == 0
  assert '1 corrupt, in no record' in result.stdout


@pytest.mark.parametrize('arguments, reason', [
    (['--output_dir=o'], '--input must be given'),
    (['--input=x'], '--output_dir must be given'),
    (['--input=x', '--output_dir=o', 'y'],
     "give inputs as --input=y. A path with spaces goes in quotes: "
     "--input='my photos'"),
    (['--input=missing', '--output_dir=o'], 'error: missing does not exist'),
    (['--input=x', '--output_dir=o', '--check=all'], 'header'),
    (['--input=x', '--output_dir=o', '--num_workers=0'], 'num_workers'),
    (['--input=x', '--output_dir=/proc/o'], 'error: '),
])
def test_wrong_flags(repository, tmp_path, arguments, reason):
  image_trees.class_folders(tmp_path / 'x', {'a': 1, 'b': 1})
  result = commands.run_alone(
      *CONVERT, *arguments, cwd=tmp_path, PYTHONPATH=str(repository))
  assert result.returncode == 1
  assert reason in result.stderr + result.stdout
  assert 'Traceback' not in result.stderr


def test_verify_wants_one_folder(repository, tmp_path):
  result = commands.run(*VERIFY, cwd=repository)
  assert result.returncode == 1 and 'give one folder' in (
      result.stderr + result.stdout)
  result = commands.run(*VERIFY, tmp_path, cwd=repository)
  assert result.returncode == 1
  assert result.stderr.startswith('error: ')


def slow_images(folder):
  """Eighty PNGs, which take long enough to be interrupted among them."""
  encoded = image_trees.encode(0, 'PNG', 'RGB', 1200, 1000, compress_level=0)
  for name in 'ab':
    for number in range(40):
      image_trees.write(folder / f'{name}/{number}.png', encoded)


def start(arguments, cwd):
  return subprocess.Popen(
      [sys.executable, *map(str, arguments)], cwd=cwd, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def wait_for(condition, seconds=60):
  deadline = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.01)


@pytest.mark.long
@pytest.mark.parametrize('how', [
    signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_and_resumes(
    repository, tmp_path, how):
  slow_images(tmp_path / 'in')
  out = tmp_path / 'out'
  arguments = [*CONVERT, f'--input={tmp_path / "in"}', f'--output_dir={out}',
               '--num_workers=2', '--num_train_shards=8']
  process = start(arguments, repository)
  wait_for(lambda: conversions.shards(out))
  if how == signal.SIGINT:
    os.killpg(process.pid, how)  # As a terminal does.
  else:
    process.send_signal(how)
  _, errors = process.communicate(timeout=60)
  assert process.returncode != 0 and 'Traceback' not in errors
  if how == signal.SIGINT:
    assert 'interrupted; the same command resumes from here' in errors

  def group_is_gone():
    try:
      os.killpg(process.pid, 0)
    except ProcessLookupError:
      return True
    return False
  wait_for(group_is_gone)
  assert not (out / 'manifest.json').exists()
  assert 1 <= len(conversions.shards(out)) < 8
  result = commands.run(*arguments, cwd=repository)
  assert result.returncode == 0, result.stderr
  assert json.loads((out / 'manifest.json').read_text())['splits']['train'][
      'num_images'] == 80
  assert not [path for path in out.iterdir() if 'unfinished' in path.name]


@pytest.mark.slow
def test_a_killed_worker_is_explained(repository, tmp_path):
  slow_images(tmp_path / 'in')
  out = tmp_path / 'out'
  process = start(
      [*CONVERT, f'--input={tmp_path / "in"}', f'--output_dir={out}',
       '--num_workers=1', '--num_train_shards=8'], repository)
  wait_for(lambda: conversions.shards(out))
  children = pathlib.Path(
      f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
  worker, = (child for child in children if 'spawn_main' in pathlib.Path(
      f'/proc/{child}/cmdline').read_text())
  os.kill(int(worker), signal.SIGKILL)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 1
  assert 'error: a worker process was killed' in errors
  assert 'Traceback' not in errors
