"""The layout of a Funnel-ViT: how many layers, in which blocks, how pooled.

A layout is typed as the paper prints it (its tables 2 and 4), for example
`B6(197)-6(99)` or `B6(197, m4096)-6(99)-2(50, m1536)`:

    layout  = "B" block { "-" block }
    block   = layers [ "(" option { "," option } ")" ]
    option  = tokens | "s" stride | "h" hidden | "m" mlp | "a" heads

Every option may be left out: the stride is then 2, and the sizes are those of
the model's preset. `parse` reads a layout, `str` prints exactly what was set,
and `resolve` works it out for one model and image size. This file is plain
Python, so that a command can refuse a layout before TensorFlow is loaded.

Legend: N patch tokens, H x W their grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import math
import re
from typing import Any

from official_ext.command_line import errors

SEQUENCE = 'sequence'
GRID = 'grid'
POOL_AXES = (SEQUENCE, GRID)

DEFAULT_STRIDE = 2
_GRID_STRIDES = (2, 4)
# Named where a token count cannot be reached.
_SUGGESTED_STRIDES = (2, 3, 4, 8)
# Funnel-Transformer and ViT both use heads of 64 (arXiv 2010.11929, table 1).
HEAD_SIZE = 64

_EXAMPLES = (
    "'B12', 'B6-6', 'B6(197)-6(99)', 'B6(197, m4096)-6(99)-2(50, m1536)'")
_BLOCK = re.compile(r'(?P<layers>\d+)\s*(?:\((?P<options>[^()]*)\))?')
_OPTION = re.compile(r'(?P<letter>[shma]?)(?P<number>\d+)')
# Beyond these a number is a typo.
_LARGEST = {'num_layers': 1_000, 'num_heads': 10_000}
_LARGEST_SIZE = 1_000_000
_FIELD_OF_LETTER = {
    '': 'num_tokens',
    's': 'stride',
    'h': 'hidden_size',
    'm': 'mlp_dim',
    'a': 'num_heads',
}


@dataclasses.dataclass(frozen=True)
class Block:
  """One block as it was typed; None is "not typed".

  Attributes:
    num_layers: Transformer layers in the block.
    num_tokens: tokens in the block, those before the patches included.
    stride: how many times fewer patch tokens than in the block before.
    hidden_size: width of the hidden states.
    mlp_dim: width of the MLP's inner layer.
    num_heads: attention heads.
  """
  num_layers: int
  num_tokens: int | None = None
  stride: int | None = None
  hidden_size: int | None = None
  mlp_dim: int | None = None
  num_heads: int | None = None

  def __str__(self) -> str:
    options = [
        f'{letter}{getattr(self, field)}'
        for letter, field in _FIELD_OF_LETTER.items()
        if getattr(self, field) is not None
    ]
    return f'{self.num_layers}' + (f'({", ".join(options)})' if options else '')


@dataclasses.dataclass(frozen=True)
class Layout:
  """The blocks of a layout, as typed."""
  blocks: tuple[Block, ...]

  @property
  def num_layers(self) -> int:
    return sum(block.num_layers for block in self.blocks)

  def __str__(self) -> str:
    return 'B' + '-'.join(str(block) for block in self.blocks)


@dataclasses.dataclass(frozen=True)
class ResolvedBlock:
  """One block of a model, with nothing left open.

  Attributes:
    num_layers: Transformer layers in the block.
    num_tokens: tokens in the block, those before the patches included.
    pool_window: how the tokens of the block before are pooled: `()` for the
      first block, `(stride,)` along the sequence, `(rows, columns)` on the
      grid.
    patch_shape: the patch tokens of this block: `(N,)` or `(H, W)`.
    hidden_size: width of the hidden states.
    mlp_dim: width of the MLP's inner layer.
    num_heads: attention heads.
  """
  num_layers: int
  num_tokens: int
  pool_window: tuple[int, ...]
  patch_shape: tuple[int, ...]
  hidden_size: int
  mlp_dim: int
  num_heads: int


def as_block(block: ResolvedBlock | Mapping[str, Any]) -> ResolvedBlock:
  """Returns a block, from its values too, where JSON made tuples lists."""
  if isinstance(block, ResolvedBlock):
    return block
  return ResolvedBlock(**{
      key: tuple(value) if isinstance(value, (list, tuple)) else value
      for key, value in block.items()})


def parse(text: str) -> Layout:
  """Reads a layout such as 'B6(197)-6(99)'.

  Args:
    text: the layout; spaces between its parts are allowed.

  Returns:
    The layout as typed.

  Raises:
    ValueError: if `text` is not a layout, naming the part that cannot be read.
  """
  stripped = text.strip() if isinstance(text, str) else ''
  if not stripped.startswith('B'):
    raise ValueError(
        f"layout {text!r} does not begin with 'B'. Type it as the paper prints "
        f'it, for example {_EXAMPLES}.')
  return Layout(tuple(
      _parse_block(part, text, index)
      for index, part in enumerate(stripped[1:].split('-'))))


def _parse_block(part: str, text: str, index: int) -> Block:
  """Reads one block; `text` and `index` say where it stands, for errors."""
  where = f'block {index + 1} of layout {text!r}'
  match = _BLOCK.fullmatch(part.strip())
  if not match:
    raise ValueError(
        f'{where} cannot be read: {part.strip()!r}. A block is a number of '
        'layers, then optionally parentheses holding a token count, s<stride>, '
        f'h<hidden>, m<mlp> or a<heads>, as in {_EXAMPLES}.')
  fields = {'num_layers': int(match['layers'])}
  options = match['options']
  for option in options.split(',') if options is not None else ():
    option_match = _OPTION.fullmatch(option.strip())
    if not option_match:
      raise ValueError(
          f'{where}: option {option.strip()!r} cannot be read. Options are a '
          'token count (99), s<stride> (s2), h<hidden> (h1024), m<mlp> (m4096) '
          'and a<heads> (a16).')
    field = _FIELD_OF_LETTER[option_match['letter']]
    if field in fields:
      raise ValueError(f'{where} sets its {field} twice.')
    fields[field] = int(option_match['number'])
  for field, value in fields.items():
    largest = _LARGEST.get(field, _LARGEST_SIZE)
    if not 1 <= value <= largest:
      raise ValueError(
          f'{where}: {field} is {value}, but must be 1 to {largest}.')
  if fields.get('stride') == 1:
    raise ValueError(
        f'{where}: stride 1 pools nothing. Join the two blocks into one, or '
        'use a stride of at least 2.')
  if index == 0 and 'stride' in fields:
    raise ValueError(
        f'{where}: nothing is pooled before the first block, so it takes no '
        f'stride. Leave out s{fields["stride"]}.')
  return Block(**fields)


def resolve(
    layout: Layout,
    *,
    grid: tuple[int, int],
    hidden_size: int,
    mlp_dim: int,
    num_heads: int,
    num_prefix_tokens: int = 1,
    pool_axes: str = SEQUENCE,
) -> tuple[ResolvedBlock, ...]:
  """Works out the tokens and the sizes of every block.

  Pooling along the sequence is the paper's (section 3.2). On the grid, pools
  of stride 2 alternate between the width and the height, and a pool of stride
  4 takes 2 x 2 patches.

  Args:
    layout: what `parse` returned.
    grid: patches of the image, (rows, columns).
    hidden_size: width of the hidden states where the layout sets none.
    mlp_dim: width of the MLP's inner layer where the layout sets none.
    num_heads: attention heads where the layout sets neither them nor a hidden
      size; a block that sets only its hidden size gets hidden / 64 heads.
    num_prefix_tokens: tokens before the patches, which are never pooled: the
      class token, a distillation token, registers.
    pool_axes: 'sequence' or 'grid'.

  Returns:
    The blocks, in order.

  Raises:
    ValueError: if a token count cannot be reached, a stride does not fit, or
      a hidden size is not a multiple of its heads.
  """
  errors.check_choice('pool_axes', pool_axes, POOL_AXES)
  if min(grid) < 1:
    raise ValueError(
        f'the grid of patches is {grid[0]} x {grid[1]}: the image is smaller '
        'than a patch. Use a larger image or a smaller patch_size.')
  shape = grid if pool_axes == GRID else (grid[0] * grid[1],)
  next_axis = 1  # Of the grid: 0 is the height, 1 the width.
  resolved = []
  for index, block in enumerate(layout.blocks):
    where = f'block {index + 1} ({block}) of layout {str(layout)!r}'
    window = ()
    if index:
      stride = _stride(block, shape, next_axis, num_prefix_tokens, where)
      window = _window(stride, shape, next_axis, where)
      shape = _pooled(shape, window)
      next_axis = 1 - next_axis if stride == 2 else 1
    num_tokens = math.prod(shape) + num_prefix_tokens
    if block.num_tokens not in (None, num_tokens):
      raise ValueError(
          f'{where}: {block.num_tokens} tokens cannot be reached; there are '
          f'{num_tokens} ({_describe(grid, num_prefix_tokens)}). Type '
          f'{num_tokens}, or leave the token count out.')
    resolved.append(ResolvedBlock(
        num_layers=block.num_layers, num_tokens=num_tokens, pool_window=window,
        patch_shape=shape, **_sizes(
            block, hidden_size, mlp_dim, num_heads, where)))
  return tuple(resolved)


def with_token_counts(
    layout: Layout, blocks: Sequence[ResolvedBlock]) -> str:
  """Prints a layout with the token count of every block, 'B6(197)-6(99)'.

  The result parses back to the same blocks: a stride other than the default
  is kept where the token count alone would not tell it.

  Args:
    layout: the layout as typed.
    blocks: what `resolve` made of it.

  Returns:
    The layout in the paper's notation.
  """
  printed = []
  for index, (typed, block) in enumerate(zip(layout.blocks, blocks)):
    stride = typed.stride
    if index and stride is None:
      before = blocks[index - 1].patch_shape
      if _is_ambiguous(before, block.patch_shape):
        stride = math.prod(block.pool_window)
    printed.append(dataclasses.replace(
        typed, num_tokens=block.num_tokens, stride=stride))
  return str(Layout(tuple(printed)))


def _pooled(shape: Sequence[int], window: Sequence[int]) -> tuple[int, ...]:
  """Returns the shape after pooling; a short last window counts as one."""
  return tuple(-(-side // step) for side, step in zip(shape, window))


def _window(stride: int, shape: Sequence[int], next_axis: int,
            where: str) -> tuple[int, ...]:
  """Returns the window of a stride, (stride,) or (rows, columns)."""
  if len(shape) == 1:
    window = (stride,)
  elif stride == 2:
    window = (2, 1) if next_axis == 0 else (1, 2)
  elif stride == 4:
    window = (2, 2)
  else:
    raise ValueError(
        f'{where}: stride {stride} has no window on the grid. Use 2 (one axis) '
        "or 4 (2 x 2 patches), or pool_axes='sequence'.")
  if _pooled(shape, window) == tuple(shape):
    raise ValueError(
        f'{where}: nothing is left to pool on a '
        f'{" x ".join(map(str, shape))} arrangement of patches. Use fewer '
        'blocks or a larger image.')
  return window


def _stride(block: Block, shape: Sequence[int], next_axis: int,
            num_prefix_tokens: int, where: str) -> int:
  """Returns the stride that a block sets or its token count implies, or 2."""
  if block.stride is not None:
    if len(shape) == 1 and block.stride > shape[0]:
      raise ValueError(
          f'{where}: stride {block.stride} is larger than the {shape[0]} patch '
          'tokens there are. Use a smaller one.')
    return block.stride
  if block.num_tokens is None:
    return DEFAULT_STRIDE
  # Stride to the tokens that it leaves.
  reached = {
      stride: math.prod(_pooled(
          shape, _window(stride, shape, next_axis, where))) +
              num_prefix_tokens
      for stride in (
          _GRID_STRIDES if len(shape) == 2 else range(2, shape[0] + 1))}
  fitting = [stride for stride, num_tokens in reached.items()
             if num_tokens == block.num_tokens]
  if len(fitting) == 1:
    return fitting[0]
  before = math.prod(shape) + num_prefix_tokens
  if fitting:
    choices = ' or '.join(f's{stride}' for stride in fitting)
    raise ValueError(
        f'{where}: several strides pool {before} tokens to {block.num_tokens}. '
        f'Say which: add {choices} to the block.')
  options = [f's{stride} gives {reached[stride]}'
             for stride in _SUGGESTED_STRIDES if stride in reached]
  raise ValueError(
      f'{where}: {block.num_tokens} tokens cannot be reached from '
      f'{math.prod(shape)} patch tokens and {_prefix(num_prefix_tokens)} by '
      'any stride: '
      f'{", ".join(options) or "nothing is left to pool"}. Type one of these, '
      'or leave the token count out.')


def _sizes(block: Block, hidden_size: int, mlp_dim: int, num_heads: int,
           where: str) -> dict[str, int]:
  """Returns the widths and heads of a block, its own or the preset's."""
  width = block.hidden_size or hidden_size
  if block.num_heads is not None:
    heads = block.num_heads
  elif block.hidden_size is not None:
    if width % HEAD_SIZE:
      raise ValueError(
          f'{where}: hidden size {width} is not a multiple of the head size '
          f'{HEAD_SIZE}. Use a multiple, or set the heads: h{width}, a<heads>.')
    heads = width // HEAD_SIZE
  else:
    heads = num_heads
  if width % heads:
    raise ValueError(
        f'{where}: hidden size {width} is not divisible by {heads} heads. '
        'Change one of them (h<hidden>, a<heads> in the layout; hidden_size, '
        'transformer.num_heads in the configuration).')
  return dict(
      hidden_size=width, mlp_dim=block.mlp_dim or mlp_dim, num_heads=heads)


def _is_ambiguous(before: Sequence[int], after: Sequence[int]) -> bool:
  """Returns whether another stride might pool to as many tokens."""
  if len(before) == 1:
    return sum(_pooled(before, (stride,)) == tuple(after)
               for stride in range(2, before[0] + 1)) > 1
  # Which axis a stride of 2 would pool is not known here.
  two, other_two, four = (
      _pooled(before, window) for window in ((1, 2), (2, 1), (2, 2)))
  counts = [math.prod(shape) for shape in (two, other_two)
            if shape != tuple(before)]
  return math.prod(four) == math.prod(after) and math.prod(four) in counts


def _describe(grid: Sequence[int], num_prefix_tokens: int) -> str:
  return f'{grid[0]} x {grid[1]} patches and {_prefix(num_prefix_tokens)}'


def _prefix(num_prefix_tokens: int) -> str:
  """Names the tokens that are never pooled."""
  return (f'{num_prefix_tokens or "no"} '
          f'{"token" if num_prefix_tokens == 1 else "tokens"} before them')
