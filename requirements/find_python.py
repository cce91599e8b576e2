"""Finds a Python on which tensorflow-addons installs, and prints its path.

  python3 requirements/find_python.py [PYTHON ...]

The last wheels of tensorflow-addons are for Python 3.11. Looked at are the
Pythons named, or else python3 and those of the right versions on the PATH. Runs
on Python 3.7 and later, with nothing installed.
"""

import os
import shutil
import subprocess
import sys

NAMES = ('python3', 'python3.11', 'python3.10')
# Debian's Python without python3-venv has no ensurepip, and makes no
# environment.
_PROBE = (
    'import sys; print("%d.%d" % sys.version_info[:2]); print(sys.executable); '
    'import ensurepip')
_FITTING = ('3.10', '3.11')


def candidates(names, path):
  """Every file of these names on the PATH, in the PATH's order."""
  for name in names:
    if os.path.dirname(name):
      yield name
      continue
    for folder in path.split(os.pathsep):
      found = shutil.which(name, path=folder) if folder else None
      if found:
        yield found


def probe(python):
  """Runs a Python.

  Args:
    python: path of the interpreter.

  Returns:
    The interpreter's own path, and why it does not do, or None if it does.
  """
  try:
    result = subprocess.run(
        [python, '-c', _PROBE], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, timeout=60,
        check=False)
  except (OSError, subprocess.TimeoutExpired):
    return python, 'cannot be run'
  lines = result.stdout.splitlines()
  if len(lines) != 2:
    # A shim of pyenv for a version that is not switched on ends like this.
    return python, 'cannot be run'
  version, executable = lines
  if version not in _FITTING:
    return executable, f'is Python {version}'
  if result.returncode:
    return executable, 'makes no environments (install python3-venv)'
  return executable, None


def find(names, path):
  """Finds the first Python that does.

  Args:
    names: paths of interpreters, or names to look for.
    path: folders to look in, as in the variable PATH.

  Returns:
    The path of the interpreter, None if there is none; and what was looked at,
    with the reason against each.
  """
  seen = {}
  for candidate in candidates(names, path):
    executable, reason = probe(candidate)
    if reason is None:
      return executable, seen
    seen.setdefault(executable, reason)
  return None, seen


def main(argv):
  names = argv[1:]
  found, seen = find(names or NAMES, os.environ.get('PATH', ''))
  if found:
    print(found)
    return
  looked_at = '; '.join(
      f'{python} {reason}' for python, reason in seen.items())
  print(
      'The addons line (TensorFlow 2.15 with tensorflow-addons) needs Python '
      '3.10 or 3.11, and there is none here. Looked at: '
      f'{looked_at or "nothing, " + ", ".join(names or NAMES) + " not found"}. '
      'Install one, or name one: make ADDONS_PYTHON=/path/to/python3.11 addons',
      file=sys.stderr)
  sys.exit(1)


if __name__ == '__main__':
  main(sys.argv)
