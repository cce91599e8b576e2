"""Tests of the command that times the conversion."""

import re

import commands
import image_trees
import pytest

COMMAND = ('-m', 'data_prep.benchmark_conversion')


@pytest.mark.long
def test_the_command(repository, tmp_path):
  files = image_trees.class_folders(tmp_path / 'in', {'cat': 2, 'dog': 1})
  megabytes = 4 * sum(map(len, files.values())) / 1e6
  result = commands.run(
      *COMMAND, f'--input={tmp_path}/in', f'--work_dir={tmp_path}',
      '--copies=4', '--repeats=1', '--workers=1', cwd=repository)
  assert result.returncode == 0, result.stderr
  first, _, *rows, _ = result.stdout.splitlines()
  assert first.startswith(f'12 images, {megabytes:,.0f} MB; ')
  names = [re.split(r'\s{2,}', row)[0] for row in rows]
  assert names == [
      'read alone', 'read, SHA-256 alone', 'tar -cf',
      'read, TFRecordWriter alone', 'convert --check=header, 1 workers',
      'convert --check=decode, 1 workers']
  for row in rows:
    images = re.split(r'\s{2,}', row)[1].split()[0]
    assert float(images.replace(',', '')) > 0
  assert [path.name for path in tmp_path.iterdir()] == ['in']


def test_a_folder_without_jpeg_files(repository, tmp_path):
  result = commands.run(*COMMAND, f'--input={tmp_path}', cwd=repository)
  assert (result.returncode, result.stderr) == (
      1, f'error: no .jpg or .jpeg files in {tmp_path}\n')
