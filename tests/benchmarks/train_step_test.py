"""Tests of the benchmark of the train step, on small models."""

import io

import commands
import pytest

from official_ext.benchmarks import activations
from official_ext.benchmarks import csv_file
from official_ext.benchmarks import measure
from official_ext.benchmarks import report
from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process
from official_ext.benchmarks import worker

SMALL = dict(model_name='vit-ti16', image_size=32, batch_size=2)


def test_layouts_are_split_outside_of_parentheses():
  assert settings_lib.split_layouts('B12,B6(197, m4096)-6(99), B4-4-4') == [
      'B12', 'B6(197, m4096)-6(99)', 'B4-4-4']


def test_costs_are_of_what_is_computed():
  rows = measure.begin([
      settings_lib.Settings(layout=layout)
      for layout in ('vit', 'B12', 'B6-6', 'B4-4-4')])
  # The design's figures for 1,000 classes; the model here has 1,001.
  assert [round(row.multiply_adds / 1e9, 2) for row in rows] == [
      17.56, 16.35, 12.67, 10.13]
  comparisons = [report.compare(row, rows[0]) for row in rows]
  assert [round(c.ceiling, 2) for c in comparisons] == [1, 1.07, 1.39, 1.73]
  assert [round(100 * c.ideal_memory_saved, 1) for c in comparisons] == [
      0, 0, 26.7, 43.2]
  off = measure.begin([settings_lib.Settings(
      layout='B12', params_override=(
          'task.model.backbone.funnel_vit.fast_path.class_token_only=false'))])
  assert round(off[0].multiply_adds / 1e9, 2) == 17.56


@pytest.mark.parametrize('settings, match', [
    (dict(layout='B0'), 'num_layers is 0'),
    (dict(layout='B12', model_name='vit-x'), "Model Garden's vit: vit-ti16"),
    (dict(layout='vit', model_name='vit-nano4'), 'preset of the baseline'),
    (dict(layout='B12', image_size=8), 'smaller than a patch'),
    (dict(layout='B12', params_override='task.modle=1'), 'modle'),
])
def test_bad_input_is_found_before_anything_runs(settings, match):
  with pytest.raises(ValueError, match=match):
    measure.begin([settings_lib.Settings(**settings)])


@pytest.mark.parametrize('layout, mode', [
    ('B6-6', 'train'),
    *(pytest.param(layout, mode, marks=pytest.mark.long)
      for layout in ('vit', 'B6-6') for mode in settings_lib.MODES
      if (layout, mode) != ('B6-6', 'train'))])
def test_a_step_is_counted_and_trains(layout, mode):
  run, count = step_process.build_step(settings_lib.Settings(
      layout=layout, mode=mode, **SMALL))
  results = [run() for _ in range(3)]
  assert count() >= 3
  before = count()
  run()
  assert count() == before + 1
  assert (results[-1] < results[0]) == (mode == 'train')


@pytest.mark.long
def test_a_run_from_end_to_end():
  rows = measure.begin([
      settings_lib.Settings(layout=layout, **SMALL)
      for layout in ('vit', 'B4-4-4')])
  groups = []
  device = measure.run(
      rows, measure.Plan(rounds=2, steps=2, warmup_steps=1, activations=True,
                         find_batch=False, together=True),
      io.StringIO(), lambda group, device: groups.append((group, device)))
  assert groups == [(rows, device)]
  assert device.endswith(' cores')
  for row in rows:
    assert row.status == 'ok'
    assert len(row.times_ms) == 4
    assert row.peak_gib > 0.1
    assert row.activations_backend == 'cpu'
  assert 0 < rows[1].activations_mib < rows[0].activations_mib


@pytest.mark.long
def test_out_of_memory_is_noticed():
  with pytest.raises(worker.OutOfMemoryError):
    settings = settings_lib.Settings(
        layout='B12', model_name='vit-l16', batch_size=64,
        memory_limit_gib=1.5)
    with worker.Worker(settings) as process:
      process.run_steps(1)


def test_a_killed_process_is_named(capsys):
  settings = settings_lib.Settings(layout='B12', **SMALL)
  with worker.Worker(settings) as process:
    process._process.kill()
    with pytest.raises(worker.OutOfMemoryError, match='ended with -9'):
      process.run_steps(1)
  assert 'layout B12 was killed (signal 9)' in capsys.readouterr().err


def test_another_failure_is_not_taken_for_it():
  settings = settings_lib.Settings(
      layout='B12', params_override='task.model.num_classes=-3', **SMALL)
  with pytest.raises((worker.WorkerError, ValueError)):
    worker.Worker(settings)


@pytest.mark.parametrize('start', [1, 8, 100, 1000])
@pytest.mark.parametrize('limit', [1, 5, 16, 17, 333, 4096])
def test_the_largest_batch(start, limit):
  asked = []

  def fits(batch_size):
    asked.append(batch_size)
    return batch_size <= limit

  found = measure.largest_batch(start, fits)
  assert found <= limit < found + max(1, found // 16) + 1
  assert len(asked) == len(set(asked))


def test_not_even_one_image():
  with pytest.raises(worker.OutOfMemoryError, match='not even one'):
    measure.largest_batch(8, lambda batch_size: False)


def test_a_batch_that_fits_only_for_a_while():
  tried = []

  def fits(batch_size):
    tried.append(batch_size)
    return batch_size <= 30

  assert measure.next_that_fits(36, fits) == 30
  assert tried == [36, 34, 32, 30]
  with pytest.raises(worker.OutOfMemoryError, match='not even one'):
    measure.next_that_fits(3, lambda batch_size: False)


def test_buffers_are_read_from_xlas_words(tmp_path):
  name = (f'module_0001.a_inference_{step_process.DUMPED_FUNCTION}_1.'
          'sm_9.0_gpu_after_optimizations-buffer-assignment.txt')
  (tmp_path / name).write_text(
      'allocation 0: size 4096, parameter 0, shape |f32[1024]|:\n'
      'allocation 1: size 2097152, preallocated-temp:\n'
      ' value: dot (size=1,offset=0): f32[1]\n'
      'allocation 2: size 1048576, preallocated-temp:\n', encoding='utf-8')
  found = activations.read(str(tmp_path))
  assert found.mib == 3
  assert 'gpu' in found.backend
  (tmp_path / f'another.{name}').write_text('', encoding='utf-8')
  with pytest.raises(worker.WorkerError, match='described 2'):
    activations.read(str(tmp_path))


def test_a_tpu_belongs_to_one_process():
  with pytest.raises(ValueError, match='Use in_turn'):
    measure.may_live_together('together', has_tpu=True)
  assert not measure.may_live_together(None, has_tpu=True)


@pytest.mark.long
def test_the_command(repository, tmp_path):
  done = commands.run(
      '-m', 'official_ext.benchmarks.train_step', '--layouts=B6-6',
      '--model_name=vit-ti16', '--image_size=32', '--batch_size=2',
      '--rounds=2', '--steps=2', '--warmup_steps=1', '--noactivations',
      f'--output_dir={tmp_path}', cwd=repository)
  assert done.returncode == 0, done.stderr
  assert "Model Garden's vit" in done.stdout
  assert 'B6(5)-6(3, s2)' in done.stdout
  assert '%|' not in done.stderr  # No bar in a pipe, but lines.
  assert done.stderr.splitlines()[-1] == 'B6(5)-6(3, s2), float32, XLA off'
  table = csv_file.read(tmp_path / 'train_step.csv')
  assert [line['timed_steps'] for line in table.rows] == ['4', '4']
  assert table.head['command'].startswith(
      'python -m official_ext.benchmarks.train_step --layouts=B6-6 --model_')
  assert 'cores' in table.head['machine']
  assert (tmp_path / 'train_step.png').exists()


GOOD = dict(layouts='B12', batch_sizes=[8], dtypes=['float32'], xla=['off'])


def test_every_combination_has_its_baseline():
  found = settings_lib.combine(
      settings_lib.Settings(layout='', image_size=384),
      'B12, B6(197, m4096)-6', [8, 16, 8], ['float32', 'bfloat16'],
      ['off', 'on'])
  assert len(found) == 2 * 2 * 2 * 3
  assert [one.layout for one in found[:4]] == [
      'vit', 'B12', 'B6(197, m4096)-6', 'vit']
  assert {one.image_size for one in found} == {384}
  assert len({one.circumstances for one in found}) == 8


@pytest.mark.parametrize('flag, message', [
    ({'layouts': 'vit,B12'}, 'without being named'),
    ({'layouts': 'B12,,B6-6'}, 'name layouts such as'),
    ({'layouts': 'B6-6,B6-6'}, 'twice'),
    ({'layouts': "'B6-6'"}, '--layouts: layout .* does not begin with'),
    ({'dtypes': ['float64']}, '--dtype=float64'),
    ({'xla': ['yes']}, '--xla=yes'),
])
def test_bad_flags(flag, message):
  with pytest.raises(ValueError, match=message):
    settings_lib.combine(
        settings_lib.Settings(layout=''), **{**GOOD, **flag})


def test_a_limit_that_is_no_number():
  with pytest.raises(ValueError, match='--memory_limit_gib=nan'):
    settings_lib.combine(settings_lib.Settings(
        layout='', memory_limit_gib=float('nan')), **GOOD)
