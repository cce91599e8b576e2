"""The names that PyTorch libraries give to the tensors of a plain ViT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

from official_ext.modeling import specs
from official_ext.pretrained import architecture
from official_ext.pretrained import conversions
from official_ext.pretrained import key_map

# Our projections of attention; a library may keep them in one tensor.
_PROJECTIONS = ('query', 'key', 'value')
_LAYER = 'layer_{}/'
# What stands beside the model itself, and so has not its prefix.
_OUTSIDE = ('head', 'head_of_class_token', 'head_of_distillation_token',
            'projection')


@dataclasses.dataclass(frozen=True)
class Naming:
  """How one library names what a ViT consists of.

  A name stands for a layer, whose `weight` and `bias` follow, or, of tokens and
  scales, for the tensor itself.

  Attributes:
    parts: its names by ours, outside the transformer layers. Several are of
      tensors that one variable is made of, or that one tensor is split into.
    layers: what the names in a layer begin with, its number left open.
    of_layer: its names by ours in a layer.
    flat_tokens: whether tokens and positions come without a first axis of 1.
  """
  parts: Mapping[str, str]
  layers: str
  of_layer: Mapping[str, str]
  flat_tokens: bool = False


def entries(naming: Naming, model: architecture.Architecture,
            prefix: str = '') -> list[key_map.Entry]:
  """Lists where every variable of a model is in a file.

  Args:
    naming: of the library.
    model: what the model is.
    prefix: in front of every name but those of heads and projection.

  Returns:
    An entry for each variable.
  """
  settings = model.backbone
  parts = {ours: theirs if ours in _OUTSIDE else prefix + theirs
           for ours, theirs in naming.parts.items()}
  found = _before_layers(naming, parts, settings)
  num_heads = settings.transformer.num_heads
  for number in range(model.num_layers):
    layer = {ours: prefix + naming.layers.format(number) + theirs
             for ours, theirs in naming.of_layer.items()}
    found += _of_layer(layer, _LAYER.format(number + 1), num_heads,
                       bool(settings.layer_scale_init_value))
  if settings.final_norm != 'none':
    norm = 'pooled_norm' if settings.final_norm == 'pooled' else 'norm'
    found += _norm(parts.get(norm, parts['norm']), 'norm')
  if settings.pooler == 'map':
    found += _map_head(parts, num_heads)
  if settings.representation_size:
    found += _linear(parts['pre_logits'], 'pre_logits')
  if settings.projection_size:
    found += _linear(parts['projection'], 'projection', bias=False)
  if model.num_classes:
    found += _head(parts, settings.pooler)
  return found


def _before_layers(naming: Naming, parts: Mapping[str, str],
                   settings) -> list[key_map.Entry]:
  """Lists what comes before the transformer layers."""
  found = _linear(parts['embedding'], 'embedding', settings.patch_bias,
                  conversions.CONVOLUTION)
  vector, tokens = (
      (conversions.VECTOR, conversions.TOKENS) if naming.flat_tokens
      else (conversions.SAME, conversions.SAME))
  for ours, is_there, conversion in (
      ('class_token', specs.has_class_token(settings), vector),
      ('distillation_token', settings.distillation_token, vector),
      ('registers', settings.num_registers, tokens),
      ('position_embedding', True, tokens)):
    if is_there:
      found.append(_entry(ours, parts[ours], conversion))
  if settings.norm_before_layers:
    found += _norm(parts['norm_before_layers'], 'norm_before_layers')
  return found


def _of_layer(names: Mapping[str, str], ours: str, num_heads: int,
              has_layer_scale: bool) -> list[key_map.Entry]:
  """Lists the variables of a transformer layer."""
  found = _norm(names['attention_norm'], f'{ours}attention_norm')
  found += _attention(names, ours, num_heads)
  found += _norm(names['mlp_norm'], f'{ours}mlp_norm')
  for dense in ('mlp/dense_0', 'mlp/dense_1'):
    found += _linear(names[dense], ours + dense)
  if has_layer_scale:
    for scale in ('attention_scale', 'mlp_scale'):
      found.append(
          _entry(f'{ours}{scale}/gamma', names[scale], conversions.VECTOR))
  return found


def _attention(names: Mapping[str, str], ours: str,
               num_heads: int) -> list[key_map.Entry]:
  """Lists the projections of attention, whether in one tensor or several."""
  found = []
  for projection in _PROJECTIONS:
    # The tensors that hold several projections, in their order.
    together, = (kind for kind in names if kind.startswith('attention/') and
                 projection in kind.split('/')[1].split('+'))
    held = together.split('/')[1].split('+')
    weight, bias = (
        # Parts of PyTorch's own MultiheadAttention are no layer.
        names[together] + joint + ending for joint, ending in (
            ('_' if names[together].endswith('in_proj') else '.', ending)
            for ending in ('weight', 'bias')))
    index = held.index(projection)
    for local, name, conversion in (
        ('kernel', weight, conversions.split_heads(num_heads)),
        ('bias', bias, conversions.split_heads_bias(num_heads))):
      found.append(key_map.Entry(
          f'{ours}attention/{projection}/{local}',
          (key_map.Place(name, index, len(held)),), conversion))
  return found + _linear(
      names['attention/output'], f'{ours}attention/output',
      conversion=conversions.join_heads(num_heads))


def _map_head(parts: Mapping[str, str],
              num_heads: int) -> list[key_map.Entry]:
  """Lists the variables of an attention-pooling head."""
  names = {ours.removeprefix('map_head/'): theirs
           for ours, theirs in parts.items() if ours.startswith('map_head/')}
  return [_entry('map_head/probe', names['probe'], conversions.SAME),
          *_attention(names, 'map_head/', num_heads),
          *_norm(names['norm'], 'map_head/norm'),
          *_linear(names['mlp/dense_0'], 'map_head/mlp/dense_0'),
          *_linear(names['mlp/dense_1'], 'map_head/mlp/dense_1')]


def _head(parts: Mapping[str, str], pooler: str) -> list[key_map.Entry]:
  """Lists the variables of the head; those of two heads are of one here."""
  if pooler != 'token_and_distillation':
    return _linear(parts['head'], 'head')
  names = parts['head_of_class_token'], parts['head_of_distillation_token']
  return [
      key_map.Entry(f'head/{local}', tuple(
          key_map.Place(f'{name}.{theirs}') for name in names), conversion)
      for local, theirs, conversion in (
          ('kernel', 'weight', conversions.MEAN_OF_HEADS),
          ('bias', 'bias', conversions.MEAN_OF_BIASES))]


def _linear(theirs: str, ours: str, bias: bool = True,
            conversion: conversions.Conversion = conversions.LINEAR
            ) -> list[key_map.Entry]:
  """Lists kernel and bias of a layer."""
  found = [_entry(f'{ours}/kernel', f'{theirs}.weight', conversion)]
  if bias:
    found.append(_entry(f'{ours}/bias', f'{theirs}.bias'))
  return found


def _norm(theirs: str, ours: str) -> list[key_map.Entry]:
  """Lists scale and shift of a LayerNorm."""
  return [_entry(f'{ours}/gamma', f'{theirs}.weight'),
          _entry(f'{ours}/beta', f'{theirs}.bias')]


def _entry(ours: str, theirs: str, conversion: conversions.Conversion =
           conversions.SAME) -> key_map.Entry:
  return key_map.Entry(ours, (key_map.Place(theirs),), conversion)


def count_layers(names: Sequence[str], layers: str) -> int:
  """Counts the transformer layers in a file.

  Args:
    names: of its tensors.
    layers: what those of a layer begin with, the number left open.

  Returns:
    How many there are.
  """
  before, after = layers.split('{}')
  numbers = {name.removeprefix(before).split(after)[0] for name in names
             if name.startswith(before)}
  return len({number for number in numbers if number.isdecimal()})
