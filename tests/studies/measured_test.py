"""Tests of what is read from the folder of a training."""

import dataclasses
import json

import logged_runs
import pytest
import short_study

from official_ext.studies import measured
from official_ext.studies import metrics
from official_ext.studies import plan as plan_lib
from official_ext.training import goodput


@pytest.fixture(name='run', scope='module')
def _run(digits_dir, tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(plan_lib, '_check', lambda *_: None)
    return short_study.make(
        tmp_path_factory.mktemp('plan'), digits_dir, claims=[],
        rows={'ViT': {'params_override': {
            short_study.LAYOUT: 'B2', 'trainer.train_steps': 3}}}).runs[0]


@pytest.fixture(name='logged')
def _logged(run, tmp_path):
  """The training with what a driver would have logged in two starts."""
  folder = tmp_path / 'ViT-1'
  event = logged_runs.event
  logged_runs.write_events(folder / 'train', [
      event(1000, 1, training_loss=2.5, throughput__steps_per_second=8.0,
            memory__peak_gib=1.5),
      event(1001, 2, training_loss=2.0, throughput__steps_per_second=2.0,
            memory__peak_gib=1.25),
      event(1002, 3, throughput__steps_per_second=4.0)])
  logged_runs.write_events(folder / 'validation', [
      event(1001, 1, accuracy=0.25, mean_recall=0.125, validation_loss=2.25),
      event(1002, 3, accuracy=0.5, mean_recall=0.375, validation_loss=1.75)
  ], number=1)
  return dataclasses.replace(run, folder=str(folder))


def note_time(run, *starts):
  entries = []
  for number, seconds in enumerate(starts):
    entries += [{'start': f'{number}', 'event': event, 'step': step,
                 'seconds': {'steps': seconds}}
                for event, step in (('begin', number), ('reach', number + 1))]
  with open(f'{run.folder}/history.jsonl', 'w', encoding='utf-8') as file:
    file.writelines(f'\n{json.dumps(entry)}' for entry in entries)


def test_what_a_training_has_reached(logged):
  note_time(logged, 3.0)
  line = measured.line(logged, metrics.ACCURACY, threads=2, cpu_seconds=12.5)
  for name, value in {
      'row': 'ViT', 'seed': 1, 'status': 'finished', 'reason': '',
      'layout': 'B2(17)', 'step': 3, 'top_1_percent': 50.0, 'loss': 1.75,
      'train_loss': 2.0, 'evaluations': '1:25 3:50', 'steps_per_second': 4.0,
      # Of 64 images a step.
      'images_per_second': 256.0, 'seconds': 3.0, 'cpu_seconds': 12.5,
      'peak_memory_gib': 1.5, 'starts': 1, 'threads': 2,
      'fingerprint': logged.fingerprint}.items():
    assert line[name] == value, name


def test_another_metric(logged):
  line = measured.line(logged, metrics.Metric('mean_recall'), 2)
  assert (line['mean_recall_percent'], line['evaluations']) == (
      37.5, '1:12.5 3:37.5')
  assert 'top_1_percent' not in line
  with pytest.raises(ValueError, match=(
      'have no meanPR-AUC at step 3. Set metric in the file of the study to '
      'one of those there are: accuracy, mean_recall.$')):
    measured.line(logged, metrics.Metric('meanPR-AUC'), 2)


def test_a_training_that_stopped_early_is_finished(logged):
  params = logged.params.replace(
      trainer=logged.params.trainer.replace(train_steps=9))
  longer = dataclasses.replace(logged, params=params)
  with pytest.raises(ValueError, match='no accuracy at step 9'):
    measured.line(longer, metrics.ACCURACY, 2)
  history = goodput.History(logged.folder, goodput.Stopwatch())
  history.begin(0)
  history.stop_early(3)
  line = measured.line(longer, metrics.ACCURACY, 2)
  assert (line['status'], line['step'], line['top_1_percent']) == (
      'finished', 3, 50.0)


def test_of_several_starts_the_cpu_time_is_not_known(logged):
  note_time(logged, 3.0, 4.5)
  line = measured.line(logged, metrics.ACCURACY, threads=2, cpu_seconds=12.5)
  assert (line['starts'], line['cpu_seconds']) == (2, None)
  assert line['seconds'] == 7.5


def test_a_training_that_diverged_has_no_accuracy(logged, tmp_path):
  line = measured.line(logged, metrics.ACCURACY, 2,
                       diverged='the training diverged: at step 2')
  assert line['status'] == 'diverged'
  assert line['reason'] == 'the training diverged: at step 2'
  assert line['evaluations'] == '1:25 3:50'
  assert 'top_1_percent' not in line and 'loss' not in line
  nothing = dataclasses.replace(logged, folder=str(tmp_path / 'empty'))
  line = measured.line(nothing, metrics.ACCURACY, 2, diverged='it diverged')
  assert line['status'] == 'diverged' and 'step' not in line


def test_a_training_without_its_last_evaluation_is_not_finished(
    logged, tmp_path):
  (tmp_path / 'ViT-1' / 'validation').rename(tmp_path / 'elsewhere')
  with pytest.raises(ValueError, match='no accuracy at step 3. Were they'):
    measured.line(logged, metrics.ACCURACY, 2)
