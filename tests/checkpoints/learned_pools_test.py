"""Tests of loading into pools that learn, and from them."""

import classifiers
import models
import numpy as np
from official.core import task_factory
import pytest

from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore


@pytest.fixture(name='pretrained', scope='module')
def _pretrained():
  """A classifier that pools by mean, as a source; no test changes it."""
  model, params = classifiers.build(1)
  return model, as_source(model, params)


def as_source(model, params):
  return classifiers.Arrays(
      classifiers.arrays(model), metadata.describe(params))


@pytest.mark.parametrize('pooling, variable', [
    ('conv', 'kernel'),
    pytest.param('weighted', 'projection', marks=pytest.mark.long)])
def test_a_learned_pooling_begins_as_the_mean_that_it_is_loaded_from(
    pretrained, pooling, variable):
  model = task_factory.get_task(
      classifiers.load_params(pooling=pooling).task).build_model()
  report = restore.make_plan(model, pretrained[1])
  restore.apply(report, model, pretrained[1])
  pool = f'encoder/pool_before_layer_2/{variable}:0'
  assert report.initial == (f'{pool} (the mean of a window)',)
  assert len(report.loaded) == len(model.variables) - 1
  images = models.random_images(2)
  np.testing.assert_array_equal(
      model(images, training=False), pretrained[0](images, training=False))


@pytest.mark.slow
def test_what_pools_have_learned_is_kept_or_told(pretrained):
  trained, params = classifiers.build(5, pooling='conv')
  source = as_source(trained, params)
  plan = restore.make_plan(trained, source)
  assert 'pool_1/kernel' in plan.steps
  assert not plan.initial and not plan.dropped
  # In the mean it would be lost.
  with pytest.raises(restore.LoadError, match=(
      'memory has pools of pooling=conv, and this model has those of '
      'pooling=mean. Set task.model.backbone.funnel_vit.pooling=conv.$')):
    restore.make_plan(pretrained[0], source)
  # A plain ViT has no pools, whatever they are.
  plain, _ = classifiers.build(7, layout='B2')
  plan = restore.make_plan(plain, source)
  assert plan.dropped == ('pool_1 (this model has no pools)',)
  assert not plan.problems and not plan.initial


@pytest.mark.long
@pytest.mark.parametrize('settings, dropped, initial, problem', [
    (dict(layout='B2-1'), ('pool_2 (this model has 1 pool)',), (), ''),
    (dict(layout='B1-1-1', size=24), (), (), ''),
    (dict(layout='B1-1-1', pooling='weighted'), (), (),
     'pools of pooling=conv, and this model has those of pooling=weighted'),
    (dict(layout='B1-1-1', pool_axes='grid'), (), (),
     r'pool_before_layer_2/kernel:0 is \(2, 64\) there and \(1, 2, 64\) here, '
     'of another stride, width or pool_axes'),
    (dict(layout='B1-2(s4)'), (), (),
     r'is \(2, 64\) there and \(4, 64\) here, of another stride'),
    (dict(layout='B1-1-1-1'), (), (), 'has 3 layers'),
])
def test_learned_pools_in_other_layouts(settings, dropped, initial, problem):
  trained, params = classifiers.build(5, layout='B1-1-1', pooling='conv')
  source = as_source(trained, params)
  model, _ = classifiers.build(6, **{'pooling': 'conv', **settings})
  if problem:
    with pytest.raises(restore.LoadError, match=problem):
      restore.apply(restore.make_plan(model, source), model, source)
    return
  plan = restore.make_plan(model, source)
  restore.apply(plan, model, source)
  assert (plan.dropped, plan.initial) == (dropped, initial)
  np.testing.assert_array_equal(
      classifiers.arrays(model)['pool_1/kernel'],
      source.arrays['pool_1/kernel'])
