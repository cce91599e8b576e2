"""Tests of the profile: which steps it covers, and that it harms nothing."""

import logging
import pathlib

import models
from official.common import distribute_utils
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from official_ext.params import experiment
from official_ext.training import profiling
from official_ext.training import session
from official_ext.training import throughput


def load(digits_dir, steps=20, interval=20, validation_interval=20, extra=''):
  return experiment.load('funnel_vit_digits', params_override=(
      "task.model.backbone.funnel_vit.layout='B1-1',"
      'task.train_data.global_batch_size=32,'
      'task.validation_data.global_batch_size=180,'
      f"task.data_dir='{digits_dir}',trainer.train_steps={steps},"
      f'trainer.steps_per_loop={interval},'
      f'trainer.checkpoint_interval={interval},'
      f'trainer.validation_interval={validation_interval},'
      f'trainer.optimizer_config.warmup.linear.warmup_steps=1{extra}'))


def run(params, model_dir, profile_steps, mode='train'):
  return session.prepare(
      params, mode, str(model_dir), profile_steps).execute(
          enable_async_checkpointing=False)


def profiles(model_dir):
  return sorted(pathlib.Path(model_dir, 'train').rglob('*.xplane.pb'))


def read(path):
  """The marked steps of a profile, and how often each of its events is there.

  Returns:
    [step, ...] in the order of time, and {name: count} of the host's events.
  """
  space = xplane_pb2.XSpace()
  space.ParseFromString(path.read_bytes())
  plane, = (plane for plane in space.planes if plane.name == '/host:CPU')
  steps, counts = [], {}
  for line in plane.lines:
    for event in line.events:
      name = plane.event_metadata[event.metadata_id].name
      counts[name] = counts.get(name, 0) + 1
      if name == profiling.STEP_NAME:
        steps += [stat.int64_value for stat in event.stats if
                  plane.stat_metadata[stat.metadata_id].name == 'step_num']
  return steps, counts


@pytest.fixture
def timed(monkeypatch):
  """How many steps each call of `Throughput.add` took."""
  taken = []
  add = throughput.Throughput.add

  def record(self, num_steps, seconds):
    taken.append(num_steps)
    add(self, num_steps, seconds)

  monkeypatch.setattr(throughput.Throughput, 'add', record)
  return taken


@pytest.fixture
def warnings(caplog):
  """The warnings so far, as a function."""
  return lambda: [record.getMessage() for record in caplog.records
                  if record.levelno == logging.WARNING
                  and 'official_ext' in record.pathname]


def play(loops, num_steps, first_step=0):
  """A run of loops of given lengths, without a model.

  Returns:
    The number of the first and the last profiled step, or None.
  """
  profiler = profiling.Profiler('', num_steps, first_step + sum(loops))
  step = first_step
  for length in loops:
    remaining = length
    while remaining:
      chunk = 0
      if step > first_step:
        chunk = profiler.chunk(step, remaining)
      if chunk:
        assert 2 <= chunk <= remaining
        covered = min(chunk - 1, num_steps)
        return step + chunk - covered + 1, step + chunk
      step, remaining = step + 1, remaining - 1
  return None


@pytest.mark.parametrize('loops, num_steps, expected', [
    # The first step, 5 to warm up, 5 profiled.
    ([100], 5, (7, 11)),
    ([11, 11], 5, (7, 11)),
    # A loop too short for the whole warm-up.
    ([10, 10], 5, (6, 10)),
    ([7], 5, (3, 7)),
    # The first loop lacks the step that compiles; the second has them all.
    ([6, 6], 5, (8, 12)),
    ([6, 6, 6], 5, (8, 12)),
    # Too few steps, wherever they are.
    ([6], 5, (3, 6)),
    ([3], 5, (3, 3)),
    ([6, 3], 5, (3, 6)),
    ([6, 3], 1, (6, 6)),
    ([1, 2], 1, (3, 3)),
    ([2], 1, None),
    ([1, 1], 1, None),
])
def test_which_steps(loops, num_steps, expected):
  assert play(loops, num_steps) == expected
  # A run that resumes counts from where it begins.
  if expected:
    expected = (expected[0] + 1000, expected[1] + 1000)
  assert play(loops, num_steps, first_step=1000) == expected


@pytest.mark.long
def test_a_run_writes_the_profile_of_five_steps(
    digits_dir, tmp_path, timed, warnings, capfd):
  model_dir = tmp_path / 'a run'
  trainer = run(load(digits_dir), model_dir, 5, 'train_and_eval')
  path, = profiles(model_dir)
  steps, counts = read(path)
  assert steps == [7, 8, 9, 10, 11]
  # Each of them updated the weights once, and no other step is in it.
  updates = [count for name, count in counts.items()
             if name.startswith('AdamWeightDecay/')
             and name.endswith(':AssignSubVariableOp')]
  assert len(updates) > 10 and set(updates) == {5}
  # Neither the step that compiles is timed, nor the warm-up and the profile.
  assert sum(timed) == 20 - 1 - 5 - 5
  assert int(trainer.global_step.numpy()) == 20
  line, = (line for line in capfd.readouterr().out.splitlines()
           if 'profile of steps' in line)
  assert line == (
      f'step 11/20  profile of steps 7 to 11 in {path.parent}; to open it: '
      f"tensorboard --logdir='{model_dir}' in an environment of its own, after "
      'pip install tensorboard tensorboard-plugin-profile')
  assert warnings() == []

  # The run resumes, with fewer steps than asked for.
  trainer = run(load(digits_dir, steps=24), model_dir, 5, 'train_and_eval')
  assert int(trainer.global_step.numpy()) == 24
  shown = capfd.readouterr().out
  assert 'profile of steps 23 to 24 (2, not 5: no more were left) in' in shown
  assert 'steps/s' not in shown
  new, = set(profiles(model_dir)) - {path}
  assert read(new)[0] == [23, 24]

  # Nothing is left to profile.
  run(load(digits_dir, steps=24), model_dir, 5, 'train_and_eval')
  message, = warnings()
  assert message.startswith('Nothing was profiled: a profile takes at least 3')
  assert len(profiles(model_dir)) == 2


@pytest.mark.long
def test_two_replicas(digits_dir, tmp_path, monkeypatch):
  strategy = models.mirrored(2)
  monkeypatch.setattr(
      distribute_utils, 'get_distribution_strategy', lambda **_: strategy)
  run(load(digits_dir, steps=6, interval=6), tmp_path, 2)
  path, = profiles(tmp_path)
  assert read(path)[0] == [5, 6]


@pytest.mark.long
def test_without_the_flag_nothing_is_profiled(digits_dir, tmp_path, timed):
  run(load(digits_dir, steps=6, interval=6), tmp_path, None)
  assert profiles(tmp_path) == []
  assert sum(timed) == 5


def steps_of(calls, failing=None, error=None):
  """A step that counts its calls, and fails in one of them."""

  def run_step():
    calls.append(len(calls) + 1)
    if len(calls) == failing:
      raise error

  return run_step


def read_result():
  return tf.constant(0)


def test_a_session_that_is_active_is_left_alone(tmp_path, warnings):
  calls = []
  tf.profiler.experimental.start(str(tmp_path / 'other'))
  try:
    assert profiling.Profiler(str(tmp_path), 3, 100).run(
        steps_of(calls), read_result, 1, 5) is None
  finally:
    tf.profiler.experimental.stop()
  assert len(calls) == 5
  assert warnings() == ['The profiler of TensorFlow cannot start: Another '
                        'profiler is running. This run has no profile.']
  assert profiles(tmp_path) == []
  assert list((tmp_path / 'other').rglob('*.xplane.pb'))


@pytest.mark.parametrize('error', [
    tf.errors.PermissionDeniedError(None, None, 'read-only.\nMore.'),
    RuntimeError('read-only')])
def test_a_profile_that_cannot_be_written(
    tmp_path, warnings, monkeypatch, error):
  def stop(save):
    assert save
    raise error

  calls = []
  monkeypatch.setattr(tf.profiler.experimental, 'start', lambda _: None)
  monkeypatch.setattr(tf.profiler.experimental, 'stop', stop)
  assert profiling.Profiler(str(tmp_path), 3, 100).run(
      steps_of(calls), read_result, 1, 5) is None
  assert len(calls) == 5
  assert warnings() == ['The profiler of TensorFlow cannot write its profile: '
                        'read-only. This run has no profile.']


def test_a_folder_that_cannot_be_written(tmp_path, warnings):
  (tmp_path / 'train').write_text('A file where the folder should be.')
  assert profiling.Profiler(str(tmp_path), 3, 100).run(
      steps_of([]), read_result, 1, 5) is None
  message, = warnings()
  assert message.startswith('The profiler of TensorFlow')


@pytest.mark.parametrize('error', [
    KeyboardInterrupt(), tf.errors.DataLossError(None, None, 'damaged')])
@pytest.mark.parametrize('failing', [1, 4])
def test_a_training_that_fails_leaves_no_session(
    tmp_path, warnings, error, failing):
  calls = []
  with pytest.raises(type(error)):
    profiling.Profiler(str(tmp_path), 3, 100).run(
        steps_of(calls, failing, error), read_result, 1, 5)
  assert len(calls) == failing
  assert profiles(tmp_path) == [] and warnings() == []
  # Another one may begin. A bracket would be special in a glob.
  folder = tmp_path / '[1]'
  assert profiling.Profiler(str(folder), 3, 100).run(
      steps_of([]), read_result, 1, 5).startswith('profile of steps 4 to 6 in ')
  path, = profiles(folder)
  assert read(path)[0] == [4, 5, 6]


@pytest.mark.parametrize('mode', ['eval', 'continuous_eval'])
def test_an_evaluation_is_refused(digits_dir, tmp_path, mode):
  with pytest.raises(ValueError, match=(
      f'--profile: --mode={mode} has no training step to profile. Leave '
      '--profile out, or use --mode=train')):
    session.prepare(load(digits_dir), mode, str(tmp_path), 5)


def test_several_workers_are_refused(digits_dir, tmp_path):
  params = load(digits_dir, extra=(
      ',runtime.distribution_strategy=multi_worker_mirrored'))
  with pytest.raises(ValueError, match=(
      '--profile: runtime.distribution_strategy=multi_worker_mirrored cannot '
      'be profiled.*profile one machine')):
    session.prepare(params, 'train', str(tmp_path), 5)


@pytest.mark.parametrize('interval, num_steps, message', [
    (20, 20, 'steps=20: must be less than trainer.steps_per_loop=20, .* Lower '
     'it to 19, or raise trainer.steps_per_loop'),
    (1, 1, 'steps=1: must be .*evaluations. Raise trainer.steps_per_loop'),
])
def test_a_number_of_steps_that_does_not_fit(
    digits_dir, tmp_path, interval, num_steps, message):
  with pytest.raises(ValueError, match=message):
    session.prepare(
        load(digits_dir, interval=interval), 'train', str(tmp_path), num_steps)


def test_an_evaluation_ends_a_loop(digits_dir, tmp_path):
  params = load(digits_dir, validation_interval=5)
  session.prepare(params, 'train', str(tmp_path), 5)
  with pytest.raises(ValueError, match='less than trainer.validation_inter'):
    session.prepare(params, 'train_and_eval', str(tmp_path), 5)
