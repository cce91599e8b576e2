"""Converts a folder and kills itself with SIGKILL after the n-th image.

  python tests/killed_conversion.py INPUT OUTPUT_DIR N
"""

import os
import signal
import sys

from data_prep import conversion
from data_prep import plan
from data_prep import process_pool


def main(folder, output_dir, last_image):

  def report(num_images, num_bytes):
    del num_bytes
    if num_images == last_image:
      os.kill(os.getpid(), signal.SIGKILL)

  conversion.convert(
      conversion.Inputs((('', folder),)), output_dir, plan.Options(), {}, 0,
      lambda tasks: process_pool.convert(tasks, 0, report))


if __name__ == '__main__':
  main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
