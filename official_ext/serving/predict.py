"""Classifies image files with an exported model.

  python -m official_ext.serving.predict --model=exports/digits digit.png ...

Needs TensorFlow and the export, not the code that trained it.
"""

from __future__ import annotations

from collections.abc import Sequence
import sys

from absl import app
from absl import flags

from official_ext import library_logs

_MODEL = flags.DEFINE_string(
    'model', None,
    'Folder of an export, or of its versions (the newest is taken).',
    required=True)
_TOP_K = flags.DEFINE_integer(
    'top_k', 5, 'How many classes to print.', lower_bound=1)
# So that --help shows it.
flags.adopt_module_key_flags(library_logs)


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError('name at least one image file')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.serving import classifier as classifier_lib
  # pylint: enable=g-import-not-at-top
  try:
    classifier = classifier_lib.Classifier(_MODEL.value)
  except (ValueError, OSError) as error:
    library_logs.fail(error)
  failed = 0
  for path in argv[1:]:
    try:
      with tf.io.gfile.GFile(path, 'rb') as file:
        encoded = file.read()
      classes = list(classifier.classify(encoded, _TOP_K.value))
    except (ValueError, tf.errors.OpError) as error:
      print(f'error: {path}: {error}', file=sys.stderr)
      failed += 1
      continue
    print(path)
    for name, probability in classes:
      print(f'  {100 * probability:6.2f} %  {name}')
  if failed:
    raise SystemExit(1)


if __name__ == '__main__':
  app.run(main)
