"""Tests of what is said of where a setting comes from."""

import commands
import yaml

from official_ext.params import experiment

VIT = 'task.model.backbone.funnel_vit'


def written(name, *arguments, **flags):
  params, origins = experiment.load_with_origins(name, *arguments, **flags)
  return params, origins.as_yaml(params)


def origins_of(text):
  """Returns the comments by the paths of their settings."""
  found, path = {}, []
  for line in text.splitlines():
    if line.lstrip().startswith('- '):
      continue
    name, _, rest = line.strip().partition(':')
    path[(len(line) - len(line.lstrip())) // 2:] = [name]
    if rest:
      found['.'.join(path)] = rest.rpartition('  # ')[2]
  return found


def test_every_setting_has_its_origin(tmp_path):
  first, second = tmp_path / 'first.yaml', tmp_path / 'second.yaml'
  first.write_text('trainer: {train_epochs: 3, seed: 5}\n'
                   'task: {losses: {label_smoothing: 0.25}}\n')
  second.write_text('trainer: {seed: 6}\n')
  _, text = written(
      'funnel_vit_digits', [str(first), str(second)],
      f"{VIT}.layout='B2(17)-1', trainer.train_steps=0",
      tf_data_service='grpc://a:1')
  found = origins_of(text)
  assert {path: found[path] for path in (
      'task.losses.label_smoothing', 'trainer.train_epochs', 'trainer.seed',
      'task.train_data.seed', f'{VIT}.layout', f'{VIT}.hidden_size',
      f'{VIT}.transformer.norm_epsilon', 'trainer.train_steps',
      'task.train_data.tf_data_service_address')} == {
          'task.losses.label_smoothing': f'--config_file={first}',
          'trainer.train_epochs': f'--config_file={first}',
          'trainer.seed': f'--config_file={second}',
          'task.train_data.seed':
              'derived; experiment funnel_vit_digits leaves it open',
          f'{VIT}.layout': '--params_override',
          f'{VIT}.hidden_size':
              'experiment funnel_vit_digits: the preset vit-nano4 has 64',
          f'{VIT}.transformer.norm_epsilon': 'experiment funnel_vit_digits',
          'trainer.train_steps': 'derived; --params_override leaves it open',
          'task.train_data.tf_data_service_address': '--tf_data_service'}


def test_every_derived_setting_has_a_line():
  params, text = written('funnel_vit_digits')
  lines = text.splitlines()
  first = lines.index('  derived:  # experiment funnel_vit_digits') + 1
  for line, one in zip(
      lines[first:], params.trainer.derived, strict=False):
    assert yaml.safe_load(line) == [one.as_dict()]
  assert lines[first] == (
      "  - {given: '', setting: task.train_data.input_path, value: "
      'data/digits/train*}')
  assert len(params.trainer.derived) > 10
  assert max(map(len, lines)) < 160


def test_a_value_that_was_scaled():
  rate = 'trainer.optimizer_config.learning_rate.cosine.initial_learning_rate'
  _, text = written('funnel_vit_digits', (), (
      f'{rate}=0.001,trainer.learning_rate_scaling=linear,'
      'trainer.reference_batch_size=32'))
  assert origins_of(text)[rate] == 'derived from 0.001 of --params_override'


def test_what_is_printed_is_the_configuration(tmp_path):
  for name in ('funnel_vit_digits', 'funnel_vit_cifar10_finetune'):
    params, text = written(name)
    dumped = yaml.safe_dump(params.as_dict())
    assert yaml.safe_load(text) == yaml.safe_load(dumped)
    path = tmp_path / 'printed.yaml'
    path.write_text(text)
    again = experiment.load(name, [str(path)])
    assert yaml.safe_dump(again.as_dict()) == dumped


def test_the_flag_needs_no_folder(repository, tmp_path):
  arguments = ('--experiment=funnel_vit_digits',
               '--params_override=trainer.seed=9')
  result = commands.run(
      'train.py', *arguments, '--print_config', cwd=repository)
  assert (result.returncode, result.stdout) == (
      0, written('funnel_vit_digits', (), 'trainer.seed=9')[1])
  for name in ('mode', 'model_dir'):
    others = {'mode': '--mode=train', 'model_dir': f'--model_dir={tmp_path}/a'}
    del others[name]
    result = commands.run(
        'train.py', *arguments, *others.values(), cwd=repository)
    assert result.returncode == 1
    assert f'Flag --{name} must have a value' in result.stderr
  assert not list(tmp_path.iterdir())
