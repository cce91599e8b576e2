"""What keeps an interrupted run from the bits of one that was not is told."""

import pytest

from official_ext.params import experiment
from official_ext.params import inexact_resumption

EXACT = 'trainer.seed=1,trainer.deterministic=true,'
FUNNEL = 'task.model.backbone.funnel_vit'
MASKS = (f'{FUNNEL}.transformer.dropout_rate=0.1,'
         f'{FUNNEL}.init_stochastic_depth_rate=0.1,')
RESNET = ('task.model.backbone.type=resnet,'
          'task.model.backbone.resnet.stochastic_depth_drop_rate=0.2,')


@pytest.mark.parametrize('override, expected', [
    ('', None), (EXACT + MASKS, None), ('task.model.dropout_rate=0.1,', None),
    (EXACT + MASKS + 'task.model.dropout_rate=0.1',
     'the masks of task.model.dropout_rate=0.1 begin anew'),
    (EXACT + RESNET, 'the masks of task.model.backbone.resnet.'
     'stochastic_depth_drop_rate=0.2 begin anew'),
    # A backbone that is not in use.
    (EXACT + 'task.model.backbone.resnet.stochastic_depth_drop_rate=0.2', None),
])
def test_what_begins_anew(caplog, override, expected):
  params = experiment.load(
      'funnel_vit_digits', params_override=override.rstrip(','))
  caplog.clear()
  inexact_resumption.warn(params)
  assert [expected in one for one in caplog.messages] == [True] * bool(expected)
