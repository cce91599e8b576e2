"""What it costs that a training loses nothing, beside one that may.

  python -m official_ext.benchmarks.safety_cost --data_dir=data/digits

Two trainings of the same model take turns in one process: Model Garden's own
trainer, whose reader shuffles as records come and whose augmentation and masks
keep a state, and this project's, with the exact order of the images, random
numbers that follow from the step, the numbers of every step watched, and
checkpoints that are checked. Starts are measured in processes of their own. It
is the time of the CPU, of all threads, which other work on the machine does not
take part in; --clock=wall is for accelerators.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.benchmarks import csv_file
from official_ext.command_line import errors
from official_ext.command_line import library_logs

_MODULE = 'official_ext.benchmarks.safety_cost'
_EXPERIMENT = flags.DEFINE_string(
    'experiment', 'funnel_vit_digits', 'What to train.')
_DATA_DIR = flags.DEFINE_string(
    'data_dir', 'data/digits', 'Folder of its TFRecords.')
_PARAMS_OVERRIDE = flags.DEFINE_string(
    'params_override', '', "Further settings, as train.py's.")
_ROUNDS = flags.DEFINE_integer(
    'rounds', 20, 'Turns of each training: steps, and then a checkpoint.',
    lower_bound=2)
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of a turn.', lower_bound=1)
_STARTS = flags.DEFINE_integer(
    'starts', 2, 'Starts of each, in turns; below 2: none.', lower_bound=0)
_CLOCK = flags.DEFINE_enum(
    'clock', 'cpu', ['cpu', 'wall'], 'Which time to measure.')
_OUTPUT_CSV = flags.DEFINE_string(
    'output_csv', None, 'Where to write the table as CSV; by default nowhere.')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  library_logs.silence()
  from official_ext.benchmarks import safety_rows  # pylint: disable=g-import-not-at-top
  with errors.reported():
    if _OUTPUT_CSV.value:
      csv_file.check_writable(_OUTPUT_CSV.value, '--output_csv')
    measured = safety_rows.Measured(
        _EXPERIMENT.value,
        ','.join(filter(None, [f'task.data_dir={_DATA_DIR.value!r}',
                               _PARAMS_OVERRIDE.value])),
        _CLOCK.value)
    print(safety_rows.HEAD, flush=True)
    rows = []
    for row in measured.rows(_ROUNDS.value, _STEPS.value, _STARTS.value):
      rows.append(row)
      print(safety_rows.format_row(row), flush=True)
      if _OUTPUT_CSV.value:
        csv_file.write(
            _OUTPUT_CSV.value, rows, csv_file.describe_run(_MODULE))


if __name__ == '__main__':
  library_logs.run(main)
