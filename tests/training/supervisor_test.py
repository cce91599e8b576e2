"""The supervisors of the documentation bring a training through preemptions."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import event_files
import metadata_server
import proofs
import pytest

TIMEOUT_SECONDS = 300


def wait_for(condition, process):
  """Waits until a condition holds; fails if the process ends before."""
  end = time.monotonic() + TIMEOUT_SECONDS
  while not condition():
    assert process.poll() is None and time.monotonic() < end
    time.sleep(0.02)


def documented(repository, beginning):
  """The block of the documentation that begins so."""
  text = (repository / 'docs/faults.md').read_text(encoding='utf-8')
  return re.search(rf'```\w+\n({re.escape(beginning)}.*?)```', text,
                   re.DOTALL)[1]


@pytest.mark.long
def test_the_line_of_a_shell(digits_dir, tmp_path, repository):
  count = proofs.choose(2, 10)
  steps = 300 * count
  answers = []
  with metadata_server.stand_in(
      lambda: answers.pop() if answers else 'FALSE') as (address, _):
    settings = ','.join([
        f'task.data_dir={digits_dir}',
        'task.model.backbone.funnel_vit.layout=B1-1-1',
        'task.train_data.global_batch_size=8', 'trainer.steps_per_loop=1',
        'trainer.summary_interval=1', 'trainer.checkpoint_interval=100000',
        'trainer.validation_interval=100000', 'trainer.export.at_end=false',
        f'trainer.train_steps={steps}',
        f'trainer.preemption_metadata_server={address}'])
    line = documented(repository, 'until ')
    for old, new in (
        ('.venv/bin/python', shlex.quote(sys.executable)),
        ('funnel_vit_imagenet', 'funnel_vit_digits'),
        ('gs://bucket/run', f'{tmp_path}/run --params_override={settings}')):
      assert old in line
      line = line.replace(old, new)
    log = tmp_path / 'log'
    with log.open('w') as output:
      process = subprocess.Popen(
          ['sh', '-c', line], cwd=repository, stdout=output,
          stderr=subprocess.STDOUT,
          env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'})
    try:
      for number in range(1, count + 1):
        # It has begun, and taken a step.
        wait_for(lambda number=number: re.search(
            rf'(training from .*?){{{number}}}step \d+/', log.read_text(),
            re.DOTALL), process)
        if number % 2:
          answers.append('TRUE')
        else:
          os.kill(json.loads((tmp_path / 'run/.training.lock').read_text())
                  ['process'], signal.SIGTERM)
        wait_for(lambda number=number: len(re.findall(
            'stopped by', log.read_text())) == number, process)
      code = process.wait(TIMEOUT_SECONDS)
    finally:
      process.kill()
  text = log.read_text()
  assert code == 0, text
  stopped = re.findall(r"stopped by (SIGTERM|Google Cloud's notice of "
                       r'preemption) at step (\d+) of', text)
  assert [source for source, _ in stopped] == (
      ["Google Cloud's notice of preemption", 'SIGTERM'] * count)[:count]
  assert re.findall(r'training from step (\d+)', text) == [
      '0', *(step for _, step in stopped)]
  assert event_files.steps(tmp_path / 'run/train') == list(range(1, steps + 1))


@pytest.mark.skipif(not shutil.which('systemd-analyze'),
                    reason='needs systemd-analyze')
def test_the_unit_of_systemd(tmp_path, repository):
  unit = tmp_path / 'funnel-vit.service'
  text = documented(repository, '[Unit]')
  program = '/srv/funnel-vit/.venv/bin/python'
  assert program in text
  # It looks whether the program is there.
  unit.write_text(text.replace(program, sys.executable))
  done = subprocess.run(
      ['systemd-analyze', 'verify', unit], capture_output=True, text=True,
      check=False)
  assert (done.returncode, done.stderr) == (0, '')
