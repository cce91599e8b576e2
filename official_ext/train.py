"""The command that trains and evaluates: `python -m official_ext.train`.

Its flags are those of Model Garden's training driver. TensorFlow is imported
only once the flags are known to be right, and its log level is set.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags
from official.common import flags as tfm_flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs

FLAGS = flags.FLAGS

_MODES = ('train', 'eval', 'train_and_eval', 'continuous_eval')

tfm_flags.define_flags()
# Model Garden's flag also takes modes that its runner then refuses, after
# everything is built.
del FLAGS.mode
flags.DEFINE_enum('mode', None, _MODES, 'What to do.')
# So that --help shows them.
flags.adopt_module_key_flags(tfm_flags)
flags.adopt_module_key_flags(library_logs)
_ASYNC_CHECKPOINTING = flags.DEFINE_bool(
    'enable_async_checkpointing', True,
    'Whether training goes on while a checkpoint is written.')
_PROFILE = flags.DEFINE_bool(
    'profile', False,
    'Write a TensorBoard profile of a few training steps into the model_dir.')
_PROFILE_STEPS = flags.DEFINE_integer(
    'profile_steps', 5, 'How many steps --profile covers.', lower_bound=1)
flags.mark_flags_as_required(['experiment', 'mode', 'model_dir'])
flags.register_validator(
    'model_dir', lambda path: path is None or bool(path.strip()),
    message='must not be empty.')


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(
        f'unexpected argument {argv[1]!r}: flags begin with --, and a '
        '--params_override that holds spaces or parentheses needs quotes')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import gin
  from official.core import train_utils
  import tensorflow as tf

  from official_ext import registry_imports  # noqa: F401
  from official_ext.checkpoints import restore
  from official_ext.params import experiment
  from official_ext.serving import training_export
  from official_ext.tasks import image_classification
  from official_ext.training import driver
  from official_ext.training import strategies
  # pylint: enable=g-import-not-at-top

  profile_steps = _PROFILE_STEPS.value if _PROFILE.value else None
  try:
    if FLAGS['profile_steps'].present and not _PROFILE.value:
      raise ValueError(
          f'--profile_steps={_PROFILE_STEPS.value} is set, but nothing is '
          'profiled. Add --profile.')
    gin.parse_config_files_and_bindings(FLAGS.gin_file, FLAGS.gin_params)
    params = experiment.load(
        FLAGS.experiment, FLAGS.config_file or (), FLAGS.params_override or '',
        tpu=FLAGS.tpu, tf_data_service=FLAGS.tf_data_service)
    driver.check(params, FLAGS.mode, FLAGS.model_dir, profile_steps)
    strategy = strategies.build(params)
    driver.check_records(params, FLAGS.mode)
  except (ValueError, OSError, SyntaxError, tf.errors.OpError) as error:
    errors.fail(error)
  export = training_export.TrainingExport(params, FLAGS.model_dir)
  try:
    trainer = driver.run(
        params, FLAGS.mode, FLAGS.model_dir, strategy,
        _ASYNC_CHECKPOINTING.value, profile_steps, on_best=export.at_best)
  except restore.LoadError as error:
    errors.fail(error)
  except tf.errors.DataLossError as error:
    errors.fail(
        f'a file is damaged, most likely the checkpoint in {FLAGS.model_dir} '
        f'or a record: {error.message}')
  except tf.errors.InvalidArgumentError as error:
    message = image_classification.bad_input_message(error)
    if message is None:
      raise
    errors.fail(message)
  except tf.errors.OpError as error:
    message = strategies.lost_worker_message(error)
    if message is None:
      raise
    errors.fail(
        f'{message}. Start all workers again with the same command: they go '
        f'on from the newest checkpoint in {FLAGS.model_dir}.')
  if not strategies.is_chief(strategy):
    return
  train_utils.save_gin_config(FLAGS.mode, FLAGS.model_dir)
  if 'train' in FLAGS.mode:
    _export_at_end(export, int(trainer.global_step.numpy()),
                   has_trained=bool(trainer.train_logs))


def _export_at_end(export, step: int, has_trained: bool) -> None:
  """Exports what the training ended in, and says where to."""
  import tensorflow as tf  # pylint: disable=g-import-not-at-top
  try:
    with library_logs.without_prints():
      path = export.at_end(step, has_trained)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(
        'the training is done and its checkpoint is kept, but it was not '
        f'exported: {getattr(error, "message", error)}')
  if path:
    print(f'exported to {path}')


def run() -> None:
  """The entry point of the installed command."""
  library_logs.run(
      main, 'interrupted. The same command goes on from the newest checkpoint.')


if __name__ == '__main__':
  run()
