"""Runs a command that is told to end when the process that began it is gone.

  python end_with_parent.py PARENT python -m official_ext.train ...

Linux sends SIGTERM then, upon which a training saves a checkpoint; elsewhere
it goes on to its end. Ctrl-C in a terminal reaches the parent alone.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
  parent, *command = sys.argv[1:]
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
      # It was gone before Linux knew whom to tell.
      raise SystemExit(128 + signal.SIGTERM)
  os.setpgid(0, 0)
  os.execvp(command[0], command)


if __name__ == '__main__':
  main()
