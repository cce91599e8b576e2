"""Builds a new model for `fit`, with random weights or those of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import os
from typing import Any

from official.core import task_factory
import tf_keras
import yaml

from official_ext import registry_imports  # noqa: F401
from official_ext.checkpoints import restore
from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names
from official_ext.command_line import errors
from official_ext.configs import backbones
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.python_api import arguments
from official_ext.python_api import load

# Its settings of the model are those of any other.
_EXPERIMENT = 'funnel_vit_imagenet_finetune'
_NUM_CLASSES, _IMAGE_SIZE = 1000, 224
_BACKBONE_SETTINGS = [
    field.name for field in dataclasses.fields(backbones.FunnelViT)
    if field.name not in ('model_name', 'layout')]


def create(model_name: str, layout: str | None = None, *,
           weights: str | os.PathLike | None = None,
           ema: bool | None = None,
           num_classes: int | None = None,
           image_size: int | Sequence[int] | None = None,
           **backbone: Any) -> tf_keras.Model:
  """Builds a classifier.

  Args:
    model_name: a preset, such as 'vit-b16'; those of
      `official_ext.layouts.describe`.
    layout: blocks, such as 'B4-4-4'; None: one block of the preset's depth.
    weights: the folder of a training or of an imported model, a checkpoint or
      an export to begin from, of any layout of the same widths and depth;
      None: random weights.
    ema: of a training: whether to take the exponential moving averages of the
      weights; None: where it keeps them, as `load` does.
    num_classes: of a new head. None: with weights, their own head is taken;
      else 1000.
    image_size: side of the images, px, or (height, width); the position
      embedding of the weights is resampled. None: that of the weights; else
      224.
    **backbone: further settings of the backbone, the fields of
      `configs.backbones.FunnelViT`, such as pooling='max'; a group, such as
      `transformer`, is a dictionary or its dataclass.

  Returns:
    A Keras model from normalised images, float32 [B, height, width, 3], to
    logits, [B, num_classes], computed in Keras's global policy.

  Raises:
    restore.LoadError: if the weights do not fit the model, naming what does
      not.
    ValueError: if a setting is wrong, or there are no such weights.
  """
  errors.check_choice('model_name', model_name, specs.PRESETS)
  for name in backbone:
    errors.check_choice('the setting', name, _BACKBONE_SETTINGS)
  if num_classes is not None:
    num_classes = arguments.whole_number('num_classes', num_classes)
  if image_size is not None:
    image_size = arguments.sides(image_size)
  if weights is None and ema is not None:
    raise errors.UserError(
        f'ema={ema} is of weights, and none are given. Leave it out, or give '
        "weights='runs/digits'.")
  source = None if weights is None else _open(
      arguments.path('weights', weights), ema)
  height, width = image_size or _known_sides(source)
  policy = tf_keras.mixed_precision.global_policy()
  settings = {
      'task': {'model': {
          'num_classes': num_classes or _num_classes(source),
          'input_size': [height, width, 3],
          'backbone': {'type': 'funnel_vit', 'funnel_vit': {
              'model_name': model_name, 'layout': layout, **backbone}},
      }},
      # Some settings are for it alone.
      'runtime': {'mixed_precision_dtype': 'bfloat16'} if (
          policy.compute_dtype == 'bfloat16') else {}}
  with arguments.in_words_of_python():
    params = experiment.load(_EXPERIMENT, params_override=_as_yaml(settings))
    model = task_factory.get_task(params.task).build_model()
    if source is not None:
      plan = restore.make_plan(
          model, source, 'all' if num_classes is None else 'all_but_head')
      restore.apply(plan, model, source, is_new=True)
      plan.log()
  return model


def _as_yaml(settings: Mapping[str, Any]) -> str:
  try:
    return yaml.safe_dump(arguments.plain(settings))
  except yaml.representer.RepresenterError as error:
    raise errors.UserError(
        f'the setting {error.args[-1]!r:.80} is of {type(error.args[-1])}, but '
        'must be a number, a text, or a dictionary of such.') from error


def _open(weights: str, ema: bool | None) -> sources.Source:
  """Finds the arrays of weights, which are read when they are needed."""
  if ema is not None and load.is_export(weights):
    raise errors.UserError(
        f'ema={ema} is for the folder of a training, and {weights} is an '
        'export, whose weights are chosen. Leave it out.')
  try:
    source = sources.CheckpointSource(weights, takes_averages=ema is not False)
  except ValueError as error:
    raise errors.UserError(
        f'weights: {error} A published ViT is imported first: '
        'official_ext.pretrained.import_vit.') from error
  if ema and not source.has_averages:
    raise errors.UserError(
        f'ema=True, but {source.path} holds no moving averages beside its '
        'weights. Leave ema out.')
  return source


def _known_sides(source: sources.Source | None) -> Sequence[int]:
  """Returns height and width of the images, px, that are not asked for."""
  known = source.description.get('input_size') if source else None
  return known[:2] if known else (_IMAGE_SIZE, _IMAGE_SIZE)


def _num_classes(source: sources.Source | None) -> int:
  """Returns the classes of a head that is not asked for anew."""
  if source is None:
    return _NUM_CLASSES
  head = source.shapes.get(f'{variable_names.HEAD}/bias')
  if head is None:
    raise errors.UserError(
        f'{source.path} has no head. Give num_classes=N, those of your data.')
  return head[0]
