"""Runs the project's commands as a user does, in a process of their own."""

import os
import subprocess
import sys


def run(*arguments, cwd, timeout=300, **environment):
  """Runs `python ARGUMENTS...` in the repository; returns the result."""
  return subprocess.run(
      [sys.executable, *map(str, arguments)], cwd=cwd, timeout=timeout,
      capture_output=True, text=True, check=False,
      env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', **environment})
