"""Logs that are removed while a training runs."""

import shutil
import types

import orbit
import pytest
import tensorflow as tf

from official_ext.training import controller


@pytest.mark.parametrize('kept', [False, True])
def test_a_log_that_is_removed_is_told_once(
    tmp_path, monkeypatch, caplog, kept):
  # Orbit asserts that what it drives is of its own classes.
  for name in ('AbstractTrainer', 'AbstractEvaluator'):
    monkeypatch.setattr(orbit.runner, name, types.SimpleNamespace)
  step = tf.Variable(0, dtype=tf.int64)
  logs = {'train': tmp_path / 'train', 'validation': tmp_path / 'validation'}

  def train(num_steps):
    if step == 4 and not kept:
      for log in logs.values():
        shutil.rmtree(log)
    step.assign_add(tf.cast(num_steps, tf.int64))
    return {'loss': tf.constant(1.0)}

  controller.Controller(
      trainer=types.SimpleNamespace(train=train),
      evaluator=types.SimpleNamespace(evaluate=lambda _: {'a': tf.constant(1)}),
      global_step=step, steps_per_loop=2, summary_interval=2,
      summary_dir=str(logs['train']),
      eval_summary_dir=str(logs['validation']),
  ).train_and_evaluate(10, eval_steps=1, eval_interval=2)
  assert step == 10
  told = [message for message in caplog.messages if 'removed' in message]
  assert told == ([] if kept else [
      f'{log} was removed while the training ran: what follows is not logged '
      'there until the next start. The training goes on.'
      for log in logs.values()])
