"""Tests of the walk through the settings of a configuration."""

from official.modeling import hyperparams

from official_ext.params import experiment
from official_ext.params import tree


def walk(**options):
  params = experiment.load('funnel_vit_imagenet')
  return {one.path: one for one in tree.walk(params, **options)}


def test_every_setting_is_met_once_with_its_value():
  params = experiment.load('funnel_vit_imagenet')
  paths = [one.path for one in tree.walk(params)]
  assert len(set(paths)) == len(paths)
  found = walk()
  assert found['trainer.train_steps'].value == 93_600
  assert found['trainer.train_steps'].owner.train_epochs == 300
  assert found['task.model.backbone.funnel_vit.layout'].value == 'B4-4-4'
  # Everything that Model Garden writes down, and more: not chosen one-ofs.
  written = hyperparams.ParamsDict(params.as_dict())
  for path, one in found.items():
    # A list of groups is written as one of mappings.
    if one.is_chosen and path != 'trainer.derived':
      value = written
      for name in path.split('.'):
        value = getattr(value, name)
      if not isinstance(one.value, hyperparams.Config):
        assert value == one.value, path


def test_what_a_one_of_has_not_chosen_is_met_and_told():
  found = walk()
  rate = 'trainer.optimizer_config.learning_rate'
  assert found[f'{rate}.type'].is_chosen
  assert found[f'{rate}.cosine.alpha'].is_chosen
  assert not found[f'{rate}.constant'].is_chosen
  assert not found[f'{rate}.constant.learning_rate'].is_chosen


def test_an_unset_group_is_opened_if_asked_for():
  jitter = 'task.train_data.aug_type.randaug.magnitude'
  assert jitter not in walk()
  opened = walk(opens_unset=True)
  assert opened[jitter].value == 10
  assert not opened[jitter].is_set and not opened[jitter].is_chosen
  unset = opened['task.train_data.aug_type']
  assert unset.value is None and unset.is_set
  assert unset.group.__name__ == 'Augmentation'
  assert opened['trainer.seed'].group is None
