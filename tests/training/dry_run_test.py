"""A training is tried, and nothing is left of it."""

import re
import tempfile

import pytest
import short_runs

from official_ext.training import dry_run
from official_ext.training import session


def test_what_to_expect_of_a_training(
    digits_dir, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  taken = []
  execute = session.Session.execute
  monkeypatch.setattr(
      session.Session, 'execute', lambda *args, **settings: (
          taken.append(execute(*args, **settings)), taken[-1])[1])
  params = short_runs.parameters(digits_dir, **{
      'trainer.train_steps': 0, 'trainer.train_epochs': 5,
      'trainer.best_checkpoint_export_subdir': 'best',
      'trainer.best_checkpoint_eval_metric': 'accuracy',
      'trainer.export.at_best': True})
  first, time, memory, last = dry_run.run(params, 'train_and_eval').split('\n')
  # 22 steps of 64 images are an epoch of 1,437.
  assert first == (
      'dry run: 110 steps of 64 images, 4.9 epochs of 1,437 images')
  assert re.match(r'time    about \d\d:\d\d: the first step takes \d+ s, the '
                  r'next took \S+ s; evaluations', time)
  assert re.match(r'memory  \d+\.\d\d GiB \(resident\)', memory)
  assert last == 'nothing of it is kept'
  assert int(taken[0].global_step.numpy()) == 2
  assert taken[0].validation_logs['num_images'] == 120
  # TensorFlow keeps files of its own there, until the process ends.
  assert not [path for path in tmp_path.iterdir() if path.is_dir()]
  # The schedule is that of the whole training.
  rate = params.trainer.optimizer_config.learning_rate.get()
  assert taken[0].config.trainer.optimizer_config.learning_rate.get(
      ).decay_steps == rate.decay_steps == 110


@pytest.mark.parametrize('mode, strategy, message', [
    ('eval', 'mirrored', '--mode=eval does not train'),
    ('train', 'multi_worker_mirrored', 'in one process')])
def test_what_cannot_be_tried(digits_dir, mode, strategy, message):
  params = short_runs.parameters(
      digits_dir, **{'runtime.distribution_strategy': strategy})
  with pytest.raises(ValueError, match=message):
    dry_run.run(params, mode)
