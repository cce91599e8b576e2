"""A training that is logged to Weights & Biases, offline, read back."""

import json
import pathlib
import struct
import types

import event_files
import pytest
import short_runs

from official_ext.command_line import errors
from official_ext.training import trackers
from official_ext.training import trainer as trainer_lib
from official_ext.training import weights_and_biases

pytestmark = pytest.mark.long
SETTINGS = {
    f'trainer.{name}': 2 for name in (
        'steps_per_loop', 'summary_interval', 'checkpoint_interval',
        'validation_interval')} | {
            'trainer.export.at_end': False,
            'trainer.logging.training_images': 2,
            'trainer.logging.wandb': 'someone/funnel'}


# W&B's files are logs as LevelDB has them, after a head: blocks, and in these
# pieces of records, each after its checksum, its length and its kind.
HEAD = struct.Struct('<4sHB')
BLOCK_SIZE = 32_768
PIECE = struct.Struct('<IHB')
FULL, LAST = 1, 4


@pytest.fixture(autouse=True)
def _new_session():
  """W&B reads its environment once in a session."""
  import wandb
  wandb.teardown()
  yield
  wandb.teardown()


def records(model_dir):
  """What is in the files of the offline runs, in their order."""
  import wandb
  from wandb.proto import wandb_internal_pb2
  # A run that has ended is in its file when the session ends, not before.
  wandb.teardown()
  for path in sorted(pathlib.Path(model_dir).glob(
      'wandb/*run-*/*.wandb')):
    data, at, record = path.read_bytes(), HEAD.size, b''
    assert data.startswith(b':W&B')
    while at < len(data):
      if BLOCK_SIZE - at % BLOCK_SIZE < PIECE.size:
        at += BLOCK_SIZE - at % BLOCK_SIZE
        continue
      _, length, kind = PIECE.unpack_from(data, at)
      at += PIECE.size
      record += data[at:at + length]
      at += length
      if kind in (FULL, LAST):
        yield wandb_internal_pb2.Record.FromString(record)
        record = b''


def history(model_dir):
  """Every value by its name and step, and the pictures' names."""
  numbers, pictures = {}, {}
  for record in records(model_dir):
    row = {item.key or '/'.join(item.nested_key): json.loads(item.value_json)
           for item in record.history.item}
    for name, value in row.items():
      if name.endswith('/path'):
        pictures[name.removesuffix('/path')] = value, row['global_step']
      elif isinstance(value, (int, float)) and not name.startswith('_'):
        numbers.setdefault(name, {})[row['global_step']] = value
    numbers.pop('global_step', None)
  return numbers, pictures


def test_a_training_offline_and_resumed(digits_dir, tmp_path, monkeypatch):
  monkeypatch.setenv('WANDB_MODE', 'offline')
  for steps in (2, 4):
    short_runs.train(digits_dir, tmp_path, 'train_and_eval',
                     **{'trainer.train_steps': steps}, **SETTINGS)
  numbers, pictures = history(tmp_path)
  for folder in ('train', 'validation'):
    for name, values in event_files.scalars(tmp_path / folder).items():
      found = numbers[f'{folder}/{name}']
      assert set(found) == {2, 4}
      # JSON keeps doubles; event files hold float32.
      assert {step: pytest.approx(value) for step, value in found.items()} == (
          values), name
  path, step = pictures['train/training_images']
  assert step == 3
  assert list(tmp_path.glob(f'wandb/*/files/{path}'))
  runs = [record.run for record in records(tmp_path) if record.run.run_id]
  known = trackers.read_runs(str(tmp_path))['wandb']
  assert {run.run_id for run in runs} == {known['run']}
  assert {(run.entity, run.project, run.display_name) for run in runs} == {
      ('someone', 'funnel', tmp_path.name)}
  layouts = [
      json.loads(item.value_json)['model']['backbone']['funnel_vit']['layout']
      for record in records(tmp_path) for item in record.config.update
      if item.key == 'task']
  assert layouts and set(layouts) == {short_runs.LAYOUT}
  exits = [record.exit.exit_code for record in records(tmp_path)
           if record.HasField('exit')]
  assert exits == [0, 0]


def test_an_offline_run_is_sent_by_a_command_that_can_be_copied():
  tracker = weights_and_biases.WeightsAndBiases('funnel')
  settings = types.SimpleNamespace(sync_dir='/a run/wandb/offline-1')
  tracker._run = types.SimpleNamespace(url=None, settings=settings)
  assert tracker.where() == "wandb sync '/a run/wandb/offline-1'"


def test_a_refused_start_leaves_nothing(digits_dir, tmp_path, monkeypatch):
  def fail(self):
    raise errors.UserError('out of memory')

  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('WANDB_MODE', 'offline')
  monkeypatch.setattr(trainer_lib.Trainer, 'train_loop_begin', fail)
  with pytest.raises(errors.UserError, match='out of memory'):
    short_runs.train(digits_dir, tmp_path / 'run', 'train_and_eval', **SETTINGS)
  assert not list(tmp_path.iterdir())


def test_nobody_is_logged_in(monkeypatch, tmp_path):
  for name in ('WANDB_MODE', 'WANDB_API_KEY'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
  with pytest.raises(ValueError, match=(
      'trainer.logging.wandb=funnel, but nobody is logged in .*wandb login.*'
      'WANDB_MODE=offline')):
    weights_and_biases.check('funnel')
  monkeypatch.setenv('WANDB_MODE', 'offline')
  weights_and_biases.check('funnel')


def test_a_server_that_does_not_answer(monkeypatch, tmp_path, caplog):
  monkeypatch.setenv('WANDB_MODE', 'online')
  monkeypatch.setenv('WANDB_API_KEY', 'a' * 40)
  monkeypatch.setenv('WANDB_BASE_URL', 'http://127.0.0.1:9')
  monkeypatch.setattr(weights_and_biases, '_INIT_SECONDS', 2.0)
  running = trackers.begin(
      weights_and_biases.WeightsAndBiases('funnel'),
      trackers.Training(str(tmp_path), {}, {}, 0))
  running.scalars({'train/loss': 0.5}, 3)
  running.end(trackers.FAILED)
  assert 'does not answer, so the run is kept offline' in caplog.text
  numbers, _ = history(tmp_path)
  assert numbers == {'train/loss': {3: 0.5}}
