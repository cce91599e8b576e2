"""Classifies image files with an exported model.

  python -m official_ext.serving.predict --model=exports/digits digit.png ...
  python -m official_ext.serving.predict --model=runs/photos photos/new \
    --output=predictions.csv --grid=predictions.png

Takes files, folders, patterns and lists of paths (a .txt file, or - for
standard input), of every form that the conversion takes. Prints the most
probable classes, or writes them as CSV or JSON, and draws the images. A file
that is no image is told, and the others go on.

Needs TensorFlow and the export, not the code that trained it. The folder of a
training does too: the export that it has of its newest checkpoint is taken, or
one is made for this call.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
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
  from official_ext.serving import image_paths
  from official_ext.serving import predictions
  from official_ext.serving.runtimes import classifier as classifier_lib
  # pylint: enable=g-import-not-at-top
  with errors.reported(), tempfile.TemporaryDirectory() as folder:
    images = image_paths.collect(argv[1:])
    output_files.make_folders([_OUTPUT.value] if _OUTPUT.value else [])
    output_files.make_folders([_GRID.value] if _GRID.value else [], '--grid')
    classifier = classifier_lib.Classifier(_export(folder))
    results = _classify(classifier, images, format_name)
    if format_name == 'csv':
      _write(predictions.as_csv(results))
    elif format_name == 'json':
      _write(predictions.as_json(results, _MODEL.value))
    elif _OUTPUT.value:
      texts = filter(None, map(predictions.as_text, results))
      _write(''.join(f'{text}\n' for text in texts).encode())
    failed = sum(bool(result.error) for result in results)
    drawn = sum(result.thumbnail is not None for result in results)
    if drawn:
      _draw(results)
      # Standard output may be the CSV or JSON file.
      stream = sys.stdout if format_name == 'text' else sys.stderr
      print(f'wrote {_GRID.value}: {drawn} of {len(results):,} images',
            file=stream)
  if failed:
    if len(results) > 1:
      print(f'error: {failed:,} of {len(results):,} files were not classified; '
            'see above.', file=sys.stderr)
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


def _classify(classifier, images: Sequence, format_name: str) -> list:
  """Classifies images; tells at once what fails, and as text what is found."""
  # pylint: disable=g-import-not-at-top
  import tqdm

  from official_ext.serving import predictions
  # pylint: enable=g-import-not-at-top
  prints = format_name == 'text' and not _OUTPUT.value
  results = []
  # Lines on the same terminal show how far it is.
  with tqdm.tqdm(
      total=len(images), desc='predict', unit=' images', leave=False,
      disable=len(images) == 1 or (prints and sys.stdout.isatty()) or None,
  ) as bar:
    for result in predictions.classify(
        classifier, images, _TOP_K.value, _BATCH_SIZE.value,
        predictions.MOST_DRAWN if _GRID.value else 0):
      if result.error:
        tqdm.tqdm.write(
            f'error: {result.image}: {result.error}', file=sys.stderr)
      elif prints:
        print(predictions.as_text(result), flush=True)
      results.append(result)
      bar.update()
  return results


def _write(content: bytes) -> None:
  if not _OUTPUT.value:
    print(content.decode(), end='')
    return
  with open(_OUTPUT.value, 'wb') as file:
    file.write(content)
  print(f'wrote {_OUTPUT.value}')


def _draw(results: Sequence) -> None:
  """Writes the picture of the first images."""
  # pylint: disable=g-import-not-at-top
  from official_ext import figures
  from official_ext.serving import predictions
  # pylint: enable=g-import-not-at-top
  figures.save(predictions.draw(results), [_GRID.value])


def _export(folder: str) -> str:
  """Returns the export to use: --model, its own, or one made in a folder."""
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.serving.runtimes import classifier as classifier_lib
  # pylint: enable=g-import-not-at-top
  try:
    return classifier_lib.find_version(_MODEL.value)
  except ValueError:
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
