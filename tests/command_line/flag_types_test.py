"""Flags of a type of our own."""

from absl import flags
import pytest

from official_ext.command_line import flag_types


def parse(argument, **settings):
  values = flags.FlagValues()
  holder = flag_types.define_positive_integers(
      'sizes', [1, 16], 'Sizes.', flag_values=values, **settings)
  values(['command', *argument])
  return holder.value


@pytest.mark.parametrize('argument, expected', [
    ([], [1, 16]), (['--sizes=3'], [3]), (['--sizes=8, 2'], [8, 2])])
def test_numbers(argument, expected):
  assert parse(argument) == expected


@pytest.mark.parametrize('text', ['0', '-1', '1.5', 'a', '1,,2', '8,0'])
def test_what_is_no_positive_integer(text):
  with pytest.raises(flags.IllegalFlagValueError,
                     match=f'--sizes={text}: must be positive integers'):
    parse([f'--sizes={text}'])


def test_none_only_where_allowed():
  assert parse(['--sizes='], allow_none=True) == []
  with pytest.raises(flags.IllegalFlagValueError, match='at least one'):
    parse(['--sizes='])


def test_the_flag_belongs_to_the_module_that_asks():
  values = flags.FlagValues()
  flag_types.define_positive_integers(
      'sizes', [1], 'Sizes.', flag_values=values)
  assert [flag.name for flag in values.get_key_flags_for_module(__name__)] == [
      'sizes']


def test_figures():
  values = flags.FlagValues()
  holder = flag_types.define_figures('output', 'a.png', flag_values=values)
  values(['command'])
  assert holder.value == ['a.png']
  values(['command', '--output=b.pdf, c.png'])
  assert holder.value == ['b.pdf', 'c.png']
  for wrong in ('', 'b', 'b.jpg', 'b.png,'):
    with pytest.raises(flags.IllegalFlagValueError, match=r'\.png or \.pdf'):
      values(['command', f'--output={wrong}'])
