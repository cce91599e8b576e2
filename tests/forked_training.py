"""Trainings in processes forked from one that has imported everything.

They do as `train.py` does, without Python's imports, which take longer than a
short training; and each of them notes which images it reads.
"""

import collections
import dataclasses
import json
import multiprocessing
import os
import pathlib
import re
import runpy
import sys
import time

import tensorflow as tf
import workers

from official_ext.tasks import training_records

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_CONTEXT = multiprocessing.get_context('forkserver')
# The server imports with the paths of its environment.
os.environ['PYTHONPATH'] = os.pathsep.join(
    [str(_REPOSITORY), str(_REPOSITORY / 'tests')])
_CONTEXT.set_forkserver_preload([
    'forked_training', 'official_ext.train', 'official_ext.registry_imports',
    'official_ext.training.session',
    'official_ext.serving.export_during_training'])
# Far more than any of them takes; one that hangs would take for ever.
TIMEOUT_SECONDS = 600


class Job:
  """A training of one or more processes, the first of which is the chief."""

  def __init__(self, model_dir, log_dir, settings, num_workers=1):
    """Starts the training.

    Args:
      model_dir: where it trains to, a path.
      log_dir: where a folder of each process goes, a path.
      settings: of the experiment funnel_vit_digits, by their names.
      num_workers: how many processes.
    """
    self.model_dir = model_dir
    self._log_dirs = [log_dir / f'worker_{index}'
                      for index in range(num_workers)]
    cluster = {}
    if num_workers > 1:
      settings = settings | {
          'runtime.distribution_strategy': 'multi_worker_mirrored'}
      cluster = {'worker': [
          f'localhost:{port}' for port in workers.free_ports(num_workers)]}
    arguments = [
        'train.py', '--experiment=funnel_vit_digits', '--mode=train_and_eval',
        f'--model_dir={model_dir}', '--params_override=' + ','.join(
            f'{name}={value}' for name, value in settings.items())]
    self.processes = []
    for index, folder in enumerate(self._log_dirs):
      folder.mkdir(parents=True)
      environment = {'CUDA_VISIBLE_DEVICES': '-1'}
      if cluster:
        environment['TF_CONFIG'] = json.dumps({
            'cluster': cluster, 'task': {'type': 'worker', 'index': index}})
      process = _CONTEXT.Process(
          target=_train, args=(arguments, folder, environment))
      process.start()
      self.processes.append(process)

  def text(self, index=0):
    """What a process has printed."""
    path = self._log_dirs[index] / 'log'
    return path.read_text(encoding='utf-8') if path.exists() else ''

  @property
  def begin(self):
    """The step that it began from; None if it did not come so far."""
    match = re.search(r'training from step (\d+)', self.text())
    return int(match[1]) if match else None

  @property
  def step(self):
    """The newest step that it told of."""
    return max(map(int, re.findall(r'step (\d+)/', self.text())),
               default=self.begin or 0)

  def images(self):
    """The images that were read: {number in the training: which record}.

    Raises:
      AssertionError: if a number was read twice.
    """
    found = {}
    for folder in self._log_dirs:
      path = folder / 'images'
      # A line that a kill has cut is of an image that nobody trained on.
      lines = path.read_text().splitlines(True) if path.exists() else ()
      for line in lines:
        if line.endswith('\n'):
          number, record = map(int, line.split())
          assert number not in found, number
          found[number] = record
    return found

  def wait_for(self, condition):
    """Waits until something is so or a process has ended."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while all(process.is_alive() for process in self.processes) and (
        not condition()):
      if time.monotonic() > end:
        self.kill()
        raise AssertionError(f'nothing happens any more:\n{self.text()}')
      time.sleep(0.005)

  def wait(self, seconds=TIMEOUT_SECONDS):
    """Waits for the end of all; returns their statuses, None: not ended."""
    end = time.monotonic() + seconds
    for process in self.processes:
      process.join(max(0, end - time.monotonic()))
    return [process.exitcode for process in self.processes]

  def kill(self):
    """Ends what has not ended."""
    for process in self.processes:
      process.kill()
      process.join()


def seen(jobs, batch_size, train_steps):
  """Counts how often each record was trained on.

  Args:
    jobs: those of one training that took steps, one after the other.
    batch_size: images of a step.
    train_steps: of the training.

  Returns:
    Counts by the record, of the steps that count: each job's until the next
    one's begin.
  """
  counts = collections.Counter()
  ends = [job.begin for job in jobs[1:]] + [train_steps]
  for job, end in zip(jobs, ends):
    images = job.images()
    counts.update(images[number] for number in range(
        job.begin * batch_size, end * batch_size))
  return counts


def _train(arguments, folder, environment):
  """Does as `python ARGUMENTS`, in a process of its own."""
  os.environ.update(environment)
  os.chdir(_REPOSITORY)
  log = os.open(folder / 'log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
  for number in (1, 2):
    os.dup2(log, number)
  _note_images(folder / 'images')
  sys.argv = arguments
  runpy.run_path(arguments[0], run_name='__main__')


def _note_images(path):
  """Writes a line for each record that a training reads, as it is read."""
  original = training_records.read

  def note(number, record):
    tf.print(number, tf.strings.to_hash_bucket_fast(record, tf.int64.max),
             output_stream=f'file://{path}')
    return number, record

  def read(*arguments, **settings):
    reading = original(*arguments, **settings)
    return dataclasses.replace(reading, dataset=reading.dataset.map(note))

  training_records.read = read
