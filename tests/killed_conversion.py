"""Converts a folder and kills itself with SIGKILL after the n-th image.

  python tests/killed_conversion.py INPUT OUTPUT_DIR N [masks]
"""

import os
import signal
import sys

from data_prep import conversion
from data_prep import plan
from data_prep import shards


def main(folder, output_dir, last_image, has_masks):
  num_done = 0

  def advance(num_images, num_bytes):
    nonlocal num_done
    del num_bytes
    num_done += num_images
    if num_done == last_image:
      os.kill(os.getpid(), signal.SIGKILL)

  def run(tasks):
    for task in tasks:
      shards.convert_shard(task, advance)

  conversion.convert(
      conversion.Inputs((('', folder),), has_masks=has_masks), output_dir,
      plan.MaskOptions() if has_masks else plan.Options(), {}, 0, run)


if __name__ == '__main__':
  main(sys.argv[1], sys.argv[2], int(sys.argv[3]), 'masks' in sys.argv[4:])
