"""Readable metadata in every checkpoint: what model do these weights belong to?

The metadata travels as one string inside the checkpoint, so it is in the best
checkpoint and the EMA one too, and cannot get lost beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
import importlib.metadata
import json
from typing import Any

from official.core import config_definitions as cfg
import tensorflow as tf
import tf_keras

import official_ext
from official_ext.checkpoints import object_graph
from official_ext.checkpoints import preprocessing
from official_ext.configs import semantic_segmentation
from official_ext.modeling import feature_levels
from official_ext.modeling import specs

# The name of the metadata in tf.train.Checkpoint, and its key in the file.
CHECKPOINT_ITEM = 'metadata'
_KEY = f'{CHECKPOINT_ITEM}/.ATTRIBUTES/py_state'
_STEP_KEY = 'global_step/.ATTRIBUTES/VARIABLE_VALUE'
_FORMAT_VERSION = 1
# The block that says what data the model was trained on. A checkpoint of an
# earlier version lacks it: then nothing is known, and nothing is compared.
DATA_KEY = 'data'

# Of `specs.ModelSpec`, under their names there.
_SPEC_KEYS = (
    'patch_size', 'grid', 'pooler', 'pooling', 'pool_axes', 'pool_query_only',
    'representation_size', 'has_layer_scale', 'activation', 'norm_epsilon',
    'has_class_token', 'class_token_position', 'has_distillation_token',
    'num_registers', 'patch_bias', 'norm_before_layers', 'final_norm',
    'projection_size', 'attention_bias', 'feature_maps', 'position_embedding')
# Two checkpoints that differ in any of these are different architectures.
ARCHITECTURE_KEYS = (
    'backbone', 'layout', 'hidden_sizes', 'mlp_dims', 'num_heads', *_SPEC_KEYS,
    'num_classes', 'task', 'decoder')

# What the metadata of version 0.1.0 does not say, because there was no choice.
_FORMERLY = {
    'activation': 'gelu_tanh',
    'norm_epsilon': 1e-6,
    'class_token_position': True,
    'has_distillation_token': False,
    'num_registers': 0,
    'patch_bias': True,
    'norm_before_layers': False,
    'final_norm': 'tokens',
    'projection_size': 0,
    'attention_bias': 'none',
    'feature_maps': feature_levels.as_dict(feature_levels.NONE),
    'position_embedding': 'learned',
}
_LAYER_SCALE_KEY = '/_layer_scale_attn/'


class CheckpointMetadata(tf.train.experimental.PythonState):
  """Saves a dictionary with a `tf.train.Checkpoint`.

  Restoring does not change it: the check against the file comes before, in
  `check_same_architecture`.
  """

  def __init__(self, values: Mapping[str, Any]):
    self._values = dict(values)

  def serialize(self) -> str:
    return json.dumps(self._values, indent=2)

  def deserialize(self, string_value: str) -> None:
    del string_value

  def _copy_trackable_to_cpu(
      self, object_map: MutableMapping[Any, Any]) -> None:
    """Hands an asynchronous checkpoint its copy; without it, it has none."""
    object_map.setdefault(self, CheckpointMetadata(self._values))


def describe(params: cfg.ExperimentConfig,
             data: Mapping[str, Any] | None = None) -> dict[str, Any]:
  """Describes the model of an experiment.

  Args:
    params: the experiment's configuration.
    data: what the model must know of the data that it is trained on, as
      `protocol.Task.describe_data` returns it.

  Returns:
    Values that JSON can hold: architecture, input size, how images are
    prepared, versions, and the data under `DATA_KEY`, if anything is known of
    them.
  """
  model = params.task.model
  described = {
      'format_version': _FORMAT_VERSION,
      'backbone': model.backbone.type,
      'num_classes': model.num_classes,
      'input_size': list(model.input_size),
      preprocessing.KEY: preprocessing.describe(params.task),
      'versions': {
          'funnel_vit': official_ext.__version__,
          'tensorflow': tf.__version__,
          'tf_models_official': importlib.metadata.version(
              'tf-models-official'),
      },
  }
  if isinstance(params.task, semantic_segmentation.SemanticSegmentationTask):
    # Of a classifier neither is said: there was no other task.
    described |= {'task': 'semantic_segmentation',
                  'decoder': model.decoder.type}
  spec = specs.of_model(model)
  if spec:
    described |= {
        'model_name': spec.model_name,
        'layout': spec.layout_with_tokens,
        'hidden_sizes': [block.hidden_size for block in spec.blocks],
        'mlp_dims': [block.mlp_dim for block in spec.blocks],
        'num_heads': [block.num_heads for block in spec.blocks],
        **{key: getattr(spec, key) for key in _SPEC_KEYS},
        # As JSON gives them back.
        'grid': list(spec.grid),
        'feature_maps': feature_levels.as_dict(spec.feature_maps),
    }
  if data:
    described[DATA_KEY] = dict(data)
  return described


def read(checkpoint: str) -> dict[str, Any] | None:
  """Reads the metadata of a checkpoint.

  Args:
    checkpoint: prefix of the checkpoint, such as 'model_dir/ckpt-100'.

  Returns:
    The metadata, completed where an earlier version wrote less, or None if
    the checkpoint carries none.

  Raises:
    ValueError: if there is no readable checkpoint.
  """
  with object_graph.explained_errors(checkpoint):
    reader = tf.train.load_checkpoint(checkpoint)
    if not reader.has_tensor(_KEY):
      return None
    found = json.loads(reader.get_tensor(_KEY))
    if found.get('backbone') != 'funnel_vit':
      return found
    formerly = _FORMERLY | {
        'has_class_token': found.get('pooler') == 'token'}
    if 'has_layer_scale' not in found:
      formerly['has_layer_scale'] = any(
          _LAYER_SCALE_KEY in key
          for key in reader.get_variable_to_shape_map())
    return found | {key: value for key, value in formerly.items()
                    if key not in found}


def read_data(checkpoint: str) -> dict[str, Any]:
  """Reads what a checkpoint says of the data that it was trained on.

  Args:
    checkpoint: prefix of the checkpoint.

  Returns:
    The block `DATA_KEY` of its metadata; empty if it carries none.

  Raises:
    ValueError: if there is no readable checkpoint.
  """
  return dict((read(checkpoint) or {}).get(DATA_KEY, {}))


def read_step(checkpoint: str) -> int | None:
  """Reads the step of a training that a checkpoint holds.

  Args:
    checkpoint: prefix of the checkpoint.

  Returns:
    The step; None if the checkpoint does not know.

  Raises:
    ValueError: if there is no readable checkpoint.
  """
  with object_graph.explained_errors(checkpoint):
    reader = tf.train.load_checkpoint(checkpoint)
    return (int(reader.get_tensor(_STEP_KEY))
            if reader.has_tensor(_STEP_KEY) else None)


def differences(found: Mapping[str, Any], expected: Mapping[str, Any],
                where: str) -> list[str]:
  """Compares the architectures of two models.

  Args:
    found: the metadata of a checkpoint.
    expected: those of another, or what `describe` says of an experiment.
    where: those are, for the message.

  Returns:
    A text for each difference; empty if they are the same.
  """
  return [f'{key} is {found.get(key)} there and {expected.get(key)} {where}'
          for key in ARCHITECTURE_KEYS if found.get(key) != expected.get(key)]


def check_same_architecture(
    checkpoint: str, expected: Mapping[str, Any]) -> None:
  """Refuses to resume in a folder that holds another model.

  Args:
    checkpoint: prefix of the checkpoint found there.
    expected: what `describe` says of the experiment.

  Raises:
    ValueError: if the checkpoint belongs to another architecture, naming each
      difference.
  """
  found = read(checkpoint)
  if found is None:
    return
  different = differences(found, expected, 'here')
  if different:
    raise ValueError(
        f'{checkpoint} belongs to another architecture: '
        f'{"; ".join(different)}. Choose another --model_dir, or the '
        'configuration that the checkpoint was trained with (params.yaml '
        'beside it).')


def check_same_preprocessing(
    checkpoint: str, params: cfg.ExperimentConfig) -> None:
  """Refuses to give a model other images than it was trained on.

  Args:
    checkpoint: prefix of the checkpoint; of an earlier version nothing is
      compared.
    params: the configuration to use it with.

  Raises:
    ValueError: if they are normalised otherwise, naming what to set.
  """
  preprocessing.check_same(read(checkpoint) or {}, params.task, checkpoint)


def check_same_variables(checkpoint: str, model: tf_keras.Model) -> None:
  """Refuses a checkpoint without metadata whose variables are not the model's.

  Args:
    checkpoint: prefix of the checkpoint.
    model: the model that is about to be restored from it.

  Raises:
    ValueError: if the shapes of the variables differ.
  """
  found = sorted(
      tuple(shape) for name, shape in tf.train.list_variables(checkpoint)
      if name.startswith(('model/', 'backbone/')) and
      name.endswith('/.ATTRIBUTES/VARIABLE_VALUE') and
      '.OPTIMIZER_SLOT' not in name)
  expected = sorted(tuple(variable.shape) for variable in model.variables)
  if found != expected:
    only_found = [shape for shape in found if shape not in expected]
    only_expected = [shape for shape in expected if shape not in found]
    raise ValueError(
        f'{checkpoint} carries no metadata, and its {len(found)} model '
        f'variables are not the {len(expected)} of this experiment (shapes '
        f'only there: {only_found[:3]}; only here: {only_expected[:3]}). '
        'Choose another --model_dir.')
