"""Trains an experiment, evaluates it, or both.

Its flags are those of Model Garden's training driver. TensorFlow is imported
only once the flags are known to be right, and its log level is set.
"""

from __future__ import annotations

from collections.abc import Sequence
import signal
import sys
from typing import Any

from absl import flags
from official.common import flags as tfm_flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.training import modes
from official_ext.training import preemption

FLAGS = flags.FLAGS
_RESUMES = (
    'The same command resumes from the newest checkpoint, or begins again if '
    'there is none yet.')

tfm_flags.define_flags()
# Model Garden's flag also takes modes that its runner then refuses, after
# everything is built.
del FLAGS.mode
flags.DEFINE_enum('mode', None, modes.MODES, 'What to do.')
# So that --help shows them.
flags.adopt_module_key_flags(tfm_flags)
_ASYNC_CHECKPOINTING = flags.DEFINE_bool(
    'enable_async_checkpointing', True,
    'Whether training goes on while a checkpoint is written.')
_PROFILE = flags.DEFINE_bool(
    'profile', False,
    'Write a TensorBoard profile of a few training steps into the model_dir.')
_PROFILE_STEPS = flags.DEFINE_integer(
    'profile_steps', 5, 'How many steps --profile covers.', lower_bound=1)
_ALLOW_CHANGES = flags.DEFINE_bool(
    'allow_changes', False,
    'Whether a training may go on with settings that make it another one, such '
    'as another optimizer.')
_PRINT_CONFIG = flags.DEFINE_bool(
    'print_config', False,
    'Print every setting with where its value comes from, as YAML, and end; '
    '--mode and --model_dir are not needed.')
_DRY_RUN = flags.DEFINE_bool(
    'dry_run', False,
    'Build a training, take its first steps, say what steps, time and memory '
    'to expect, and leave nothing behind; --mode and --model_dir are not '
    'needed.')
flags.mark_flag_as_required('experiment')
for _required in ('mode', 'model_dir'):
  flags.register_multi_flags_validator(
      [_required, _PRINT_CONFIG.name, _DRY_RUN.name],
      lambda values, name=_required: (
          values['print_config'] or values['dry_run'] or
          values[name] is not None),
      f'Flag --{_required} must have a value other than None.')
flags.register_validator(
    'model_dir', lambda path: path is None or bool(path.strip()),
    message='must not be empty.')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv, (
      'flags begin with --, and a --params_override that holds spaces or '
      'parentheses needs quotes'))
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import gin
  from official.core import train_utils

  from official_ext import registry_imports  # noqa: F401
  from official_ext.params import experiment
  from official_ext.serving import export_during_training
  from official_ext.training import dry_run
  from official_ext.training import session
  # pylint: enable=g-import-not-at-top

  profile_steps = _PROFILE_STEPS.value if _PROFILE.value else None
  with errors.reported(), errors.reported(SyntaxError):  # Of a gin file.
    if FLAGS['profile_steps'].present and not _PROFILE.value:
      raise ValueError(
          f'--profile_steps={_PROFILE_STEPS.value} is set, but nothing is '
          'profiled. Add --profile.')
    gin.parse_config_files_and_bindings(FLAGS.gin_file, FLAGS.gin_params)
    params, origins = experiment.load_with_origins(
        FLAGS.experiment, FLAGS.config_file or (), FLAGS.params_override or '',
        tpu=FLAGS.tpu, tf_data_service=FLAGS.tf_data_service)
    if _PRINT_CONFIG.value:
      print(origins.as_yaml(params), end='')
      return
    if _DRY_RUN.value:
      if _PROFILE.value:
        raise ValueError(
            '--profile writes into the --model_dir, but --dry_run keeps '
            'nothing. Leave one of them out.')
      print(dry_run.run(params, FLAGS.mode, _ASYNC_CHECKPOINTING.value))
      return
    run = session.prepare(
        params, FLAGS.mode, FLAGS.model_dir, profile_steps,
        allow_changes=_ALLOW_CHANGES.value)
  export = export_during_training.TrainingExport(params, FLAGS.model_dir)
  try:
    with errors.reported(errors.UserError):
      trainer = run.execute(export.at_best, _ASYNC_CHECKPOINTING.value)
  except preemption.Preempted as stopped:
    print(stopped, file=sys.stderr)
    raise SystemExit(stopped.exit_status) from None
  if not run.is_chief or not run.writes:
    return
  with errors.reported():
    train_utils.save_gin_config(FLAGS.mode, FLAGS.model_dir)
  if modes.trains(FLAGS.mode):
    _export_at_end(export, int(trainer.global_step.numpy()),
                   has_trained=bool(trainer.train_logs),
                   is_stopped_early=trainer.is_stopped_early)


def _export_at_end(export, step: int, has_trained: bool,
                   is_stopped_early: bool) -> None:
  """Exports what the training ended in, and says where to."""
  import tensorflow as tf  # pylint: disable=g-import-not-at-top
  try:
    with library_logs.without_prints():
      path = export.at_end(step, has_trained, is_stopped_early)
      best = export.exported_best() if has_trained else None
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(
        'the training is done and its checkpoint is kept, but it was not '
        f'exported: {errors.message(error)}')
  if best:
    print(f'exported the best checkpoint to {best}')
  if path:
    print(f'exported to {path}')


def run() -> None:
  """Runs the installed command."""
  for number in (signal.SIGTERM, signal.SIGUSR1):
    # While it trains, `preemption.signals` takes their place.
    signal.signal(number, _stop)
  library_logs.run(main, lambda: f'interrupted. {_after_a_stop()}')


def _after_a_stop() -> str:
  """Says what is left of a run that was stopped, and what goes on."""
  is_dry_run = FLAGS.is_parsed() and _DRY_RUN.value
  return 'Nothing of the dry run is kept.' if is_dry_run else _RESUMES


def _stop(number: int, _: Any) -> None:
  # Some send it twice, which would interrupt what now ends in order.
  for other in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(other, signal.SIG_IGN)
  print(f'stopped by {signal.Signals(number).name}. {_after_a_stop()}',
        file=sys.stderr)
  raise SystemExit(preemption.EXIT_STATUS)


if __name__ == '__main__':
  run()
