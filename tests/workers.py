"""Starts `train.py` as several workers of one job, on this machine."""

import json
import os
import socket
import subprocess
import sys


def free_ports(count):
  """Ports that nothing listens on."""
  sockets = [socket.socket() for _ in range(count)]
  try:
    for one in sockets:
      one.bind(('localhost', 0))
    return [one.getsockname()[1] for one in sockets]
  finally:
    for one in sockets:
      one.close()


def start(num_workers, *arguments, cwd, log_dir, **environment):
  """Starts the workers; what they print goes to log_dir/worker-N.txt.

  In an argument, WORKER stands for the number of the worker.

  Returns:
    The processes, [num_workers].
  """
  addresses = [f'localhost:{port}' for port in free_ports(num_workers)]
  processes = []
  for index in range(num_workers):
    task = {'cluster': {'worker': addresses},
            'task': {'type': 'worker', 'index': index}}
    with (log_dir / f'worker-{index}.txt').open('w') as log:
      processes.append(subprocess.Popen(
          [sys.executable, 'train.py',
           *(argument.replace('WORKER', str(index)) for argument in arguments)],
          cwd=cwd,
          stdout=log, stderr=subprocess.STDOUT, env={
              **os.environ, 'CUDA_VISIBLE_DEVICES': '-1',
              'TF_CONFIG': json.dumps(task), **environment}))
  return processes
