"""Tests of the benchmark of exports."""

import itertools
import types

import commands
import numpy as np
import pytest

from official_ext.benchmarks import serving_rows


def fake_row(layout, calls, takes_bytes=False):
  runner = types.SimpleNamespace(
      name='SavedModel', num_bytes=4_200_000, takes_bytes=takes_bytes,
      logits=lambda batch: calls.append((layout, np.shape(batch))))
  return serving_rows.Row(layout, runner, image_size=8)


def test_exports_take_turns():
  calls = []
  rows = [fake_row('B2', calls), fake_row('B1-1', calls, takes_bytes=True)]
  # Every call takes as many seconds as there were calls before it.
  seconds = itertools.chain.from_iterable(
      (start, start + number) for number, start in enumerate(
          range(0, 10_000, 100)))
  serving_rows.measure(rows, [1, 3], rounds=2, clock=lambda: next(seconds))
  of_batch = lambda size: [('B2', (size, 8, 8, 3)), ('B1-1', (size,))]  # noqa: E731
  assert calls == [
      # Twice each to warm up, then in turns.
      *(of_batch(1)[:1] * 2 + of_batch(1)[1:] * 2), *(of_batch(1) * 2),
      *(of_batch(3)[:1] * 2 + of_batch(3)[1:] * 2), *(of_batch(3) * 2)]
  assert rows[0].seconds == {1: [0, 2], 3: [4, 6]}
  assert rows[1].seconds == {1: [1, 3], 3: [5, 7]}


def test_the_table():
  rows = [fake_row('B2', []), fake_row('B1-1', [])]
  rows[0].seconds = {16: [0.4, 0.2, 0.3]}
  rows[1].seconds = {16: [0.1, 0.2, 0.15]}
  lines = serving_rows.format_table(rows, [16]).splitlines()
  assert lines[2:] == [
      '| B2 | SavedModel | 4.20 | 300 (200 to 400) | 53.3 | 1.00x |',
      '| B1-1 | SavedModel | 4.20 | 150 (100 to 200) | 107 | 2.00x |']


@pytest.mark.long
def test_the_command(repository):
  result = commands.run(
      '-m', 'official_ext.benchmarks.serving', '--model_name=vit-nano4',
      '--layouts=B2,B1-1', '--image_size=16', '--formats=tflite',
      '--rounds=2', '--batch_sizes=2', cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  rows = [[cell.strip() for cell in line[1:-1].split('|')]
          for line in result.stdout.splitlines()[4:]]
  assert [row[:2] for row in rows] == [
      ['B2', 'LiteRT float32'], ['B1-1', 'LiteRT float32']]
  assert rows[0][-1] == '1.00x'


@pytest.mark.parametrize(('flag', 'message'), [
    ('--formats=torch', 'use saved_model, tflite, onnx'),
    ('--batch_sizes=0', 'positive integers'),
    ('--xla=yes', '--xla=yes: use off, on, or both'),
    pytest.param('--layouts=7', "layout '7'", marks=pytest.mark.long),
    pytest.param('--model_name=vit-x', 'vit-x', marks=pytest.mark.long),
])
def test_bad_flags(repository, flag, message):
  result = commands.run(
      '-m', 'official_ext.benchmarks.serving', flag, cwd=repository)
  assert result.returncode == 1 and result.stdout == ''
  assert message in result.stderr and 'Traceback' not in result.stderr
