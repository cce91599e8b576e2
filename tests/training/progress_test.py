"""Tests of what a run shows: plain lines in a pipe, a bar on a terminal."""

import io
import json

import commands
import pytest

from official_ext.configs import image_classification
from official_ext.training import memory
from official_ext.training import progress as progress_lib
from official_ext.training import throughput as throughput_lib


class Terminal(io.StringIO):
  """A stream that says it is a terminal."""

  def isatty(self):
    return True


def play(stream):
  """A short run: compile, train, evaluate."""
  progress = progress_lib.create(stream)
  progress.begin(0, 100)
  progress.compiling()
  progress.trained(1, 2.5, 1e-3, None, None)
  progress.trained(60, 1.25, 2e-3, 10, 640)
  progress.interval(60, 'train: loss 1.2500')
  progress.evaluating()
  progress.interval(60, 'validation: loss 1.0000')
  progress.close()
  return stream.getvalue()


def test_a_pipe_gets_plain_lines():
  assert play(io.StringIO()) == (
      'training from step 0 to 100\n'
      'step 60/100  train: loss 1.2500\n'
      'step 60/100  validation: loss 1.0000\n')


def test_a_terminal_gets_a_bar():
  shown = play(Terminal())
  assert 'compile' in shown and 'evaluate' in shown
  # 40 steps at 10 steps/s are left.
  assert 'ETA 00:04, loss 1.2500, lr 2.00e-03, 640 images/s' in shown
  assert '60/100' in shown and ' 60%' in shown
  assert 'step 60/100  validation: loss 1.0000\n' in shown


def test_evaluation_alone_has_no_total():
  stream = io.StringIO()
  progress = progress_lib.create(stream)
  progress.interval(60, 'validation: loss 1.0000')
  progress.close()
  assert stream.getvalue() == 'step 60  validation: loss 1.0000\n'


METRICS = [('top-1', 'accuracy', 'accuracy'),
           ('top-5', 'top_5_accuracy', 'top_5_accuracy'),
           ('loss', 'training_loss', 'validation_loss')]


def test_metrics_on_a_line():
  assert progress_lib.format_metrics({
      'accuracy': 0.975, 'top_5_accuracy': 1.0, 'validation_loss': 0.125,
      'something_else': 3}, METRICS) == (
          'loss 0.1250  top-1 97.50 %  top-5 100.00 %')
  assert progress_lib.format_metrics(
      {'training_loss': 1.0, 'learning_rate': 3e-3}, METRICS) == (
          'loss 1.0000  lr 3.00e-03')


def test_what_a_training_goes_by_is_shown():
  trainer = image_classification.TrainerConfig(
      best_checkpoint_export_subdir='best',
      best_checkpoint_eval_metric='mean_recall')
  shown = progress_lib.with_deciding(METRICS, trainer)
  assert shown == [*METRICS, 3 * ('mean_recall',)]
  assert progress_lib.format_metrics(
      {'accuracy': 0.975, 'mean_recall': 0.5}, shown) == (
          'top-1 97.50 %  mean_recall 50.00 %')
  trainer.early_stopping.metric = 'top_3_accuracy'
  assert len(progress_lib.with_deciding(METRICS, trainer)) == 4
  trainer.early_stopping.patience_evaluations = 2
  shown = progress_lib.with_deciding(METRICS, trainer)
  assert shown[3:] == [3 * ('mean_recall',), 3 * ('top_3_accuracy',)]
  assert 'top_3_accuracy         -     40.00 %\n' in format_table(
      metrics=shown, validation_logs={'top_3_accuracy': 0.4})
  # What is shown anyway is not shown twice.
  trainer.best_checkpoint_eval_metric = 'validation_loss'
  trainer.early_stopping.metric = 'accuracy'
  assert progress_lib.with_deciding(METRICS, trainer) == METRICS


def format_table(**changes):
  throughput = throughput_lib.Throughput(global_batch_size=64)
  throughput.add_first_step(20)
  throughput.add(100, 4)
  return progress_lib.format_table(**{**dict(
      train_logs={'accuracy': 0.5, 'top_5_accuracy': 0.75,
                  'training_loss': 1.5},
      validation_logs={'accuracy': 0.25, 'top_5_accuracy': 1.0,
                       'validation_loss': 2.5},
      metrics=[
          ('top-1', 'accuracy', 'accuracy'),
          ('top-5', 'top_5_accuracy', 'top_5_accuracy'),
          ('loss', 'training_loss', 'validation_loss')],
      throughput=throughput,
      time=[('goodput', '82.0 % of 50 s in 1 start'),
            ('time', 'steps 82.0 %,'), ('', 'other 18.0 %')],
      peak_memory=memory.PeakMemory(1.234, 'resident'),
      checkpoint='run/ckpt-7', log_dir="the cat's run"), **changes})


def test_the_whole_table():
  assert format_table() == """\
                   train  validation
top-1            50.00 %     25.00 %
top-5            75.00 %    100.00 %
loss              1.5000      2.5000
speed       25.00 steps/s, 1600 images/s (without compilation, evaluation and checkpoints)
goodput     82.0 % of 50 s in 1 start
time        steps 82.0 %,
            other 18.0 %
peak memory 1.23 GiB (resident)
checkpoint  run/ckpt-7
logs        tensorboard --logdir='the cat'"'"'s run'"""  # noqa: E501


def test_the_best_checkpoint_is_named(tmp_path):
  trainer = image_classification.TrainerConfig(
      best_checkpoint_export_subdir='best',
      best_checkpoint_eval_metric='accuracy')
  assert progress_lib.describe_best(str(tmp_path), trainer) is None
  (tmp_path / 'best').mkdir()
  (tmp_path / 'best/info.json').write_text(json.dumps(
      {'accuracy': 0.5217, 'best_ckpt_global_step': 6.0}))
  best = progress_lib.describe_best(str(tmp_path), trainer)
  assert best == f'{tmp_path}/best, of step 6: accuracy 52.17 %'
  assert f'\nbest        {best}\n' in format_table(best=best)
  assert progress_lib.describe_best(
      str(tmp_path), image_classification.TrainerConfig()) is None
  trainer.best_checkpoint_eval_metric = 'mean_recall'
  assert progress_lib.describe_best(str(tmp_path), trainer) is None


def test_what_did_not_happen_is_left_open():
  table = format_table(
      train_logs={}, throughput=throughput_lib.Throughput(1), checkpoint=None,
      peak_memory=memory.PeakMemory(None, 'the fullest of 8 TPU'))
  assert 'top-1                  -     25.00 %' in table
  assert 'steps/s' not in table
  assert 'peak memory not reported (the fullest of 8 TPU)' in table
  assert 'checkpoint  none' in table


@pytest.mark.long
def test_memory_of_the_process_grows_with_what_it_holds(repository):
  # In a process of its own, whose peak no other test has set.
  done = commands.run_alone('-c', """
import numpy as np
from official_ext.training import memory
before = memory.measure()
held = np.ones(int((before.gib + 0.25) * 2**30), np.uint8)
after = memory.measure()
print(before.kind, before.gib, held.nbytes / 2**30, after.gib)
""", cwd=repository)
  assert done.returncode == 0, done.stderr
  kind, before, held, after = done.stdout.split()
  assert kind == 'resident'
  assert float(before) < float(held) <= float(after)


def test_how_long_it_will_take_is_foretold():
  assert progress_lib.foretell(7_200, 2.0) == (
      'the other 7,200 steps will take about 1:00:00, and evaluations and '
      'checkpoints besides')
  # Soon over, over, and of steps that were not timed.
  assert progress_lib.foretell(119, 2.0) is None
  assert progress_lib.foretell(0, 1e-9) is None
  assert progress_lib.foretell(7_200, None) is None
