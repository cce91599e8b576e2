"""The order of the records of a training, which can be entered anywhere.

With n records, image g of a training (g = 0, 1, ...) is of epoch g // n and of
lane g % num_lanes. In every epoch the files are permuted and read one after the
other; each lane gets a contiguous part of them and permutes it block by block.
So an epoch has every record exactly once, and what image g is depends on the
seed and the files alone: not on the batch, the number of workers or where the
training was interrupted. Of W workers, worker w takes the images with
g % W = w, and reads no file but those of its lanes if W divides num_lanes.

Entering at an image costs reading one block and a part of one file per lane.

Where classes are sampled, an epoch is n images drawn with replacement: first a
class, by its probability, then an image of it, all alike. That too is a
function of seed and image; it needs all records in memory, as one block of one
lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

_MAX_LANES = 64
_END = tf.int64.max


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How often classes are drawn.

  Attributes:
    kind: one of small_data.CLASS_WEIGHTS.
    records: of each class, the places of its records in all files one after
      the other; none is empty.
    probabilities: of each class; their sum is 1.
  """
  kind: str
  records: tuple[tuple[int, ...], ...]
  probabilities: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class RecordOrder:
  """What decides on the order.

  Attributes:
    counts: records of each file.
    seed: of the permutations.
    num_lanes: parts of an epoch that are read side by side.
    block_size: records of a lane that are permuted with each other.
    sampling: of classes; None: every record once in an epoch.
  """
  counts: tuple[int, ...]
  seed: int
  num_lanes: int
  block_size: int
  sampling: Sampling | None = None

  @property
  def num_records(self) -> int:
    return sum(self.counts)


def choose(counts: Sequence[int], seed: int, shuffle_buffer_size: int,
           num_workers: int = 1, num_lanes: int | None = None) -> RecordOrder:
  """Chooses an order.

  Args:
    counts: records of each file.
    seed: of the permutations.
    shuffle_buffer_size: records to hold in memory.
    num_workers: how many read them; only a number that does not divide the
      usual number of lanes changes the order.
    num_lanes: that the training has had until now, whatever it is now.

  Returns:
    The order. Records that all fit into the memory are permuted as a whole;
    else half of them are permuted while the other half is read.
  """
  num_records = sum(counts)
  if num_records <= shuffle_buffer_size:
    return RecordOrder(tuple(counts), seed, 1, num_records)
  # Most lanes begin within a file, which is read twice: so not more of them.
  most = max(1, min(_MAX_LANES, len(counts) // 2))
  if num_lanes is None:
    num_lanes = 2**int(math.log2(most))
    if num_lanes >= num_workers and num_lanes % num_workers:
      num_lanes = num_workers * math.ceil(num_lanes / num_workers)
  block_size = max(1, shuffle_buffer_size // 2 // num_lanes)
  return RecordOrder(tuple(counts), seed, num_lanes, block_size)


def choose_sampled(counts: Sequence[int], seed: int,
                   sampling: Sampling) -> RecordOrder:
  """Returns the order in which classes are drawn; see `choose`."""
  return RecordOrder(tuple(counts), seed, 1, sum(counts), sampling)


def describe(order: RecordOrder) -> dict[str, int | str]:
  """Returns what two orders are compared by, as values of JSON."""
  sampled = {'class_sampling': order.sampling.kind} if order.sampling else {}
  return {'seed': order.seed, 'num_records': order.num_records,
          'num_files': len(order.counts), 'num_lanes': order.num_lanes,
          'block_size': order.block_size, **sampled}


def records(order: RecordOrder, files: Sequence[str],
            open_file: Callable[[tf.Tensor], tf.data.Dataset],
            position: int = 0, num_workers: int = 1, worker: int = 0,
            num_parallel_reads: int | None = None) -> tf.data.Dataset:
  """Reads records in order, without an end.

  Args:
    order: the order.
    files: the files, as many as `order.counts`.
    open_file: returns the records of a file.
    position: the image to begin with, over all workers.
    num_workers: how many workers share the images.
    worker: which of them this is.
    num_parallel_reads: lanes to read at once; None: as tf.data finds best.

  Returns:
    Pairs of the image's number, int64 [], and the serialized record, string [].
  """
  # Worker w has the images w, w + num_workers, ...
  first = position + (worker - position) % num_workers
  common = math.gcd(order.num_lanes, num_workers)
  lanes = [(first + step * common) % order.num_lanes
           for step in range(order.num_lanes // common)]

  def read_lane(lane):
    return _lane(order, files, open_file, lane, first)

  if len(lanes) == 1:
    dataset = read_lane(tf.constant(lanes[0], tf.int64))
  else:
    dataset = tf.data.Dataset.from_tensor_slices(
        tf.constant(lanes, tf.int64)).interleave(
            read_lane, cycle_length=len(lanes), block_length=1,
            num_parallel_calls=(min(num_parallel_reads, len(lanes))
                                if num_parallel_reads else tf.data.AUTOTUNE),
            deterministic=True)
  # Now it has the images first, first + common, ...
  if num_workers > common:
    dataset = dataset.shard(num_workers // common, 0)
  numbers = tf.data.Dataset.range(first, _END, num_workers)
  return tf.data.Dataset.zip((numbers, dataset))


def locate(order: RecordOrder, image: int) -> tuple[int, int]:
  """Finds the record of an image.

  Args:
    order: the order.
    image: its number in the training.

  Returns:
    The file's place in `order.counts`, and the record's in the file, from 0.
  """
  epoch = tf.constant(image // order.num_records, tf.int64)
  start, size, done = (int(number) for number in _part(
      order, epoch, tf.constant(image % order.num_lanes, tf.int64), image))
  before = done // order.block_size * order.block_size
  block = _permuted_block(
      order, epoch, start + before, min(order.block_size, size - before))
  record = start + before + int(block[done - before])
  files = _permuted_files(order, epoch).numpy()
  ends = np.cumsum(np.array(order.counts)[files])
  file = int(np.searchsorted(ends, record, side='right'))
  begin = ends[file] - order.counts[files[file]]
  return int(files[file]), int(record - begin)


def share(order: RecordOrder, files: Sequence[str],
          open_file: Callable[[tf.Tensor], tf.data.Dataset],
          num_workers: int = 1, worker: int = 0
          ) -> tuple[int, tf.data.Dataset]:
  """Reads a worker's share of the records once, to be held in memory.

  Args:
    order: the order; of it only the counts matter.
    files: the files, as many as `order.counts`.
    open_file: returns the records of a file.
    num_workers: how many workers share the records.
    worker: which of them this is.

  Returns:
    How many they are, and pairs of the record's number, int64 [], and the
    serialized record, string [].
  """
  num_records = order.num_records
  start = num_records * worker // num_workers
  end = num_records * (worker + 1) // num_workers
  dataset = _read(files, tf.constant(order.counts, tf.int64), open_file,
                  tf.constant(start, tf.int64), tf.constant(end, tf.int64))
  return end - start, dataset.enumerate(start)


def from_memory(order: RecordOrder, dataset: tf.data.Dataset, size: int,
                batch_size: int, position: int = 0, num_workers: int = 1,
                worker: int = 0) -> tf.data.Dataset:
  """Repeats examples from memory, each epoch permuted as a whole.

  Args:
    order: the order; of it only the seed matters.
    dataset: the examples, `size` of them.
    size: how many they are.
    batch_size: how many to take at once.
    position: the image to begin with, over all workers.
    num_workers: how many workers share the images.
    worker: which of them this is.

  Returns:
    Batches B of pairs of the image's number, int64 [B], and the example,
    without an end.
  """
  first = position + (worker - position) % num_workers
  begin = first // num_workers

  def permuted(*examples):
    places = tf.data.Dataset.range(begin // size, _END).flat_map(
        lambda epoch: tf.data.Dataset.from_tensor_slices(_permutation(
            size, order.seed, epoch * num_workers + worker)))
    return tf.data.Dataset.zip((
        tf.data.Dataset.range(first, _END, num_workers).batch(
            batch_size, drop_remainder=True),
        places.skip(begin % size).batch(batch_size, drop_remainder=True).map(
            lambda batch: tf.nest.map_structure(
                lambda tensor: tf.gather(tensor, batch), examples))))

  return dataset.batch(
      size, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).flat_map(
          permuted)


def _lane(order: RecordOrder, files: Sequence[str], open_file, lane: tf.Tensor,
          first: int) -> tf.data.Dataset:
  """Reads a lane from image `first` on, without an end."""
  counts = tf.constant(order.counts, tf.int64)
  block_size = order.block_size

  def blocks(epoch):
    start, size, done = _part(order, epoch, lane, first)
    places = _permuted_files(order, epoch)
    before = done // block_size * block_size
    dataset = _read(
        tf.gather(files, places), tf.gather(counts, places), open_file,
        start + before, start + size)

    def permute(block, begin):
      places = _permuted_block(
          order, epoch, start + begin, tf.size(block, tf.int64))
      return tf.gather(block, places[tf.maximum(done - begin, 0):])

    # The records come first, so that the end of the last file is looked for.
    return tf.data.Dataset.zip((
        dataset.batch(block_size),
        tf.data.Dataset.range(before, size, block_size))).map(permute)

  # The next block is read while one is trained on.
  return tf.data.Dataset.range(first // order.num_records, _END).flat_map(
      blocks).prefetch(1).unbatch()


def _part(order: RecordOrder, epoch: tf.Tensor, lane: tf.Tensor, first: int
          ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Says which records of an epoch a lane has.

  Args:
    order: the order.
    epoch: int64 [].
    lane: int64 [].
    first: the image to begin with.

  Returns:
    Where its part of the epoch begins, how many records it has, and how many of
    them are images before `first`; int64 [].
  """
  num_lanes = order.num_lanes

  def count(end, num_first):
    """Counts the images before `end` of the first so many lanes."""
    return end // num_lanes * num_first + tf.minimum(end % num_lanes, num_first)

  begin = epoch * order.num_records
  end = begin + order.num_records
  start = count(end, lane) - count(begin, lane)
  size = count(end, lane + 1) - count(begin, lane + 1) - start
  entry = tf.clip_by_value(tf.constant(first, tf.int64), begin, end)
  done = (count(entry, lane + 1) - count(entry, lane) -
          count(begin, lane + 1) + count(begin, lane))
  return start, size, done


def _read(files: Sequence[str], counts: tf.Tensor, open_file,
          start: tf.Tensor, end: tf.Tensor) -> tf.data.Dataset:
  """Reads records `start` to `end` of files that follow each other."""
  ends = tf.cumsum(counts)
  starts = ends - counts
  is_in = (ends > start) & (starts < end)
  skipped = tf.maximum(start - starts, 0)
  taken = tf.minimum(end, ends) - starts - skipped
  return tf.data.Dataset.from_tensor_slices(tuple(
      tf.boolean_mask(one, is_in) for one in (
          files, counts, skipped, taken))).flat_map(
              functools.partial(_read_file, open_file))


def _read_file(open_file, file: tf.Tensor, count: tf.Tensor, skipped: tf.Tensor,
               taken: tf.Tensor) -> tf.data.Dataset:
  """Reads some records of a file; fails at its end if it has not `count`."""
  is_last = tf.equal(skipped + taken, count)
  return open_file(file).skip(skipped).take(tf.where(
      is_last, tf.constant(-1, tf.int64), taken)).apply(
          tf.data.experimental.assert_cardinality(taken))


def _permuted_files(order: RecordOrder, epoch: tf.Tensor) -> tf.Tensor:
  """Permutes the files of an epoch; int64 [files]."""
  if order.sampling:
    # The places of a class's records are those of the files as they come.
    return tf.range(len(order.counts), dtype=tf.int64)
  return _permutation(len(order.counts), order.seed, -1 - epoch)


def _permuted_block(order: RecordOrder, epoch: tf.Tensor, start, size
                    ) -> tf.Tensor:
  """Permutes the block of an epoch that begins at `start`; int64 [size]."""
  if order.sampling:
    return _draw(order.sampling, size, order.seed, epoch)
  return _permutation(size, order.seed, epoch * order.num_records + start)


def _draw(sampling: Sampling, size, seed: int, epoch) -> tf.Tensor:
  """Draws the records of an epoch, with replacement; int64 [size]."""
  seeds = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
  draws = tf.random.stateless_uniform(
      tf.stack([tf.cast(size, tf.int64), 2]), seeds, dtype=tf.float64,
      alg='philox')  # [size, 2]
  # Beyond the last bound lies nothing, whatever the sum is rounded to.
  bounds = tf.constant(np.cumsum(sampling.probabilities)[:-1], tf.float64)
  classes = tf.searchsorted(bounds, draws[:, 0], side='right')  # [size]
  records = tf.constant(
      [record for one in sampling.records for record in one], tf.int64)
  numbers = np.array([len(one) for one in sampling.records])
  starts = tf.gather(
      tf.constant(np.cumsum(numbers) - numbers, tf.int64), classes)
  among = draws[:, 1] * tf.gather(tf.constant(numbers, tf.float64), classes)
  return tf.gather(records, starts + tf.cast(among, tf.int64))


def _permutation(size, seed: int, number) -> tf.Tensor:
  """Permutes 0, ..., size - 1; another `number` gives another permutation.

  The values of a stateless generator are the same in every version of
  TensorFlow, and a stable sort leaves no choice.
  """
  return tf.argsort(tf.random.stateless_uniform(
      tf.reshape(tf.cast(size, tf.int64), [1]),
      tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)]),
      minval=None, maxval=None, dtype=tf.int64, alg='philox'), stable=True)
