"""Tests of the labels: their offset, and that a bad one stops the input."""

import json
import shutil
import subprocess
import sys

import numpy as np
from official.core import task_factory
import pytest
import records_for_tests
import short_runs
import tensorflow as tf
import tensorflow_datasets as tfds

from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore
from official_ext.command_line import errors
from official_ext.params import experiment
from official_ext.tasks import bad_records
from official_ext.tasks import image_classification
from official_ext.tasks import label_offset
from official_ext.training import session


def build_inputs(overrides, name='train_data', experiment_name='vit_imagenet'):
  params = experiment.load(experiment_name, params_override=','.join(
      ['task.model.input_size=[16,16,3]',
       'task.model.backbone.funnel_vit.patch_size=8',
       'trainer.train_steps=1', *overrides]))
  task = task_factory.get_task(params.task)
  assert isinstance(task, image_classification.ImageClassificationTask)
  return task.build_inputs(getattr(params.task, name))


def labels_of(dataset, batches=1):
  """The labels of the first batches; of evaluation, without their weights."""
  return np.concatenate([
      (labels[0] if isinstance(labels, tuple) else labels).numpy()
      for _, labels in dataset.take(batches)])


@pytest.mark.slow
def test_a_backbone_of_model_garden_that_does_not_fit_is_named():
  # Its seven scales leave nothing of 16 px.
  params = experiment.load('vit_imagenet', params_override=(
      'task.model.input_size=[16,16,3],task.model.backbone.type=revnet'))
  with pytest.raises(errors.UserError, match=(
      'backbone revnet cannot be built for images of 16 x 16 px: .*Change '
      'task.model.input_size or task.model.backbone.revnet')) as raised:
    task_factory.get_task(params.task).build_model()
  assert '\n' not in str(raised.value)


def test_labels_of_records_stay_as_they_are(tmp_path):
  # The ImageNet convention: 1..1000, with 1,001 classes.
  path = records_for_tests.write(
      tmp_path / 'validation-00000-of-00001',
      [records_for_tests.example(label) for label in (1, 500, 1000, 7)])
  dataset = build_inputs(
      [f"task.validation_data.input_path='{path}'",
       'task.validation_data.global_batch_size=4',
       'task.validation_data.num_examples=4'], 'validation_data')
  np.testing.assert_array_equal(labels_of(dataset), [1, 500, 1000, 7])


@pytest.mark.slow
def test_labels_of_tfds_imagenet_are_moved_to_the_same_classes():
  with tfds.testing.mock_data(num_examples=32):
    raw = tfds.load('imagenet2012', split='validation')
    expected = [int(item['label']) + 1 for item in raw.as_numpy_iterator()]
    dataset = build_inputs(
        ["task.data_dir=''", "task.train_data.input_path='unused'",
         "task.validation_data.tfds_name='imagenet2012'",
         "task.validation_data.tfds_split='validation'",
         'task.validation_data.global_batch_size=32'], 'validation_data')
    labels = labels_of(dataset)
  assert sorted(labels) == sorted(expected)
  assert labels.min() >= 1 and labels.max() <= 1000


@pytest.mark.slow
@pytest.mark.parametrize('name, num_classes, data', [
    ('funnel_vit_cifar10_finetune', 10, 'train_data'),
    ('funnel_vit_cifar100_finetune', 100, 'validation_data'),
    pytest.param('funnel_vit_cifar10_finetune', 10, 'validation_data',
                 marks=pytest.mark.long),
    pytest.param('funnel_vit_cifar100_finetune', 100, 'train_data',
                 marks=pytest.mark.long)])
def test_cifar_from_tfds(name, num_classes, data):
  with tfds.testing.mock_data(num_examples=16):
    params = experiment.load(name, params_override=(
        f'task.{data}.global_batch_size=8,task.model.input_size=[32,32,3]'))
    task = task_factory.get_task(params.task)
    images, labels = next(iter(task.build_inputs(getattr(params.task, data))))
  labels = labels[0] if isinstance(labels, tuple) else labels
  assert images.shape == [8, 32, 32, 3]
  assert 0 <= int(min(labels)) and int(max(labels)) < num_classes


BAD_LABELS = [(10, 0), (-1, 0), (None, 0), (9, 1), (0, -1)]


@pytest.mark.slow
@pytest.mark.parametrize('label, offset, is_soft', [
    *((label, offset, False) for label, offset in BAD_LABELS),
    # Soft labels are made of what was checked: the same condition.
    (9, 1, True),
    *(pytest.param(label, offset, True, marks=pytest.mark.long)
      for label, offset in BAD_LABELS if label != 9)])
def test_a_bad_label_stops_the_input(tmp_path, label, offset, is_soft):
  records = [records_for_tests.example(3) for _ in range(7)]
  path = records_for_tests.write(
      tmp_path / 'train', [*records, records_for_tests.example(label)])
  overrides = [
      f"task.train_data.input_path='{path}'",
      'task.model.num_classes=10',
      f'task.train_data.label_offset={offset}',
      'task.train_data.global_batch_size=8']
  if is_soft:
    overrides += ['task.losses.one_hot=False', 'task.losses.soft_labels=True',
                  'task.train_data.mixup_and_cutmix.mixup_alpha=0.8']
  dataset = build_inputs(overrides)
  with pytest.raises(tf.errors.InvalidArgumentError,
                     match=label_offset.BAD_LABEL) as raised:
    labels_of(dataset)
  expected = {str((-1 if label is None else label) + offset)}
  message = bad_records.explain(raised.value)
  assert message.startswith(
      'A label is outside the classes of the model: after adding label_offset '
      f"{offset}, labels must be in 0..9. A record without 'image/class/label'")
  found = message.split('Found: ')[1]
  # A small data set may show its bad label twice in a batch.
  assert set(found.split()) == expected


def test_other_errors_are_not_taken_for_a_bad_label():
  error = tf.errors.InvalidArgumentError(None, None, 'shapes differ')
  assert bad_records.explain(error) is None


@pytest.mark.slow
def test_an_image_that_cannot_be_read_is_said_plainly(tmp_path):
  path = records_for_tests.write(
      tmp_path / 'train', [records_for_tests.example(1, b'no image')] * 8)
  dataset = build_inputs([f"task.train_data.input_path='{path}'",
                          'task.train_data.global_batch_size=8',
                          'task.train_data.aug_crop=False'])
  with pytest.raises(tf.errors.InvalidArgumentError) as raised:
    labels_of(dataset)
  message = bad_records.explain(raised.value)
  assert message.startswith(
      'an image cannot be decoded: Unknown image file format')
  assert '\n' not in message


@pytest.mark.slow
@pytest.mark.parametrize('offset, label', [
    (-1, 3), (5, -3), *(pytest.param(*case, marks=pytest.mark.long)
                        for case in ((0, 2), (-9, 11)))])
def test_the_offset_is_added_before_images_are_mixed(tmp_path, offset, label):
  # Labels beyond the classes, as ImageNet's 1..1000 with 1,000 classes.
  path = records_for_tests.write(
      tmp_path / 'train', [records_for_tests.example(label)] * 4)
  dataset = build_inputs([
      f"task.train_data.input_path='{path}'", 'task.model.num_classes=3',
      f'task.train_data.label_offset={offset}',
      f'task.validation_data.label_offset={offset}',
      'task.train_data.global_batch_size=4', 'task.losses.one_hot=False',
      'task.losses.soft_labels=True',
      'task.train_data.mixup_and_cutmix.mixup_alpha=0.8',
      'task.train_data.mixup_and_cutmix.label_smoothing=0.3'])
  np.testing.assert_allclose(
      labels_of(dataset), [[0.1, 0.1, 0.8]] * 4, atol=1e-6)


def test_the_offset_of_labels():
  moved = label_offset.add(
      tf.constant([0, 999]), 1, 1001, 'label')
  np.testing.assert_array_equal(moved, [1, 1000])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_order(digits_dir):
  def order(seed):
    return labels_of(build_inputs(
        [f"task.data_dir='{digits_dir}'", f'trainer.seed={seed}',
         'task.train_data.mixup_and_cutmix=null',
         'task.losses.soft_labels=false', 'task.losses.one_hot=true'],
        experiment_name='funnel_vit_digits'), batches=3)
  first = order(1)
  np.testing.assert_array_equal(first, order(1))
  assert (first != order(2)).any()


def task_of(**overrides):
  params = experiment.load('funnel_vit_digits', params_override=','.join(
      f'{name}={value}' for name, value in overrides.items()))
  return task_factory.get_task(params.task)


def test_a_batch_that_does_not_divide():
  task = task_of(**{'task.gradient_accumulation_steps': 3,
                    'task.train_data.global_batch_size': 64})
  with pytest.raises(ValueError, match=(
      r'is 64, which does not divide into 3 microbatches .* on each of 2 '
      'replicas. Use a multiple of 6')):
    task.check_batches(2)
  with pytest.raises(ValueError, match=(
      'validation_data.global_batch_size is 120, which the 16 replicas do')):
    task.check_batches(16)
  task_of().check_batches(2)


def test_what_a_model_computes_otherwise_than_its_checkpoint_is_warned_of(
    monkeypatch, caplog):
  report = restore.Plan(
      path='a', steps={}, loaded=(), position=(), resampled=(), dropped=(),
      initial=(), otherwise=('it was trained with another',), problems=(),
      refusal='')
  monkeypatch.setattr(restore, 'load', lambda *args, **settings: report)
  monkeypatch.setattr(metadata, 'read', lambda path: None)
  assert task_of(**{'task.init_checkpoint': 'a'}).initialize(None) == report
  assert [record.message for record in caplog.records
          if record.levelname == 'WARNING'] == [
              'task.init_checkpoint: it was trained with another']


def test_what_a_run_asks_of_the_task():
  task = task_of(**{'task.evaluation.top_k': 3})
  assert task.describe() == (
      'Funnel-ViT vit-nano4, B2(17)-2(9)-2(5): 0.3 M parameters, 0.00331 GMACs '
      'per image')
  assert task.metrics() == [
      ('top-1', 'accuracy', 'accuracy'),
      ('top-3', 'top_3_accuracy', 'top_3_accuracy'),
      ('loss', 'training_loss', 'validation_loss')]
  assert task.best_checkpoint_metrics() == [
      'accuracy', 'top_3_accuracy', 'validation_loss', 'mean_recall']
  few = task_of(**{'task.model.num_classes': 4})
  assert few.metrics()[1] == ('top-3', 'top_3_accuracy', 'top_3_accuracy')
  assert set(few.best_checkpoint_metrics()) == {
      'accuracy', 'top_3_accuracy', 'top_5_accuracy', 'validation_loss',
      'mean_recall'}
  assert {'accuracy', 'top_3_accuracy', 'top_5_accuracy'} <= {
      metric.name for metric in few.build_metrics()}
  two = task_of(**{'task.model.num_classes': 2})
  assert [label for label, _, _ in two.metrics()] == ['top-1', 'loss']
  assert 'top_5_accuracy' in two.best_checkpoint_metrics()
  assert task.explain(tf.errors.AbortedError(None, None, '')) is None


@pytest.mark.long
def test_the_task_is_built_before_the_first_operation():
  """A strategy of several workers can be built only then."""
  code = """
import official_ext
from official.core import task_factory
from tensorflow.python.eager import context
from official_ext import registry_imports
from official_ext.params import experiment
params = experiment.load('funnel_vit_digits')
task = task_factory.get_task(params.task)
task.check_batches(2)
task.describe()
assert context.context()._context_handle is None
import tensorflow as tf
tf.constant(0)
assert context.context()._context_handle is not None
"""
  subprocess.run([sys.executable, '-c', code], check=True)


def test_what_the_model_must_know_of_its_data(tmp_path):
  """The names of the classes, and whether photographs were turned."""
  (tmp_path / 'class_names.txt').write_text(
      ''.join(f'{index}\n' for index in range(10)))
  (tmp_path / 'manifest.json').write_text(
      json.dumps({'options': {'exif_orientation': 'apply'}}))
  params = experiment.load(
      'funnel_vit_digits', params_override=f"task.data_dir='{tmp_path}'")
  task = task_factory.get_task(params.task)
  names = [str(index) for index in range(10)]
  described = task.describe_data({}, trains=True)
  assert (described['class_names'], described['exif_orientation']) == (
      names, 'apply')
  # What the model knows already stays.
  known = {'class_names': names, 'exif_orientation': 'ignore'}
  assert task.describe_data(known, trains=True) == known


def test_validation_data_that_lie_where_the_training_data_stand(tmp_path):
  (tmp_path / 'class_names.txt').write_text(
      ''.join(f'{index}\n' for index in range(10)))
  (tmp_path / 'manifest.json').write_text(
      json.dumps({'options': {'exif_orientation': 'ignore'}}))
  (tmp_path / 'validation-00000-of-00001').touch()
  params = experiment.load(
      'funnel_vit_digits', params_override=f"task.data_dir='{tmp_path}'")
  task = task_factory.get_task(params.task)
  task.data_description = {'exif_orientation': 'apply'}
  with pytest.raises(ValueError, match='^task.validation_data: its images'):
    task.compare_data(['validation_data'], 'run')


@pytest.mark.slow
@pytest.mark.parametrize('files', [
    'train*', pytest.param('valid*', marks=pytest.mark.long)])
def test_all_files_of_a_data_set_go_after_the_checks(
    digits_dir, tmp_path, files):
  data = tmp_path / 'data'
  shutil.copytree(digits_dir, data)
  run = session.prepare(short_runs.parameters(str(data)), 'train_and_eval',
                        str(tmp_path / 'run'))
  for path in data.glob(files):
    path.unlink()
  with pytest.raises(errors.UserError) as error:
    run.execute(enable_async_checkpointing=False)
  assert errors.message(error.value) == (
      f"'{data}/{files}' matches no file. If it did before, its files were "
      'moved or removed since: once they are back, the same command goes on '
      'from the newest checkpoint.')
