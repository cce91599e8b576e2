"""Interrupts a training at random moments; it must end as if nothing had been.

  make soak KILLS=25 TERMS=25 SEED=1

A small deterministic training on the digits is killed (SIGKILL) and told to end
(SIGTERM) while it starts, trains, saves, evaluates and exports, and begun again
until it is done; then the next round begins. Every round must end in the bits
of an undisturbed training, no step may be lost by a SIGTERM, none beyond a
checkpoint's interval by a SIGKILL, and the event files have every step once.
"""

import argparse
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / 'tests')]

# pylint: disable=g-import-not-at-top
import event_files  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from data_prep import digits_to_tfrecord  # noqa: E402

# pylint: enable=g-import-not-at-top

STEPS = 120
LOOP = 5
INTERVAL = 20
_BACKBONE = 'task.model.backbone.funnel_vit'
_SETTINGS = {
    f'{_BACKBONE}.layout': 'B1-1-1',
    f'{_BACKBONE}.transformer.dropout_rate': 0.1,
    f'{_BACKBONE}.init_stochastic_depth_rate': 0.2,
    'task.train_data.cache': 'false',
    'task.train_data.global_batch_size': 32,
    'task.train_data.color_jitter': 0.3,
    'task.train_data.random_erasing.probability': 0.5,
    'task.validation_data.global_batch_size': 180,
    'trainer.seed': 7,
    'trainer.deterministic': 'true',
    'trainer.train_steps': STEPS,
    'trainer.steps_per_loop': LOOP,
    'trainer.summary_interval': LOOP,
    'trainer.checkpoint_interval': INTERVAL,
    'trainer.validation_interval': INTERVAL,
    'trainer.best_checkpoint_export_subdir': 'best',
    'trainer.best_checkpoint_eval_metric': 'accuracy',
    'trainer.optimizer_config.ema.average_decay': 0.9,
    'trainer.optimizer_config.warmup.linear.warmup_steps': 10,
}
# Where to interrupt, and how often each of them.
_MOMENTS = {'anywhere': 2, 'report': 3, 'checkpoint': 3, 'export': 1}
_TIMEOUT_SECONDS = 600


class Training:
  """A process that trains."""

  def __init__(self, data_dir, model_dir, log):
    overrides = ','.join(
        f'{name}={value}' for name, value in _SETTINGS.items())
    self.model_dir = model_dir
    self._log = log
    with open(log, 'w', encoding='utf-8') as output:
      self.process = subprocess.Popen(
          [sys.executable, 'train.py', '--experiment=funnel_vit_digits',
           '--mode=train_and_eval', f'--model_dir={model_dir}',
           f'--params_override=task.data_dir={data_dir},{overrides}'],
          cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT,
          env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'})

  @property
  def text(self):
    return pathlib.Path(self._log).read_text(encoding='utf-8')

  @property
  def begin(self):
    """The step that it began from; None if it did not come so far."""
    match = re.search(r'training from step (\d+)', self.text)
    return int(match[1]) if match else None

  @property
  def step(self):
    """The newest step that it told of."""
    return max(map(int, re.findall(r'step (\d+)/', self.text)),
               default=self.begin or 0)

  def wait_for(self, condition):
    """Waits until something is so or the process has ended."""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while self.process.poll() is None and not condition():
      if time.monotonic() > end:
        self.process.kill()
        raise AssertionError(f'nothing happens any more:\n{self.text}')
      time.sleep(0.005)

  def wait_for_moment(self, moment, generator):
    """Waits for the moment to interrupt."""
    checkpoints = _checkpoint_files(self.model_dir)
    if moment == 'export':
      self.wait_for((self.model_dir / 'export').exists)
    elif moment == 'anywhere':
      end = time.monotonic() + generator.uniform(0, 30)
      self.wait_for(lambda: time.monotonic() > end)
    else:
      self.wait_for(lambda: self.begin is not None)
      first = self.step + generator.randrange(0, 60)
      if moment == 'report':
        self.wait_for(lambda: self.step > first)
      else:
        self.wait_for(lambda: self.step > first and
                      _checkpoint_files(self.model_dir) - checkpoints)
    time.sleep(generator.choice([0, generator.uniform(0, 0.3)]))


def _checkpoint_files(model_dir):
  return set(model_dir.glob('ckpt-*')) | set(model_dir.glob('best/ckpt-*'))


def _variables(model_dir):
  """All that the last checkpoint holds, but how often a process saved."""
  reader = tf.train.load_checkpoint(str(model_dir / f'ckpt-{STEPS}'))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name.endswith('VARIABLE_VALUE') and
          not name.startswith('save_counter')}


def _check_end(model_dir, expected_dir):
  expected, found = _variables(expected_dir), _variables(model_dir)
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)
  assert (model_dir / 'export' / 'last' / '1').is_dir()
  losses = event_files.scalars(model_dir / 'validation')['validation_loss']
  assert losses == event_files.scalars(
      expected_dir / 'validation')['validation_loss']
  for folder, interval in (('train', LOOP), ('validation', INTERVAL)):
    logged = event_files.steps(model_dir / folder)
    assert logged == list(range(interval, STEPS + 1, interval)), logged


def _check_begin(training, before):
  """Checks what the interruption before this training has cost."""
  sent, reported, stopped = before
  if training.begin is None:
    return
  if sent == signal.SIGTERM:
    assert stopped is None or training.begin == stopped, before
  saved = (reported - LOOP) // INTERVAL * INTERVAL
  assert training.begin >= saved, (training.begin, before)


def soak(data_dir, folder, kills, terms, seed):
  """Interrupts trainings; returns how many rounds it took.

  Args:
    data_dir: TFRecords of the digits.
    folder: where to train.
    kills: how many SIGKILLs.
    terms: how many SIGTERMs.
    seed: of the moments.

  Returns:
    The number of trainings that were brought to their end.
  """
  generator = random.Random(seed)
  signals = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
  generator.shuffle(signals)
  undisturbed = Training(data_dir, folder / 'undisturbed', folder / 'log')
  assert undisturbed.process.wait(_TIMEOUT_SECONDS) == 0, undisturbed.text
  rounds, before = 0, None
  while signals or before:
    training = Training(
        data_dir, folder / f'round_{rounds}', folder / f'log_{rounds}')
    if signals:
      moment = generator.choices(
          list(_MOMENTS), list(_MOMENTS.values()))[0]
      training.wait_for_moment(moment, generator)
      training.process.send_signal(signals[-1])
    status = training.process.wait(_TIMEOUT_SECONDS)
    if before:
      _check_begin(training, before)
    if status == 0:
      _check_end(folder / f'round_{rounds}', folder / 'undisturbed')
      rounds, before = rounds + 1, None
      continue
    sent = signals.pop()
    assert status in (-9, -15, 143), (status, training.text)
    stopped = re.search(r'at step (\d+) of', training.text)
    before = sent, training.step, int(stopped[1]) if stopped else None
    print(f'{sent.name} ({moment}) from step {training.begin} to '
          f'{training.step}: status {status}', flush=True)
  return rounds


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--kills', type=int, default=25)
  parser.add_argument('--terms', type=int, default=25)
  parser.add_argument('--seed', type=int, default=1)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    digits_to_tfrecord.convert(
        str(folder / 'digits'), num_train_shards=4, num_samples=6)
    rounds = soak(folder / 'digits', folder, arguments.kills, arguments.terms,
                  arguments.seed)
  print(f'{rounds} interrupted trainings ended in the bits of an undisturbed '
        'one')


if __name__ == '__main__':
  main()
