"""Tests of the command that compares exports with their checkpoint."""

import re
import shutil

import commands
import pytest


@pytest.mark.long
def test_the_command(repository, trained_dir, export_dir, litert_path,
                     digits_dir, tmp_path):
  folder = tmp_path / 'all'
  shutil.copytree(export_dir, folder)
  shutil.copy(litert_path, folder)
  arguments = ('-m', 'official_ext.serving.verify', folder,
               f'--data={digits_dir}/validation-*')
  result = commands.run(
      *arguments, '--num_images=50', '--batch_sizes=1,3', cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  first, _, *table = result.stdout.splitlines()
  assert first.startswith(f'50 images, {trained_dir}/ckpt-10')
  header, _, *rows = [
      [cell.strip() for cell in line[1:-1].split('|')] for line in table]
  assert header[-4:] == ['ms at batch 1', 'ms at batch 3',
                         'images/s at batch 1', 'images/s at batch 3']
  assert [row[0] for row in rows] == [
      'checkpoint', 'SavedModel', 'LiteRT float32']
  # Correct to rounding, so the same images are right.
  assert len({tuple(row[1:3]) for row in rows}) == 1
  for row in rows[1:]:
    assert 0 <= float(row[3]) < 1e-4
    # Throughput is the batch over the latency.
    assert float(row[-1].replace(',', '')) == pytest.approx(
        3e3 / float(row[-3]), rel=0.01)


@pytest.mark.long
def test_the_command_fails(repository, export_dir, litert_path, digits_dir,
                           tmp_path):
  shutil.copytree(export_dir, tmp_path / 'all')
  shutil.copy(litert_path, tmp_path / 'all')
  failed = commands.run(
      '-m', 'official_ext.serving.verify', tmp_path / 'all',
      f'--data={digits_dir}/validation-*', '--num_images=5', '--batch_sizes=',
      '--tolerance=0', cwd=repository)
  assert failed.returncode == 1
  # The SavedModel runs the same operations, and may agree to the last bit.
  assert re.fullmatch(
      r'error: (SavedModel, )?LiteRT float32: logits differ from the '
      r'checkpoint by more than --tolerance=0\.0\.\n', failed.stderr)
