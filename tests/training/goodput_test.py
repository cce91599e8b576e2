"""Tests of where the time of a training goes, by hand."""

import json

import pytest

from official_ext.training import goodput


class Clock:
  """A clock that is set."""

  def __init__(self):
    self.now = 100.0

  def __call__(self):
    return self.now

  def run(self, seconds):
    self.now += seconds


def test_every_second_counts_once():
  clock = Clock()
  watch = goodput.Stopwatch(clock)
  clock.run(5)
  with watch.measure(goodput.CHECKPOINTS):
    clock.run(1)  # What is restored.
  clock.run(2)
  watch.begin_training()
  watch.begin_training()
  clock.run(12)
  watch.add(goodput.COMPILATION, 2)
  watch.add(goodput.STEPS, 7)
  watch.add(goodput.INPUT, 1)
  with watch.measure(goodput.EVALUATION):
    clock.run(3)
    with watch.measure(goodput.CHECKPOINTS):
      clock.run(4)
    clock.run(1)
  clock.run(0.5)
  assert watch.seconds() == {
      'start-up': 7, 'compilation': 2, 'steps': 7, 'input': 1, 'evaluation': 4,
      'checkpoints': 5, 'other': 2.5}


def test_a_measurement_ends_with_an_error():
  clock = Clock()
  watch = goodput.Stopwatch(clock)
  with pytest.raises(KeyError), watch.measure(goodput.EVALUATION):
    clock.run(3)
    raise KeyError
  assert watch.seconds()['evaluation'] == 3


def entry(start, event, step, steps=0.0, **seconds):
  return {'start': start, 'event': event, 'step': step,
          'seconds': {'steps': steps, **seconds}}


def test_steps_that_are_taken_again_are_lost():
  totals = goodput.total([
      entry('a', 'begin', 0), entry('a', 'reach', 100, 10.0, input=1.0),
      # Killed after step 300, the newest checkpoint is of step 250.
      entry('a', 'reach', 300, 50.0, input=5.0),
      entry('b', 'begin', 250), entry('b', 'reach', 400, 30.0, compilation=8.0),
  ])
  # 50 of the 200 steps that took 40 s, with 50 / 200 of the 4 s of waiting.
  assert totals.seconds['lost to restarts'] == pytest.approx(10 + 1)
  assert totals.seconds['steps'] == pytest.approx(50 - 10 + 30)
  assert totals.seconds['input'] == pytest.approx(4)
  assert totals.lost_steps == 50 and totals.num_starts == 2
  assert totals.total_seconds == pytest.approx(50 + 5 + 30 + 8)
  assert totals.goodput == pytest.approx(70 / 93)


def test_a_start_may_go_back_before_the_one_before():
  totals = goodput.total([
      entry('a', 'begin', 0), entry('a', 'reach', 100, 100.0),
      entry('b', 'begin', 100), entry('b', 'reach', 150, 50.0),
      entry('c', 'begin', 80), entry('c', 'reach', 160, 80.0)])
  assert totals.lost_steps == 20 + 50
  assert totals.seconds['lost to restarts'] == pytest.approx(20 + 50)


def test_a_recovery_inside_a_start_goes_back_too():
  totals = goodput.total([
      entry('a', 'begin', 0), entry('a', 'reach', 40, 4.0),
      entry('a', 'begin', 30, 5.0), entry('a', 'reach', 50, 7.0)])
  # Of the second before it went back nobody knows how many steps it took.
  assert totals.seconds['lost to restarts'] == pytest.approx(1)
  assert totals.seconds['steps'] == pytest.approx(6)
  assert totals.num_starts == 1 and totals.lost_steps == 10


def test_an_undisturbed_training_loses_nothing():
  totals = goodput.total([
      entry('a', 'begin', 0), entry('a', 'reach', 100, 10.0, other=30.0),
      entry('b', 'begin', 100), entry('b', 'reach', 200, 10.0)])
  assert totals.seconds['lost to restarts'] == 0 and totals.lost_steps == 0
  assert totals.goodput == 0.4
  assert goodput.describe(totals) == [
      ('goodput', '40.0 % of 50 s in 2 starts'),
      ('time', 'steps 40.0 %, other 60.0 %')]


def test_the_file_holds_what_a_killed_start_did(tmp_path):
  clock = Clock()
  watch = goodput.Stopwatch(clock)
  history = goodput.History(str(tmp_path), watch)
  history.begin(0)
  assert history.totals().goodput is None
  clock.run(4)
  watch.add(goodput.STEPS, 3)
  history.reach(30)
  path = tmp_path / goodput.HISTORY_FILE
  with path.open('a') as file:
    file.write('\n{"start": "cut')
  before = [json.loads(line) for line in path.read_text().split('\n')[1:3]]
  assert [(one['event'], one['step']) for one in before] == [
      ('begin', 0), ('reach', 30)]
  assert before[1]['seconds'] == {
      'steps': 3, 'input': 0, 'compilation': 0, 'evaluation': 0,
      'checkpoints': 0, 'start-up': 0, 'other': 1}
  totals = goodput.read(str(tmp_path))
  assert totals.seconds['steps'] == 3 and totals.total_seconds == 4
  # The next start goes on after it.
  again = goodput.History(str(tmp_path), goodput.Stopwatch(clock))
  again._name = 'another process'
  again.begin(20)
  assert again.totals().seconds['steps'] == 2
  assert again.totals() == goodput.read(str(tmp_path))


def test_a_training_that_stopped_early_is_known_until_it_goes_on(tmp_path):
  folder = str(tmp_path)
  assert goodput.stopped_early_at(folder) is None
  history = goodput.History(folder, goodput.Stopwatch(lambda: 0.0))
  history.begin(0)
  history.reach(8)
  assert goodput.stopped_early_at(folder) is None
  history.stop_early(12)
  # As the end of a run does.
  history.reach(12)
  assert goodput.stopped_early_at(folder) == 12
  assert goodput.read(folder).num_starts == 1
  goodput.History(folder, goodput.Stopwatch(lambda: 0.0)).begin(12)
  assert goodput.stopped_early_at(folder) is None


def test_without_a_history_nothing_is_known(tmp_path):
  assert goodput.read(str(tmp_path)) is None
  assert goodput.describe(goodput.total([])) == []
  assert goodput.total([]).goodput is None


def test_a_history_that_cannot_be_written_is_no_reason_to_end(
    tmp_path, caplog):
  (tmp_path / goodput.HISTORY_FILE).mkdir()
  goodput.History(str(tmp_path), goodput.Stopwatch(Clock())).begin(0)
  assert 'history.jsonl is not written' in caplog.text


@pytest.mark.parametrize('seconds, text', [
    (0.4, '0 s'), (59.6, '1 min 0 s'), (87, '1 min 27 s'),
    (3 * 3600 + 125, '3 h 2 min')])
def test_durations(seconds, text):
  assert goodput.duration(seconds) == text
