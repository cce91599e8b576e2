"""Interrupts a study at random moments; it must end as if nothing had been.

  python tests/killed_study.py --kills=5 --seed=1

A short study on the digits is run undisturbed, and once more while it is
killed: the command alone (SIGKILL), the command with its training, as when a
machine is lost, or by SIGTERM. The results must be the same lines.
"""

import argparse
import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY)]

# pylint: disable=g-import-not-at-top
from data_prep import digits_to_tfrecord  # noqa: E402
from official_ext.studies import results as results_lib  # noqa: E402

# pylint: enable=g-import-not-at-top

STEPS = 40
_LAYOUT = 'task.model.backbone.funnel_vit.layout'
_RATE = 'trainer.optimizer_config.learning_rate.cosine.initial_learning_rate'
STUDY = f"""
title: A short study
experiment: funnel_vit_digits
params_override:
  task.data_dir: DATA
  trainer.train_steps: {STEPS}
  trainer.train_epochs: 0
  trainer.steps_per_loop: 5
  trainer.summary_interval: 5
  trainer.checkpoint_interval: 10
  trainer.validation_interval: 20
  trainer.optimizer_config.warmup.linear.warmup_steps: 2
seeds: [1, 2]
baseline: ViT
rows:
  ViT: {{params_override: {{{_LAYOUT}: B2}}}}
  funnel: {{params_override: {{{_LAYOUT}: B1-1-1}}}}
  without training:
    mode: eval
    seeds: [1]
    params_override:
      task.init_checkpoint: {{run_of: ViT}}
      {_LAYOUT}: B1-1
  too fast:
    seeds: [1]
    params_override: {{{_LAYOUT}: B2, {_RATE}: 900}}
"""
# What a training is, not what it took.
SAME = ('row', 'seed', 'status', 'reason', 'layout', 'gmacs', 'parameters',
        'step', 'top_1_percent', 'loss', 'evaluations', 'threads',
        'fingerprint')
_KINDS = ('the command', 'the machine', 'SIGTERM')
_TOLD = 128 + signal.SIGTERM


def write_study(folder, data_dir, text=STUDY):
  """Writes a study; returns its path."""
  path = pathlib.Path(folder) / 'short.yaml'
  path.write_text(text.replace('DATA', str(data_dir)))
  return path


def start(study, folder, *flags):
  """Starts the command that runs a study."""
  with open(f'{folder}.log', 'ab') as log:
    return subprocess.Popen(
        [sys.executable, '-m', 'official_ext.studies.run', f'--study={study}',
         f'--folder={folder}', *flags], cwd=REPOSITORY, stdout=log, stderr=log,
        start_new_session=True,
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'})


def kill(process, kind):
  """Ends the command in one of _KINDS, and waits for its end."""
  if kind == 'SIGTERM':
    process.terminate()
  else:
    children = _children(process.pid) if kind == 'the machine' else []
    process.kill()
    for child in children:
      os.kill(child, signal.SIGKILL)
  status = process.wait()
  assert status in (-signal.SIGKILL, -signal.SIGTERM, _TOLD, 0), status


def _num_begun(log):
  """Returns how many trainings a study says that it has begun."""
  path = pathlib.Path(log)
  return path.read_text().count(' begins\n') if path.exists() else 0


def _wait_for_training(process, log, begun):
  """Waits until the command begins a training, or ends."""
  while process.poll() is None and _num_begun(log) == begun:
    time.sleep(0.05)


def _children(parent):
  """Returns the processes of a process."""
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
    try:
      fields = path.read_text().rpartition(')')[2].split()
    except OSError:
      continue
    if int(fields[1]) == parent:
      found.append(int(path.parent.name))
  return found


def lines(folder):
  """Returns what the results say of each training, in any order."""
  found = results_lib.read(str(pathlib.Path(folder) / 'results.csv')).lines
  return sorted(tuple(line[column].replace(str(folder), '')
                      for column in SAME) for line in found)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--kills', type=int, default=5)
  parser.add_argument('--seed', type=int, default=1)
  arguments = parser.parse_args()
  generator = random.Random(arguments.seed)
  with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    digits_to_tfrecord.convert(
        str(root / 'digits'), num_train_shards=4, num_samples=6)
    study = write_study(root, root / 'digits')
    begin = time.monotonic()
    assert start(study, root / 'undisturbed').wait() == 0, (
        (root / 'undisturbed.log').read_text())
    seconds = time.monotonic() - begin
    print(f'undisturbed: {seconds:.0f} s', flush=True)
    kills = collections.Counter()
    while True:
      begun = _num_begun(f'{root}/killed.log')
      process = start(study, root / 'killed')
      if sum(kills.values()) == arguments.kills:
        assert process.wait() == 0, (root / 'killed.log').read_text()
        break
      _wait_for_training(process, f'{root}/killed.log', begun)
      try:
        # On average somewhat over a half of one of the six trainings.
        status = process.wait(generator.uniform(0, 0.2) * seconds)
        raise AssertionError(f'the study was done too soon, with {status}')
      except subprocess.TimeoutExpired:
        kind = generator.choice(_KINDS)
        done = (len(lines(root / 'killed'))
                if (root / 'killed' / 'results.csv').exists() else 0)
        kill(process, kind)
        kills[kind] += 1
        print(f'{kind} killed with {done} trainings done', flush=True)
    expected, found = lines(root / 'undisturbed'), lines(root / 'killed')
    print((root / 'killed.log').read_text())
    assert found == expected, (found, expected)
    for line in found:
      print(','.join(line)[:150])
  print(f'killed {dict(kills)}: {len(found)} lines as of an undisturbed study')


if __name__ == '__main__':
  main()
