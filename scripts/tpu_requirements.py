"""The lock for a Cloud TPU VM: tensorflow-tpu in the place of tensorflow.

  python3 scripts/tpu_requirements.py > requirements.txt

tensorflow-tpu installs the same package `tensorflow` as the distribution
`tensorflow` does, so each overwrites the other. Model Garden, tf-keras,
tensorflow-text and tensorflow-serving-api depend on the latter: what this
prints is complete, and is installed with `pip install --no-deps`.

Runs before anything is installed, so it needs nothing but Python.
"""

from __future__ import annotations

import pathlib
import re
import sys

LOCK = pathlib.Path(__file__).parent.parent / 'requirements' / 'lock.txt'

# Distributions that install the package `tensorflow`.
PROVIDERS = frozenset({
    'intel-tensorflow', 'tensorflow', 'tensorflow-aarch64', 'tensorflow-cpu',
    'tensorflow-cpu-aws', 'tensorflow-gpu', 'tensorflow-intel',
    'tensorflow-macos', 'tensorflow-rocm', 'tensorflow-tpu', 'tf-nightly',
    'tf-nightly-cpu', 'tf-nightly-tpu',
})
# What tensorflow-tpu needs and tensorflow does not. It asks for ~=0.0.14: the
# oldest that does is the one of its time, later ones come with later XLA.
EXTRA = ('libtpu==0.0.14',)
_PIN = re.compile(
    r'(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;]+)'
    r'(?P<marker>\s*;\s*.+)?')


def normalize(name: str) -> str:
  """Returns a distribution's name as PyPI compares it (PEP 503)."""
  return re.sub(r'[-_.]+', '-', name).lower()


def derive(lock: str) -> list[str]:
  """Derives the requirements of a TPU VM from the lock.

  Args:
    lock: the text of requirements/lock.txt.

  Returns:
    The lock's lines in their order, with tensorflow-tpu in the place of
    tensorflow at the same version, and what tensorflow-tpu needs besides.

  Raises:
    ValueError: if a line is not a pinned version, or the lock does not pin
      tensorflow once, and nothing else that installs the package.
  """
  requirements, versions = [], []
  for line in lock.splitlines():
    line = line.split(' #')[0].strip()
    if not line or line.startswith('#'):
      continue
    pin = _PIN.fullmatch(line)
    if not pin:
      raise ValueError(
          f'{line!r} is not of the form name==version. Resolve the lock anew: '
          'make lock.')
    name = normalize(pin['name'])
    if name == 'tensorflow':
      versions.append(pin['version'])
      line = f'tensorflow-tpu=={pin["version"]}{pin["marker"] or ""}'
    elif name in PROVIDERS:
      raise ValueError(
          f'{line!r} installs the package tensorflow, which tensorflow-tpu '
          'installs too. Take it out of requirements/main.in.')
    requirements.append(line)
  if len(versions) != 1:
    raise ValueError(
        'the lock was expected to pin tensorflow once, but pins it '
        f'{len(versions)} times. Resolve the lock anew: make lock.')
  return requirements + list(EXTRA)


if __name__ == '__main__':
  try:
    print('\n'.join(derive(LOCK.read_text(encoding='utf-8'))))
  except (OSError, ValueError) as error:
    sys.exit(f'error: {error}')
