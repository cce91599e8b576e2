"""Draws the architecture for the README: `python docs/draw_architecture.py`."""

import pathlib

import matplotlib

matplotlib.use('Agg')
# pylint: disable=g-import-not-at-top
from matplotlib import patches
from matplotlib import pyplot as plt

# pylint: enable=g-import-not-at-top

OUTPUT = pathlib.Path(__file__).parent / 'architecture.png'

CLASS_COLOR = '#d1495b'
PATCH_COLORS = ('#8fb8de', '#5b8ec4', '#2f6296')
LAYER_COLOR = '#f4f1ea'
INK = '#22303c'

CELL = 0.34
BLOCK_X = (2.3, 6.6, 10.9)
BLOCK_WIDTH = 2.5
# Drawn tokens stand for the real ones: 16 for 196, then half, then half again.
DRAWN = (16, 8, 4)
COUNTS = (197, 99, 50)


def draw_tokens(axes, x, num_patches, color):
  """Draws tokens in a column, the class token on top; returns half of it."""
  height = (num_patches + 1) * CELL
  top = height / 2
  for index in range(num_patches + 1):
    y = top - (index + 1) * CELL
    axes.add_patch(patches.Rectangle(
        (x, y), CELL, CELL * 0.86, linewidth=0,
        facecolor=CLASS_COLOR if not index else color))
  return top


def arrow(axes, start, end, **style):
  axes.annotate('', xy=end, xytext=start, arrowprops={
      'arrowstyle': '-|>', 'color': INK, 'linewidth': 1.3, 'shrinkA': 0,
      'shrinkB': 0, **style})


def text(axes, x, y, content, size=10.5, **style):
  axes.text(x, y, content, fontsize=size, **{
      'ha': 'center', 'va': 'center', 'color': INK, **style})


def main():
  figure, axes = plt.subplots(figsize=(13.2, 5.6), dpi=110)
  axes.set_xlim(-0.3, 15.6)
  axes.set_ylim(-4.1, 3.55)
  axes.axis('off')

  # The image, cut into patches.
  for row in range(4):
    for column in range(4):
      axes.add_patch(patches.Rectangle(
          (-0.1 + column * 0.36, -0.72 + row * 0.36), 0.33, 0.33, linewidth=0,
          facecolor=PATCH_COLORS[0]))
  text(axes, 0.6, 1.05, 'image\n14 x 14 patches')
  text(axes, 0.6, -1.15, '+ class token\n+ position', size=9.5)
  arrow(axes, (1.42, 0), (1.95, 0))

  for index, (x, drawn, count) in enumerate(zip(BLOCK_X, DRAWN, COUNTS)):
    color = PATCH_COLORS[index]
    top = draw_tokens(axes, x - 0.3, drawn, color)
    axes.add_patch(patches.FancyBboxPatch(
        (x + 0.35, -top), BLOCK_WIDTH - 0.35, 2 * top,
        boxstyle='round,pad=0.02,rounding_size=0.12', linewidth=1.2,
        edgecolor=INK, facecolor=LAYER_COLOR))
    text(axes, x + 0.35 + (BLOCK_WIDTH - 0.35) / 2, 0,
         f'block {index + 1}\n4 layers\n{count} tokens', size=11.5)
    text(axes, x + BLOCK_WIDTH / 2, 3.3, f'B4({count})', size=12.5,
         weight='bold')
    if index == len(BLOCK_X) - 1:
      continue
    after = BLOCK_X[index + 1]
    below = -(DRAWN[index + 1] + 1) * CELL / 2
    arrow(axes, (x + BLOCK_WIDTH + 0.1, 0), (after - 0.42, 0))
    text(axes, (x + BLOCK_WIDTH + after - 0.3) / 2, 0.3, 'pool', size=10.5)
    # Pool-query-only: keys and values bypass the pool.
    level = -top - 0.4
    start, end = x + BLOCK_WIDTH - 0.35, after + 0.75
    axes.plot([start, start, end, end], [-top, level, level, level],
              color=CLASS_COLOR, linewidth=1.3, linestyle='--')
    arrow(axes, (end, level), (end, below), color=CLASS_COLOR, linestyle='--')
    text(axes, (start + end) / 2 + 0.1, level - 0.27,
         'unpooled: keys and values\nof the first layer', size=9,
         color=CLASS_COLOR, va='top')

  x = BLOCK_X[-1] + BLOCK_WIDTH
  arrow(axes, (x + 0.05, 0), (x + 0.55, 0))
  text(axes, x + 1.3, 0, 'LayerNorm\nclass token\nhead', size=11)
  axes.add_patch(patches.Rectangle(
      (-0.1, -3.55), CELL, CELL * 0.86, linewidth=0, facecolor=CLASS_COLOR))
  axes.text(0.4, -3.41, 'class token, never pooled', fontsize=9.5, color=INK,
            va='center')
  figure.savefig(OUTPUT, bbox_inches='tight', pad_inches=0.05)
  print(f'wrote {OUTPUT}')


if __name__ == '__main__':
  main()
