"""Times the conversion beside tar, SHA-256 and TFRecordWriter.

  python -m data_prep.benchmark_conversion --input=FOLDER

Every row reads the same JPEG files, which are in memory already (the disk's
cache), and all but one writes them again to --work_dir. A first, unmeasured
pass warms up; then the median of --repeats passes is printed. Start-up of the
workers is not in the figures but beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import hashlib
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings

from absl import app
from absl import flags

from . import command_process
from . import conversion
from . import plan as plans
from . import process_pool
from . import storage

_INPUT = flags.DEFINE_string('input', None, 'Folder with a folder per class.')
_COPIES = flags.DEFINE_integer(
    'copies', 10, 'Times that each file is taken.',
    lower_bound=1)
_REPEATS = flags.DEFINE_integer('repeats', 5, 'Passes.', lower_bound=1)
_WORK_DIR = flags.DEFINE_string(
    'work_dir', None, 'Where to write; by default where temporary files go.')
_WORKERS = flags.DEFINE_multi_integer('workers', [1, 2], 'Worker processes.')


def main(argv: Sequence[str]) -> None:
  del argv
  if not _INPUT.value:
    raise app.UsageError('--input must be given')
  with tempfile.TemporaryDirectory(
      dir=_WORK_DIR.value, prefix='benchmark-') as folder:
    inputs = os.path.join(folder, 'in')
    paths = _copy(_INPUT.value, inputs, _COPIES.value)
    size = sum(os.path.getsize(path) for path in paths)
    print(f'{len(paths):,} images, {size / 1e6:,.0f} MB; '
          f'{os.cpu_count()} CPU cores, Python '
          f'{platform.python_version()}; median of {_REPEATS.value}')
    print(f'{"":<36}{"images/s":>10}{"MB/s":>8}{"start-up":>10}{"memory":>10}')

    def row(name, seconds, start_up='', memory=''):
      print(f'{name:<36}{len(paths) / seconds:>10,.0f}'
            f'{size / seconds / 1e6:>8,.0f}{start_up:>10}{memory:>10}',
            flush=True)

    target = os.path.join(folder, 'out')
    row('read alone', _median(lambda: _read(paths)))
    row('read, SHA-256 alone', _median(lambda: _hash(paths)))
    row('tar -cf', _median(lambda: subprocess.run(
        ['tar', '-cf', target, '-C', inputs, '.'], check=True)))
    row('read, TFRecordWriter alone', _median(_tfrecord_writer(paths, target)))
    for check in ('header', 'decode'):
      for num_workers in _WORKERS.value:
        seconds, start_up, memory = _convert(
            inputs, os.path.join(folder, 'records'), num_workers, check)
        row(f'convert --check={check}, {num_workers} workers', seconds,
            f'{start_up:.1f} s', f'+{memory / 1e6:.0f} MB')
  print('memory: growth of the largest worker over its imports')


def _copy(source: str, target: str, copies: int) -> list[str]:
  """Copies every JPEG below a folder into another, several times."""
  copied = []
  for parent, _, names in sorted(os.walk(source)):
    for name in sorted(names):
      if not name.lower().endswith(('.jpg', '.jpeg')):
        continue
      class_name = os.path.basename(parent)
      folder = os.path.join(target, class_name)
      os.makedirs(folder, exist_ok=True)
      for copy in range(copies):
        copied.append(os.path.join(folder, f'{class_name}_{copy}_{name}'))
        shutil.copyfile(os.path.join(parent, name), copied[-1])
  if not copied:
    raise SystemExit(f'error: no .jpg or .jpeg files in {source}')
  return copied


def _median(run: Callable[[], None]) -> float:
  """Returns the median duration, seconds, after a pass that does not count."""
  seconds = []
  for _ in range(_REPEATS.value + 1):
    start = time.perf_counter()
    run()
    seconds.append(time.perf_counter() - start)
  return statistics.median(seconds[1:])


def _read(paths: Sequence[str]) -> None:
  for path in paths:
    storage.read_range(path, 0, os.path.getsize(path))


def _hash(paths: Sequence[str]) -> None:
  digest = hashlib.sha256()
  for path in paths:
    digest.update(storage.read_range(path, 0, os.path.getsize(path)))


def _tfrecord_writer(paths: Sequence[str], target: str) -> Callable[[], None]:
  warnings.filterwarnings('ignore', category=FutureWarning)
  # Only here: the workers import this module, and need no TensorFlow.
  import tensorflow as tf  # pylint: disable=g-import-not-at-top

  def run():
    with tf.io.TFRecordWriter(target) as writer:
      for path in paths:
        writer.write(storage.read_range(path, 0, os.path.getsize(path)))
  return run


def _convert(inputs: str, output_dir: str, num_workers: int, check: str
             ) -> tuple[float, float, int]:
  """Returns median seconds of the shards and of start-up, growth in bytes."""
  seconds, start_ups, growth = [], [], []

  def run(tasks):
    start = time.perf_counter()
    with process_pool.Pool(num_workers) as pool:
      before = pool.peak_memory()
      start_ups.append(time.perf_counter() - start)
      start = time.perf_counter()
      pool.convert(tasks, lambda num_images, num_bytes: None)
      seconds.append(time.perf_counter() - start)
      growth.extend(peak - before[worker] for worker, peak in
                    pool.peak_memory().items())

  for _ in range(_REPEATS.value + 1):
    conversion.convert(
        conversion.Inputs((('train', inputs),), form='folders'), output_dir,
        plans.Options(check=check), {}, 0, run)
    storage.remove(output_dir)
  return (statistics.median(seconds[1:]), statistics.median(start_ups),
          max(growth))


if __name__ == '__main__':
  command_process.run(main)
