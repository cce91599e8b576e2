"""When a training that gets no better ends, in one start or in several."""

import types

import event_files
import forked_training
import numpy as np
import pytest
import short_runs
import tensorflow as tf

import official_ext
from official_ext.command_line import errors
from official_ext.configs import small_data
from official_ext.serving import export_during_training
from official_ext.serving.formats import description
from official_ext.training import controller as controller_lib
from official_ext.training import early_stopping
from official_ext.training import evaluations
from official_ext.training import progress
from official_ext.training import session
from official_ext.training import summaries

# By hand: the best of these is the third.
ACCURACIES = {8: 0.5, 16: 0.625, 24: 0.75, 32: 0.75, 40: 0.6875, 48: 0.875}


@pytest.mark.parametrize('values, falls, min_delta, expected', [
    (ACCURACIES, False, 0, (48, 0.875, 0)),
    ({step: ACCURACIES[step] for step in (8, 16, 24, 32, 40)}, False, 0,
     (24, 0.75, 2)),
    # Better by exactly as much is no better; of 0.125 more than 0.625 too.
    (ACCURACIES, False, 0.125, (24, 0.75, 3)),
    ({8: 2.0, 16: 1.0, 24: 1.5, 32: 1.0}, True, 0, (16, 1.0, 2)),
    ({8: 2.0, 16: 1.75, 24: 1.4}, True, 0.5, (24, 1.4, 0)),
    # In the order of the steps, not of the entries.
    ({24: 0.1, 8: 0.9}, False, 0, (8, 0.9, 1)),
])
def test_the_best_evaluation_and_how_many_came_since(
    values, falls, min_delta, expected):
  best = early_stopping.find_best(values, falls, min_delta)
  assert (best.best_step, best.best_value, best.num_since) == expected


def write(folder, values, metric='accuracy'):
  """Logs as an evaluation does."""
  at = tf.Variable(0, dtype=tf.int64)
  log = summaries.SummaryManager(
      str(folder), tf.summary.scalar, global_step=at)
  for step, value in values.items():
    at.assign(step)
    log.write_summaries({metric: tf.constant(value)})
  log.summary_writer().close()


def stopping(folder, **settings):
  return early_stopping.EarlyStopping(
      small_data.EarlyStopping(**settings), str(folder))


def test_values_on_record_are_those_logged_last(tmp_path):
  write(tmp_path, {8: 0.5, 16: 0.25})
  write(tmp_path, {8: 2.0}, 'validation_loss')
  write(tmp_path, {16: 0.75})
  assert evaluations.values(str(tmp_path), 'accuracy') == {8: 0.5, 16: 0.75}


def test_every_start_decides_as_an_undisturbed_run(tmp_path):
  for begun in (0, 8, 16, 24, 32):
    folder = tmp_path / str(begun)
    # The last two were logged by a training that was shorter: step 20, and by
    # one that was killed after step 48, its newest checkpoint an earlier one.
    write(folder, {step: value for step, value in ACCURACIES.items()
                   if step <= begun} | ({20: 1.0} if begun >= 24 else {}))
    ends = stopping(folder, patience_evaluations=2)
    assert ends.begin(begun, 8) is None
    found = {step: ends.add(step, {'accuracy': value})
             for step, value in ACCURACIES.items() if begun < step <= 40}
    assert [step for step, reason in found.items() if reason] == [40]
    assert found[40] == (
        'accuracy was best at step 24 (0.75), and no better in 2 evaluations '
        'since (trainer.early_stopping.patience_evaluations)')


def test_evaluations_after_the_step_gone_back_to_do_not_count(tmp_path):
  write(tmp_path, ACCURACIES)
  assert stopping(tmp_path, patience_evaluations=2).begin(32, 8) is None
  assert stopping(tmp_path, patience_evaluations=2).begin(40, 8)
  assert stopping(tmp_path, patience_evaluations=3).begin(40, 8) is None
  assert stopping(tmp_path).begin(40, 8) is None


def test_a_loss_is_found_again_however_it_is_shown(tmp_path):
  write(tmp_path, {8: 1.5, 16: 1.0, 24: 1.25}, 'validation_loss')
  ends = stopping(
      tmp_path, patience_evaluations=2, metric='validation_loss')
  assert ends.begin(24, 8) is None
  assert 'best at step 16 (1)' in ends.add(32, {'validation_loss': 1.125})


def test_a_metric_that_is_known_late_is_named(tmp_path):
  ends = stopping(tmp_path, patience_evaluations=2, metric='accuracy')
  ends.begin(0, 8)
  with pytest.raises(errors.UserError, match="'accuracy', but an evaluation h"):
    ends.add(8, {'meanPR-AUC': 0.5})


def test_the_controller_ends_and_saves(tmp_path, monkeypatch):
  # Orbit asserts that what it drives is of its own classes.
  for name in ('AbstractTrainer', 'AbstractEvaluator'):
    monkeypatch.setattr(
        controller_lib.orbit.runner, name, types.SimpleNamespace)
  logs = tmp_path / 'validation'

  def run():
    step = tf.Variable(0, dtype=tf.int64)
    manager = controller_lib.CheckpointManager(
        tf.train.Checkpoint(step=step), directory=str(tmp_path),
        max_to_keep=None, step_counter=step, checkpoint_interval=100)
    manager.restore_or_initialize()
    told, evaluated, synced = [], [], []
    # An asynchronous save is waited for: the newest checkpoint is exported.
    manager.sync = lambda: synced.append(
        int(str(manager.latest_checkpoint).rpartition('-')[2]) if
        manager.latest_checkpoint else 0)

    def evaluate(_):
      evaluated.append(int(step))
      return {'accuracy': tf.constant(ACCURACIES[int(step)])}

    controller_lib.Controller(
        trainer=types.SimpleNamespace(train=lambda steps: step.assign_add(
            tf.cast(steps, tf.int64)) and None),
        evaluator=types.SimpleNamespace(evaluate=evaluate),
        global_step=step, steps_per_loop=8, checkpoint_manager=manager,
        stopping=stopping(logs, patience_evaluations=2),
        on_stop=lambda *one: told.append(one),
        eval_summary_dir=str(logs)).train_and_evaluate(200, eval_interval=8)
    (at, reason), = told
    assert at == 40
    assert synced[-1] == 40
    assert 'best at step 24' in reason
    assert tf.train.latest_checkpoint(tmp_path) == f'{tmp_path}/ckpt-40'
    return evaluated

  assert run() == [8, 16, 24, 32, 40]
  # The same command again ends at once.
  assert run() == []


def test_what_is_said_of_it():
  said = 'stopped early, 60 steps before the end: no better'
  assert early_stopping.message(60, 'no better', has_trained=True) == said
  assert early_stopping.message(60, 'no better', has_trained=False) == (
      f'the model_dir is trained already, and was {said}. Raise that to go on')


@pytest.mark.long
def test_a_training_that_is_stopped_is_exported(
    digits_dir, tmp_path, monkeypatch, capsys):
  # However short it is, its duration is foretold, once.
  monkeypatch.setattr(progress, '_LEAST_FORETOLD_SECONDS', 0)
  settings = {
      'trainer.train_steps': 8, 'trainer.validation_interval': 2,
      'trainer.early_stopping.patience_evaluations': 1,
      # No accuracy is better by so much than the one before it.
      'trainer.early_stopping.min_delta': 1}
  params = short_runs.parameters(digits_dir, **settings)
  trainer = session.prepare(params, 'train_and_eval', str(tmp_path)).execute(
      enable_async_checkpointing=False)
  assert int(trainer.global_step.numpy()) == 4
  assert trainer.is_stopped_early
  shown = capsys.readouterr().out
  assert 'stopped early, 4 steps before the end' in shown
  assert shown.count('step 2/8  the other 6 steps will take about 0') == 1
  assert shown.count('will take about') == 1
  # An evaluation beside it has nothing to wait for.
  beside = session.prepare(
      short_runs.parameters(digits_dir, **settings, **{
          'trainer.continuous_eval_timeout': 1}),
      'continuous_eval', str(tmp_path)).execute()
  assert beside.validation_logs == pytest.approx(
      trainer.validation_logs, rel=1e-5)
  monkeypatch.setattr(
      export_during_training.TrainingExport, '_export',
      lambda self, subdir, checkpoint: subdir)
  export = export_during_training.TrainingExport(params, str(tmp_path))
  assert export.at_end(4, True, is_stopped_early=True) == 'last'
  assert export.at_end(4, True) is None


def test_a_metric_that_no_evaluation_has_is_refused(digits_dir, tmp_path):
  params = short_runs.parameters(digits_dir, **{
      'trainer.early_stopping.patience_evaluations': 1,
      'trainer.early_stopping.metric': 'acuracy'})
  with pytest.raises(ValueError, match=(
      'trainer.early_stopping.metric.*acuracy.*accuracy')):
    session.prepare(params, 'train_and_eval', str(tmp_path))


_KILLED = {
    'task.model.backbone.funnel_vit.layout': short_runs.LAYOUT,
    'task.train_data.global_batch_size': 32,
    'task.validation_data.global_batch_size': 180,
    'trainer.train_steps': 40,
    'trainer.steps_per_loop': 2,
    'trainer.checkpoint_interval': 4,
    'trainer.validation_interval': 4,
    'trainer.max_to_keep': 100,
    'trainer.best_checkpoint_export_subdir': 'best',
    'trainer.best_checkpoint_eval_metric': 'accuracy',
    'trainer.export.at_best': 'true',
    'trainer.optimizer_config.warmup.linear.warmup_steps': 1,
    'trainer.early_stopping.patience_evaluations': 2,
    # No accuracy is better by so much than the first one.
    'trainer.early_stopping.min_delta': 0.99,
}


@pytest.mark.long
def test_a_training_that_was_killed_ends_and_exports(digits_dir, tmp_path):
  settings = _KILLED | {'task.data_dir': digits_dir}
  run = tmp_path / 'run'
  killed = forked_training.Job(run, tmp_path / 'killed', settings)
  killed.wait_for((run / 'ckpt-8.index').exists)
  killed.kill()
  again = forked_training.Job(run, tmp_path / 'again', settings)
  assert again.wait() == [0], again.text()
  assert again.begin == 8
  assert 'step 12/40  stopped early, 28 steps before the end: accuracy was ' + (
      'best at step 4') in again.text()
  newest = description.read_newest(run / 'export' / 'last')
  assert newest['source']['step'] == 12
  # Exports answer as the checkpoints that they are said to be of.
  accuracies = event_files.scalars(run / 'validation')['accuracy']
  assert list(accuracies) == [4, 8, 12]
  best = description.read_newest(run / 'export' / 'best')['source']['step']
  assert accuracies[best] == max(accuracies.values())
  images = np.random.default_rng(1).integers(
      0, 256, [5, 16, 16, 3], dtype=np.uint8)
  for export, step in (('last', 12), ('best', best)):
    expected = official_ext.load(run / f'ckpt-{step}').logits(images)
    found = official_ext.load(run / 'export' / export).logits(images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  # With more patience it goes on.
  settings['trainer.early_stopping.patience_evaluations'] = 3
  patient = forked_training.Job(run, tmp_path / 'patient', settings)
  assert patient.wait() == [0], patient.text()
  assert (patient.begin, patient.step) == (12, 16)
  assert 'no better in 3 evaluations since' in patient.text()
