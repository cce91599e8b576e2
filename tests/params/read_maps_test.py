"""Tests of which feature maps are read."""

import pytest

from official_ext.params import experiment
from official_ext.params import read_maps

EXPERIMENT = 'funnel_vit_segmentation'


@pytest.mark.parametrize('override, message', [
    ('head.level=3', 'task.model.head.level is 3, but the maps of the backbone '
     'are of levels 4. Set task.model.backbone.funnel_vit.feature_maps.levels, '
     'or another head.level.'),
    ('decoder.type=aspp,task.model.decoder.aspp.level=5',
     'task.model.decoder.aspp.level is 5, but the maps of the backbone are of '
     'levels 4. Set '),
    ('decoder.type=fpn,task.model.min_level=3',
     'task.model.min_level is 3, but the maps of the backbone are of levels 4.'
     ),
])
def test_a_map_that_is_not_there_is_refused_before_anything_is_built(
    override, message):
  with pytest.raises(ValueError) as refused:
    experiment.load(EXPERIMENT, params_override=f'task.model.{override}')
  assert message in str(refused.value)


def test_of_several_maps_each_must_be_there():
  model = experiment.load(EXPERIMENT).task.model
  read_maps.check(model, 'head.level', [4])
  with pytest.raises(ValueError, match='min_level is'):
    read_maps.check(model, 'min_level', [4, 6])
  # Model Garden's backbones are left to it.
  experiment.load(EXPERIMENT, params_override=(
      'task.model.backbone.type=resnet,task.model.head.level=3'))
