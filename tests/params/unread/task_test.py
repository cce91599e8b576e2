"""Tests of settings of feature maps that nothing reads."""

import dataclasses

from official.core import config_definitions as cfg
from official.vision.configs import image_classification as garden_configs
import pytest

from official_ext.params import experiment
from official_ext.params import tree
from official_ext.params import without_effect

DIGITS = 'funnel_vit_digits'
MAPS = 'task.model.backbone.funnel_vit.feature_maps'


@dataclasses.dataclass
class DenseTask(cfg.TaskConfig):
  """Another task on the same backbone."""
  model: garden_configs.ImageClassificationModel = dataclasses.field(
      default_factory=garden_configs.ImageClassificationModel)


def test_a_classifier_reads_no_maps():
  with pytest.raises(ValueError, match=(
      rf'^{MAPS}.levels is \[2\], but has no effect: a classifier reads the '
      'pooled output alone. Leave it out.$')):
    experiment.load(DIGITS, params_override=f'{MAPS}.levels=[2]')


def unread(maps, **settings):
  """The settings of maps that another task does not read."""
  model = experiment.base(DIGITS).task.model.replace(
      backbone={'funnel_vit': {'feature_maps': maps, **settings}})
  params = cfg.ExperimentConfig(task=DenseTask(model=model))
  return {one.name for one in tree.walk(params)
          if one.path.startswith(f'{MAPS}.')
          and without_effect.reason(params, one)}


def test_what_another_task_does_not_read():
  assert unread({}) == {'source', 'recovery_layers', 'pyramid_filters'}
  assert unread(dict(levels=[2])) == {'pyramid_filters'}
  assert unread(dict(levels=[2], source='pyramid')) == set()
  # No map is of recovered tokens.
  assert unread(dict(levels=[3]), layout='B1-1(s4)', pool_axes='grid') == {
      'recovery_layers', 'pyramid_filters'}
