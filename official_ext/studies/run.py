"""Runs a study: every training that it lacks, one process each.

  python -m official_ext.studies.run --study=paper_claims --parallel=2

All trainings are resolved and checked before the first one runs. Interrupted
at any moment, the same command goes on: a training from its checkpoint, the
study with what is not in its results yet.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import shlex
import sys

from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.command_line import tables

_STUDY = flags.DEFINE_string(
    'study', None, "A study's YAML file, or the name of one that is shipped.",
    required=True)
_FOLDER = flags.DEFINE_string(
    'folder', None, 'Of the results and the trainings; by default '
    'runs/studies/ and the name of the study.')
_REUSE = flags.DEFINE_multi_string(
    'reuse', [], 'The folder of another study, whose finished trainings of the '
    'same settings and seeds are copied, not run again.')
_PARALLEL = flags.DEFINE_integer(
    'parallel', 1, 'Trainings at a time, which share the CPU cores.',
    lower_bound=1)
_CONFIG_FILE = flags.DEFINE_multi_string(
    'config_file', [], 'Over those of the study: what the machine needs, such '
    'as gpu.')
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', "Over the study's settings, under those of its "
    'rows, such as task.data_dir=/data/cifar10.')
_TPU = flags.DEFINE_string('tpu', '', "The TPU's address, such as 'local'.")

_DRY_RUN = flags.DEFINE_bool(
    'dry_run', False,
    'Resolve and check all trainings, print what is to be run, and end; '
    'nothing is written.')

_MODULE = 'official_ext.studies.run'


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.studies import changed_rows
  from official_ext.studies import plan as plan_lib
  from official_ext.studies import preview
  from official_ext.studies import processes
  from official_ext.studies import results
  from official_ext.studies import reused
  from official_ext.studies import study_file
  # pylint: enable=g-import-not-at-top
  # The memory of a GPU is the trainings': this process only reads records.
  tf.config.set_visible_devices([], 'GPU')
  with errors.reported():
    study = study_file.read(_STUDY.value)
    folder = _FOLDER.value or os.path.join('runs', 'studies', study.name)
    if '://' in folder:
      raise ValueError(
          f'--folder={folder} must be on a disk of this machine, such as '
          f'runs/studies/{study.name}: its results are locked there.')
    plan = plan_lib.make(
        study, folder, _CONFIG_FILE.value, _PARAMS_OVERRIDE.value, _TPU.value)
    path = os.path.join(plan.folder, results.FILE)
    if _DRY_RUN.value:
      changed_rows.check(plan)
      print(preview.text(plan, results.read(path)))
      return
    with results.hold(plan.folder):
      changed_rows.check(plan)
      results.begin(path, {
          'study': study.name, 'title': study.title,
          'command': _command()}, study.metric)
      def tell(text):
        print(text, flush=True)

      reused.take(plan, _REUSE.value, tell)
      try:
        processes.Scheduler(plan, _PARALLEL.value, tell).run()
      except processes.Stopped as stopped:
        print(stopped, file=sys.stderr)
        raise SystemExit(stopped.exit_status) from None
  print(f'{len(plan.runs)} of {tables.counted(len(plan.runs), "training")} '
        f'done: {path}')


def _command() -> str:
  """Returns the command as typed, but for where results are."""
  return shlex.join(['python', '-m', _MODULE, *(
      word for word in sys.argv[1:]
      if not word.startswith(('--folder=', '--reuse=')))])


if __name__ == '__main__':
  library_logs.run(main, 'interrupted. The same command goes on from there.')
