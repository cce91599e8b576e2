"""Says whether this environment is fit to train on a Cloud TPU VM.

  .venv/bin/python -m scripts.check_tpu_vm

Checks that nothing but tensorflow-tpu installs the package `tensorflow`, that
what else is installed has what it needs, that TensorFlow and this project can
be imported, and how many TPU cores TensorFlow sees. `--skip_tpu` leaves the
last out: for one host of a slice, which cannot use its part alone, and to try
the environment elsewhere.
"""

from __future__ import annotations

import argparse
from importlib import metadata
import os
import subprocess
import sys

from scripts import tpu_requirements

# pip names tensorflow as missing wherever something depends on it.
_EXPECTED = 'requires tensorflow, which is not installed.'


def find_problems(installed: dict[str, str], pip_check: str) -> list[str]:
  """Judges what is installed.

  Args:
    installed: versions by normalised name of the distribution.
    pip_check: what `pip check` printed.

  Returns:
    What is wrong, in words; nothing if all is well.
  """
  problems = []
  others = sorted(
      (tpu_requirements.PROVIDERS - {'tensorflow-tpu'}) & set(installed))
  if 'tensorflow-tpu' not in installed:
    problems.append(
        'tensorflow-tpu is not installed. Run scripts/setup_tpu_vm.sh.')
  if others:
    problems.append(
        f'{", ".join(others)} is installed too, and overwrites what '
        'tensorflow-tpu installed. Remove the environment and run '
        'scripts/setup_tpu_vm.sh again.')
  problems += [
      f'pip check: {line}' for line in pip_check.splitlines()
      if ' has requirement ' in line or (
          ' requires ' in line and not line.endswith(_EXPECTED))]
  return problems


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--skip_tpu', action='store_true')
  arguments = parser.parse_args()
  installed = {tpu_requirements.normalize(one.metadata['Name']): one.version
               for one in metadata.distributions()}
  pip_check = subprocess.run(
      [sys.executable, '-m', 'pip', 'check'], capture_output=True, text=True,
      check=False).stdout
  problems = find_problems(installed, pip_check)
  if problems:
    sys.exit('\n'.join(f'error: {problem}' for problem in problems))
  print(f'tensorflow-tpu {installed["tensorflow-tpu"]}, '
        f'libtpu {installed.get("libtpu", "not installed")}; '
        'no other distribution installs tensorflow')
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  if arguments.skip_tpu:
    # Else the import asks Google's metadata server about the TPU, which takes
    # minutes where there is none.
    os.environ['TPU_LOAD_LIBRARY'] = '0'
    os.environ.pop('TF_PLUGGABLE_DEVICE_LIBRARY_PATH', None)
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext import registry_imports  # noqa: F401
  # pylint: enable=g-import-not-at-top
  print(f'tensorflow {tf.__version__} and official_ext can be imported')
  if arguments.skip_tpu:
    print('TPU: not looked for')
    return
  num_cores = _count_tpu_cores()
  print(f'TPU cores that TensorFlow sees: {num_cores}')
  if not num_cores:
    sys.exit(
        'error: TensorFlow sees no TPU. Source the environment that '
        'scripts/setup_tpu_vm.sh wrote, and see docs/cloud_tpu.md.')


def _count_tpu_cores() -> int:
  """Returns the TPU cores of this machine, or of the slice of TPU_NAME."""
  import tensorflow as tf  # pylint: disable=g-import-not-at-top
  address = os.environ.get('TPU_NAME', 'local')
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
    if address != 'local':
      tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
  except (ValueError, RuntimeError, tf.errors.OpError) as error:
    print(f'no TPU system at {address!r}: '
          f'{str(error).splitlines()[0] if str(error) else repr(error)}')
  return len(tf.config.list_logical_devices('TPU'))


if __name__ == '__main__':
  main()
