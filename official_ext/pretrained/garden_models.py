"""Checkpoints of Model Garden's own `vit` as published models.

They say nothing of themselves: sizes are read off the shapes, and what has none
is what Model Garden's code has, the GELU and the epsilon of JAX's ViT and the
mean and standard deviation of ImageNet.
"""

from __future__ import annotations

from official.vision.ops import preprocess_ops

from official_ext.checkpoints import position_embedding
from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names
from official_ext.command_line import errors
from official_ext.pretrained import architecture

_WHITE = 255
# Model Garden's own in evaluation.
_CROP_FRACTION = 0.875


class GardenSource(sources.CheckpointSource):
  """A checkpoint of Model Garden's `vit`.

  Attributes:
    model: what the model is.
    left_out: empty; every variable is taken.
  """

  def __init__(self, path: str):
    """Works out the model from the shapes of its variables.

    Args:
      path: whatever `object_graph.find` takes.

    Raises:
      ValueError: if there is no Vision Transformer in it, or it is one of ours
        already.
    """
    super().__init__(path)
    if self.description:
      raise errors.UserError(
          f'{self.path} is a checkpoint of Funnel-ViT already. Begin from it '
          f'as it is: task.init_checkpoint={path}.')
    self.model = _architecture(self.path, self.shapes)
    self.left_out = {}


def _architecture(path, shapes) -> architecture.Architecture:
  """Returns what a checkpoint with variables of these shapes is."""
  try:
    kernel = shapes['embedding/kernel']
    query = shapes['layer_1/attention/query/kernel']
    mlp_dim = shapes['layer_1/mlp/dense_0/kernel'][1]
    num_positions = shapes[variable_names.POSITION_EMBEDDING][1]
  except KeyError as error:
    raise errors.UserError(
        f'{path} has no {error.args[0]}: it is no whole Vision Transformer. '
        "Give a checkpoint of Model Garden's vit.") from error
  has_class_token = variable_names.CLASS_TOKEN in shapes
  grid = position_embedding.guess_square_grid(
      num_positions - int(has_class_token))
  if grid is None:
    raise errors.UserError(
        f'{path} has {num_positions} positions, and its patches are no square. '
        'Begin from it as it is, with task.init_checkpoint and '
        'task.init_checkpoint_grid.')
  num_layers = len({
      variable_names.layer_number(name) for name in shapes} - {None})
  return architecture.Architecture(
      kind='Model Garden vit',
      backbone=architecture.backbone(
          hidden_size=kernel[3], num_layers=num_layers, num_heads=query[1],
          mlp_dim=mlp_dim, patch_size=kernel[0], activation='gelu_tanh',
          norm_epsilon=1e-6, pooler='token' if has_class_token else 'gap',
          representation_size=shapes.get('pre_logits/bias', (0,))[0]),
      image_size=(grid[0] * kernel[0], grid[1] * kernel[0]),
      num_classes=shapes.get('head/bias', (0,))[0],
      preprocessing=architecture.Preprocessing(
          tuple(value / _WHITE for value in preprocess_ops.MEAN_RGB),
          tuple(value / _WHITE for value in preprocess_ops.STDDEV_RGB),
          'bilinear', _CROP_FRACTION))
