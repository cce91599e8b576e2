"""Tests of footprints, against lists written by hand."""

import numpy as np
import pytest

from official_ext.modeling import layout as layout_lib
from official_ext.modeling import token_windows


def resolve(text, grid, pool_axes):
  return layout_lib.resolve(
      layout_lib.parse(text), grid=grid, hidden_size=8, mlp_dim=8, num_heads=1,
      pool_axes=pool_axes)


def footprints_of(text, grid, pool_axes):
  return token_windows.footprints(resolve(text, grid, pool_axes))


def test_sizes_by_hand():
  def sizes(*layout):
    return token_windows.sizes(resolve(*layout))

  assert sizes('B1', (2, 3), 'sequence') == [[1] * 6]
  # 15 patches: 7 pairs and one, then 3 of four patches and one of three.
  assert sizes('B1-1-1', (3, 5), 'sequence') == [
      [1] * 15, [2] * 7 + [1], [4] * 3 + [3]]
  assert sizes('B1-1(s4)', (3, 3), 'sequence') == [[1] * 9, [4, 4, 1]]
  assert sizes('B1-1(s4)', (3, 3), 'grid') == [[1] * 9, [4, 2, 2, 1]]
  assert sizes('B1-1(s3)-1', (2, 5), 'sequence') == [
      [1] * 10, [3, 3, 3, 1], [6, 4]]


@pytest.mark.parametrize('layout', [
    ('B2-2-2', (7, 7), 'sequence'), ('B2-2-2', (7, 7), 'grid'),
    ('B1-1(s4)-1', (7, 9), 'grid'), ('B1-1(s3)-1', (5, 5), 'sequence')],
                         ids=str)
def test_sizes_are_those_of_the_footprints(layout):
  assert token_windows.sizes(resolve(*layout)) == [
      [len(patches) for patches in tokens]
      for tokens in footprints_of(*layout)]


def test_sizes_of_keys():
  blocks = resolve('B1-2-1', (3, 5), 'sequence')
  first, second, third = ([1, 1] + sizes for sizes in (
      [1] * 15, [2] * 7 + [1], [4] * 3 + [3]))
  # Of the longer sequence where the keys are unpooled.
  assert token_windows.key_sizes(blocks, 2, True) == [
      first, first, second, second]
  assert token_windows.key_sizes(blocks, 2, False) == [
      first, second, second, third]


def test_windows():
  assert token_windows.windows((5,), (2,)) == [[0, 1], [2, 3], [4]]
  assert token_windows.windows((5,), (4,)) == [[0, 1, 2, 3], [4]]
  assert token_windows.windows((3, 3), (1, 2)) == [
      [0, 1], [2], [3, 4], [5], [6, 7], [8]]
  assert token_windows.windows((3, 3), (2, 2)) == [
      [0, 1, 3, 4], [2, 5], [6, 7], [8]]


@pytest.mark.parametrize('text, grid, pool_axes, block, num_tokens, expected', [
    ('B4-4-4', (14, 14), 'sequence', 1, 98, {
        0: [0, 1], 1: [2, 3], 6: [12, 13], 7: [14, 15], 97: [194, 195]}),
    ('B4-4-4', (14, 14), 'grid', 1, 98, {
        0: [0, 1], 6: [12, 13], 7: [14, 15], 97: [194, 195]}),
    # The fourth token joins the end of the first row to the second row.
    ('B4-4-4', (14, 14), 'sequence', 2, 49, {
        0: [0, 1, 2, 3], 3: [12, 13, 14, 15], 48: [192, 193, 194, 195]}),
    ('B4-4-4', (14, 14), 'grid', 2, 49, {
        0: [0, 1, 14, 15], 6: [12, 13, 26, 27], 7: [28, 29, 42, 43],
        48: [180, 181, 194, 195]}),
    ('B6-6(s4)', (14, 14), 'sequence', 1, 49, {
        3: [12, 13, 14, 15], 48: [192, 193, 194, 195]}),
    ('B6-6(s4)', (14, 14), 'grid', 1, 49, {
        0: [0, 1, 14, 15], 48: [180, 181, 194, 195]}),
    # The third pool of a sequence leaves one of the 49 tokens alone.
    ('B3-3-3-3', (14, 14), 'sequence', 3, 25, {
        0: [0, 1, 2, 3, 4, 5, 6, 7], 24: [192, 193, 194, 195]}),
    # On the grid it pools the width 7 to 4 again.
    ('B3-3-3-3', (14, 14), 'grid', 3, 28, {
        0: [0, 1, 2, 3, 14, 15, 16, 17], 3: [12, 13, 26, 27],
        27: [180, 181, 194, 195]}),
    ('B2-2-2', (7, 7), 'sequence', 1, 25, {
        3: [6, 7], 23: [46, 47], 24: [48]}),
    ('B2-2-2', (7, 7), 'grid', 1, 28, {
        0: [0, 1], 3: [6], 4: [7, 8], 27: [48]}),
    ('B2-2-2', (7, 7), 'grid', 2, 16, {
        0: [0, 1, 7, 8], 3: [6, 13], 12: [42, 43], 15: [48]}),
    ('B2-2-2', (15, 15), 'sequence', 2, 57, {
        3: [12, 13, 14, 15], 56: [224]}),
])
def test_by_hand(text, grid, pool_axes, block, num_tokens, expected):
  tokens = footprints_of(text, grid, pool_axes)[block]
  assert len(tokens) == num_tokens
  assert {token: tokens[token] for token in expected} == expected


@pytest.mark.parametrize('pool_axes', ['sequence', 'grid'])
@pytest.mark.parametrize('text, grid', [
    ('B4-4-4', (14, 14)), ('B1-1(s4)-1', (15, 15)), ('B1-1-1-1', (7, 5)),
    ('B3', (3, 4))])
def test_every_patch_belongs_to_one_token(text, grid, pool_axes):
  blocks = footprints_of(text, grid, pool_axes)
  assert blocks[0] == [[index] for index in range(grid[0] * grid[1])]
  for tokens in blocks:
    patches = [patch for token in tokens for patch in token]
    assert sorted(patches) == list(range(grid[0] * grid[1]))
    owners = token_windows.owners(tokens, grid)
    assert owners.shape == grid
    for patch, token in enumerate(owners.ravel()):
      assert patch in tokens[token]
  assert len(blocks[-1]) == owners.max() + 1


def test_components():
  assert token_windows.count_components([12, 13, 14, 15], (14, 14)) == 2
  assert token_windows.count_components([13, 14], (14, 14)) == 2
  assert token_windows.count_components([0, 1, 14, 15], (14, 14)) == 1
  # A corner does not join them.
  assert token_windows.count_components([0, 15], (14, 14)) == 2
  assert token_windows.count_components([0, 2, 4], (1, 5)) == 3


def test_only_the_sequence_splits_tokens():
  split = {
      axes: [sum(token_windows.count_components(token, (14, 14)) > 1
                 for token in tokens)
             for tokens in footprints_of('B4-4-4', (14, 14), axes)]
      for axes in ('sequence', 'grid')}
  assert split == {'sequence': [0, 0, 7], 'grid': [0, 0, 0]}
  assert np.array_equal(
      token_windows.owners([[0, 3], [1, 2]], (2, 2)), [[0, 1], [1, 0]])
