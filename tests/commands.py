"""Runs the project's commands as a user types them.

`run` runs them inside this process, which has TensorFlow already; `run_alone`
starts a new Python, ten seconds slower: for what depends on being alone, such
as the order of imports, the end by a signal or the environment of a start.
"""

import contextlib
import json
import logging as python_logging
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings

from absl import app
from absl import flags
from absl import logging
import gin

# Whatever a command imports first must find its flag when the command is over.
from official_ext.command_line import library_logs  # noqa: F401

# What defines the flags of a command.
_OURS = ('official_ext', 'data_prep', 'official.common.flags', '__main__')


def run_alone(*arguments, cwd, timeout=300, **environment):
  """Runs `python ARGUMENTS...` in the repository; returns the result."""
  return subprocess.run(
      [sys.executable, *map(str, arguments)], cwd=cwd, timeout=timeout,
      capture_output=True, text=True, check=False,
      env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', **environment})


def run_in_turn(*several, cwd, timeout=600, **environment):
  """Does as `run_alone` for several commands; they share a new process.

  It imports TensorFlow once, and ends with the first command that fails.
  """
  # Not as ASCII: the new Python decodes what it is called with.
  text = json.dumps([list(map(str, one)) for one in several],
                    ensure_ascii=False)
  return run_alone(
      '-c', _IN_TURN, text, cwd=cwd, timeout=timeout,
      PYTHONPATH=os.path.dirname(__file__), **environment)


_IN_TURN = """
import json, os, sys
sys.path.insert(0, os.getcwd())
import commands
sys.exit(commands.in_turn(json.loads(sys.argv[1])))
"""


def in_turn(several):
  """Runs commands in this process; returns the first status that is not 0."""
  for arguments in several:
    with _own_state(arguments, os.getcwd(), {}):
      status = _exit_status(arguments)
    if status:
      return status
  return 0


def run(*arguments, cwd, **environment):
  """Does as `run_alone` for `-m MODULE ...` or `FILE ...`, in this process."""
  arguments = [os.fspath(argument) if isinstance(argument, os.PathLike)
               else str(argument) for argument in arguments]
  with contextlib.ExitStack() as stack:
    out, err = (stack.enter_context(tempfile.TemporaryFile('w+'))
                for _ in range(2))
    with _own_state(arguments, cwd, environment), _output(out, err):
      code = _exit_status(arguments)
    texts = []
    for file in (out, err):
      file.seek(0)
      texts.append(file.read())
  return subprocess.CompletedProcess(arguments, code, *texts)


def _exit_status(arguments):
  """Runs the command and returns the status that its process would have."""
  try:
    if arguments[0] == '-m':
      runpy.run_module(arguments[1], run_name='__main__', alter_sys=True)
    else:
      runpy.run_path(arguments[0], run_name='__main__')
  except SystemExit as error:
    if error.code is None or isinstance(error.code, int):
      return error.code or 0
    print(error.code, file=sys.stderr)
    return 1
  except BaseException:  # pylint: disable=broad-exception-caught
    traceback.print_exc()
    return 1
  return 0


@contextlib.contextmanager
def _output(out, err):
  """Sends what Python and C++ write to the terminal into two files."""
  handler = logging.get_absl_handler().python_handler
  streams = sys.stdout, sys.stderr, handler.stream
  for stream in streams:
    stream.flush()
  kept = [os.dup(number) for number in (1, 2)]
  for number, file in enumerate((out, err), 1):
    os.dup2(file.fileno(), number)
  sys.stdout = open(1, 'w', closefd=False)  # pylint: disable=consider-using-with
  sys.stderr = open(2, 'w', closefd=False)  # pylint: disable=consider-using-with
  handler.stream = sys.stderr
  try:
    yield
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout, sys.stderr, handler.stream = streams
    for number, file in enumerate(kept, 1):
      os.dup2(file, number)
      os.close(file)


@contextlib.contextmanager
def _own_state(arguments, cwd, environment):
  """Gives a command the state of a new process, and takes back what it sets."""
  app.define_help_flags()
  root, tensorflow = (python_logging.getLogger(name)
                      for name in (None, 'tensorflow'))
  handler = logging.get_absl_handler()
  flag_state = dict(flags.FLAGS.__dict__)
  flag_values = {name: dict(flags.FLAGS[name].__dict__) for name in flags.FLAGS}
  kept = {
      'argv': sys.argv, 'path': list(sys.path), 'cwd': os.getcwd(),
      'environ': dict(os.environ), 'handlers': list(root.handlers),
      'levels': [logger.level for logger in (root, tensorflow)],
      'absl': logging.get_absl_logger().level, 'filters': list(handler.filters),
      'formatter': handler.python_handler.formatter,
      'signals': {number: signal.getsignal(number)
                  for number in (signal.SIGINT, signal.SIGTERM)},
  }
  modules = _without_flags_of_ours(arguments)
  root.handlers[:] = []
  logging.use_absl_handler()
  os.environ.update({'CUDA_VISIBLE_DEVICES': '-1', **environment})
  os.chdir(cwd)
  sys.argv = arguments[1 if arguments[0] == '-m' else 0:]
  sys.path.insert(0, os.fspath(cwd))
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('default')
      yield
  finally:
    gin.clear_config()
    for number, handled in kept['signals'].items():
      signal.signal(number, handled)
    sys.argv, sys.path[:] = kept['argv'], kept['path']
    os.chdir(kept['cwd'])
    os.environ.clear()
    os.environ.update(kept['environ'])
    _forget('__main__')
    flags.FLAGS.__dict__.clear()
    flags.FLAGS.__dict__.update(flag_state)
    for name, values in flag_values.items():
      flags.FLAGS[name].__dict__.update(values)
    _remember(modules)
    root.handlers[:] = kept['handlers']
    for logger, level in zip((root, tensorflow), kept['levels']):
      logger.setLevel(level)
    logging.get_absl_logger().setLevel(kept['absl'])
    handler.filters[:] = kept['filters']
    handler.setFormatter(kept['formatter'])


def _without_flags_of_ours(arguments):
  """Forgets the project's flags and what defined them; returns the modules.

  Commands share names of flags, and so cannot be imported side by side.
  """
  fresh = flags.FlagValues()
  for module, found in flags.FLAGS.flags_by_module_dict().items():
    if not module.startswith(_OURS):
      for flag in found:
        fresh[flag.name] = flag
        fresh.register_flag_by_module(module, flag)
  modules = _forget(arguments[1] if arguments[0] == '-m' else '__main__')
  flags.FLAGS.__dict__.clear()
  flags.FLAGS.__dict__.update(fresh.__dict__)
  return modules


def _forget(command):
  """Lets the command, and what defines flags for it, be imported anew."""
  names = {command, *flags.FLAGS.flags_by_module_dict()}
  modules = {name: sys.modules.pop(name) for name in names
             if name.startswith(('official_ext.', 'data_prep.')) and
             name in sys.modules}
  for name in modules:
    package, _, child = name.rpartition('.')
    vars(sys.modules[package]).pop(child, None)
  return modules


def _remember(modules):
  for name, module in modules.items():
    sys.modules[name] = module
    package, _, child = name.rpartition('.')
    setattr(sys.modules[package], child, module)
