"""Checks the TFRecords of a conversion against their manifest.

  python -m data_prep.verify_tfrecords DIR

Compares every file's SHA-256, decodes every record through the parser that
training uses, and compares every label. Ends with status 1 if anything is
wrong. Of images with masks, it compares both with the files they were made of.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys
import warnings

from absl import flags
import tqdm

from . import command_process
from . import manifest as manifests
from . import wording

_MAX_FAULTS = flags.DEFINE_integer(
    'max_faults', 100, 'Stop after so many.', lower_bound=1)


def main(argv: Sequence[str]) -> None:
  if len(argv) != 2:
    raise SystemExit('error: give one folder: verify_tfrecords DIR')
  output_dir = argv[1].rstrip('/') or '/'
  try:
    manifests.read_finished(output_dir)
  except (ValueError, OSError) as error:
    raise SystemExit(f'error: {error}') from None
  # Decoding uses no accelerator, and a user can do nothing about what the
  # dependencies of TensorFlow and Model Garden announce.
  os.environ.setdefault('CUDA_VISIBLE_DEVICES', '-1')
  warnings.filterwarnings('ignore', category=FutureWarning)
  from . import verification  # pylint: disable=g-import-not-at-top
  num_faults = num_images = 0
  notes = []
  # Hidden in a pipe.
  with tqdm.tqdm(desc='verify', unit=' images', disable=None,
                 dynamic_ncols=True) as bar:

    def report(verified, total):
      nonlocal num_images
      num_images, bar.total = verified, total
      bar.update(num_images - bar.n)

    try:
      for fault in verification.verify(output_dir, report, notes.append):
        num_faults += 1
        bar.write(f'WRONG {fault}', file=sys.stdout)
        sys.stdout.flush()
        if num_faults == _MAX_FAULTS.value:
          bar.write(f'stopped after {num_faults}', file=sys.stdout)
          break
    except KeyboardInterrupt:
      raise SystemExit('interrupted') from None
    except BrokenPipeError:
      raise  # It is an OSError, but of no file.
    except (ValueError, OSError) as error:
      raise SystemExit(f'error: {error}') from None
  for note in notes:
    print(f'note: {note}', file=sys.stderr)
  if num_faults:
    raise SystemExit(f'{output_dir}: {num_faults} faults')
  images = wording.counted(num_images, 'image')
  print(f'{output_dir}: {images}, all as the manifest says.',
        flush=True)


if __name__ == '__main__':
  command_process.run(main)
