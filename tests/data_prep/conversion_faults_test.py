"""Kills conversions again and again: the bytes come out the same."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import commands
import conversions
import image_trees
import proofs
import pytest

COMMAND = ('-m', 'data_prep.imagenet_to_tfrecord')


def everything(output_dir):
  return {path.name: path.read_bytes()
          for path in pathlib.Path(output_dir).iterdir()}


@pytest.fixture(name='folder', scope='module')
def _folder(tmp_path_factory):
  """200 images in four classes; one in ten has to be re-encoded."""
  folder = tmp_path_factory.mktemp('faults') / 'in'
  for number in range(200):
    kind = 'PNG' if number % 10 == 0 else 'JPEG'
    image_trees.write(
        folder / f'{"abcd"[number % 4]}/{number:03d}.jpg',
        image_trees.encode(number, kind, width=60, height=40))
  return folder


@pytest.mark.slow
@pytest.mark.parametrize('num_kills', [
    4, pytest.param(proofs.choose(12, 40), marks=pytest.mark.long)])
def test_killed_after_an_image(repository, folder, tmp_path, num_kills):
  conversions.convert(folder, tmp_path / 'expected')
  generator = random.Random(num_kills)
  out = tmp_path / 'out'
  kills = 0
  while kills < num_kills:
    # A run that keeps shards counts their images at once; so it may be over
    # before its n-th image. Then the folder is emptied, and killing continues.
    last_image = generator.randint(1, 200)
    result = commands.run_alone(
        repository / 'tests/killed_conversion.py', folder, out, last_image,
        cwd=repository, PYTHONPATH=str(repository))
    if result.returncode == -signal.SIGKILL:
      kills += 1
      assert not (out / 'manifest.json').exists()
    else:
      assert result.returncode == 0, result.stderr
      assert conversions.shards(out) == conversions.shards(
          tmp_path / 'expected')
      for path in out.iterdir():
        path.unlink()
  result = commands.run(
      *COMMAND, f'--input={folder}', f'--output_dir={out}', cwd=repository)
  assert result.returncode == 0, result.stderr
  (out / 'experiment.yaml').unlink()
  assert everything(out) == everything(tmp_path / 'expected')


@pytest.mark.long
def test_killed_at_any_moment_with_workers(repository, folder, tmp_path):
  """From outside, between its first breath and the last rename."""
  conversions.convert(folder, tmp_path / 'expected')
  generator = random.Random(0)
  out = tmp_path / 'out'
  kills = finished = 0
  while kills < proofs.choose(8, 25):
    process = subprocess.Popen(
        [sys.executable, *COMMAND, f'--input={folder}', f'--output_dir={out}',
         '--num_workers=2'], cwd=repository, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(generator.uniform(0.2, 1.6))
    # The first process alone, or all at once.
    (os.kill if kills % 2 else os.killpg)(process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    # A worker whose parent dies before it was told what to do is told of by
    # Python itself.
    assert 'Traceback' not in errors or 'in spawn_main' in errors, errors
    if process.returncode == -signal.SIGKILL:
      kills += 1
    else:
      assert process.returncode == 0
      finished += 1
    if (out / 'manifest.json').exists():
      assert conversions.shards(out) == conversions.shards(
          tmp_path / 'expected')
      for path in list(out.iterdir()):
        if path.is_file():
          path.unlink()
  result = commands.run(
      *COMMAND, f'--input={folder}', f'--output_dir={out}', cwd=repository)
  assert result.returncode == 0, result.stderr
  (out / 'experiment.yaml').unlink()
  assert everything(out) == everything(tmp_path / 'expected')
