r"""Evaluates a training or an export on labelled images, with intervals.

  python -m official_ext.evaluate --model=runs/digits
  python -m official_ext.evaluate --model=runs/funnel_vit \
    --baseline=exports/vit --data='data/photos/validation-*'

Prints top-1 and top-k accuracy with their 95 % intervals, loss, and how well
the model knows how sure it may be. Writes precision, recall and F1 of every
class, which classes are confused, the calibration and the worst mistakes to
--output, as CSV, JSON and pictures. With a --baseline the difference has an
interval too, over the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
import os

from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_MODEL = flags.DEFINE_string(
    'model', None,
    'Folder of a training, prefix of a checkpoint, folder of an export or of '
    'its versions (the newest is taken), or a .tflite or .onnx file.',
    required=True)
_BASELINE = flags.DEFINE_string(
    'baseline', None, 'Another of these, to compare the model with.')
_DATA = flags.DEFINE_string(
    'data', None,
    "Pattern of TFRecords; by default the validation data of the model's "
    'training.')
_OUTPUT = flags.DEFINE_string(
    'output', 'evaluation', 'Folder to write to; made if missing.')
_CHECKPOINT = flags.DEFINE_enum(
    'checkpoint', 'latest', ['latest', 'best'],
    'Which checkpoint of a training.')
_EMA = flags.DEFINE_bool(
    'ema', None,
    'Whether to take the moving averages of the weights; by default where the '
    'training keeps them, as its evaluation does.')
_TOP_K = flags.DEFINE_integer(
    'top_k', None,
    'How many of the most probable classes count beside the first; by default '
    "as the model's training has it, or 5. Less than there are classes: among "
    'all of them the right one always is.', lower_bound=1)
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', None, 'How many images to take; by default all.',
    lower_bound=1)
_NUM_MISTAKES = flags.DEFINE_integer(
    'num_mistakes', 24, 'How many of the worst mistakes to draw at most.',
    lower_bound=0)
_NUM_THREADS = flag_types.define_num_threads()


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv, 'name the model with --model')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.evaluation import evaluated_model
  from official_ext.evaluation import files
  from official_ext.evaluation import multilabel
  # pylint: enable=g-import-not-at-top
  with errors.reported(), files.output_folder(_OUTPUT.value):
    with library_logs.without_prints():
      models = [
          evaluated_model.load(
              path, _CHECKPOINT.value, _EMA.value, _NUM_THREADS.value)
          for path in (_MODEL.value, _BASELINE.value) if path]
      _check_weights(models)
      source = evaluated_model.find_records(models[0], _DATA.value)
    several = [one for one in models if one.is_multilabel]
    if several:
      _check_one_label(several[0].path)
      results = multilabel.evaluate(models[0], source, _NUM_IMAGES.value)
      print(multilabel.as_text(results))
      written = multilabel.write(_OUTPUT.value, results, source.pattern)
    else:
      written = _evaluate(models, source)
    for one in models:
      for note in one.notes():
        print(note)
  names = ', '.join(map(os.path.basename, written))
  print(f'\nwrote to {_OUTPUT.value}: {names}')


def _evaluate(models: Sequence, source) -> list[str]:
  """Evaluates models of one label per image; returns what it has written."""
  # pylint: disable=g-import-not-at-top
  from official_ext.evaluation import files
  from official_ext.evaluation import results as results_lib
  from official_ext.evaluation import run as run_lib
  from official_ext.evaluation import summary
  # pylint: enable=g-import-not-at-top
  model, *others = map(results_lib.of_evaluation, run_lib.evaluate(
      models, source, _NUM_IMAGES.value,
      _TOP_K.value or models[0].task.evaluation.top_k, _NUM_MISTAKES.value))
  baseline = others[0] if others else None
  comparison = results_lib.compare(model, baseline) if baseline else None
  print(summary.as_text(model, baseline, comparison))
  print(summary.about_top_k(model, _TOP_K.value), end='')
  return files.write(
      _OUTPUT.value, model, baseline, comparison, source.pattern)


def _check_one_label(path: str) -> None:
  """Refuses flags that mean nothing where images have several labels."""
  given = [f'--{name}' for name in ('baseline', 'top_k', 'num_mistakes')
           if flags.FLAGS[name].present]
  if given:
    raise ValueError(
        f'{" and ".join(given)}: {path} has several labels per image '
        '(task.train_data.is_multilabel), and none of them is the one that is '
        'predicted. Leave it out.')


def _check_weights(models: Sequence) -> None:
  """Refuses flags that choose among weights where there is no choice."""
  given = [f'--{name}' for name in ('checkpoint', 'ema')
           if flags.FLAGS[name].present]
  if given and not any(one.is_training for one in models):
    raise ValueError(
        f'{" and ".join(given)}: {models[0].path} is an export, which has one '
        'set of weights. Leave it out, or name the folder of the training.')


def run() -> None:
  """Runs the installed command."""
  library_logs.run(main)


if __name__ == '__main__':
  run()
