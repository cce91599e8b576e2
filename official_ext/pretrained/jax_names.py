"""The .npz files of vision_transformer (Flax) and big_vision.

Both keep the kernels as we do. They count the parts of a layer differently, may
put everything below `opt/target/`, `params/` or `params/img/`, and big_vision
may stack the layers in one array and gives the class token no position. There
is no config: GELU, epsilon and preprocessing are what the two programs have.

Of "Better plain ViT baselines" (arXiv 2205.01580) big_vision keeps no position
embedding: it computes sines and cosines, of 14 x 14 patches at 224 px.
"""

from __future__ import annotations

from collections.abc import Mapping
import re

from official_ext.checkpoints import position_embedding
from official_ext.command_line import errors
from official_ext.pretrained import architecture
from official_ext.pretrained import arrays
from official_ext.pretrained import conversions
from official_ext.pretrained import key_map

_PREFIXES = ('', 'opt/target/', 'params/', 'params/img/', 'img/',
             'opt/target/img/')
_EMBEDDING = 'embedding/kernel'
_HEAD = 'head/kernel'
_PRE_LOGITS = 'pre_logits/kernel'
_MAP_HEAD = 'MAPHead_0/'
# Of models whose file does not say it.
_IMAGE_SIDE = 224
_LEFT_OUT = {
    r'(opt/)?state/.*|opt/.*step': 'of the optimizer',
    r'(params/)?(txt/.*|t|b)': 'of the text tower',
}


def read(found: arrays.Arrays
         ) -> tuple[architecture.Architecture, list[key_map.Entry],
                    dict[str, str]]:
  """Says what a model is, and where its variables are.

  Args:
    found: the arrays.

  Returns:
    The architecture; where each variable is; and why arrays are left out, by
    name.

  Raises:
    errors.UserError: if it is no Vision Transformer that ours can be.
  """
  stored = found.stored
  prefix = next((prefix for prefix in _PREFIXES
                 if prefix + _EMBEDDING in stored), None)
  if prefix is None:
    raise errors.UserError(
        f'{found.path} holds no Vision Transformer: it has no {_EMBEDDING}. '
        'ResNets, Mixers and hybrids cannot become a Funnel-ViT.')
  local = {name.removeprefix(prefix): value.shape
           for name, value in stored.items() if name.startswith(prefix)}
  if any(name.startswith('conv_root/') for name in local):
    raise errors.UserError(
        f'{found.path} is a hybrid, whose patches are embedded by a ResNet, '
        'and cannot become a Funnel-ViT. Take another model.')
  num_layers, is_stacked = _count_layers(local)
  names = _LayerNames(local, is_stacked)
  kernel = local[_EMBEDDING]
  query = local.get(names.of(0, names.attention + 'query/kernel'), ())
  dense = local.get(names.of(0, names.mlp + 'Dense_0/kernel'), ())
  if len(kernel) != 4 or kernel[0] != kernel[1] or kernel[2] != 3 or (
      len(query) != 3 + is_stacked or len(dense) != 2 + is_stacked):
    raise errors.UserError(
        f"{found.path}: {prefix}{_EMBEDDING} is {kernel}, the first layer's "
        f'query {query} and its MLP {dense}: that is no Vision Transformer of '
        'square RGB patches. Take another model.')
  has_class_token = 'cls' in local
  position = next((name for name in (
      'Transformer/posembed_input/pos_embedding', 'pos_embedding')
                   if name in local), None)
  if position is None and names.of_flax:
    raise errors.UserError(
        f'{found.path} has no pos_embedding, which every model of '
        'vision_transformer has. Get the file again.')
  # big_vision adds the positions before the class token comes.
  class_token_position = bool(position) and position.startswith('Transformer/')
  patch_size = kernel[0]
  grid = (_IMAGE_SIDE // patch_size,) * 2
  if position:
    grid = _stored_grid(found, local, position, prefix, int(
        has_class_token and class_token_position))
  has_map_head = any(name.startswith(_MAP_HEAD) for name in local)
  head = local.get(_HEAD, (0, 0))
  pre_logits = local.get(_PRE_LOGITS, (0, 0))
  model = architecture.Architecture(
      kind='.npz of JAX',
      backbone=architecture.backbone(
          hidden_size=kernel[3], num_layers=num_layers, num_heads=query[-2],
          mlp_dim=dense[-1], patch_size=patch_size, activation='gelu_tanh',
          norm_epsilon=1e-6,
          pooler=('map' if has_map_head else
                  'token' if has_class_token else 'gap'),
          representation_size=pre_logits[-1],
          class_token=has_class_token,
          class_token_position=class_token_position or not has_class_token,
          position_embedding='learned' if position else 'sin_cos'),
      image_size=(grid[0] * patch_size, grid[1] * patch_size),
      num_classes=head[-1],
      preprocessing=architecture.Preprocessing(
          (0.5,) * 3, (0.5,) * 3, 'bilinear', **(
              dict(squashes=True) if position else
              dict(crop_fraction=0.875))))
  left_out = {
      name: reason for name in stored for pattern, reason in _LEFT_OUT.items()
      if re.fullmatch(pattern, name)}
  return model, _entries(model, names, prefix, position), left_out


def _stored_grid(found: arrays.Arrays, local: Mapping[str, tuple[int, ...]],
                 position: str, prefix: str,
                 num_before: int) -> tuple[int, int]:
  """Returns the grid of a position embedding that is stored."""
  num_patches = local[position][-2] - num_before
  grid = position_embedding.guess_square_grid(num_patches)
  if grid is None:
    raise errors.UserError(
        f'{found.path}: {prefix}{position} is {local[position]}, which is '
        f'{num_patches} patches and no square. Take a model of square images.')
  return grid


class _LayerNames:
  """How a file names the parts of its layers."""

  def __init__(self, local: Mapping[str, tuple[int, ...]], is_stacked: bool):
    self.is_stacked = is_stacked
    self.of_flax = any(
        '/MultiHeadDotProductAttention_1/' in name for name in local)
    self.attention = f'MultiHeadDotProductAttention_{int(self.of_flax)}/'
    self.mlp_norm = 'LayerNorm_2/' if self.of_flax else 'LayerNorm_1/'
    self.mlp = 'MlpBlock_3/' if self.of_flax else 'MlpBlock_0/'

  def of(self, number: int, name: str) -> str:
    """Returns the name of an array of a layer, from 0."""
    block = 'encoderblock' if self.is_stacked else f'encoderblock_{number}'
    return f'Transformer/{block}/{name}'


def _count_layers(local: Mapping[str, tuple[int, ...]]) -> tuple[int, bool]:
  """Counts the layers, and says whether they are stacked in one array."""
  stacked = local.get('Transformer/encoderblock/LayerNorm_0/scale')
  if stacked:
    return stacked[0], True
  numbers = {match[1] for match in (
      re.match(r'Transformer/encoderblock_(\d+)/', name) for name in local)
             if match}
  return len(numbers), False


def _entries(model: architecture.Architecture, names: _LayerNames,
             prefix: str, position: str | None) -> list[key_map.Entry]:
  """Lists where every variable is."""
  num_layers = model.num_layers
  settings = model.backbone

  def entry(ours, theirs, conversion=conversions.SAME):
    return key_map.Entry(ours, (key_map.Place(prefix + theirs),), conversion)

  def of_layer(number, ours, theirs):
    place = key_map.Place(
        prefix + names.of(number, theirs),
        *((number, num_layers, True) if names.is_stacked else ()))
    return key_map.Entry(f'layer_{number + 1}/{ours}', (place,))

  found = [entry(f'embedding/{local}', f'embedding/{local}')
           for local in ('kernel', 'bias')]
  # big_vision keeps the position embedding, and may keep the class token, with
  # no axis of 1 in front.
  if settings.class_token:
    found.append(entry('class_token', 'cls'))
  if position:
    found.append(entry('position_embedding', position))
  layer = _of_block(names.attention, names.mlp)
  layer |= {f'{ours}/{local}': f'{theirs}{scale}' for ours, theirs in (
      ('attention_norm', 'LayerNorm_0/'), ('mlp_norm', names.mlp_norm))
            for local, scale in (('gamma', 'scale'), ('beta', 'bias'))}
  for number in range(num_layers):
    found += [of_layer(number, ours, theirs)
              for ours, theirs in layer.items()]
  found += [entry('norm/gamma', 'Transformer/encoder_norm/scale'),
            entry('norm/beta', 'Transformer/encoder_norm/bias')]
  if settings.pooler == 'map':
    head = _of_block('MultiHeadDotProductAttention_0/', 'MlpBlock_0/')
    found += [entry(f'map_head/{ours}', _MAP_HEAD + theirs) for ours, theirs in
              {'probe': 'probe', 'norm/gamma': 'LayerNorm_0/scale',
               'norm/beta': 'LayerNorm_0/bias', **head}.items()]
  for part, is_there in (('pre_logits', settings.representation_size),
                         ('head', model.num_classes)):
    if is_there:
      found += [entry(f'{part}/{local}', f'{part}/{local}')
                for local in ('kernel', 'bias')]
  return found


def _of_block(attention: str, mlp: str) -> dict[str, str]:
  """Returns the names of attention and MLP by ours."""
  return {
      **{f'attention/{ours}/{local}': f'{attention}{theirs}/{local}'
         for ours, theirs in (('query', 'query'), ('key', 'key'),
                              ('value', 'value'), ('output', 'out'))
         for local in ('kernel', 'bias')},
      **{f'mlp/{dense.lower()}/{local}': f'{mlp}{dense}/{local}'
         for dense in ('Dense_0', 'Dense_1') for local in ('kernel', 'bias')}}
