"""Tests of the standard streams of a command, whoever starts it."""

import os
import subprocess
import sys

import pytest

# Both packages have their own.
_RUN = {
    'official_ext': 'from official_ext.command_line.library_logs import run',
    'data_prep': 'from data_prep.command_process import run'}
_ASCII = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
_NAME = '\u732b caf\u00e9'


def run(repository, package, body, *arguments, shell='',
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment):
  """Runs a command of one line, started by a shell; returns the result."""
  code = (f'import os, sys\n{_RUN[package]}\n'
          f'def main(argv):\n  {body}\nrun(main)\n')
  return subprocess.run(
      ['sh', '-c', f'exec "$@" {shell}', 'sh', sys.executable, '-c', code,
       *arguments], cwd=repository, stdout=stdout, stderr=stderr, check=False,
      timeout=60, env={**os.environ, **environment})


@pytest.mark.parametrize('package', _RUN)
def test_a_name_that_the_output_lacks_is_an_escape(repository, package):
  result = run(repository, package, f'print({_NAME!a}, flush=True); '
               f'print({_NAME!a}, file=sys.stderr)', PYTHONIOENCODING='ascii')
  expected = b'\\u732b caf\\xe9\n'
  assert (result.stdout, result.stderr) == (expected, expected)


@pytest.mark.parametrize('package', _RUN)
def test_paths_are_utf8_whatever_the_locale(repository, package, tmp_path):
  (tmp_path / _NAME).mkdir()
  result = run(
      repository, package,
      'print(argv[1], os.listdir(argv[2]), sep="\\n")', _NAME, str(tmp_path),
      **_ASCII)
  assert result.stdout.decode() == f'{_NAME}\n{[_NAME]}\n', result.stderr


@pytest.mark.parametrize('package', _RUN)
def test_a_closed_stream_leads_nowhere(repository, package, tmp_path):
  path = str(tmp_path / 'file')
  body = ('file = open(argv[1], "w"); print("lost"); '
          'print("lost too", file=sys.stderr); file.write("kept"); '
          'file.close(); assert sys.stdin.read() == ""')
  for shell in ('>&-', '2>&-', '<&- >&- 2>&-'):
    result = run(repository, package, body, path, shell=shell)
    assert result.returncode == 0, result.stderr
    with open(path, encoding='utf-8') as file:
      assert file.read() == 'kept'


@pytest.mark.parametrize('package', _RUN)
@pytest.mark.parametrize('stream, body', [
    ('stdout', 'print("x")'), ('stdout', 'print("x" * 1_000_000)'),
    ('stderr', 'print("x" * 1_000_000, file=sys.stderr)')])
def test_who_reads_may_go(repository, package, stream, body):
  reader, writer = os.pipe()
  os.close(reader)
  result = run(repository, package, body, **{stream: writer})
  os.close(writer)
  assert (result.returncode, result.stdout or b'', result.stderr or b'') == (
      1, b'', b'')


def test_a_full_disk_is_said(repository):
  result = run(repository, 'official_ext', 'print("x")', shell='> /dev/full')
  assert (result.returncode, result.stderr) == (
      1, b'error: the output: No space left on device\n')
