"""Tests of paths as they are typed."""

import os

import commands
import pytest

from official_ext.command_line import paths
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.serving.runtimes import classifier
from official_ext.trained import trained_model


@pytest.mark.parametrize('folder', ['a[1]', 'a*', 'a?b', 'back\\slash'])
@pytest.mark.parametrize('use, name', [
    (lambda folder: write.prepare(names.SAVED_MODEL, folder), '--export_dir'),
    (classifier.find_version, 'the export'),
    (lambda folder: trained_model.find(folder, trained_model.Selection()),
     '--model_dir')])
def test_what_tensorflow_cannot_take_is_refused(
    trained_dir, tmp_path, folder, use, name):
  path = tmp_path / folder
  path.symlink_to(trained_dir)
  with pytest.raises(ValueError) as error:
    use(str(path))
  assert str(error.value).startswith(f'{name}={path} holds ')
  assert 'Choose another name' in str(error.value)


def test_other_names_are_taken(tmp_path):
  for name in ('photos, 2024', '~', '#%{$', "it's", '-x'):
    write.prepare(names.SAVED_MODEL, str(tmp_path / name))
    assert (tmp_path / name).is_dir()


@pytest.mark.parametrize('name, arguments', [
    ('--model_dir', ('official_ext.train', '--experiment=funnel_vit_digits',
                     '--mode=train', '--model_dir=runs/\udcff')),
    ('--data', (
        'official_ext.serving.verify', 'exports', '--data=runs/\udcff')),
    ('the argument', ('official_ext.checkpoints.describe', 'runs/\udcff'))])
def test_what_is_not_utf8_is_refused(repository, name, arguments):
  result = commands.run('-m', *arguments, cwd=repository)
  assert result.returncode == 1
  assert result.stderr == (
      f"error: {name} is b'runs/\\xff', which is not UTF-8, so TensorFlow "
      'cannot take it. Rename it.\n')


def test_home_is_replaced(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  assert [paths.expand_home(path) for path in (
      '~', '~/a', './~', 'a~', '~nobody-is-called-so/a')] == [
          '/home/me', '/home/me/a', './~', 'a~', '~nobody-is-called-so/a']


def test_commands_replace_it(repository, trained_dir, tmp_path):
  (tmp_path / 'run').symlink_to(trained_dir)
  described = commands.run(
      '-m', 'official_ext.checkpoints.describe', '~/run', cwd=repository,
      HOME=str(tmp_path))
  assert described.returncode == 0, described.stderr
  evaluated = commands.run(
      'train.py', '--experiment=funnel_vit_digits', '--mode=eval',
      '--model_dir=~/none', cwd=repository, HOME=str(tmp_path))
  assert f'there is no checkpoint in {tmp_path}/none' in evaluated.stderr
  assert not os.path.exists(os.path.join(repository, '~'))
