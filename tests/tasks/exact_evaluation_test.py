"""Tests of the evaluation that covers every image exactly once."""

import itertools

import models
import numpy as np
from official.core import task_factory
import proofs
import pytest
import records_for_tests
import short_runs
import tensorflow as tf
import tolerances

from official_ext.params import experiment
from official_ext.tasks import exact_evaluation
from official_ext.training import event_tags
from official_ext.training import session

NUM_IMAGES = 37


def shard(num_images, *arguments):
  """What `shard` gives of the images 0, 1, 2 ...: [(image, weight), ...]."""
  dataset = tf.data.Dataset.range(num_images).map(
      lambda index: {'image': index, 'label': 2 * index})
  parse = exact_evaluation.parse_with_weight(
      lambda record: (record['image'], record['label']))
  parsed = list(exact_evaluation.shard(
      dataset, *arguments).map(parse).as_numpy_iterator())
  assert all(label == 2 * image for image, (label, _) in parsed)
  return [(image, weight) for image, (_, weight) in parsed]


def test_the_last_batch_is_filled_up():
  assert shard(5, 3) == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (0, 0)]


def test_a_data_set_smaller_than_the_batch():
  assert shard(2, 5) == [(0, 1), (1, 1), (0, 0), (1, 0), (0, 0)]


def test_an_empty_data_set():
  assert shard(0, 3) == []


def test_workers_share_every_batch():
  assert shard(5, 4, 2, 0) == [(0, 1), (1, 1), (4, 1), (0, 0)]
  assert shard(5, 4, 2, 1) == [(2, 1), (3, 1), (1, 0), (2, 0)]


# Every number of workers with less than a batch, one, and more; the other pairs
# are long proofs.
SHORT = [(1, 4), (7, 1), (7, 2), (8, 1), (8, 2), (8, 4), (9, 4), (37, 1),
         (37, 2)]


@pytest.mark.parametrize('num_images, num_workers', [
    pytest.param(*pair, marks=() if pair in SHORT else pytest.mark.long)
    for pair in itertools.product([1, 7, 8, 9, 37], [1, 2, 4])])
def test_every_image_counts_once_over_all_workers(num_images, num_workers):
  shards = [shard(num_images, 8, num_workers, worker)
            for worker in range(num_workers)]
  # Equally many, and whole batches: no worker waits for another.
  num_steps = -(-num_images // 8)
  assert {len(one) for one in shards} == {num_steps * 8 // num_workers}
  counted = sorted(image for one in shards for image, weight in one if weight)
  assert counted == list(range(num_images))


@pytest.mark.parametrize('label_smoothing', [0.0, 0.1])
def test_the_loss_of_the_images_that_count(label_smoothing):
  params = experiment.load('vit_imagenet', params_override=(
      f'task.losses.label_smoothing={label_smoothing},'
      'task.losses.loss_weight=2.0'))
  task = task_factory.get_task(params.task)
  generator = np.random.default_rng(0)
  labels = tf.one_hot([1, 2, 3, 0], 1001)
  outputs = tf.constant(generator.normal(size=(4, 1001)), tf.float32)
  aux_losses = [tf.constant(0.25)]
  loss = exact_evaluation.weighted_loss(
      task.build_losses, labels, outputs, tf.constant([1., 1, 1, 0]),
      aux_losses)
  expected = task.build_losses(labels[:3], outputs[:3], aux_losses)
  tolerances.assert_close(loss, expected, length=10)
  nothing = exact_evaluation.weighted_loss(
      task.build_losses, labels, outputs, tf.zeros([4]), aux_losses)
  assert float(nothing) == 0


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """37 images of all classes, a training shard among them."""
  folder = tmp_path_factory.mktemp('exact')
  generator = np.random.default_rng(0)
  records = [
      records_for_tests.example(
          index % 10, records_for_tests.encode(
              'JPEG', (16, 16), tuple(map(int, generator.integers(0, 256, 3)))))
      for index in range(NUM_IMAGES)]
  records_for_tests.write(folder / 'train-00000-of-00001', records)
  records_for_tests.write(folder / 'validation-00000-of-00001', records)
  return folder


@pytest.mark.long
@pytest.mark.parametrize(('batch_size', 'num_replicas'), proofs.choose(
    [(64, 1), (8, 2)], [(8, 1), (8, 2), (64, 1), (64, 2)]))
def test_37_images(data_dir, tmp_path, num_replicas, batch_size):
  params = experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='{data_dir}',trainer.train_steps=4,"
      f'task.model.backbone.funnel_vit.layout={short_runs.LAYOUT},'
      'task.train_data.global_batch_size=8,'
      f'task.validation_data.global_batch_size={batch_size},'
      f'task.validation_data.num_examples={NUM_IMAGES},'
      'trainer.optimizer_config.warmup.linear.warmup_steps=1'))
  trainer = session.prepare(
      params, 'train_and_eval', str(tmp_path),
      strategy=models.mirrored(num_replicas)).execute(
          enable_async_checkpointing=False)
  logs = trainer.validation_logs
  assert logs[event_tags.NUM_IMAGES] == NUM_IMAGES

  # Once more, image by image.
  task = task_factory.get_task(params.task)
  model = task.build_model()
  tf.train.Checkpoint(model=model).read(
      tf.train.latest_checkpoint(tmp_path)).expect_partial()
  right, losses = [], []
  for images, (labels, weights) in task.build_inputs(
      params.task.validation_data):
    for image, label, weight in zip(images, labels, weights):
      if weight:
        logits = model(image[tf.newaxis], training=False).numpy()[0]
        right.append(logits.argmax() == label.numpy())
        losses.append(np.log(np.exp(logits).sum()) - logits[label])
  assert len(right) == NUM_IMAGES
  assert logs['accuracy'] == pytest.approx(np.mean(right), abs=1e-6)
  assert logs['validation_loss'] == pytest.approx(np.mean(losses), abs=1e-4)


def test_shapes_are_static(data_dir):
  params = experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='{data_dir}',task.validation_data.global_batch_size=8"))
  task = task_factory.get_task(params.task)
  images, (labels, weights) = task.build_inputs(
      params.task.validation_data).element_spec
  assert images.shape == [8, 16, 16, 3]
  assert labels.shape == [8] and weights.shape == [8]


@pytest.mark.slow
@pytest.mark.parametrize('num_files', [1, 3])
def test_workers_evaluate_every_image_once(data_dir, tmp_path, num_files):
  # Fewer files than workers, and more: the files do not matter.
  (record_file,) = data_dir.glob('validation-*')
  records = [record.numpy()
             for record in tf.data.TFRecordDataset(str(record_file))]
  for index in range(num_files):
    records_for_tests.write(
        tmp_path / f'validation-{index}', records[index::num_files])
  params = experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='{tmp_path}',task.validation_data.global_batch_size=16"))
  task = task_factory.get_task(params.task)
  images = []
  for worker in range(2):
    dataset = task.build_inputs(
        params.task.validation_data, tf.distribute.InputContext(
            num_input_pipelines=2, input_pipeline_id=worker,
            num_replicas_in_sync=4))
    for batch, (_, weights) in dataset:
      assert len(batch) == 16 // 4
      images += [image.tobytes() for image, weight in zip(
          batch.numpy(), weights) if weight]
  assert len(images) == len(set(images)) == NUM_IMAGES
