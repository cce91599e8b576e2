"""A training that is logged to MLflow's files, read back."""

import event_files
import pytest
import short_runs
import yaml

from official_ext.command_line import errors
from official_ext.training import mlflow_runs
from official_ext.training import trackers
from official_ext.training import trainer as trainer_lib

pytestmark = pytest.mark.long
SETTINGS = {
    f'trainer.{name}': 2 for name in (
        'steps_per_loop', 'summary_interval', 'checkpoint_interval',
        'validation_interval')} | {
            'trainer.export.at_end': False,
            'trainer.logging.training_images': 2,
            'trainer.logging.mlflow': 'funnel'}


@pytest.fixture(name='client')
def _client(monkeypatch, tmp_path):
  """Files in the place of a server."""
  import mlflow
  monkeypatch.setenv('MLFLOW_TRACKING_URI', f'file://{tmp_path}/mlruns')
  # Its makers recommend a server; no test can have one.
  monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
  return mlflow.MlflowClient()


def test_a_training_and_resumed(digits_dir, tmp_path, client):
  model_dir = tmp_path / 'run'
  for steps in (2, 4):
    params = short_runs.train(
        digits_dir, model_dir, 'train_and_eval',
        **{'trainer.train_steps': steps}, **SETTINGS).config
  experiment = client.get_experiment_by_name('funnel')
  run, = client.search_runs([experiment.experiment_id])
  assert run.info.run_id == trackers.read_runs(str(model_dir))['mlflow']['run']
  assert (run.info.run_name, run.info.status) == ('run', 'FINISHED')
  for folder in ('train', 'validation'):
    for name, values in event_files.scalars(model_dir / folder).items():
      found = client.get_metric_history(run.info.run_id, f'{folder}/{name}')
      assert {one.step: pytest.approx(one.value) for one in found} == values
  assert run.data.params['task.model.num_classes'] == '10'
  # What cannot be changed there stays; the file has it.
  assert run.data.params['trainer.train_steps'] == '2'
  path = client.download_artifacts(
      run.info.run_id, 'configuration/from_step_2.yaml', str(tmp_path))
  with open(path, encoding='utf-8') as file:
    assert yaml.safe_load(file) == yaml.safe_load(
        yaml.safe_dump(params.as_dict()))
  assert [one.path for one in client.list_artifacts(
      run.info.run_id, 'images/train/training_images')] == [
          f'images/train/training_images/step_{step}.png' for step in (1, 3)]


def begin(folder, client, known):
  tracker = mlflow_runs.Mlflow('funnel')
  found = tracker.begin(trackers.Training(str(folder), {}, {}, 0), known)
  tracker.end(trackers.PREEMPTED, 1.0)
  assert client.get_run(found['run']).info.status == 'KILLED'
  return found


def test_a_refused_start_leaves_nothing(
    digits_dir, tmp_path, monkeypatch, client):
  def fail(self):
    raise errors.UserError('out of memory')

  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(trainer_lib.Trainer, 'train_loop_begin', fail)
  with pytest.raises(errors.UserError, match='out of memory'):
    short_runs.train(digits_dir, tmp_path / 'run', 'train_and_eval', **SETTINGS)
  assert not (tmp_path / 'run').exists()
  assert client.get_experiment_by_name('funnel') is None


def test_another_run_where_the_known_one_is_not_there(tmp_path, client, caplog):
  found = begin(tmp_path, client, {})
  assert begin(tmp_path, client, found) == found
  for changed in ({'experiment': 'other'}, {'server': 'other'},
                  {'run': 'f' * 32}):
    assert begin(tmp_path, client, {**found, **changed})['run'] != found['run']
  assert f'MLflow has no run {"f" * 32} any more' in caplog.text


def test_a_server_that_does_not_answer(monkeypatch, client):
  mlflow_runs.check('funnel', reaches=True)
  monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://127.0.0.1:9')
  mlflow_runs.check('funnel', reaches=False)
  with pytest.raises(ValueError, match=(
      'trainer.logging.mlflow=funnel, but MLflow cannot log to '
      'http://127.0.0.1:9: .*Set MLFLOW_TRACKING_URI')):
    mlflow_runs.check('funnel', reaches=True)
