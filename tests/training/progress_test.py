"""Tests of what a run shows: plain lines in a pipe, a bar on a terminal."""

import io

from official_ext.training import progress as progress_lib


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
