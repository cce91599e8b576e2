"""How much the long proofs do: all of it with `make proofs FULL=1`."""

import os


def choose(short, full):
  """Returns counts or cases: `full` ones where PROOFS=full is set."""
  return full if os.environ.get('PROOFS') == 'full' else short
