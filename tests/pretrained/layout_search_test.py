"""Tests of evaluating one set of weights as many layouts."""

import numpy as np
from official.core import task_factory
import pytest
import short_runs
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.pretrained import layout_search
from official_ext.tasks import ranking
from official_ext.trained import trained_model
from official_ext.trained import validation_data


@pytest.fixture(name='trained', scope='module')
def _trained(digits_dir, tmp_path_factory):
  """Three layers on 16 patches, with random weights, and their checkpoint."""
  params = short_runs.parameters(digits_dir, **{
      'task.model.backbone.funnel_vit.layout': 'B1-1-1'})
  model = task_factory.get_task(params.task).build_model()
  generator = np.random.default_rng(0)
  for variable in model.variables:
    variable.assign(generator.normal(0, 0.3, variable.shape))
  checkpoint = tf.train.Checkpoint(
      model=model, **{metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata(
          metadata.describe(params))}).save(
              str(tmp_path_factory.mktemp('random') / 'ckpt'))
  return trained_model.TrainedModel(params, model, checkpoint, None, False)


def test_all_layouts_of_the_depth(trained):
  found = layout_search.candidates(trained, [2, 3])
  names = {(one.layout, one.pool_axes, one.pooling) for one in found}
  assert len(names) == len(found)
  # One block; two splits by 2 strides into two blocks, 4 pairs of strides into
  # three, on each of 2 axes by 2 poolings.
  assert len(found) == 1 + 4 * (2 * 2 + 4)
  assert ('B3(17)', '', '') in names
  for split in ('B1(17)-2(9)', 'B2(17)-1(9)', 'B1(17)-2(5)', 'B2(17)-1(5)',
                'B1(17)-1(9)-1(5)', 'B1(17)-1(9)-1(3)', 'B1(17)-1(5)-1(3)',
                'B1(17)-1(5)-1(2)'):
    for pooling in ('mean', 'max'):
      assert (split, 'grid', pooling) in names
  # Along the sequence, 17 tokens are 5 by two strides.
  for split in ('B2(17)-1(9)', 'B1(17)-2(5, s4)'):
    assert (split, 'sequence', 'max') in names
  assert found == sorted(found, key=lambda one: one.gmacs)
  for one in found:
    config = trained.params.task.model.backbone.funnel_vit.replace(
        **one.settings())
    spec = specs.resolve(config, (16, 16))
    assert spec.layout_with_tokens == one.layout
    assert one.gmacs == costs.count_multiply_adds(spec, 10) / 1e9


def test_a_budget(trained):
  everything = layout_search.candidates(trained, [2])
  limit = everything[5].gmacs
  within = layout_search.candidates(trained, [2], limit)
  # Beside the model that they are compared with.
  assert {one.key for one in within} == {('B3(17)', '', '')} | {
      one.key for one in everything if one.gmacs <= limit * 1.0005}
  with pytest.raises(ValueError, match=(
      r'--max_gmacs=1e-06: no layout is so cheap; the cheapest, B1\(17\)-2\(5, '
      r's4\), takes .*Raise it, or allow more --blocks.')):
    layout_search.candidates(trained, [2], 1e-6)
  with pytest.raises(ValueError, match='3 layers, which are not 4 blocks'):
    layout_search.candidates(trained, [4])


def other_model(trained, input_size=(16, 16, 3), **backbone):
  params = trained.params.replace(task=trained.params.task.replace(
      model={'backbone': backbone, 'input_size': list(input_size)}))
  return trained_model.TrainedModel(params, None, 'run/ckpt-1', 1, False)


def test_blocks_that_nobody_named(trained):
  assert layout_search.candidates(trained) == layout_search.candidates(
      trained, [2, 3])
  shallow = other_model(trained, funnel_vit={'layout': 'B2'})
  found = layout_search.candidates(shallow)
  assert {one.layout for one in found} == {
      'B2(17)', 'B1(17)-1(9)', 'B1(17)-1(5)', 'B1(17)-1(5, s4)'}
  assert found == layout_search.candidates(shallow, [2])
  with pytest.raises(ValueError, match='has 2 layers, which are not 3 blocks'):
    layout_search.candidates(shallow, [2, 3])
  # Of four patches, which are one after any of the first pools along the
  # sequence.
  small = other_model(trained, (4, 16, 3), funnel_vit={'layout': 'B3'})
  assert {one.layout.count('-') for one in layout_search.candidates(small)} == {
      0, 1, 2}
  for model in (other_model(trained, funnel_vit={'layout': 'B1'}),
                other_model(trained, (4, 4, 3), funnel_vit={'layout': 'B3'})):
    with pytest.raises(ValueError, match='cannot be a funnel of any kind: '):
      layout_search.candidates(model)
  # No funnels were asked for.
  alone, = layout_search.candidates(trained, [1], 1e-6)
  assert alone.layout == 'B3(17)'


def test_models_whose_weights_fit_nothing_else(trained):
  def other(**backbone):
    return other_model(trained, **backbone)

  with pytest.raises(ValueError, match=(
      r'run/ckpt-1 is B1\(17\)-2\(9, h128.*\), whose blocks have different')):
    layout_search.candidates(other(funnel_vit={'layout': 'B1-2(9, h128)'}))
  with pytest.raises(ValueError, match=(
      r'run/ckpt-1 is B1\(17\)-1\(9\)-1\(5\) with pooling=weighted, whose '
      'pools have learned .* Name a checkpoint with pooling mean or max')):
    layout_search.candidates(other(funnel_vit={'pooling': 'weighted'}))
  with pytest.raises(ValueError, match='has the backbone vit, which has no la'):
    layout_search.candidates(other(type='vit'))


@pytest.mark.long
def test_every_layout_is_what_its_own_model_says(trained):
  batches = list(validation_data.read_records(trained, None, 50))
  wanted = [one for one in layout_search.candidates(trained, [2, 3])
            if one.key in (('B2(17)-1(5)', 'grid', 'max'),
                           ('B1(17)-1(9)-1(5)', 'sequence', 'mean'))]
  assert len(wanted) == 2
  rows = list(layout_search.evaluate(trained, wanted, batches))
  assert [row['layout'] for row in rows] == [one.layout for one in wanted]
  assert tuple(rows[0]) == layout_search.COLUMNS
  for one, row in zip(wanted, rows, strict=True):
    # From the file, as a fine-tuning begins.
    task = trained.params.task.replace(
        model={'backbone': {'funnel_vit': one.settings()}})
    model = task_factory.get_task(task).build_model()
    restore.load(model, trained.checkpoint)
    right = [0, 0]
    for batch in batches:
      logits = model(batch.images, training=False)
      for place, k in enumerate((1, 5)):
        right[place] += int(tf.reduce_sum(tf.cast(
            ranking.is_among_first(logits, batch.labels, k), tf.int32)))
    assert row['images'] == 50
    np.testing.assert_allclose(
        [row['top_1_percent'], row['top_5_percent']],
        [100 * count / 50 for count in right])
