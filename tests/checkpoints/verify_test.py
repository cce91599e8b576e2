"""The command that says which checkpoints of a folder are damaged."""

import commands
import damaged_checkpoints


def verify(repository, folder):
  return commands.run(
      '-m', 'official_ext.checkpoints.verify', folder, cwd=repository)


def test_a_folder(repository, tmp_path):
  run = tmp_path / 'run'
  damaged_checkpoints.save(run, [9, 10, 100])
  result = verify(repository, run)
  assert (result.returncode, result.stderr) == (0, '')
  header, *rows = result.stdout.splitlines()
  assert header.split() == ['checkpoint', 'step', 'MiB', 'state']
  assert [row.split() for row in rows] == [
      [f'ckpt-{step}', str(step), '0.0', 'whole'] for step in (9, 10, 100)]
  data = run / f'ckpt-10.{damaged_checkpoints.DATA}'
  data.write_bytes(data.read_bytes()[:-1])
  (run / f'ckpt-9.{damaged_checkpoints.DATA}').unlink()
  before = sorted(run.iterdir())
  result = verify(repository, run)
  assert (result.returncode, result.stderr) == (1, '')
  first, second, third = result.stdout.splitlines()[1:]
  assert first.split(maxsplit=3) == [
      'ckpt-9', '?', '0.0', 'DAMAGED: its data are missing']
  assert second.split(maxsplit=3)[3].startswith('DAMAGED: _CHECKPOINTABLE')
  assert third.split() == ['ckpt-100', '100', '0.0', 'whole']
  assert sorted(run.iterdir()) == before


def test_what_is_no_folder_of_checkpoints(repository, tmp_path):
  result = verify(repository, tmp_path)
  assert result.returncode == 1
  assert result.stderr == (
      f'error: {tmp_path}: the folder holds no checkpoint.\n')
  result = verify(repository, tmp_path / 'missing')
  assert result.stderr == (
      f'error: {tmp_path}/missing: there is no such folder.\n')
