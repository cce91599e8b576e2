import collections

import numpy as np
from official.core import task_factory
from official.vision.configs import common
from official.vision.ops import augment
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import image_parser
from official_ext.tasks import normalization
from official_ext.tasks import resizing
from official_ext.tasks import stateless_random


def _draw(random_function, seed=1, count=8, begin=0, purpose='draw'):
  """What a function returns for some indices, stacked."""
  dataset = tf.data.Dataset.range(begin, begin + count).map(
      stateless_random.function(random_function, seed, purpose),
      num_parallel_calls=2)
  drawn = list(dataset.as_numpy_iterator())
  return tf.nest.map_structure(lambda *values: np.stack(values), *drawn)


def _every_operation():
  box = tf.image.sample_distorted_bounding_box(
      [100, 200, 3], tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
      min_object_covered=0.0, area_range=(0.25, 0.5),
      aspect_ratio_range=(1.0, 1.5), use_image_if_no_bounding_boxes=True,
      max_attempts=100)
  return {
      'uniform': tf.random.uniform([], -1.0, 3.0),
      'integer': tf.random.uniform([], 2, 5, tf.int32),
      'normal': tf.random.normal([2]),
      'truncated': tf.random.truncated_normal([]),
      'gamma': tf.random.gamma([3], tf.constant([0.5, 4.0])),
      'category': tf.random.categorical(tf.math.log([[0.1, 0.0, 0.9]]), 2)[0],
      'size': box.size,
  }


@pytest.mark.slow
def test_every_operation_keeps_its_distribution():
  count = 2000
  drawn = _draw(_every_operation, count=count)

  # Five standard errors, of the mean and of the variance.
  def check(name, mean, variance, kurtosis):
    values = drawn[name].reshape(count, -1).astype(np.float64)
    assert abs(values.mean(axis=0) - mean).max() < 5 * np.sqrt(variance / count)
    assert abs(values.var(axis=0) - variance).max() < (
        5 * variance * np.sqrt((kurtosis - 1) / count))

  check('uniform', 1.0, 16 / 12, 1.8)
  assert drawn['uniform'].min() >= -1 and drawn['uniform'].max() < 3
  check('integer', 3.0, 2 / 3, 1.5)
  assert set(drawn['integer']) == {2, 3, 4}
  check('normal', 0.0, 1.0, 3.0)
  assert abs(drawn['truncated']).max() <= 2
  check('truncated', 0.0, 0.7737, 2.36)
  assert drawn['gamma'].shape == (count, 3, 2)
  for number, alpha in enumerate((0.5, 4.0)):
    drawn['one'] = drawn['gamma'][:, :, number]
    check('one', alpha, alpha, 3 + 6 / alpha)
  assert set(drawn['category'].reshape(-1)) == {0, 2}
  drawn['two'] = drawn['category'] == 2
  check('two', 0.9, 0.09, 9.1)
  height, width, channels = drawn['size'].T
  assert set(channels) == {-1}
  area = height * width / 20000
  # The sides are rounded to whole pixels.
  assert 0.24 < area.min() < 0.26 and 0.49 < area.max() < 0.51
  assert 0.95 < (width / height).min() and (width / height).max() < 1.55


def _in_every_branch(value):
  """Draws in conditions, loops and functions that are called twice."""

  @tf.function
  def uniform():
    return tf.random.uniform([])

  def turn(number, drawn):
    row = [tf.cond(number > 0, uniform, lambda: tf.random.uniform([])),
           tf.switch_case(number % 2, [uniform, lambda: tf.constant(2.0)])]
    return number + 1, drawn.write(number, tf.stack(row))

  _, drawn = tf.while_loop(
      lambda number, _: number < 4, turn,
      (0, tf.TensorArray(tf.float32, 4, element_shape=[2])))
  constant = tf.cond(value > 0, lambda: 5.0, lambda: 6.0)
  return uniform(), uniform(), drawn.stack(), constant


def test_every_place_and_turn_draws_its_own():
  numbers = stateless_random.function(_in_every_branch, 1, 'draw')
  first, second, turns, constant = next(
      tf.data.Dataset.from_tensors(0).map(
          lambda index: numbers(index, tf.constant(1))).as_numpy_iterator())
  assert constant == 5
  np.testing.assert_array_equal(turns[1::2, 1], 2)
  drawn = [first, second, *turns[:, 0], *turns[::2, 1]]
  assert len(set(drawn)) == 8
  assert 0 <= min(drawn) and max(drawn) < 1


def test_draws_follow_from_seed_purpose_and_index_alone():
  whole = _draw(_every_operation)
  later = _draw(_every_operation, begin=5, count=3)
  tf.nest.map_structure(
      lambda one, other: np.testing.assert_array_equal(one[5:], other), whole,
      later)
  others = [whole['normal'],
            _draw(_every_operation, seed=2)['normal'],
            _draw(_every_operation, purpose='other')['normal'],
            _draw(_every_operation, begin=8)['normal']]
  assert len(np.unique(np.stack(others))) == 4 * 8 * 2


def test_what_numpy_draws_while_a_graph_is_traced_follows_from_the_seed():
  def traced():
    return tf.constant(np.random.uniform())

  before = np.random.get_state()[1].copy()
  first, again, other = (
      _draw(traced, seed=seed, count=1)[0] for seed in (1, 1, 2))
  assert first == again != other
  np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_inputs_captures_and_checks_come_along():
  table = tf.lookup.StaticHashTable(
      tf.lookup.KeyValueTensorInitializer([7], [70]), default_value=-1)

  def look_up(key):
    tf.debugging.Assert(key['key'] < 9, ['too large'])
    return {'sum': table[key['key']] + 0 * tf.random.uniform(
        [], maxval=9, dtype=tf.int32)}

  function = stateless_random.function(look_up, 1, 'draw')
  dataset = tf.data.Dataset.from_tensor_slices([7, 8, 9]).map(
      lambda key: function(0, {'key': key}))
  answers = iter(dataset)
  assert [int(next(answers)['sum']) for _ in range(2)] == [70, -1]
  with pytest.raises(tf.errors.InvalidArgumentError, match='too large'):
    next(answers)


@pytest.mark.parametrize('draw, name', [
    (lambda: tf.random.shuffle([1, 2, 3]), 'RandomShuffle'),
    (lambda: tf.cond(tf.random.uniform([]) < 1, lambda: tf.random.poisson(
        [], 2.0), lambda: 0.0), 'RandomPoissonV2'),
    (None, 'RngReadAndSkip')])
def test_an_operation_without_counterpart_is_refused_by_name(draw, name):
  generator = tf.random.Generator.from_seed(1)
  draw = draw or (lambda: generator.normal([]))
  with pytest.raises(ValueError, match=f'the random operation {name} '):
    _draw(draw)


@pytest.mark.long
def test_a_training_goes_on_with_the_same_images(tmp_path):
  image = tf.io.encode_jpeg(
      tf.cast(np.arange(3600).reshape(30, 40, 3) % 256, tf.uint8)).numpy()
  records_for_tests.write(tmp_path / 'train', [
      records_for_tests.example(label, image) for label in range(8)])
  params = experiment.load('vit_imagenet', params_override=(
      "task.data_dir='',task.model.input_size=[16,16,3],"
      f"task.model.num_classes=9,task.train_data.input_path='{tmp_path}/train',"
      'task.train_data.num_examples=8,task.train_data.global_batch_size=4,'
      'task.train_data.aug_type=null,'
      'task.train_data.mixup_and_cutmix.mixup_alpha=0.5,'
      'task.losses.soft_labels=true,task.losses.one_hot=false'))
  task = task_factory.get_task(params.task)

  def batches(position, count, seed=3):
    task.enter_data(position, {'seed': seed}, 1)
    return list(task.build_inputs(
        params.task.train_data).take(count).as_numpy_iterator())

  whole, later = batches(0, 4), batches(8, 2)
  for one, other in zip(whole[2:], later, strict=True):
    for expected, found in zip(one, other, strict=True):
      np.testing.assert_array_equal(found, expected)
  assert (whole[0][0] != whole[2][0]).any()


@pytest.mark.long
def test_randaugment_does_what_it_does_with_a_state():
  augmenter = augment.RandAugment(num_layers=1, exclude_ops=['Cutout'])
  image = tf.constant(
      np.random.default_rng(0).integers(0, 256, [12, 12, 3]), tf.uint8)
  count = 4000

  def occurrences(dataset):
    return collections.Counter(
        one.tobytes() for one in dataset.as_numpy_iterator())

  stateless = stateless_random.function(augmenter.distort, 1, 'draw')
  ours, theirs = map(occurrences, (
      tf.data.Dataset.range(count).map(lambda index: stateless(index, image)),
      tf.data.Dataset.range(count).map(
          lambda _: augmenter.distort(image))))
  assert set(ours) == set(theirs)
  # Each operation has one or two outcomes.
  assert len(ours) >= len(augmenter.available_ops)
  for outcome, number in theirs.items():
    # Five standard deviations of the difference of two counts.
    assert abs(ours[outcome] - number) < 5 * np.sqrt(ours[outcome] + number)


@pytest.mark.long
def test_all_augmentations_follow_from_the_index():
  erasing = common.RandomErasing(probability=0.5)
  erasing.max_count = 3
  parser = image_parser.Parser(
      normalization.IMAGENET,
      resizing.Resizing((16, 16), 'bilinear', False, 'crop_then_resize', 0.875),
      num_classes=10, color_jitter=0.4,
      aug_type=common.Augmentation(type='randaug'), random_erasing=erasing,
      three_augment=True)
  record = {'image/encoded': tf.io.encode_jpeg(
      tf.cast(np.arange(3600).reshape(30, 40, 3) % 256, tf.uint8)),
            'image/class/label': tf.constant(3, tf.int64)}
  parse = parser.parse_fn(True)
  images, labels = _draw(lambda: parse(record), count=12)
  later, _ = _draw(lambda: parse(record), begin=7, count=5)
  np.testing.assert_array_equal(images[7:], later)
  assert len({image.tobytes() for image in images}) == 12
  np.testing.assert_array_equal(labels, 3)


@pytest.mark.long
def test_mixing_follows_from_the_index():
  mixing = augment.MixupAndCutmix(num_classes=4, prob=0.8)
  images = np.random.default_rng(0).random([6, 8, 8, 3], np.float32)
  labels = tf.constant([0, 1, 2, 3, 0, 1])

  def mix():
    return mixing(tf.constant(images), labels)

  mixed, soft = _draw(mix, count=400)
  later, later_soft = _draw(mix, begin=390, count=10)
  np.testing.assert_array_equal(mixed[390:], later)
  np.testing.assert_array_equal(soft[390:], later_soft)
  kept = (mixed == images).all(axis=(1, 2, 3, 4)).mean()
  assert abs(kept - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 400)
