"""Tests of what YAML gives, and what a field takes of it."""

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


def test_a_file_that_is_not_there():
  with pytest.raises(ValueError, match='^there is no file nowhere.yaml'):
    experiment.load(DIGITS, params_override='nowhere.yaml')


def test_what_has_no_field_keeps_its_text():
  found = yaml_settings.load('a: 1e3\nb: x', 'here')
  assert found == {'a': '1e3', 'b': 'x'}
  with pytest.raises(yaml.YAMLError):
    yaml_settings.load('a: [', 'here')
  assert overrides.read("a='1e3'") == {'a': '1e3'}
