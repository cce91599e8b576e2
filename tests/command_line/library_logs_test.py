"""Tests of how a command ends when it is stopped or nobody reads it."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from official_ext.command_line import library_logs

_COMMAND = """
import time
from official_ext.command_line import library_logs

def main(argv):
  print('a line')
  {body}

def wait():
  print('ready', flush=True)
  # Not signal.pause: a signal just before it would be missed.
  while True:
    time.sleep(0.01)

library_logs.run(main, lambda: 'stopped here')
"""


def start(repository, body, stdout=subprocess.PIPE):
  return subprocess.Popen(
      [sys.executable, '-c', _COMMAND.format(body=body)], cwd=repository,
      stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize('body', [
    'pass', 'print("x" * 1_000_000)', 'print(end="", flush=True)'])
def test_who_reads_may_go(repository, body):
  reader, writer = os.pipe()
  os.close(reader)
  process = start(repository, body, writer)
  os.close(writer)
  _, stderr = process.communicate(timeout=60)
  assert (process.returncode, stderr) == (1, '')


def test_an_interruption_is_a_line(repository):
  process = start(repository, 'wait()')
  assert [process.stdout.readline() for _ in range(2)] == [
      'a line\n', 'ready\n']
  process.send_signal(signal.SIGINT)
  _, stderr = process.communicate(timeout=60)
  assert (process.returncode, stderr) == (130, 'stopped here\n')


@pytest.mark.parametrize('file, shown', [
    ('async_checkpoint_helper.py', False), ('another.py', True)])
def test_an_error_that_tensorflow_logs_and_raises(file, shown):
  record = logging.LogRecord(
      'absl', logging.ERROR, f'/tensorflow/python/checkpoint/{file}', 324,
      'Propagating the most recent error: %s', ('full',), None)
  assert library_logs._ProjectOnly().filter(record) is shown


def test_a_command_that_ends_well(repository):
  stdout, stderr = (process := start(repository, 'pass')).communicate(
      timeout=60)
  assert (process.returncode, stdout, stderr) == (0, 'a line\n', '')
