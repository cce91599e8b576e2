"""Tests of which block has which level, by hand."""

import pytest

from official_ext.configs import backbones
from official_ext.modeling import feature_levels
from official_ext.modeling import layout as layout_lib

PAPER = ['B12', 'B6-6', 'B4-4-4', 'B6-6(s4)', 'B6(h1024)-6(h1024)',
         'B6-6-4(m1536)', 'B6(m4096)-6-2(m1536)']


def resolve_blocks(text, grid, pool_axes):
  return layout_lib.resolve(
      layout_lib.parse(text), grid=grid, hidden_size=768, mlp_dim=3072,
      num_heads=12, pool_axes=pool_axes)


def resolve(text='B4-4-4', grid=(14, 14), pool_axes='grid', patch_size=16,
            **settings):
  return feature_levels.resolve(
      backbones.FeatureMaps(**settings), layout_lib.parse(text),
      resolve_blocks(text, grid, pool_axes), patch_size)


@pytest.mark.parametrize('text, levels', [
    ('B12', {}),
    # 14 x 7 tokens are steps of 16 x 32 px.
    ('B6-6', {}),
    ('B4-4-4', {5: 2}),
    ('B6-6(s4)', {5: 1}),
    ('B4-4(s4)-4(s4)', {5: 1, 6: 2}),
    ('B4-4(s4)-4', {5: 1}),
    ('B2-2-2-2-2', {5: 2, 6: 4}),
])
def test_levels_of_blocks_on_the_grid(text, levels):
  for grid in ((14, 14), (24, 24), (9, 14)):
    assert feature_levels.of_blocks(
        resolve_blocks(text, grid, 'grid'), 16) == levels
    assert feature_levels.of_blocks(
        resolve_blocks(text, grid, 'sequence'), 16) == {}


@pytest.mark.parametrize('grid', [(14, 14), (24, 24)])
@pytest.mark.parametrize('pool_axes', layout_lib.POOL_AXES)
def test_every_layout_of_the_paper_has_the_level_of_its_patches(
    grid, pool_axes):
  for text in PAPER:
    assert resolve(text, grid, pool_axes, levels=[4]) == (
        feature_levels.FeatureMapsSpec((4,), 'blocks', 2))
    assert resolve(
        text, grid, pool_axes, levels=[2, 3, 4, 5], source='pyramid') == (
            feature_levels.FeatureMapsSpec((2, 3, 4, 5), 'pyramid', 2, 256))


def test_a_level_without_a_block_is_refused():
  with pytest.raises(ValueError) as refused:
    resolve('B6-6', pool_axes='sequence', levels=[4, 5])
  assert str(refused.value) == (
      "feature_maps.levels is [4, 5], but layout 'B6-6' has no block whose "
      'tokens form a grid of 32 px, for level 5: pools along the sequence '
      'leave no grid. It has 4. Leave out what it lacks, take every level from '
      'the recovered tokens (feature_maps.source=pyramid), or pool 2 x 2 '
      'patches (pool_axes=grid and s4 in the block).')
  with pytest.raises(ValueError, match='for level 3. It has 4, 5.'):
    resolve('B4-4-4', levels=[5, 3])
  with pytest.raises(ValueError, match='for level 5. It has 4.'):
    resolve('B6-6', levels=[5])


@pytest.mark.parametrize('grid', [(14, 14), (24, 24)])
def test_layouts_of_the_paper_without_a_grid_say_so(grid):
  for text in PAPER:
    for pool_axes in layout_lib.POOL_AXES:
      if pool_axes == 'grid' and text not in (
          'B12', 'B6-6', 'B6(h1024)-6(h1024)'):
        assert resolve(text, grid, pool_axes, levels=[5]).levels == (5,)
        continue
      with pytest.raises(ValueError, match=(
          'has no block whose tokens form a grid of 32 px, for level 5'
          )) as refused:
        resolve(text, grid, pool_axes, levels=[5])
      assert ('pools along the sequence leave no grid' in str(refused.value)
              ) == (pool_axes == 'sequence' and text != 'B12')


@pytest.mark.parametrize('settings, message', [
    (dict(levels=[4, 4]), r'is \[4, 4\], but must name a level once'),
    (dict(levels=[0]), r'is \[0\], but levels are 1 to 10'),
    (dict(levels=[4], patch_size=14), 'patch_size is 14: a level is a power of '
     'two in px, as decoders count. Use patches of 8 or 16 px'),
    (dict(source='tokens'), "source is 'tokens', but must be one of blocks, "),
    (dict(recovery_layers=-1), 'recovery_layers is -1, but must be at least 0'),
    (dict(pyramid_filters=0), 'pyramid_filters is 0, but must be at least 1'),
])
def test_what_does_not_fit_is_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    resolve(**settings)


def test_what_has_no_effect_is_no_difference():
  none = feature_levels.NONE
  assert resolve() == none
  assert resolve(source='pyramid', recovery_layers=7, pyramid_filters=9) == none
  assert resolve(patch_size=14) == none
  # No recovered map, so no layers after it; no pyramid, so no filters.
  assert resolve(levels=[5], recovery_layers=7, pyramid_filters=9) == (
      feature_levels.FeatureMapsSpec((5,)))
  assert resolve(levels=[5, 4], recovery_layers=7) == (
      feature_levels.FeatureMapsSpec((4, 5), 'blocks', 7))


def test_shapes_of_maps():
  shapes = [feature_levels.map_shape(level, (9, 14), 16)
            for level in (2, 3, 4, 5, 6)]
  assert shapes == [(36, 56), (18, 28), (9, 14), (5, 7), (3, 4)]


def test_channels_of_transposed_convolutions():
  assert [feature_levels.up_sampled_sizes(768, steps)
          for steps in (-1, 0, 1, 2)] == [[], [], [384], [384, 192]]
