"""Tests of what is measured when, on small models."""

import io

from official.core import task_factory
import pytest

from official_ext.benchmarks import measure
from official_ext.benchmarks import report
from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process
from official_ext.modeling import hardware

SMALL = dict(model_name='vit-ti16', image_size=32, batch_size=2)
FUSED = 'task.model.backbone.funnel_vit.fast_path.attention=fused'


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


def test_peers_stand_beside_model_gardens_vit():
  rows = measure.begin([
      settings_lib.Settings(layout=layout, peer=peer) for layout, peer in (
          ('vit', ''), ('B4-4-4', ''), ('vit', 'timm'),
          ('B4-4-4', 'timm_pooled'))])
  assert [row.name for row in rows] == [
      "Model Garden's vit", 'B4(197)-4(99)-4(50)', "timm's ViT, PyTorch",
      'timm with B4-4-4, PyTorch']
  # timm's ViT computes all tokens of its last layer too.
  assert [round(row.multiply_adds / 1e9, 2) for row in rows] == [
      17.56, 10.13, 17.56, 10.13]
  assert [row.baseline for row in rows] == [None, *rows[:1] * 3]


@pytest.mark.parametrize('settings, match', [
    (dict(layout='B0'), 'num_layers is 0'),
    (dict(layout='B12', model_name='vit-x'), "Model Garden's vit: vit-ti16"),
    (dict(layout='vit', model_name='vit-nano4'), 'preset of the baseline'),
    (dict(layout='B12', image_size=8), 'smaller than a patch'),
    (dict(layout='B12', params_override='task.modle=1'), 'modle'),
    (dict(layout='B12', params_override=FUSED), 'fused, but XLA does not comp'),
    (dict(layout='B12', xla=True, params_override=FUSED),
     'fused, but TensorFlow sees no GPU. The kernel needs an NVIDIA GPU of '
     'compute capability 8.0 or newer, XLA, and layers in bfloat16 or float16'),
])
def test_bad_input_is_found_before_anything_runs(settings, match):
  with pytest.raises(ValueError, match=match):
    measure.begin([settings_lib.Settings(**settings)])


def test_what_a_row_leaves_without_effect_is_not_warned_of(caplog):
  common = dict(dtype='bfloat16', xla=True, params_override=FUSED)
  with hardware.assume_gpu():
    rows = measure.begin([
        settings_lib.Settings(layout=layout, **common)
        for layout in ('vit', 'B12')])
  assert len(rows) == 2 and not caplog.text
  # What was typed is, once.
  measure.begin([settings_lib.Settings(
      layout=layout, params_override=FUSED.replace('fused', 'plain'))
                 for layout in ('vit', 'B12')])
  assert caplog.text.count('has no effect: runtime.num_gpus is 0') == 1
  # Evaluations attend plainly where they must.
  measure.begin([settings_lib.Settings(
      layout='B12', mode='eval', params_override=FUSED)])


@pytest.mark.long
def test_a_run_from_end_to_end():
  rows = measure.begin([
      settings_lib.Settings(layout=layout, **SMALL)
      for layout in ('vit', 'B4-4-4')])
  groups = []
  measure.run(
      rows, measure.Plan(rounds=2, steps=2, warmup_steps=1, activations=True,
                         find_batch=False, together=True),
      io.StringIO(), groups.append)
  assert groups == [rows]
  for row in rows:
    assert row.device.endswith(' cores')
    assert row.status == 'ok'
    assert len(row.times_ms) == 4
    assert row.peak_gib > 0.1
    assert row.activations_backend == 'cpu'
  assert 0 < rows[1].activations_mib < rows[0].activations_mib


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
  with pytest.raises(step_process.OutOfMemoryError, match='not even one'):
    measure.largest_batch(8, lambda batch_size: False)


def test_a_baseline_is_of_the_same_circumstances():
  rows = measure.begin(settings_lib.combine(
      settings_lib.Settings(layout='', **SMALL), 'B12,B6-6', [2, 4],
      ['float32', 'bfloat16'], ['off', 'on']))
  assert len(rows) == 2 * 2 * 2 * 3
  for row in rows:
    expected = row.settings.replace(layout='vit')
    assert (row.baseline or row).settings == expected
    assert bool(row.baseline) == (row.settings.layout != 'vit')


def test_a_tpu_belongs_to_one_process():
  with pytest.raises(ValueError, match='Use in_turn'):
    measure.may_live_together('together', has_tpu=True)
  assert not measure.may_live_together(None, has_tpu=True)


@pytest.mark.slow
def test_a_head_on_a_map_is_counted():
  rows = measure.begin(settings_lib.combine(
      settings_lib.Settings(layout='', model_name='vit-ti16', image_size=32),
      'B2', [2], ['float32'], ['off'], feature_maps=['recovered_0', 'pyramid']))
  plain = measure.begin(settings_lib.combine(
      settings_lib.Settings(layout='', model_name='vit-ti16', image_size=32),
      'B2', [2], ['float32'], ['off']))[1]
  # 21 classes for each of 2 x 2 patches, in place of 1,001 for an image.
  body = plain.parameters - 193 * 1001
  assert rows[1].parameters == body + 193 * 21
  # A pyramid's finest map is of 4 px, of 256 channels.
  model = task_factory.get_task(
      settings_lib.load_experiment(rows[3].settings).task).build_model()
  assert rows[3].parameters == model.count_params()
  assert model.head.weights[0].shape == (1, 1, 256, 21)
