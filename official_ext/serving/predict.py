"""Classifies image files with a model: that of a training, or an export.

  python -m official_ext.serving.predict --model=exports/digits digit.png ...
  python -m official_ext.serving.predict --model=runs/photos photos/new

Takes files, folders, patterns and lists of paths (a .txt file, or - for
standard input), of every form that the conversion takes. Prints the most
probable classes, or writes them as CSV or JSON, and draws the images. A file
that is no image is told, and the others go on. What is computed is written at
once, and kept where the command is interrupted.

Needs TensorFlow and the export, not the code that trained it. The folder of a
training does too: the export that it has of its newest checkpoint is taken, or
one is made for this call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import os
import shlex
import signal
import sys
import tempfile

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.command_line import output_files
from official_ext.serving.formats import names

_FORMATS = ('text', 'csv', 'json')
_GRID_END = '.png'
# What `pretrained.import_vit` writes.
_OF_IMPORT = 'fine_tune.yaml'

_MODEL = flags.DEFINE_string(
    'model', None,
    'Folder of an export, or of its versions (the newest is taken), or of a '
    'training.',
    required=True)
_TOP_K = flags.DEFINE_integer(
    'top_k', 5, 'How many classes to print.', lower_bound=1)
_OUTPUT = flags.DEFINE_string(
    'output', None,
    'File to write to, .csv or .json; by default the classes are printed.')
_FORMAT = flags.DEFINE_enum(
    'format', None, _FORMATS,
    'What to write; by default as --output ends, and text without it.')
_GRID = flags.DEFINE_string(
    'grid', None,
    'PNG file to draw the images to, with their most probable class.')
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', 32, 'How many images to compute at once.', lower_bound=1)


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError(
        'name at least one image file, a folder of them, or a list: a .txt '
        'file, or - for standard input')
  format_name = _format()
  if _GRID.value and not _GRID.value.lower().endswith(_GRID_END):
    raise app.UsageError(f'--grid={_GRID.value}: name a {_GRID_END} file')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext import figures
  from official_ext.serving import image_paths
  from official_ext.serving import prediction_files
  from official_ext.serving import predictions
  from official_ext.serving.runtimes import classifier as classifier_lib
  # pylint: enable=g-import-not-at-top
  with errors.reported(), _terminable(), (
      tempfile.TemporaryDirectory()) as folder:
    images = image_paths.collect(argv[1:])
    output_files.make_folders([_OUTPUT.value] if _OUTPUT.value else [])
    output_files.make_folders([_GRID.value] if _GRID.value else [], '--grid')
    classifier = classifier_lib.Classifier(_export(folder))
    output = prediction_files.create(
        format_name, _OUTPUT.value, min(_TOP_K.value, classifier.num_classes),
        _MODEL.value)
    num_failed, drawn = _classify(classifier, images, output)
    if _OUTPUT.value:
      print(f'wrote {_OUTPUT.value}')
    if drawn:
      figures.save(predictions.draw(drawn), [_GRID.value])
      # Standard output may be the CSV or JSON file.
      stream = sys.stdout if format_name == 'text' else sys.stderr
      print(f'wrote {_GRID.value}: {len(drawn)} of {len(images):,} images',
            file=stream)
  if num_failed:
    if len(images) > 1:
      print(f'error: {num_failed:,} of {len(images):,} files were not '
            'classified; see above.', file=sys.stderr)
    raise SystemExit(1)


def _format() -> str:
  """Returns which of `_FORMATS` to write.

  Raises:
    app.UsageError: if nothing says it.
  """
  if _FORMAT.value:
    return _FORMAT.value
  if not _OUTPUT.value:
    return 'text'
  ending = os.path.splitext(_OUTPUT.value)[1].lower()
  if ending not in ('.csv', '.json'):
    raise app.UsageError(
        f'--output={_OUTPUT.value} ends neither in .csv nor in .json; rename '
        'it, or say what to write with --format')
  return ending.removeprefix('.')


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
  """Lets SIGTERM end the command in order, as Ctrl-C does."""
  def end(number, _):
    raise SystemExit(128 + number)

  former = signal.signal(signal.SIGTERM, end)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, former)


def _classify(classifier, images: Sequence, output) -> tuple[int, list]:
  """Classifies images; writes at once what is found, and tells what fails.

  Args:
    classifier: the model.
    images: the files.
    output: what the results are written to.

  Returns:
    How many failed, and those results that are to be drawn.
  """
  # pylint: disable=g-import-not-at-top
  import tqdm

  from official_ext.serving import predictions
  # pylint: enable=g-import-not-at-top
  num_failed, drawn = 0, []
  # Lines on the same terminal show how far it is.
  with tqdm.tqdm(
      total=len(images), desc='predict', unit=' images', leave=False,
      disable=len(images) == 1 or (
          not _OUTPUT.value and sys.stdout.isatty()) or None) as bar:
    try:
      with output:
        for result in predictions.classify(
            classifier, images, _TOP_K.value, _BATCH_SIZE.value,
            predictions.MOST_DRAWN if _GRID.value else 0):
          if result.error:
            num_failed += 1
            name = predictions.on_one_line(result.image)
            tqdm.tqdm.write(f'error: {name}: {result.error}', file=sys.stderr)
          output.add(result)
          if result.thumbnail is not None:
            drawn.append(result)
          bar.update()
    except BaseException:
      if _OUTPUT.value and output.num_results:
        tqdm.tqdm.write(
            f'{_OUTPUT.value} has the first {output.num_results:,} of '
            f'{len(images):,} images', file=sys.stderr)
      raise
  return num_failed, drawn


def _export(folder: str) -> str:
  """Returns the export to use: --model, its own, or one made in a folder."""
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.serving.runtimes import classifier as classifier_lib
  # pylint: enable=g-import-not-at-top
  try:
    return classifier_lib.find_version(_MODEL.value)
  except ValueError as error:
    if tf.io.gfile.exists(os.path.join(_MODEL.value, _OF_IMPORT)):
      raise errors.UserError(
          f'{_MODEL.value} holds an imported ViT, which is not trained here '
          'yet. Fine-tune it with --config_file='
          f'{shlex.quote(os.path.join(_MODEL.value, _OF_IMPORT))}, and give '
          'the --model_dir of that training.') from error
    # Only here: an export needs none of what these import.
    # pylint: disable=g-import-not-at-top
    from official_ext.params import experiment
    from official_ext.serving import export_during_training
    from official_ext.serving.formats import write
    from official_ext.trained import trained_model
    # pylint: enable=g-import-not-at-top
    if not tf.io.gfile.exists(
        os.path.join(_MODEL.value, experiment.SAVED_FILE)):
      raise
  with library_logs.without_prints():
    params = experiment.load_saved(_MODEL.value)
    return export_during_training.find_newest(
        params, _MODEL.value) or write.export(
            trained_model.load(params, _MODEL.value), names.SAVED_MODEL, folder)


if __name__ == '__main__':
  library_logs.run(main)
