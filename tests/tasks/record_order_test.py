"""The order of a training's records, entered anywhere."""

import itertools

import numpy as np
import proofs
import pytest
import tensorflow as tf

from official_ext.tasks import bad_records
from official_ext.tasks import record_order

COUNTS = (5, 0, 7, 3, 9, 4, 6, 8)
NUM_RECORDS = sum(COUNTS)
FILES = [str(number) for number in range(len(COUNTS))]


def open_file(file):
  """Records that say where they are: 'FILE/RECORD'."""
  count = tf.constant(COUNTS, tf.int64)[tf.strings.to_number(file, tf.int64)]
  return tf.data.Dataset.range(count).map(
      lambda record: tf.strings.join([file, '/', tf.strings.as_string(record)]))


def read(order, count, **settings):
  dataset = record_order.records(order, FILES, open_file, **settings)
  return [(int(number), record.decode())
          for number, record in dataset.take(count).as_numpy_iterator()]


ALL = {f'{file}/{record}'
       for file, count in enumerate(COUNTS) for record in range(count)}
# One after the other, in lanes, in lanes with blocks of two records.
SIZES = {100: (1, NUM_RECORDS), 6: (4, 1), 16: (4, 2)}


@pytest.fixture(name='order', params=SIZES, scope='module')
def _order(request):
  order = record_order.choose(COUNTS, 7, request.param)
  assert (order.num_lanes, order.block_size) == SIZES[request.param]
  return order


@pytest.fixture(name='three_epochs', scope='module')
def _three_epochs(order):
  return read(order, 3 * NUM_RECORDS)


@pytest.mark.slow
def test_every_epoch_has_every_record_once(three_epochs):
  assert [number for number, _ in three_epochs] == list(
      range(3 * NUM_RECORDS))
  epochs = [[record for _, record in three_epochs[begin:begin + NUM_RECORDS]]
            for begin in range(0, 3 * NUM_RECORDS, NUM_RECORDS)]
  for epoch in epochs:
    assert sorted(epoch) == sorted(ALL)
  for one, other in itertools.combinations(epochs, 2):
    assert np.mean(np.array(one) == np.array(other)) < 0.25


def test_a_record_is_located(order, three_epochs):
  for number, record in three_epochs[::5]:
    assert '{}/{}'.format(*record_order.locate(order, number)) == record


@pytest.mark.long
@pytest.mark.parametrize('position, num_workers', [
    (1, 1), (NUM_RECORDS - 1, 1), (NUM_RECORDS + 13, 2),
    # They do not divide the lanes.
    (17, 3)])
def test_entered_anywhere_by_any_number_of_workers(
    order, three_epochs, position, num_workers):
  found = sorted(itertools.chain.from_iterable(
      read(order, 10, position=position, num_workers=num_workers, worker=worker)
      for worker in range(num_workers)))
  assert found == three_epochs[position:position + 10 * num_workers]


@pytest.mark.long
def test_entered_at_every_position(order, three_epochs):
  # 11 divides neither the lanes nor an epoch: it meets every lane, and other
  # records in the second epoch.
  for position in range(0, 2 * NUM_RECORDS, proofs.choose(11, 1)):
    assert read(order, 12, position=position) == (
        three_epochs[position:position + 12])


@pytest.mark.slow
def test_another_seed_is_another_order(order, three_epochs):
  other = record_order.choose(COUNTS, 8, 16)
  assert [record for _, record in read(other, 20)] != [
      record for _, record in three_epochs[:20]]


def test_by_hand():
  """Two files of three records, no block: lanes alternate."""
  order = record_order.RecordOrder((5, 5), 1, num_lanes=2, block_size=1)
  dataset = record_order.records(order, ['0', '0'], open_file)
  assert [record.decode() for _, record in dataset.take(
      10).as_numpy_iterator()] == [
          '0/0', '0/0', '0/1', '0/1', '0/2', '0/2', '0/3', '0/3', '0/4', '0/4']


@pytest.mark.parametrize('count', [4, 6])
def test_a_file_of_another_number_of_records_is_noticed(count):
  order = record_order.RecordOrder((count,), 1, num_lanes=1, block_size=1)
  with pytest.raises(
      tf.errors.FailedPreconditionError, match=f'{count} elements') as error:
    list(record_order.records(order, ['0'], open_file).take(12))
  assert 'another number of records' in bad_records.explain(error.value)


@pytest.mark.slow
def test_permutations_are_uniform():
  found = np.zeros((4, 4))
  for number in range(400):
    permutation = record_order._permutation(4, 3, number).numpy()
    found[np.arange(4), permutation] += 1
  # 100 of each, with a standard deviation of 8.7.
  np.testing.assert_allclose(found, 100, atol=45)


@pytest.mark.parametrize('num_files, buffer_size, num_workers, expected', [
    (1024, 10_000, 1, (64, 78)),
    (1024, 10_000, 32, (64, 78)),
    (1024, 10_000, 6, (66, 75)),
    (1, 10, 1, (1, 5)),
    (1, 1, 4, (1, 1)),
    (10, 100, 1, (4, 12)),
    (2, 2_000, 8, (1, 2_000)),
])
def test_lanes_and_blocks(num_files, buffer_size, num_workers, expected):
  order = record_order.choose([1_000] * num_files, 0, buffer_size, num_workers)
  assert (order.num_lanes, order.block_size) == expected


@pytest.mark.slow
@pytest.mark.parametrize('num_workers', [
    1, pytest.param(3, marks=pytest.mark.long)])
def test_from_memory(num_workers):
  order = record_order.choose(COUNTS, 7, 1)
  found = {}
  for worker in range(num_workers):
    size, share = record_order.share(
        order, FILES, open_file, num_workers, worker)
    records = [record.decode() for _, record in share.as_numpy_iterator()]
    assert len(records) == size == NUM_RECORDS // num_workers
    found[worker] = records
    examples = share.map(lambda number, record: (number, record))
    settings = dict(size=size, batch_size=5, num_workers=num_workers,
                    worker=worker)
    epochs = list(record_order.from_memory(
        order, examples, **settings).unbatch().take(
            2 * size).as_numpy_iterator())
    assert [number for number, _ in epochs] == list(
        range(worker, 2 * NUM_RECORDS, num_workers))
    seen = [example[1].decode() for _, example in epochs]
    assert sorted(seen[:size]) == sorted(seen[size:]) == sorted(records)
    assert seen[:size] != seen[size:]
    entered = record_order.from_memory(
        order, examples, position=18, **settings).unbatch().take(9)
    assert [example[1].decode()
            for _, example in entered.as_numpy_iterator()] == (
                seen[18 // num_workers:][:9])
  assert sorted(itertools.chain(*found.values())) == sorted(ALL)


SAMPLING = record_order.Sampling(
    'balanced', ((0, 1, 2, 3, 4), (41, 7), (13, 20, 30)), (0.5, 0.25, 0.25))


@pytest.mark.slow
def test_records_are_drawn_as_computed_by_hand():
  order = record_order.choose_sampled(COUNTS, 7, SAMPLING)
  # The places of records in the files as they come.
  places = [f'{file}/{record}' for file, count in enumerate(COUNTS)
            for record in range(count)]
  expected = []
  for epoch in range(3):
    draws = tf.random.stateless_uniform(
        [NUM_RECORDS, 2], [7, epoch], dtype=tf.float64, alg='philox').numpy()
    for of_class, of_record in draws:
      records = SAMPLING.records[
          0 if of_class < 0.5 else 1 if of_class < 0.75 else 2]
      expected.append(places[records[int(of_record * len(records))]])
  found = read(order, 3 * NUM_RECORDS)
  assert found == list(enumerate(expected))
  assert len(set(expected)) == 10
  # Entered anywhere, by any number of workers.
  assert read(order, 40, position=50) == found[50:90]
  for worker in range(3):
    assert read(order, 10, position=50, num_workers=3, worker=worker) == [
        one for one in found[50:] if one[0] % 3 == worker][:10]
  for image in (0, 41, 42, 100):
    file, record = record_order.locate(order, image)
    assert f'{file}/{record}' == expected[image]
  assert record_order.describe(order)['class_sampling'] == 'balanced'
