"""The figure of footprints: a row for each model, a column for each block.

Legend: H x W the grid of patches.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import textwrap

from matplotlib import axes as axes_lib
from matplotlib import collections
from matplotlib import colors
from matplotlib import figure as figure_lib
import numpy as np
import tensorflow as tf

from official_ext import figures
from official_ext.analysis import pixels
from official_ext.command_line import tables
from official_ext.configs import backbones
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import specs
from official_ext.modeling import token_windows

# Width of one cell, inches.
_CELL = 2.4
# Characters of a note to an inch of the figure, and the height of a line.
_NOTE_CHARACTERS = 14
_LINE = 0.16
# Tokens of one piece are cool, those of several warm, so that these stand out.
_WHOLE = ('#a8dadc', '#6fb7d6', '#95d5b2', '#b8c0ff', '#7fc8a9', '#8fa8c8')
_SPLIT = ('#ffb703', '#f4768a', '#fb8500', '#e5989b', '#ffe169', '#d1495b')
_SPLIT_NOTE = 'Warm colours: tokens whose patches lie in several pieces.'
_BORDER, _PATCH_BORDER = '#14213d', '#ffffff'
# Light and dark patches where there is no image.
_BLANK = (1.0, 0.93)
# How dark the black of an image is drawn, so that colours show on it.
_BLACK = 0.6


@dataclasses.dataclass(frozen=True)
class Row:
  """A model whose tokens are drawn.

  Attributes:
    name: printed left of it.
    spec: of the model.
  """
  name: str
  spec: specs.ModelSpec


def rows_of_layout(layout: str, model_name: str,
                   side_px: int) -> tuple[list[Row], list[str]]:
  """Resolves a layout pooled along the sequence, and on the grid.

  Args:
    layout: as it is typed.
    model_name: the preset.
    side_px: side of the images, px.

  Returns:
    The rows, and notes that say which of the two there cannot be, and why.

  Raises:
    ValueError: if there can be neither, or patches do not fill the image.
  """
  rows, errors = [], []
  for axes in layout_lib.POOL_AXES:
    config = backbones.FunnelViT(
        model_name=model_name, layout=layout, pool_axes=axes)
    try:
      rows.append(Row(axes, specs.resolve(config, (side_px, side_px))))
    except ValueError as error:
      errors.append((axes, error))
  if not rows:
    raise errors[0][1]
  specs.check_patches(
      (side_px, side_px), rows[0].spec.patch_size, '--image_size')
  return rows, [f'Not drawn: pooling with pool_axes={axes}, as {error}'
                for axes, error in errors]


def draw(rows: Sequence[Row], image: np.ndarray | None,
         notes: Sequence[str] = ()) -> figure_lib.Figure:
  """Draws which patches every token of every block stands for.

  Args:
    rows: with as many blocks each.
    image: RGB from 0 to 1, [height, width, 3], laid under the tokens; None:
      light and dark patches.
    notes: printed below.

  Returns:
    The figure.
  """
  num_blocks = len(rows[0].spec.blocks)
  height, width = rows[0].spec.grid
  footprints = [token_windows.footprints(row.spec.blocks) for row in rows]
  if any(count_split(tokens, rows[0].spec.grid)
         for blocks in footprints for tokens in blocks):
    notes = [_SPLIT_NOTE, *notes]
  figure, axes = figures.grid(
      len(rows), num_blocks, [row.name for row in rows])
  figure_width = _CELL * num_blocks + 0.4
  lines = [line for note in notes for line in textwrap.wrap(
      note, int(_NOTE_CHARACTERS * figure_width))]
  figure.set_size_inches(
      figure_width, (_CELL * height / width + 0.55) * len(rows)
      + _LINE * len(lines))
  for row, cells, blocks in zip(rows, axes, footprints):
    for index, (cell, tokens) in enumerate(zip(cells, blocks), start=1):
      _draw_tokens(cell, tokens, image, row.spec)
      cell.set_title(
          f'block {index}: {len(tokens)} patch tokens'
          f'{describe_prefix(row.spec)}', fontsize=9)
      figures.caption(cell, describe(tokens, row.spec.grid))
  if lines:
    figure.supxlabel('\n'.join(lines), fontsize=8, color='0.3')
  return figure


def describe_prefix(spec: specs.ModelSpec) -> str:
  """Names the tokens that are never pooled, such as ' + class'."""
  return ''.join(f' + {name}' for name, is_there in (
      ('class', spec.has_class_token),
      ('distillation', spec.has_distillation_token),
      (tables.counted(spec.num_registers, 'register'), spec.num_registers))
                 if is_there)


def count_split(tokens: Sequence[Sequence[int]], grid: tuple[int, int]) -> int:
  """Counts the tokens that have their patches in more than one piece."""
  return sum(
      token_windows.count_components(patches, grid) > 1 for patches in tokens)


def describe(tokens: Sequence[Sequence[int]], grid: tuple[int, int]) -> str:
  """Says how many patches tokens have, and whether all are in one piece.

  Args:
    tokens: the patches of each token.
    grid: (H, W).

  Returns:
    A line for below a cell.
  """
  sizes = {len(patches) for patches in tokens}
  least, most = min(sizes), max(sizes)
  text = f'{least if least == most else f"{least} to {most}"} patch'
  text += f'{"" if most == 1 else "es"} per token'
  num_split = count_split(tokens, grid)
  return f'{text}, {num_split} split' if num_split else text


def read_square(path: str, side_px: int) -> np.ndarray:
  """Reads the middle of an image.

  Args:
    path: of a JPEG, PNG, BMP or GIF.
    side_px: side of the result, px.

  Returns:
    RGB from 0 to 1, [side_px, side_px, 3].

  Raises:
    ValueError: if it is no image.
  """
  try:
    image = tf.io.decode_image(
        tf.io.read_file(path), channels=3, expand_animations=False)
  except tf.errors.InvalidArgumentError as error:
    raise ValueError(
        f'--image={path} is no JPEG, PNG, BMP or GIF that can be decoded.'
    ) from error
  side = min(image.shape[:2])
  square = tf.image.resize_with_crop_or_pad(image, side, side)
  resized = tf.image.resize(square, [side_px, side_px], antialias=True)
  return np.clip(resized.numpy() / 255, 0, 1)


def _draw_tokens(cell: axes_lib.Axes, tokens: Sequence[Sequence[int]],
                 image: np.ndarray | None, spec: specs.ModelSpec) -> None:
  """Colours the patches of every token and draws borders, a patch being 1."""
  height, width = spec.grid
  owners = token_windows.owners(tokens, spec.grid)
  fills = np.array([colors.to_rgb(color) for color in _colors(tokens, owners)])
  cell.imshow(_shade(fills[owners], image, spec.patch_size),
              extent=(0, width, height, 0), interpolation='nearest')
  line_width = min(1.0, 12 / max(spec.grid))
  look = dict(colors=_PATCH_BORDER, linewidths=0.4 * line_width, alpha=0.7)
  cell.hlines(range(1, height), 0, width, **look)
  cell.vlines(range(1, width), 0, height, **look)
  cell.add_collection(collections.LineCollection(
      _borders(owners), colors=_BORDER, linewidths=line_width,
      capstyle='projecting'))


def _shade(fills: np.ndarray, image: np.ndarray | None,
           patch_size: int) -> np.ndarray:
  """Makes colours [H, W, 3] as dark as what lies under them.

  Args:
    fills: of the patches, [H, W, 3].
    image: [height, width, 3] or None.
    patch_size: side of a patch, px.

  Returns:
    RGB from 0 to 1, [H, W, 3] or [H * patch_size, W * patch_size, 3].
  """
  height, width = fills.shape[:2]
  if image is None:
    rows, columns = np.indices((height, width))
    shades = np.take(_BLANK, (rows + columns) % 2)
  else:
    # The pixels that are left over at the right and below are in no patch.
    shades = pixels.luminance(
        image[:height * patch_size, :width * patch_size])
    shades = _BLACK + (1 - _BLACK) * shades
    fills = fills.repeat(patch_size, axis=0).repeat(patch_size, axis=1)
  return np.clip(fills * shades[..., np.newaxis], 0, 1)


def _borders(owners: np.ndarray) -> list:
  """Finds the sides of patches between two tokens, or at the edge.

  Args:
    owners: the token of each patch, [H, W].

  Returns:
    Lines ((x, y), (x, y)) in units of patches.
  """
  # Row 0 is now above the grid, and column 0 left of it.
  padded = np.pad(owners, 1, constant_values=-1)
  upright = [((column, row - 1), (column, row)) for row, column
             in np.argwhere(padded[:, 1:] != padded[:, :-1])]
  level = [((column - 1, row), (column, row)) for row, column
           in np.argwhere(padded[1:] != padded[:-1])]
  return upright + level


def _colors(tokens: Sequence[Sequence[int]], owners: np.ndarray) -> list[str]:
  """Chooses a colour for each token, another than its neighbours have."""
  near = [set() for _ in tokens]
  for one, two in ((owners[1:], owners[:-1]), (owners[:, 1:], owners[:, :-1]),
                   (owners[1:, 1:], owners[:-1, :-1]),
                   (owners[1:, :-1], owners[:-1, 1:])):
    for first, second in zip(one.ravel(), two.ravel()):
      near[first].add(second)
      near[second].add(first)
  chosen = [None] * len(tokens)
  num_split = 0
  for token, patches in enumerate(tokens):
    palette = _WHOLE
    if token_windows.count_components(patches, owners.shape) > 1:
      # In turns, so that the pieces of one are told from those of the next.
      first = num_split % len(_SPLIT)
      palette = _SPLIT[first:] + _SPLIT[:first]
      num_split += 1
    taken = [chosen[other] for other in near[token] if other != token]
    # With more neighbours than colours, the one that fewest of them have.
    chosen[token] = min(palette, key=taken.count)
  return chosen
