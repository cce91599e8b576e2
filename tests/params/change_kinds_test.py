"""Tests of the table of what another value of a setting means."""

from official.modeling import hyperparams
import pytest

from official_ext.configs import image_classification as configs
from official_ext.configs import semantic_segmentation
from official_ext.params import change_kinds
from official_ext.params import experiment
from official_ext.params import tree

Kind = change_kinds.Kind


@pytest.mark.parametrize('name', [
    *configs.EXPERIMENTS, 'resnet_imagenet', 'deit_imagenet_pretrain',
    semantic_segmentation.EXPERIMENT])
def test_every_setting_has_one_kind(name):
  settings = [one.path for one in tree.walk(
      experiment.base(name), opens_unset=True)
              if not isinstance(one.value, hyperparams.Config)]
  assert len(settings) > 400
  assert {path: found for path in settings
          if len(found := change_kinds.kinds(path)) != 1} == {}


def test_every_entry_is_of_a_setting():
  paths = [one.path for name in (
      'funnel_vit_digits', semantic_segmentation.EXPERIMENT)
           for one in tree.walk(experiment.base(name), opens_unset=True)]
  for settings in change_kinds.TABLE.values():
    for entry in settings:
      assert any(change_kinds.fnmatch.fnmatchcase(path, entry)
                 for path in paths), entry


def test_a_new_setting_has_no_kind_and_does_not_pass_unseen():
  for path in ('trainer.new', 'task.train_data.new', 'runtime.new',
               'task.model.backbone.funnel_vit.new'):
    assert change_kinds.kinds(path) == []
    assert change_kinds.of_setting(path) is Kind.TRAINING


@pytest.mark.parametrize('path, kind', [
    ('trainer.optimizer_config.learning_rate.cosine.initial_learning_rate',
     Kind.TRAINING),
    ('trainer.optimizer_config.ema', Kind.TRAINING),
    ('trainer.seed', Kind.TRAINING),
    ('task.train_data.global_batch_size', Kind.TRAINING),
    ('task.data_dir', Kind.HARMLESS),
    ('trainer.checkpoint_interval', Kind.HARMLESS),
    ('trainer.train_epochs', Kind.LENGTH),
    ('task.model.backbone.funnel_vit.layout', Kind.ARCHITECTURE),
])
def test_the_kinds(path, kind):
  assert change_kinds.of_setting(path) is kind
