"""Tests of the settings of tensorflow-addons' optimizers, on both lines."""

import importlib.util

import commands
from official.core import exp_factory
from official.modeling import hyperparams
import pytest
import tensorflow as tf

from official_ext.configs import image_classification
from official_ext.optimization import addons
from official_ext.optimization import layerwise
from official_ext.params import experiment

IS_INSTALLED = bool(importlib.util.find_spec('tensorflow_addons'))
TYPE = 'trainer.optimizer_config.optimizer.type'
without_addons = pytest.mark.skipif(
    IS_INSTALLED, reason='tensorflow-addons is installed')


@pytest.mark.addons
@pytest.mark.parametrize('optimizer_type', addons.CONFIGS)
def test_every_type_has_its_settings(optimizer_type):
  settings = getattr(image_classification.OptimizerConfig(), optimizer_type)
  assert type(settings) is addons.CONFIGS[optimizer_type]
  assert settings.weight_decay_rate == 0
  assert settings.exclude_from_weight_decay == list(layerwise.NOT_DECAYED)


@without_addons
@pytest.mark.parametrize('optimizer_type', addons.CONFIGS)
def test_refused_where_it_is_not_installed(optimizer_type):
  with pytest.raises(ValueError) as error:
    experiment.load(
        'funnel_vit_digits', params_override=f'{TYPE}={optimizer_type}')
  assert str(error.value) == (
      f'trainer.optimizer_config.optimizer.type is {optimizer_type!r}, an '
      'optimizer of tensorflow-addons, which is not installed. It works with '
      f'TensorFlow 2.15 at most; this is {tf.__version__}. Set that line up '
      'with `make addons` and run the command with .venv-addons/bin/python, or '
      "choose one of Model Garden's optimizers, such as 'adamw'.")


@without_addons
def test_the_command_refuses_before_it_makes_anything(repository, tmp_path):
  result = commands.run(
      'train.py', '--experiment=funnel_vit_digits', '--mode=train',
      f'--model_dir={tmp_path}/run', '--config_file=optimizers/yogi',
      cwd=repository)
  assert result.returncode == 1
  assert result.stdout == ''
  assert result.stderr.startswith(f"error: {TYPE} is 'yogi', an optimizer of")
  assert not list(tmp_path.iterdir())


def test_the_reason_names_what_cannot_be_imported(monkeypatch):
  monkeypatch.setattr(addons, '_REASON', 'which cannot be imported (of X)')
  with pytest.raises(ValueError, match='which cannot be imported .of X.. It'):
    addons.check('sgdw')
  addons.check('adamw')
  addons.check(None)


@pytest.mark.addons
@pytest.mark.parametrize('optimizer_type', addons.CONFIGS)
def test_a_saved_configuration_is_read_without_it(optimizer_type, tmp_path):
  params = exp_factory.get_exp_config('funnel_vit_digits')
  params.override({'trainer': {'optimizer_config': {'optimizer': {
      'type': optimizer_type,
      optimizer_type: {'weight_decay_rate': 0.25}}}}})
  path = tmp_path / 'params.yaml'
  hyperparams.save_params_dict_to_yaml(params, str(path))
  saved = experiment.load_saved_file(str(path))
  optimizer = saved.trainer.optimizer_config.optimizer
  assert optimizer.type == optimizer_type
  assert optimizer.get().weight_decay_rate == 0.25
