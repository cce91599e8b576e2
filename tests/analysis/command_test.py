"""Tests of what the commands share."""

import pytest

from official_ext.analysis import command
from official_ext.command_line import library_logs


@pytest.fixture(autouse=True)
def _no_silence(monkeypatch):
  """The logs of the other tests stay as they are."""
  monkeypatch.setattr(library_logs, 'silence', lambda: None)


@pytest.mark.parametrize('error', [
    ValueError('the reason'), OSError('the reason')])
def test_what_goes_wrong_is_one_line(error, capsys):
  with pytest.raises(SystemExit) as ended:
    with command.work():
      raise error
  assert ended.value.code == 1
  assert capsys.readouterr().err == 'error: the reason\n'


def test_other_errors_keep_their_traceback():
  for error in (KeyError, BrokenPipeError):
    with pytest.raises(error):
      with command.work():
        raise error


def test_the_folders_of_the_output_are_made_first(tmp_path, capsys):
  with command.work([f'{tmp_path}/new/a.png']):
    assert (tmp_path / 'new').is_dir()
  with pytest.raises(SystemExit):
    with command.work([str(tmp_path)]):
      raise AssertionError('began')
  assert 'is a folder. Name a file in it' in capsys.readouterr().err


def test_what_was_written_is_told(capsys):
  command.tell_written(['a.png', 'b.pdf'])
  assert capsys.readouterr().out == 'wrote a.png, b.pdf\n'
