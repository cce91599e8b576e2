"""Tests of what YAML gives, and what a field takes of it."""

import re

import pytest
import yaml

from official_ext.params import experiment
from official_ext.params import overrides
from official_ext.params import yaml_settings

DIGITS = 'funnel_vit_digits'
RATE = 'trainer.optimizer_config.learning_rate'


def load_file(tmp_path, text, **options):
  path = tmp_path / 'mine.yaml'
  path.write_text(text)
  return experiment.load(DIGITS, [str(path)], **options)


@pytest.mark.parametrize('text, expected', [
    ('1e-3', 0.001), ('1.0e6', 1e6), ('1e6', 1e6), ('+.5E2', 50.0),
    ('1.5', 1.5), ('2.5e+3', 2500.0)])
def test_a_number_is_one_in_files_and_overrides(tmp_path, text, expected):
  for params in (
      load_file(tmp_path, f'trainer: {{loss_upper_bound: {text}}}'),
      load_file(tmp_path, 'trainer: {seed: 2}', params_override=(
          f'trainer.loss_upper_bound={text}'))):
    assert params.trainer.loss_upper_bound == expected
    assert type(params.trainer.loss_upper_bound) is float


def test_a_whole_number_is_one(tmp_path):
  params = load_file(tmp_path, 'trainer: {train_steps: 1e3, seed: 010}')
  assert (params.trainer.train_steps, params.trainer.seed) == (1000, 10)
  assert type(params.trainer.train_steps) is int
  params = load_file(tmp_path, 'trainer: {train_steps: 1.0e+3}')
  assert type(params.trainer.train_steps) is int
  with pytest.raises(ValueError, match='trainer.train_steps is 1.5'):
    experiment.load(DIGITS, params_override='trainer.train_steps=1.5e0')
  # Ninety, to YAML 1.1.
  with pytest.raises(ValueError, match="trainer.train_steps is '1:30'"):
    load_file(tmp_path, 'trainer: {train_steps: 1:30}')
  with pytest.raises(ValueError, match="trainer.train_steps is '1e3'"):
    load_file(tmp_path, 'trainer: {train_steps: "1e3"}')


def test_a_whole_number_with_a_point(tmp_path):
  params = load_file(tmp_path, (
      'trainer: {train_steps: 10.0, train_epochs: 3.0}\n'
      'task: {model: {input_size: [32.0, 32.0, 3.0]}}'))
  assert repr(params.trainer.train_steps) == '10'
  assert repr(params.trainer.train_epochs) == '3.0'
  assert repr(list(params.task.model.input_size)) == '[32, 32, 3]'
  with pytest.raises(ValueError, match='trainer.train_steps is 10.5, but must'):
    load_file(tmp_path, 'trainer: {train_steps: 10.5}')


def test_digits_are_those_of_ascii(tmp_path):
  for text in ('\uff11\uff12', '\u0661\u0662'):
    with pytest.raises(ValueError, match=(
        f"train_steps is '{text}', but must be a whole .* Did you mean 12?")):
      load_file(tmp_path, f'trainer: {{train_steps: {text}}}')


def test_numbers_in_a_list(tmp_path):
  params = load_file(tmp_path, (
      'trainer: {optimizer_config: {learning_rate: {type: stepwise, stepwise: '
      '{boundaries: [1e2, 200], values: [1e-1, 1.0e-2, 0.001]}}}}'))
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.boundaries == [100, 200]
  assert schedule.values == [0.1, 0.01, 0.001]


@pytest.mark.parametrize('text', [
    '1e6', '2024-01-01', '1:30', 'off', 'yes', '007'])
def test_a_text_does_not_become_something_else(tmp_path, text):
  for params in (
      load_file(tmp_path, f'task: {{data_dir: {text}}}'),
      experiment.load(DIGITS, params_override=f'task.data_dir={text}')):
    assert params.task.data_dir == text
    assert type(params.task.data_dir) is str


def test_the_former_booleans_are_some_where_a_field_takes_them(tmp_path):
  params = load_file(tmp_path, (
      'trainer: {deterministic: yes}\n'
      'runtime: {distribution_strategy: off, enable_xla: Off}'))
  assert params.trainer.deterministic is True
  assert params.runtime.enable_xla is False
  assert params.runtime.distribution_strategy == 'off'


def test_tuples_and_anchors(tmp_path):
  params = load_file(tmp_path, """
task:
  train_data: &data
    crop_area_range: !!python/tuple [0.5, 1.0]
    cache: false
  validation_data:
    <<: *data
    cache: true
""")
  assert params.task.train_data.crop_area_range == (0.5, 1.0)
  assert params.task.validation_data.crop_area_range == (0.5, 1.0)
  assert not params.task.train_data.cache
  assert params.task.validation_data.cache


@pytest.mark.parametrize('text, message', [
    ('trainer: {seed: 1}\ntask: {data_dir: a}\ntrainer: {train_steps: 5}',
     'trainer is given twice in lines 1 and 3'),
    ('trainer:\n  optimizer_config:\n    warmup:\n      type: linear\n'
     '      linear: {}\n      type: null',
     'trainer.optimizer_config.warmup.type is given twice in lines 4 and 6'),
    ('task:\n  data_dir: a\n  "data_dir": b',
     'task.data_dir is given twice in lines 2 and 3'),
    ('trainer: {seed: 1, seed: 1}', 'trainer.seed is given twice'),
    ('trainer: {derived: [{value: 1,\n value: 2}]}',
     'trainer.derived.value is given twice in lines 1 and 2'),
])
def test_a_key_that_is_given_twice_in_a_file(tmp_path, text, message):
  with pytest.raises(ValueError, match=f'^{tmp_path}/mine.yaml: {message}'):
    load_file(tmp_path, text)


def test_two_merge_keys(tmp_path):
  with pytest.raises(ValueError, match=(
      f'^{tmp_path}/mine.yaml: trainer.<< is given twice in lines 2 and 3. The '
      r'last would win .* make them <<: \[\*first, \*second\], of which the')):
    load_file(tmp_path, 'trainer:\n  <<: {seed: 5}\n  <<: {seed: 7}')
  params = load_file(tmp_path, 'trainer: {<<: [{seed: 5}, {seed: 7}]}')
  assert params.trainer.seed == 5


@pytest.mark.parametrize('text, message', [
    ('trainer: !!set {seed}', 'trainer is tagged !!set, which no setting is'),
    ('trainer: {seed: !!binary aGk=}', 'trainer.seed is tagged !!binary, whic'),
    ('trainer: {seed: !!timestamp x}', 'trainer.seed is tagged !!timestamp, w'),
    ('!!omap [trainer: {seed: 1}]', 'the whole is tagged !!omap, which no set'),
    ('trainer: {? [seed, a] : 5}', 'trainer has a key that is a list or a map'),
])
def test_what_yaml_knows_and_no_setting_is(tmp_path, text, message):
  with pytest.raises(ValueError, match=f'^{tmp_path}/mine.yaml: {message}'):
    load_file(tmp_path, text)


@pytest.mark.parametrize('override, key', [
    ('trainer.seed=1,trainer.train_steps=5,trainer.seed=2', 'trainer.seed'),
    ("task.data_dir='a',task={data_dir: b}", 'task'),
    ('{trainer: {seed: 1}, trainer: {seed: 2}}', 'trainer')])
def test_a_key_that_is_given_twice_in_an_override(override, key):
  with pytest.raises(ValueError, match=(
      f'^--params_override: {key} is given twice. The last would win')):
    experiment.load(DIGITS, params_override=override)


@pytest.mark.parametrize('text, message', [
    ('trainer: &a {derived: *a}', 'trainer.derived refers to what it is part'),
    ('trainer: !!python/object:os.system {}', 'is not YAML'),
    ('a: b: c', 'is not YAML'),
    ('a: 1\n--- \nb: 2', 'is not YAML')])
def test_what_is_no_configuration(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    load_file(tmp_path, text)


DIGITS_TOO_MANY = '9' * 5_000


@pytest.mark.parametrize('text, shown', [
    (DIGITS_TOO_MANY, f"'{DIGITS_TOO_MANY[:76]}..."),
    (f'-{DIGITS_TOO_MANY}', f"'-{DIGITS_TOO_MANY[:75]}..."),
    (f'0x{DIGITS_TOO_MANY}', f"'0x{DIGITS_TOO_MANY[:74]}..."),
    ('1e999', "'1e999'")])
def test_a_number_that_no_field_holds_is_shown_as_it_was_written(
    tmp_path, text, shown):
  for load in (
      lambda: load_file(tmp_path, f'trainer: {{train_steps: {text}}}'),
      lambda: experiment.load(
          DIGITS, params_override=f'trainer.train_steps={text}')):
    with pytest.raises(ValueError) as raised:
      load()
    assert (f'trainer.train_steps is {shown}, but must be a whole number'
            in str(raised.value))
  params = experiment.load(DIGITS, params_override=f'task.data_dir={text}')
  assert params.task.data_dir == text


@pytest.mark.parametrize('tag, value', [
    ('int', 'x'), ('float', 'x'), ('bool', 'x'),
    ('int', DIGITS_TOO_MANY)])
def test_a_tag_that_does_not_fit_its_value(tmp_path, tag, value):
  with pytest.raises(ValueError, match=(
      f'^{tmp_path}/mine.yaml: trainer.train_steps is tagged !!{tag}, which '
      f"'{value[:9]}.* is not. Leave the tag out.$")) as raised:
    load_file(tmp_path, f'trainer: {{train_steps: !!{tag} "{value}"}}')
  assert len(str(raised.value)) < 300


@pytest.mark.parametrize('override', [
    'task.data_dir=&x', 'trainer.seed=1, task.data_dir=&x', 'task.data_dir=*x',
    'task.data_dir=&x y', 'task.data_dir=!x', 'task.data_dir=@x'])
def test_what_means_something_to_yaml_needs_quotes(override):
  value = override.rpartition('=')[2]
  with pytest.raises(ValueError, match=(
      'A value with one of .* needs quotes, inside of those for the shell: '
      f"task.data_dir='{re.escape(value)}'$")):
    experiment.load(DIGITS, params_override=override)
  params = experiment.load(DIGITS, params_override=f"task.data_dir='{value}'")
  assert params.task.data_dir == value


@pytest.mark.parametrize('override', [
    'task.data_dir=foo.yaml', 'trainer.seed=1,task.data_dir=foo.yaml',
    'task: {data_dir: foo.yaml}', 'task:\n  data_dir: foo.yaml'])
def test_a_value_that_ends_like_a_file_is_a_value(override):
  params = experiment.load(DIGITS, params_override=override)
  assert params.task.data_dir == 'foo.yaml'


@pytest.mark.parametrize('override', [
    'task.model.input_size[0]=32', 'trainer.seed=1, task[1000000000000]=1',
    'a[]=1'])
def test_an_entry_of_a_list_is_not_set_alone(override):
  with pytest.raises(ValueError, match='an entry of a list. Set the whole'):
    experiment.load(DIGITS, params_override=override)


def test_deep_nesting_is_no_traceback():
  with pytest.raises(ValueError, match='cannot be read|there is no key'):
    experiment.load(DIGITS, params_override=f'{"a." * 5_000}a=1')


def test_a_file_whose_name_looks_like_a_setting(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'seed=3.yaml').write_text('trainer: {seed: 3}')
  params = experiment.load(DIGITS, params_override='seed=3.yaml')
  assert params.trainer.seed == 3


def test_a_folder_is_no_file(tmp_path):
  folder = tmp_path / 'dir.yaml'
  folder.mkdir()
  with pytest.raises(ValueError, match=(
      f'^{folder} cannot be read: .*[Ii]s a directory.$')):
    experiment.load(DIGITS, params_override=str(folder))
  with pytest.raises(ValueError, match=(
      f'^--config_file={folder} is a folder without params.yaml. Name that of '
      'a training or of an import, to begin from its model; or a YAML file.$'
  )):
    experiment.load(DIGITS, [str(folder)])


def test_a_file_that_is_not_there():
  with pytest.raises(ValueError, match='^there is no file nowhere.yaml'):
    experiment.load(DIGITS, params_override='nowhere.yaml')


def test_what_has_no_field_keeps_its_text():
  found = yaml_settings.load('a: 1e3\nb: x', 'here')
  assert found == {'a': '1e3', 'b': 'x'}
  with pytest.raises(yaml.YAMLError):
    yaml_settings.load('a: [', 'here')
  assert overrides.read("a='1e3'") == {'a': '1e3'}
