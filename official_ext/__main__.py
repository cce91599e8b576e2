"""Lists the commands, or runs one: `python -m official_ext COMMAND [flags]`."""

from __future__ import annotations

from importlib import metadata
import runpy
import sys

from official_ext.command_line import commands
from official_ext.command_line import errors
from official_ext.command_line import streams

_HELP = ('--help', '--helpfull', '--helpshort', '-h', '-help', 'help')


def run() -> None:
  """Runs the installed command `funnel-vit`."""
  streams.prepare()
  if len(sys.argv) < 2 or sys.argv[1] in _HELP:
    _print_listing()
    return
  if sys.argv[1] == '--version':
    print(f'funnel-vit {metadata.version("funnel-vit")}')
    return
  with errors.reported(ValueError):
    module = commands.module(sys.argv[1])
  del sys.argv[1]
  # As `python -m` does, for the processes that the command may start.
  runpy.run_module(module, run_name='__main__', alter_sys=True)


def _print_listing() -> None:
  try:
    print(commands.listing(), flush=True)
  except BrokenPipeError:  # As after `| head`.
    streams.abandon()
    raise SystemExit(1) from None


if __name__ == '__main__':
  run()
