"""Runs the numerics tests as other CPUs would compute: `make test-cpus`.

  .venv/bin/python scripts/test_cpu_settings.py [PYTEST_ARGUMENT ...]

oneDNN takes the instructions that a CPU has, and the order of its sums follows
from them. Held to fewer, it computes as an older CPU does; without it, and with
one thread or several, TensorFlow adds in other orders again. A tolerance that
holds on one machine alone fails here. Needs the tests' environment.

Below AVX-512, oneDNN has no bfloat16, and an older CPU takes TensorFlow's own.
Held to fewer instructions, oneDNN is given bfloat16 all the same, since
TensorFlow asks the CPU and not oneDNN: it fails or crashes. The tests of
bfloat16 are left out there, and run as on an older CPU without oneDNN.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import time

SETTINGS = {
    'SSE 4.1, but bfloat16': {'ONEDNN_MAX_CPU_ISA': 'SSE41'},
    'AVX2, but bfloat16': {'ONEDNN_MAX_CPU_ISA': 'AVX2'},
    'AVX-512, where the CPU has it': {'ONEDNN_MAX_CPU_ISA': 'AVX512_CORE'},
    'without oneDNN': {'TF_ENABLE_ONEDNN_OPTS': '0'},
    'one thread': {
        'TF_NUM_INTRAOP_THREADS': '1', 'TF_NUM_INTEROP_THREADS': '1'},
    'four threads': {
        'TF_NUM_INTRAOP_THREADS': '4', 'TF_NUM_INTEROP_THREADS': '4'},
}
_LEFT_OUT = ['-k', 'not bfloat16']
_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# What pytest ends with, such as '1 failed, 99 passed in 9.9s'.
_RESULT = re.compile(r'^.*\b\d+ (?:passed|failed|error).* in .*$', re.MULTILINE)


def run(environment: dict[str, str], arguments: list[str]) -> tuple[int, str]:
  """Runs the tests under one setting.

  Args:
    environment: the variables of the setting.
    arguments: of pytest, besides those that choose the numerics tests.

  Returns:
    The exit status of pytest, and what it printed.
  """
  done = subprocess.run(
      [sys.executable, '-m', 'pytest', '-q', '-m', 'numerics and not long',
       *arguments],
      cwd=_REPOSITORY, env={**os.environ, **environment}, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
  return done.returncode, done.stdout


def main() -> None:
  """Prints a line for each setting, and what failed."""
  failed = []
  for name, environment in SETTINGS.items():
    start = time.monotonic()
    left_out = _LEFT_OUT if name.endswith('but bfloat16') else []
    code, output = run(environment, [*left_out, *sys.argv[1:]])
    seconds = time.monotonic() - start
    results = _RESULT.findall(output)
    result = results[-1].strip('= ') if results else f'exit status {code}'
    print(f'{name:30} {seconds:5.0f} s  {result}', flush=True)
    if code:
      failed.append(name)
      print(output, flush=True)
  if failed:
    sys.exit(f'error: the numerics tests fail with: {"; ".join(failed)}.')


if __name__ == '__main__':
  main()
