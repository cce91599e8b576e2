"""Tests of the layout grammar and of its token counts."""

import hypothesis
from hypothesis import strategies
import pytest

from official_ext.modeling import layout as layout_lib

VIT_B16 = dict(hidden_size=768, mlp_dim=3072, num_heads=12)
AT_224 = (14, 14)
AT_384 = (24, 24)


def resolve(text, grid=AT_224, **settings):
  layout = layout_lib.parse(text)
  return layout, layout_lib.resolve(
      layout, grid=grid, **{**VIT_B16, **settings})


def token_counts(text, grid=AT_224, **settings):
  return [block.num_tokens for block in resolve(text, grid, **settings)[1]]


@pytest.mark.parametrize('text, at_224, at_384', [
    # Tables 1 to 4 of the paper.
    ('B12', [197], [577]),
    ('B6-6', [197, 99], [577, 289]),
    ('B4-4-4', [197, 99, 50], [577, 289, 145]),
    ('B6-6(s4)', [197, 50], [577, 145]),
    ('B6-6-4', [197, 99, 50], [577, 289, 145]),
    ('B6(h1024)-6(h1024)', [197, 99], [577, 289]),
    ('B6(m4096)-6(m4096)', [197, 99], [577, 289]),
    ('B6-6-4(m1536)', [197, 99, 50], [577, 289, 145]),
    ('B6-6-2(m1536)', [197, 99, 50], [577, 289, 145]),
    ('B6(m4096)-6-2(m1536)', [197, 99, 50], [577, 289, 145]),
    ('B3-3-3-3', [197, 99, 50, 26], [577, 289, 145, 73]),
])
def test_token_counts_of_the_paper(text, at_224, at_384):
  assert token_counts(text, AT_224) == at_224
  assert token_counts(text, AT_384) == at_384


def test_token_counts_on_the_grid():
  assert token_counts('B3-3-3-3', pool_axes='grid') == [197, 99, 50, 29]
  assert token_counts('B6-6(s4)', pool_axes='grid') == [197, 50]
  _, blocks = resolve('B3-3-3-3', pool_axes='grid')
  assert [block.patch_shape for block in blocks] == [
      (14, 14), (14, 7), (7, 7), (7, 4)]
  assert [block.pool_window for block in blocks] == [
      (), (1, 2), (2, 1), (1, 2)]


def test_grid_pooling_starts_with_the_width_after_a_square_window():
  _, blocks = resolve('B2-2-2(s4)-2', AT_384, pool_axes='grid')
  assert [block.pool_window for block in blocks] == [
      (), (1, 2), (2, 2), (1, 2)]


def test_without_a_class_token_there_is_one_token_less():
  assert token_counts('B6-6', num_prefix_tokens=0) == [196, 98]
  assert token_counts('B6(196)-6(49)', num_prefix_tokens=0) == [196, 49]
  with pytest.raises(ValueError, match='197 tokens cannot be reached.*196'):
    token_counts('B6(197)-6(98)', num_prefix_tokens=0)


def test_tokens_before_the_patches_are_counted_and_never_pooled():
  assert token_counts('B6-6', num_prefix_tokens=6) == [202, 104]
  assert token_counts('B6(202)-6(55)', num_prefix_tokens=6) == [202, 55]
  for num_prefix_tokens, message in (
      (6, '197 tokens cannot be reached; there are 202 \\(14 x 14 patches and '
       '6 tokens before them\\)'),
      (0, 'there are 196 \\(14 x 14 patches and no tokens before them\\)')):
    with pytest.raises(ValueError, match=message):
      token_counts('B6(197)', num_prefix_tokens=num_prefix_tokens)
  with pytest.raises(ValueError, match=(
      '60 tokens cannot be reached from 196 patch tokens and 2 tokens before '
      'them by any stride: s2 gives 100,')):
    token_counts('B6-6(60)', num_prefix_tokens=2)


def test_a_typed_token_count_implies_the_stride():
  assert resolve('B6(197)-6(50)')[1] == resolve('B6-6(s4)')[1]
  assert resolve('B6(197)-6(50)', pool_axes='grid')[1] == resolve(
      'B6-6(s4)', pool_axes='grid')[1]
  # ceil(196 / 8) = 25: the last window holds four tokens of eight.
  assert resolve('B6-6(26)')[1][1].pool_window == (8,)


def test_sizes_come_from_the_block_and_then_from_the_preset():
  _, blocks = resolve('B6(h1024)-6(m4096)-2(h512, a4, m100)')
  assert [(b.hidden_size, b.mlp_dim, b.num_heads) for b in blocks] == [
      (1024, 3072, 16), (768, 4096, 12), (512, 100, 4)]
  # Heads are hidden / 64 only where the block sets the hidden size.
  assert resolve('B2', hidden_size=192, num_heads=6)[1][0].num_heads == 6


def test_prints_what_was_typed_and_the_token_counts():
  layout, blocks = resolve('B6( m4096 ) - 6 - 2(m1536,a6)')
  assert str(layout) == 'B6(m4096)-6-2(m1536, a6)'
  assert layout_lib.with_token_counts(layout, blocks) == (
      'B6(197, m4096)-6(99)-2(50, m1536, a6)')
  assert layout.num_layers == 14


@pytest.mark.parametrize('text, message', [
    ('', "does not begin with 'B'"),
    ('b12', "does not begin with 'B'"),
    ('12', "does not begin with 'B'"),
    (None, "does not begin with 'B'"),
    ('B', 'block 1 of layout .* cannot be read'),
    ('B6-', 'block 2 of layout .* cannot be read'),
    ('B6--6', 'block 2 of layout .* cannot be read'),
    ('B6(197', r"cannot be read: '6\(197'"),
    ('B6(197))', 'cannot be read'),
    ('B6()', "option '' cannot be read"),
    ('B6(x4)', "option 'x4' cannot be read"),
    ('B6(m-4)', 'cannot be read'),
    ('B6(197, 99)', 'sets its num_tokens twice'),
    ('B6-6(m1, m2)', 'sets its mlp_dim twice'),
    ('B0', 'num_layers is 0, but must be 1 to 1000'),
    ('B99999999999', 'num_layers is 99999999999'),
    ('B6(h0)', 'hidden_size is 0'),
    ('B6(s2)-6', 'Leave out s2'),
    ('B6-6(s1)', 'stride 1 pools nothing'),
])
def test_unreadable_layouts(text, message):
  with pytest.raises(ValueError, match=message):
    layout_lib.parse(text)


@pytest.mark.parametrize('text, settings, message', [
    ('B6(198)-6', {}, '198 tokens cannot be reached; there are 197'),
    ('B6-6(51)', {}, 's2 gives 99, s3 gives 67, s4 gives 50, s8 gives 26'),
    ('B6-6(51)', dict(pool_axes='grid'), 's2 gives 99, s4 gives 50'),
    ('B6-6(99, s4)', {}, '99 tokens cannot be reached; there are 50'),
    ('B6-6(s3)', dict(pool_axes='grid'), 'stride 3 has no window'),
    ('B6-6(s500)', {}, 'larger than the 196 patch tokens'),
    ('B1-1-1-1-1-1-1-1-1-1-1', {}, 'nothing is left to pool'),
    ('B6-6', dict(hidden_size=770), '770 is not divisible by 12 heads'),
    ('B6-6(a5)', {}, '768 is not divisible by 5 heads'),
    ('B6-6(h100)', {}, '100 is not a multiple of the head size 64'),
    ('B6-6', dict(pool_axes='rows'), "pool_axes is 'rows'"),
    ('B6', dict(grid=(0, 3)), 'smaller than a patch'),
])
def test_layouts_that_do_not_fit(text, settings, message):
  with pytest.raises(ValueError, match=message):
    resolve(text, **settings)


def test_an_ambiguous_token_count_lists_the_strides():
  with pytest.raises(ValueError, match='add s2 or s3 to the block'):
    resolve('B2(5)-2(3)', grid=(2, 2))
  layout, blocks = resolve('B2(5)-2(3, s3)', grid=(2, 2))
  assert blocks[1].pool_window == (3,)
  assert layout_lib.with_token_counts(layout, blocks) == 'B2(5)-2(3, s3)'


positive = strategies.integers(1, 10**3)
optional = strategies.none() | positive


@strategies.composite
def layouts(draw):
  blocks = []
  for index in range(draw(strategies.integers(1, 6))):
    blocks.append(layout_lib.Block(
        num_layers=draw(positive),
        num_tokens=draw(optional),
        stride=draw(optional.filter(lambda s: s != 1)) if index else None,
        hidden_size=draw(optional),
        mlp_dim=draw(optional),
        num_heads=draw(optional)))
  return layout_lib.Layout(tuple(blocks))


@hypothesis.given(layouts())
def test_parse_reads_what_is_printed(layout):
  printed = str(layout)
  assert layout_lib.parse(printed) == layout
  assert str(layout_lib.parse(printed)) == printed


@hypothesis.given(
    strides=strategies.lists(strategies.integers(2, 6), max_size=4),
    height=strategies.integers(1, 12),
    width=strategies.integers(1, 12),
    num_prefix_tokens=strategies.integers(0, 6),
    pool_axes=strategies.sampled_from(layout_lib.POOL_AXES))
def test_the_form_with_token_counts_resolves_to_the_same_blocks(
    strides, height, width, num_prefix_tokens, pool_axes):
  layout = layout_lib.parse('-'.join(['B1'] + [f'1(s{s})' for s in strides]))
  # Forget the strides that are the default, as people do.
  layout = layout_lib.Layout(tuple(
      layout_lib.Block(1, stride=None if block.stride == 2 else block.stride)
      for block in layout.blocks))
  settings = dict(grid=(height, width), num_prefix_tokens=num_prefix_tokens,
                  pool_axes=pool_axes, **VIT_B16)
  try:
    blocks = layout_lib.resolve(layout, **settings)
  except ValueError:
    hypothesis.reject()
  printed = layout_lib.with_token_counts(layout, blocks)
  assert layout_lib.resolve(layout_lib.parse(printed), **settings) == blocks
