"""Tests of the former names of commands."""

import importlib.util

import commands
import pytest

from official_ext.command_line import former_names


@pytest.mark.parametrize('former', former_names.COMMANDS)
def test_every_former_name_leads_to_a_command(former, capsys):
  name = former_names.COMMANDS[former]
  assert (importlib.util.find_spec(former).origin ==
          importlib.util.find_spec(name).origin)
  assert f'{former} is now {name}' in capsys.readouterr().err


def test_other_names_are_not_found():
  assert importlib.util.find_spec('official_ext.no_such_command') is None


def test_a_former_name_runs(repository):
  result = commands.run(
      '-m', 'official_ext.describe_layouts', 'B6-6', cwd=repository)
  assert result.returncode == 0
  assert 'B6(197)-6(99)' in result.stdout
  assert 'official_ext.layouts.describe' in result.stderr
