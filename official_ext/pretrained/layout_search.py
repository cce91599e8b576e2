"""Evaluates a trained ViT as funnels of many layouts, without training them.

Pooling by mean or maximum adds no variables, so the weights of one layout are
those of every other of equal widths and depth. How much of the accuracy each
keeps, and what it costs, is measured on images.

Legend: B images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import itertools
import time
from typing import Any

import numpy as np
from official.core import task_factory
import tf_keras

from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore
from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names
from official_ext.layouts import search
from official_ext.modeling import costs
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import specs
from official_ext.tasks import ranking
from official_ext.trained import trained_model
from official_ext.trained import validation_data

STRIDES = (2, 4)
# Numbers of blocks that are tried where none are named.
BLOCKS = (2, 3)
POOL_AXES = (layout_lib.SEQUENCE, layout_lib.GRID)
# What a search measures of a layout, after what it is.
COLUMNS = ('layout', 'pool_axes', 'pooling', 'gmacs', 'images', 'top_1_percent',
           'top_5_percent', 'seconds')


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A layout to evaluate.

  Attributes:
    layout: in the paper's notation, with token counts.
    pool_axes: 'sequence' or 'grid'; empty where nothing is pooled.
    pooling: 'mean' or 'max'; empty where nothing is pooled.
    gmacs: multiply-adds of one image's forward pass, 1e9.
  """
  layout: str
  pool_axes: str
  pooling: str
  gmacs: float

  @property
  def key(self) -> tuple[str, str, str]:
    """What tells it from the others."""
    return self.layout, self.pool_axes, self.pooling

  def settings(self) -> dict[str, str]:
    """Returns the settings of the backbone that make it this one."""
    found = {'layout': self.layout, 'pool_axes': self.pool_axes,
             'pooling': self.pooling}
    return {name: value for name, value in found.items() if value}


class ModelSource(sources.Source):
  """The arrays of a model that is in memory."""

  def __init__(self, trained: trained_model.TrainedModel):
    """Copies the arrays.

    Args:
      trained: the model, on our backbone.
    """
    self.path = trained.checkpoint
    self.description = metadata.describe(trained.params)
    names = variable_names.of_model(trained.model)
    self._arrays = {names[id(variable)]: variable.numpy()
                    for variable in trained.model.variables}

  @property
  def shapes(self) -> Mapping[str, tuple[int, ...]]:
    return {name: array.shape for name, array in self._arrays.items()}

  def read(self, name: str) -> np.ndarray:
    return self._arrays[name]


def candidates(trained: trained_model.TrainedModel,
               num_blocks: Sequence[int] | None = None,
               max_gmacs: float | None = None) -> list[Candidate]:
  """Lists the layouts that the weights of a model fit, the cheapest first.

  Args:
    trained: the model.
    num_blocks: of the layouts; None: those of `BLOCKS` that the model has
      layers and patches for. The model as one block is always among them.
    max_gmacs: what a layout may cost; None: any.

  Returns:
    All layouts of the model's depth, pooled by 2 or 4, along the sequence or
    on the grid, by mean or max.

  Raises:
    ValueError: if the model has another backbone, several widths or pools that
      have learned, if it cannot be a number of blocks that was named or any of
      `BLOCKS`, or if no layout is cheap enough.
  """
  model = trained.params.task.model
  spec = specs.of_model(model)
  if spec is None:
    raise ValueError(
        f'{trained.checkpoint} has the backbone {model.backbone.type}, which '
        'has no layouts. Name a checkpoint of funnel_vit.')
  widths = {(block.hidden_size, block.mlp_dim, block.num_heads)
            for block in spec.blocks}
  if len(widths) > 1:
    raise ValueError(
        f'{trained.checkpoint} is {spec.layout_with_tokens}, whose blocks have '
        'different widths: its weights fit no other layout. Name a checkpoint '
        'of equal widths.')
  if spec.has_learned_pools:
    raise ValueError(
        f'{trained.checkpoint} is {spec.layout_with_tokens} with pooling='
        f'{spec.pooling}, whose pools have learned their windows: they fit no '
        'other layout. Name a checkpoint with pooling '
        f'{" or ".join(specs.PLAIN_POOLINGS)}.')
  depth = spec.layout.num_layers
  found = [_candidate(model, one_block)
           for one_block in _of_depth(model, 1, depth, layout_lib.SEQUENCE)]
  limit = float('inf') if max_gmacs is None else (
      max_gmacs * (1 + search.TOLERANCE))
  funnels = [
      _candidate(model, funnel, pool_axes, pooling)
      for funnel, pool_axes in _funnels(model, num_blocks, depth)
      for pooling in specs.PLAIN_POOLINGS]
  within = [one for one in funnels if one.gmacs <= limit]
  if funnels and not within:
    cheapest = min(funnels, key=lambda one: one.gmacs)
    raise ValueError(
        f'--max_gmacs={max_gmacs}: no layout is so cheap; the cheapest, '
        f'{cheapest.layout}, takes {search.four_digits(cheapest.gmacs)}. Raise '
        'it, or allow more --blocks.')
  return sorted(found + within, key=lambda one: (one.gmacs, one.key))


def _funnels(model: Any, num_blocks: Sequence[int] | None, depth: int
             ) -> list[tuple[specs.ModelSpec, str]]:
  """Returns the models of several blocks, each with its axes of pooling."""
  found, error = [], None
  for count, pool_axes in itertools.product(
      sorted(set(num_blocks or BLOCKS) - {1}), POOL_AXES):
    try:
      found += [(funnel, pool_axes)
                for funnel in _of_depth(model, count, depth, pool_axes)]
    except ValueError as impossible:
      if num_blocks:
        raise
      error = error or impossible
  if error and not found:
    raise ValueError(
        f'the model cannot be a funnel of any kind: {error}') from error
  return found


def _of_depth(model: Any, num_blocks: int, depth: int,
              pool_axes: str) -> list[specs.ModelSpec]:
  """Returns the models of the layouts of a depth."""
  if num_blocks > depth:
    raise ValueError(
        f'--blocks: the model has {depth} layers, which are not {num_blocks} '
        f'blocks. Name at most {depth}.')
  config = model.backbone.funnel_vit.replace(pool_axes=pool_axes)
  return search.of_depth(config, tuple(model.input_size[:2]), num_blocks,
                         depth, STRIDES)


def _candidate(model: Any, spec: specs.ModelSpec, pool_axes: str = '',
               pooling: str = '') -> Candidate:
  return Candidate(
      spec.layout_with_tokens, pool_axes, pooling,
      costs.count_multiply_adds(spec, model.num_classes) / 1e9)


def evaluate(trained: trained_model.TrainedModel,
             wanted: Sequence[Candidate],
             batches: Sequence[validation_data.Batch]
             ) -> Iterator[dict[str, Any]]:
  """Evaluates layouts, one after the other.

  Args:
    trained: the model that the weights are of; it is of no use afterwards.
    wanted: the layouts.
    batches: the images.

  Yields:
    A row of COLUMNS for each.
  """
  source = ModelSource(trained)
  params = trained.params
  del trained
  for one in wanted:
    begin = time.perf_counter()
    model = _rebuild(params, one, source)
    num_images, right = 0, np.zeros(2, np.int64)
    for batch in batches:
      logits = model(batch.images, training=False)
      num_images += len(batch.labels)
      right += [np.count_nonzero(ranking.is_among_first(
          logits, batch.labels, k)) for k in (1, 5)]
    top_1, top_5 = 100 * right / num_images
    yield dict(zip(COLUMNS, (
        one.layout, one.pool_axes, one.pooling, one.gmacs, num_images,
        float(top_1), float(top_5), time.perf_counter() - begin)))


def _rebuild(params: Any, candidate: Candidate,
             source: ModelSource) -> tf_keras.Model:
  """Builds the model of a layout, with the weights of the source."""
  # What the model before it left in Keras.
  tf_keras.backend.clear_session()
  task = params.task.replace(model={
      'backbone': {'funnel_vit': candidate.settings()}})
  with trained_model.float32():
    model = task_factory.get_task(task).build_model()
  restore.apply(restore.make_plan(model, source), model, source)
  return model
