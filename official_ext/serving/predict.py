"""Classifies image files with an exported model.

  python -m official_ext.serving.predict --model=exports/digits digit.png ...

Needs TensorFlow and the export, not the code that trained it. The folder of a
training does too: it is exported, for this call, first.
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
from official_ext.serving.formats import names

_MODEL = flags.DEFINE_string(
    'model', None,
    'Folder of an export, or of its versions (the newest is taken), or of a '
    'training.',
    required=True)
_TOP_K = flags.DEFINE_integer(
    'top_k', 5, 'How many classes to print.', lower_bound=1)


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError('name at least one image file')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.serving.runtimes import classifier as classifier_lib
  # pylint: enable=g-import-not-at-top
  with errors.reported(), tempfile.TemporaryDirectory() as folder:
    classifier = classifier_lib.Classifier(_export(folder))
  failed = 0
  for path in argv[1:]:
    try:
      with tf.io.gfile.GFile(path, 'rb') as file:
        encoded = file.read()
      classes = list(classifier.classify(encoded, _TOP_K.value))
    except (ValueError, tf.errors.OpError) as error:
      # TensorFlow names the file as well.
      reason = errors.message(error).removeprefix(f'{path}; ')
      print(f'error: {path}: {reason}', file=sys.stderr)
      failed += 1
      continue
    print(path)
    for name, probability in classes:
      print(f'  {100 * probability:6.2f} %  {name}', flush=True)
  if failed:
    raise SystemExit(1)


def _export(folder: str) -> str:
  """Returns the export to use: --model, or one made of it in a folder."""
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
    from official_ext.serving.formats import write
    from official_ext.trained import trained_model
    # pylint: enable=g-import-not-at-top
    if not tf.io.gfile.exists(
        os.path.join(_MODEL.value, experiment.SAVED_FILE)):
      raise
  with library_logs.without_prints():
    return write.export(
        trained_model.find(_MODEL.value), names.SAVED_MODEL, folder)


if __name__ == '__main__':
  library_logs.run(main)
