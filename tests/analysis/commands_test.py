"""Tests of what the commands on models say when something is wrong."""

import commands
import pytest


def run(repository, command, *arguments):
  return commands.run(
      '-m', f'official_ext.analysis.{command}', *arguments, cwd=repository)


@pytest.mark.long
@pytest.mark.parametrize('command, arguments, message', [
    ('saliency', ['{model}', '--images=README.md'],
     'README.md is neither an image nor a file of records'),
    ('saliency', ['{model}', '--images=nowhere*'], "no file matches 'nowhere"),
    ('saliency', ['nowhere', '--images={digits}/samples'],
     'nowhere: there is no such folder or checkpoint'),
    ('saliency', ['{model}', '--images={digits}/samples',
                  '--output=setup.py/x.png'], 'setup.py'),
    ('activation_maximization', ['{model}', '--classes=ten'],
     "there is no class 'ten': name one of the 10, such as '0'"),
    ('disagreement', ['{model}', 'A={model}', '--data=README.md'],
     'corrupted record'),
    ('salient_area', ['{model}', '--data=nowhere'], "no file matches 'nowhere"),
])
def test_errors(repository, trained_dir, digits_dir, command, arguments,
                message):
  result = run(repository, command, *(
      argument.format(model=trained_dir, digits=digits_dir)
      for argument in arguments))
  assert result.returncode == 1
  assert result.stderr.startswith('error: ')
  assert message in result.stderr
  assert 'Traceback' not in result.stderr
