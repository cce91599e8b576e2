"""Interrupts a training at random moments; it must end as if nothing had been.

  make soak KILLS=25 TERMS=25 SEED=1 WORKERS=1

A small deterministic training on the digits is killed (SIGKILL) and told to end
(SIGTERM) while it starts, trains, saves, evaluates and exports, and begun again
until it is done; then the next round begins. Every round must end in the bits
of an undisturbed training and have seen every image equally often, no step may
be lost by a SIGTERM, none beyond a checkpoint's interval by a SIGKILL, and the
event files have every step once. Of several workers one gets the signal; the
others must end too, and in time.
"""

import argparse
import collections
import pathlib
import random
import re
import signal
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / 'tests')]

# pylint: disable=g-import-not-at-top
import event_files  # noqa: E402
import forked_training  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from data_prep import digits_to_tfrecord  # noqa: E402

# pylint: enable=g-import-not-at-top

STEPS = 120
BATCH = 32
LOOP = 5
INTERVAL = 20
_BACKBONE = 'task.model.backbone.funnel_vit'
_SETTINGS = {
    f'{_BACKBONE}.layout': 'B1-1-1',
    f'{_BACKBONE}.transformer.dropout_rate': 0.1,
    f'{_BACKBONE}.init_stochastic_depth_rate': 0.2,
    'task.train_data.cache': 'false',
    'task.train_data.global_batch_size': BATCH,
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
# Far more than a worker takes to notice that another one was lost.
_LOST_SECONDS = 150
_TOLD, _LOST = 143, 75


def _start(data_dir, model_dir, log_dir, num_workers):
  return forked_training.Job(
      model_dir, log_dir, _SETTINGS | {'task.data_dir': data_dir}, num_workers)


def _wait_for_moment(job, moment, generator):
  """Waits for the moment to interrupt."""
  checkpoints = _checkpoint_files(job.model_dir)
  if moment == 'export':
    job.wait_for((job.model_dir / 'export').exists)
  elif moment == 'anywhere':
    end = time.monotonic() + generator.uniform(0, 30)
    job.wait_for(lambda: time.monotonic() > end)
  else:
    job.wait_for(lambda: job.begin is not None)
    first = job.step + generator.randrange(0, 60)
    if moment == 'report':
      job.wait_for(lambda: job.step > first)
    else:
      job.wait_for(lambda: job.step > first and
                   _checkpoint_files(job.model_dir) - checkpoints)
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


def _check_end(jobs, undisturbed):
  """Checks that a training has ended as the undisturbed one."""
  model_dir, expected_dir = jobs[-1].model_dir, undisturbed.model_dir
  expected, found = _variables(expected_dir), _variables(model_dir)
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)
  assert (model_dir / 'export' / 'last' / '1').is_dir()
  for name in ('', 'best'):
    assert not list((model_dir / name).glob('*_temp'))
  losses = event_files.scalars(model_dir / 'validation')['validation_loss']
  assert losses == event_files.scalars(
      expected_dir / 'validation')['validation_loss']
  for folder, interval in (('train', LOOP), ('validation', INTERVAL)):
    logged = event_files.steps(model_dir / folder)
    assert logged == list(range(interval, STEPS + 1, interval)), logged
  trained = [job for job in jobs if job.begin is not None]
  seen = forked_training.seen(trained, BATCH, STEPS)
  assert seen == forked_training.seen([undisturbed], BATCH, STEPS)
  assert max(seen.values()) - min(seen.values()) <= 1, seen


def _check_interruption(job, sent, hit, statuses):
  """Checks how a job has ended of which one process got a signal.

  Args:
    job: the job.
    sent: the signal.
    hit: which process got it.
    statuses: that the processes ended with.
  """
  texts = [job.text(index) for index in range(len(statuses))]
  if sent == signal.SIGKILL:
    assert statuses[hit] in (-9, 0), (statuses, texts)
  else:
    # Before Python has begun, the signal itself ends it.
    assert statuses[hit] in (_TOLD, -15, 0, _LOST), (statuses, texts)
  for index, (status, text) in enumerate(zip(statuses, texts)):
    if index != hit:
      assert status in (_TOLD, _LOST, 0), (statuses, texts)
    messages = [line for line in text.splitlines()
                if line.startswith(('error: ', 'Traceback', 'stopped by'))]
    assert len(messages) == (status in (_TOLD, _LOST)), (statuses, texts)


def _check_begin(job, last, sent):
  """Checks what an interruption has cost.

  Args:
    job: which went on.
    last: which trained before it.
    sent: the signal that `last` got.
  """
  stopped = re.search(r'at step (\d+) of', last.text())
  if stopped:
    assert job.begin == int(stopped[1]), (job.begin, last.text())
  elif sent == signal.SIGTERM and len(job.processes) == 1:
    # It came before the first step of the job.
    assert job.begin == last.step, (job.begin, last.text())
  saved = (last.step - LOOP) // INTERVAL * INTERVAL
  assert job.begin >= saved, (job.begin, last.text())


def soak(data_dir, folder, kills, terms, seed, num_workers=1):
  """Interrupts trainings.

  Args:
    data_dir: TFRecords of the digits.
    folder: where to train.
    kills: how many SIGKILLs.
    terms: how many SIGTERMs.
    seed: of the moments.
    num_workers: how many processes train together.

  Returns:
    The number of trainings that were brought to their end.
  """
  generator = random.Random(seed)
  signals = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
  generator.shuffle(signals)
  undisturbed = _start(
      data_dir, folder / 'undisturbed', folder / 'log', num_workers)
  statuses = undisturbed.wait()
  assert not any(statuses), (statuses, undisturbed.text())
  rounds, jobs, last, number = 0, [], None, 0
  moments = collections.Counter()
  while signals or jobs:
    number += 1
    job = _start(data_dir, folder / f'round_{rounds}', folder / f'log_{number}',
                 num_workers)
    jobs.append(job)
    hit = None
    if signals:
      moment = generator.choices(
          list(_MOMENTS), list(_MOMENTS.values()))[0]
      _wait_for_moment(job, moment, generator)
      hit = generator.randrange(num_workers)
      sent = signals[-1]
      job.processes[hit].kill() if sent == signal.SIGKILL else (
          job.processes[hit].terminate())
      job.processes[hit].join()
    statuses = job.wait(
        _LOST_SECONDS if hit is not None and job.processes[hit].exitcode
        else forked_training.TIMEOUT_SECONDS)
    job.kill()
    if last and job.begin is not None:
      _check_begin(job, *last)
    if not any(statuses):
      _check_end(jobs, undisturbed)
      rounds, jobs, last = rounds + 1, [], None
      continue
    _check_interruption(job, sent, hit, statuses)
    signals.pop()
    if job.begin is not None:
      last = job, sent
    moments[sent.name, moment] += 1
    print(f'{sent.name} ({moment}) from step {job.begin} to {job.step}: '
          f'status {statuses}', flush=True)
  print(dict(moments))
  return rounds


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--kills', type=int, default=25)
  parser.add_argument('--terms', type=int, default=25)
  parser.add_argument('--seed', type=int, default=1)
  parser.add_argument('--workers', type=int, default=1)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    digits_to_tfrecord.convert(
        str(folder / 'digits'), num_train_shards=4, num_samples=6)
    rounds = soak(folder / 'digits', folder, arguments.kills, arguments.terms,
                  arguments.seed, arguments.workers)
  print(f'{rounds} interrupted trainings ended in the bits of an undisturbed '
        'one')


if __name__ == '__main__':
  main()
