"""Tests of settings under the names that they had."""

import pytest
import yaml

from official_ext.params import experiment
from official_ext.params import former_settings

FORMER = (
    former_settings.Former('trainer.passes', 'train_epochs'),
    former_settings.Former(
        'task.model.backbone.funnel_vit.fast_path.quick', default=False,
        reason='It was never quicker. Leave it out.'))
QUICK = 'task.model.backbone.funnel_vit.fast_path.quick'


@pytest.fixture(autouse=True)
def _former(monkeypatch):
  monkeypatch.setattr(former_settings, 'SETTINGS', FORMER)


def test_a_renamed_setting_in_every_source(tmp_path, caplog):
  path = tmp_path / 'mine.yaml'
  path.write_text('trainer: {passes: 5}')
  params = experiment.load('vit_imagenet', [str(path)])
  assert params.trainer.train_epochs == 5
  assert caplog.messages[0] == (
      f'{path}: trainer.passes is now trainer.train_epochs.')
  params = experiment.load(
      'vit_imagenet', [str(path)], 'trainer.passes=7,trainer.seed=3')
  assert (params.trainer.train_epochs, params.trainer.seed) == (7, 3)
  assert ('--params_override: trainer.passes is now trainer.train_epochs.'
          in caplog.messages)


def test_a_setting_by_both_its_names():
  with pytest.raises(ValueError, match='trainer.train_epochs are one setting'):
    experiment.load('vit_imagenet', params_override=(
        'trainer.passes=7,trainer.train_epochs=3'))


def test_a_removed_setting_passes_at_its_default_alone():
  experiment.load('vit_imagenet', params_override=f'{QUICK}=false')
  with pytest.raises(ValueError, match=(
      f'^--params_override: {QUICK} is True, but there is no such setting any '
      'more. It was never quicker')):
    experiment.load('vit_imagenet', params_override=f'{QUICK}=true')


def test_the_params_file_of_a_former_version(tmp_path, caplog):
  saved = experiment.load('funnel_vit_digits').as_dict()
  saved['trainer']['passes'] = saved['trainer'].pop('train_epochs')
  fast_path = saved['task']['model']['backbone']['funnel_vit']['fast_path']
  fast_path['quick'] = False
  path = tmp_path / 'params.yaml'
  path.write_text(yaml.dump(saved))
  params = experiment.load_saved(str(tmp_path))
  assert params.as_dict() == experiment.load('funnel_vit_digits').as_dict()
  assert not caplog.messages
  fast_path['quick'] = True
  path.write_text(yaml.dump(saved))
  with pytest.raises(ValueError, match='params.yaml: .*quick is True, but'):
    experiment.load_saved(str(tmp_path))


def test_what_was_given_is_not_changed():
  given = {'trainer': {'passes': 5}}
  assert former_settings.apply(given, 'here') == {
      'trainer': {'train_epochs': 5}}
  assert given == {'trainer': {'passes': 5}}
