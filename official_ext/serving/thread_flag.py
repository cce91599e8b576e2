"""The flag of the commands that run exports."""

from __future__ import annotations

import os

from absl import flags

NUM_THREADS = flags.DEFINE_integer(
    'num_threads', os.cpu_count() or 1,
    'Threads of the LiteRT and ONNX runtimes.', lower_bound=1)
