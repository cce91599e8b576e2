"""Makes configurations that are wrong, or may be, from a seed.

What is nonsense is known here by the kind of the mutation and the type of the
field, and not from the table that the program reads.
"""

import dataclasses
import json
import random
import re

from official.modeling import hyperparams
import yaml

from official_ext.params import experiment
from official_ext.params import tree

EXPERIMENT = 'funnel_vit_digits'
# What may be below zero, as Model Garden documents it.
SIGNED = re.compile(
    r'power$|label_offset|mask_binarize_threshold|beta_2_decay')
NEVER = (float('nan'), float('inf'), -float('inf'), 10**40, {'a': 1},
         [[1], {2: 3}])
MAYBE = (0, 1, 2, 3, 0.5, 1.0, -1, 7, 100, 10**6, 1e-9, 1e9, True, False, None,
         '', 'none', 'null', '1', '1e-3', 'adamw', 'B1-1-1', '~', '..', '-',
         '\u03b1\u03b2', '\U0001f98a', 'a b', "it's", 'a"b', 'a,b', 'a=b',
         [], [1], [0.5, 1], ['a'], [1, None])
WORD = re.compile(r'[a-z]{4,}')


@dataclasses.dataclass(frozen=True)
class Mutation:
  """A configuration that something was done to.

  Attributes:
    kind: what.
    path: of the setting; empty where it is the text as a whole.
    yaml: the content of a YAML file; None: `override` has it.
    override: an override string.
    is_nonsense: whether it must be refused.
  """
  kind: str
  path: str
  yaml: str | None
  override: str
  is_nonsense: bool


def make(seed, count):
  """Returns so many mutations, the same ones for the same seed."""
  generator = random.Random(seed)
  fields = [one for one in tree.walk(
      experiment.base(EXPERIMENT), opens_unset=True)
            if one.name != 'ssd_random_crop_params']
  kinds = (_never, _other_value, _maybe, _other_choice, _negative,
           _misspelt_value, _misspelt_key, _wrong_nesting, _other_type,
           _fraction_of_a_count, _twice, _key_that_is_no_text,
           _whole_number_float, _torn_text)
  found = []
  while len(found) < count:
    mutation = kinds[len(found) % len(kinds)](generator, fields)
    if mutation:
      found.append(mutation)
  return found


def _as_either(generator, kind, path, value, is_nonsense):
  """Writes the setting into a YAML file or an override, as chance has it."""
  if generator.random() < 0.5:
    nested = value
    for name in reversed(path.split('.')):
      nested = {name: nested}
    return Mutation(kind, path, yaml.safe_dump(nested), '', is_nonsense)
  text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
  text = text.removesuffix('...').strip()
  if isinstance(value, str):
    text = json.dumps(value, ensure_ascii=False)
  return Mutation(kind, path, None, f'{path}={text}', is_nonsense)


def _values(fields):
  return [one for one in fields
          if not isinstance(one.value, hyperparams.Config) and not one.group]


def _never(generator, fields):
  one = generator.choice(_values(fields))
  return _as_either(generator, 'no value of any field', one.path,
                    generator.choice(NEVER), True)


def _maybe(generator, fields):
  one = generator.choice(_values(fields))
  return _as_either(generator, 'any value', one.path, generator.choice(MAYBE),
                    False)


def _other_value(generator, fields):
  """What a person may try: a truth turned round, half or twice a number."""
  one = generator.choice([
      one for one in _values(fields) if one.is_set and one.is_chosen and
      type(one.value) in (bool, int, float)])
  value = (not one.value if isinstance(one.value, bool) else
           one.value * 2 if generator.random() < 0.5 else
           type(one.value)(one.value / 2))
  return _as_either(generator, 'other value', one.path, value, False)


def _other_choice(generator, fields):
  """Another group of a one-of, with its default values."""
  # Model Garden's own backbones take minutes to compile.
  one = generator.choice([
      one for one in fields if one.name == 'type' and
      isinstance(one.owner, hyperparams.OneOfConfig) and
      one.path != 'task.model.backbone.type'])
  return _as_either(
      generator, 'other choice', one.path,
      generator.choice(tree.names(one.owner)[1:]), False)


def _negative(generator, fields):
  one = generator.choice([
      one for one in _values(fields) if type(one.value) in (int, float) and
      not SIGNED.search(one.path)])
  return _as_either(generator, 'negative', one.path, -abs(
      generator.choice([7, 7.5, 10**9]) if isinstance(one.value, float) else 7),
      True)


def _misspelt_value(generator, fields):
  """The name of something that is not there."""
  one = generator.choice([
      one for one in _values(fields) if isinstance(one.value, str) and
      one.name in ('type', 'activation', 'kernel_initializer', 'dtype',
                   'tf_resize_method', 'resize_mode', 'file_type', 'pooling',
                   'attention_bias', 'position_embedding', 'pooler',
                   'model_name', 'distribution_strategy', 'stem_type',
                   'init_checkpoint_modules', 'best_checkpoint_metric_comp')])
  return _as_either(generator, 'misspelt value', one.path,
                    _misspelt(generator, one.value), True)


def _misspelt(generator, word):
  place = generator.randrange(len(word))
  return generator.choice([
      word[:place] + 'q' + word[place:], word[:place] + 'q' + word[place + 1:],
      word + '\u03b1', word.upper() + '_'])


def _misspelt_key(generator, fields):
  one = generator.choice(fields)
  *names, name = one.path.split('.')
  path = '.'.join([*names, _misspelt(generator, name)])
  return _as_either(generator, 'misspelt key', path, 1, True)


def _wrong_nesting(generator, fields):
  """A value where a group belongs, or a group where a value does."""
  one = generator.choice(fields)
  if one.group:
    value = generator.choice([1, 'a', True, [1], [], 0.5])
  else:
    value = {generator.choice(['a', 'type', one.name]): 1}
  # The paths of data can be given by name in Model Garden, and not here.
  return _as_either(generator, 'wrong nesting', one.path, value, True)


def _other_type(generator, fields):
  """A truth or a text for a number, and a number for a truth or a text."""
  one = generator.choice([
      one for one in _values(fields) if type(one.value) in (
          bool, int, float, str)])
  value = {
      bool: generator.choice([2, 'maybe', 0.5]),
      int: generator.choice([True, 'many', False]),
      float: generator.choice([True, 'much', False]),
      str: generator.choice([1.5, True, 3])}[type(one.value)]
  if one.name == 'model_id':
    value = [49]
  return _as_either(generator, 'other type', one.path, value, True)


def _fraction_of_a_count(generator, fields):
  one = generator.choice([
      one for one in _values(fields) if type(one.value) is int])
  if float in tree.accepted_types(type(one.owner), one.name):
    return None
  return _as_either(generator, 'fraction of a count', one.path, 1.5, True)


def _twice(generator, fields):
  one = generator.choice([one for one in _values(fields)
                          if one.path.count('.') == 1])
  group, name = one.path.split('.')
  value = json.dumps(one.value)
  return Mutation('twice', one.path,
                  f'{group}:\n  {name}: {value}\n  {name}: {value}\n', '', True)


def _key_that_is_no_text(generator, fields):
  one = generator.choice(fields)
  group, _, _ = one.path.rpartition('.')
  nested = {generator.choice([1, 1.5, True, None]): 2}
  for name in reversed(group.split('.') if group else []):
    nested = {name: nested}
  return Mutation('key that is no text', '', yaml.safe_dump(nested), '', True)


def _whole_number_float(generator, fields):
  """A whole number where a float belongs, which must be taken."""
  one = generator.choice([
      one for one in _values(fields) if isinstance(one.value, float) and
      one.value == int(one.value) and one.is_set])
  return _as_either(generator, 'whole number for a float', one.path,
                    int(one.value), False)


def _torn_text(generator, fields):
  """An override with a character too many, too few or another."""
  one = generator.choice(_values(fields))
  text = f'{one.path}={json.dumps(one.value)}'
  place = generator.randrange(len(text))
  character = generator.choice('[]{}\'",:=.#&*!|>%@`\\\t\n \u2028\u0660\ufeff')
  text = generator.choice([
      text[:place] + character + text[place:], text[:place] + text[place + 1:],
      text[:place] + character + text[place + 1:], text[place:], text[:place]])
  return Mutation('torn text', '', None, text, False)
