"""Tests of the list of commands, and of what the installed ones show."""

import ast
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import commands as runner
import pytest

from official_ext.command_line import commands

# What pip writes for an entry point.
_SCRIPT = """\
import re
import sys
from {module} import run
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(run())
"""


def entry_points(repository):
  setup = ast.parse((repository / 'setup.py').read_text())
  return dict(node.value.split(' = ') for node in ast.walk(setup)
              if isinstance(node, ast.Constant) and ':run' in str(node.value))


def test_every_command_is_listed_once(repository):
  # torch_peers.py is run by its path, where there is neither TensorFlow nor
  # this package.
  found = sorted(
      '.'.join(path.relative_to(folder).with_suffix('').parts)
      for folder, package in ((repository / 'official_ext', '.'),
                              (repository, 'data_prep'))
      for path in (folder / package).rglob('*.py')
      if path.name not in ('__main__.py', 'torch_peers.py') and
      "\nif __name__ == '__main__':" in path.read_text())
  assert sorted(commands.NAMES) == found


def test_a_command_has_a_line():
  lines = commands.listing().splitlines()
  assert ('  train                             '
          'Trains an experiment, evaluates it, or both.') in lines
  listed = [line.split(maxsplit=1) for line in lines if line.startswith('  ')]
  assert [name for name, _ in listed] == list(commands.NAMES)
  assert all(re.fullmatch(r'[A-Z].{10,75}[.?]', line) for _, line in listed)


def test_what_is_installed_is_of_the_list(repository):
  found = entry_points(repository)
  assert found.pop('funnel-vit') == 'official_ext.__main__:run'
  assert {name: path.removesuffix(':run') for name, path in found.items()} == {
      f'funnel-vit-{name}': commands.module(name)
      for name in ('train', 'evaluate')}


def test_the_documentation_names_every_command(repository):
  text = '\n'.join(path.read_text() for path in (
      repository / 'README.md', *(repository / 'docs').glob('*.md')))
  # In a checkout, which the documentation begins with, data_prep is at the top.
  typed = [name if name.startswith('data_prep.') else commands.module(name)
           for name in commands.NAMES]
  assert [name for name in typed
          if not re.search(rf'\b{re.escape(name)}\b', text)] == []


@pytest.mark.parametrize('name', ['train', 'evaluate'])
def test_help_of_an_installed_command_is_whole(repository, tmp_path, name):
  script = tmp_path / f'funnel-vit-{name}'
  script.write_text(_SCRIPT.format(module=f'official_ext.{name}'))
  installed = runner.run(script, '--help', cwd=repository)
  module = runner.run('-m', f'official_ext.{name}', '--help', cwd=repository)
  # Only the first line of the flags, the path of the command, is another.
  assert installed.stdout.replace(f'{script}:\n', '') == re.sub(
      rf'^/.*/{name}.py:\n', '', module.stdout, flags=re.M)
  assert '--[no]library_logs:' in installed.stdout


def test_the_list_runs_what_it_names(repository):
  arguments = ['--model_name=vit-ti16', 'B6']
  by_name = runner.run(
      '-m', 'official_ext', 'layouts.describe', *arguments, cwd=repository)
  assert by_name.returncode == 0, by_name.stderr
  assert by_name.stdout == runner.run(
      '-m', 'official_ext.layouts.describe', *arguments, cwd=repository).stdout


def test_data_prep_is_run_by_the_list_too(repository, digits_dir, tmp_path):
  result = runner.run(
      '-m', 'official_ext', 'data_prep.digits_to_tfrecord',
      f'--output_dir={tmp_path}', cwd=repository)
  assert result.returncode == 0, result.stderr
  written = sorted(tmp_path.glob('*-of-*'))
  assert written and [path.read_bytes() for path in written] == [
      (pathlib.Path(digits_dir) / path.name).read_bytes() for path in written]


def test_every_command_shows_its_flags(repository):
  for name in commands.NAMES:
    result = runner.run('-m', 'official_ext', name, '--help', cwd=repository)
    # As absl ends it.
    assert (result.returncode, result.stderr) == (1, ''), name
    assert result.stdout.startswith(f'{commands.summary(name)}\n'), name
    shown = re.findall(r'^  --(?:\[no\])?(\w+):', result.stdout, re.M)
    path = importlib.util.find_spec(commands.module(name)).origin
    defined = re.findall(r"\.DEFINE_\w+\(\s*'(\w+)'",
                         pathlib.Path(path).read_text())
    assert set(defined) <= set(shown), name


@pytest.mark.parametrize('arguments', [(), ('--help',)])
def test_the_list_is_printed(repository, arguments):
  result = runner.run('-m', 'official_ext', *arguments, cwd=repository)
  assert (result.returncode, result.stdout) == (
      0, f'{commands.listing()}\n')


def test_who_reads_the_list_may_go(repository):
  reader, writer = os.pipe()
  os.close(reader)
  result = subprocess.run(
      [sys.executable, '-m', 'official_ext'], cwd=repository, check=False,
      stdout=writer, stderr=subprocess.PIPE, text=True)
  os.close(writer)
  assert (result.returncode, result.stderr) == (1, '')


@pytest.mark.parametrize('name, close', [
    ('predict', ' Did you mean serving.predict?'),
    ('trian', ' Did you mean train?'),
    ('verify', ' Did you mean checkpoints.verify or serving.verify?'),
    ('xyz', '')])
def test_a_command_that_is_none(repository, name, close):
  result = runner.run('-m', 'official_ext', name, cwd=repository)
  assert result.returncode == 1
  assert result.stderr == (
      f"error: there is no command '{name}'.{close} "
      '`funnel-vit` lists all commands.\n')
