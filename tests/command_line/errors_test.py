"""Tests of what a user reads of an exception, and of the exit status."""

from absl import app
import gin
import pytest
import tensorflow as tf

from official_ext.command_line import errors

NATIVE = tf.errors.DataLossError(
    None, None, '{{function_node __wrapped__Restore_device_/job:a}} '
    'Checksum does not match [Op:RestoreV2] name: ')


@pytest.mark.parametrize('error, message', [
    (NATIVE, 'Checksum does not match'),
    (tf.errors.NotFoundError(None, None, '{{node a}} no file.\nat b'),
     'no file.\nat b'),
    (ValueError('two\nlines.'), 'two\nlines.'),
    (KeyError(), 'KeyError()'),
])
def test_the_message_of_an_error(error, message):
  assert errors.message(error) == message
  assert errors.reason(error) == message.splitlines()[0].rstrip('.')


def test_one_of_a_few():
  errors.check_choice('pooler', 'gap', ('token', 'gap'))
  with pytest.raises(ValueError, match=(
      "^pooler is 'cls', but must be one of token, gap.$")):
    errors.check_choice('pooler', 'cls', ('token', 'gap'))


@pytest.mark.parametrize('error', [
    NATIVE, ValueError('Checksum does not match'),
    OSError('Checksum does not match'),
    errors.UserError('Checksum does not match')])
def test_a_command_ends_with_a_line(error, capsys):
  with pytest.raises(SystemExit) as raised, errors.reported():
    raise error
  assert raised.value.code == 1
  assert capsys.readouterr().err == 'error: Checksum does not match\n'


def test_an_error_may_have_a_status_of_its_own():
  class WaitingError(errors.UserError):
    exit_status = 75

  with pytest.raises(SystemExit) as raised, errors.reported():
    raise WaitingError
  assert raised.value.code == 75


@pytest.mark.parametrize('kind', [errors.UserError, ValueError])
def test_lines_that_gin_adds_are_not_for_a_user(capsys, kind):
  def build_what_fails():
    raise kind('no files.\nTwo lines')

  build = gin.external_configurable(build_what_fails, f'build_{kind.__name__}')
  with pytest.raises(kind, match='In call to configurable'):
    build()
  with pytest.raises(SystemExit), errors.reported(kind):
    build()
  assert capsys.readouterr().err == 'error: no files.\nTwo lines\n'


def test_a_bug_keeps_its_traceback():
  with pytest.raises(TypeError), errors.reported():
    raise TypeError
  with pytest.raises(ValueError), errors.reported(errors.UserError):
    raise ValueError
  with pytest.raises(BrokenPipeError), errors.reported():
    raise BrokenPipeError


def test_other_kinds_are_reported_where_a_command_says_so(capsys):
  with pytest.raises(SystemExit), errors.reported(SyntaxError):
    raise SyntaxError('no bracket')
  assert capsys.readouterr().err == 'error: no bracket\n'


def test_arguments_are_refused():
  errors.refuse_arguments(['train.py'])
  with pytest.raises(app.UsageError, match="argument 'x': use --y"):
    errors.refuse_arguments(['train.py', 'x'], 'use --y')
