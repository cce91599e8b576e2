"""ImageNet's archives, converted and by TFDS: who reads them gets the same."""

import collections

import conversions
import image_trees
from official.core import exp_factory
from official.core import task_factory
from official.vision import registry_imports  # noqa: F401
import pytest
import tensorflow_datasets as tfds

from data_prep import imagenet_labels
from official_ext.params import experiment

VALIDATION_LABELS = 'datasets/imagenet2012/validation_labels.txt'
SMALL = (
    'task.model.input_size=[16,16,3],'
    'task.model.backbone.funnel_vit.patch_size=8,'
    'task.train_data.global_batch_size=8,trainer.train_steps=1')


@pytest.fixture(name='archives', scope='module')
def _archives(tmp_path_factory):
  root = tmp_path_factory.mktemp('archives')
  image_trees.imagenet_archives(root, imagenet_labels.SYNSETS)
  # TFDS looks for the test images under another name, and is content without.
  return root


@pytest.fixture(name='converted', scope='module')
def _converted(archives, tmp_path_factory):
  """Shards in a folder of the name that Model Garden's experiments expect."""
  folder = tmp_path_factory.mktemp('converted') / 'imagenet-2012-tfrecord'
  conversions.convert(
      archives, folder, shards={'train': 4},
      validation_labels=tfds.core.tfds_path(VALIDATION_LABELS))
  return folder


@pytest.fixture(name='tfds_dir', scope='module')
def _tfds_dir(archives, tmp_path_factory):
  """A TFDS data set on disk, built by its own builder of ImageNet."""
  data_dir = tmp_path_factory.mktemp('tfds')
  builder = tfds.builder('imagenet2012', data_dir=data_dir)
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(
      manual_dir=str(archives), register_checksums=False,
      compute_stats=tfds.download.ComputeStatsMode.SKIP))
  return data_dir


def label_counts(dataset):
  """How often each label comes, without what fills the last batch up."""
  return collections.Counter(
      int(label) for _, (labels, weights) in dataset
      for label, weight in zip(labels.numpy(), weights.numpy()) if weight)


def our_inputs(overrides):
  params = experiment.load('funnel_vit_imagenet', params_override=(
      f'{SMALL},task.validation_data.global_batch_size=100,{overrides}'))
  task = task_factory.get_task(params.task)
  return task.build_inputs(params.task.validation_data)


@pytest.mark.slow
@pytest.mark.parametrize('split, count', [
    pytest.param('train', 1000, marks=pytest.mark.long), ('validation', 5)])
def test_tfds_and_the_shards_give_every_image_the_same_label(
    converted, tfds_dir, split, count):
  raw = tfds.load('imagenet2012', split=split, data_dir=tfds_dir,
                  decoders={'image': tfds.decode.SkipDecoding()})
  by_tfds = {item['file_name'].decode(): (int(item['label']) + 1, item['image'])
             for item in raw.as_numpy_iterator()}
  labels = conversions.labels(converted, split)
  images = conversions.images(converted, split)
  assert by_tfds == {name: (labels[name], images[name]) for name in labels}
  assert len(by_tfds) == count
  # And as train.py reads them, with tfds_name and with input_path.
  counts = label_counts(our_inputs(
      "task.data_dir='',task.train_data.input_path='unused',"
      "task.validation_data.tfds_name='imagenet2012',"
      f"task.validation_data.tfds_data_dir='{tfds_dir}',"
      f"task.validation_data.tfds_split='{split}'"))
  assert counts == label_counts(our_inputs(
      "task.train_data.input_path='unused',"
      f"task.validation_data.input_path='{converted}/{split}*'"))
  assert counts == collections.Counter(labels.values())


@pytest.mark.parametrize('name', ['train_data', 'validation_data'])
def test_model_gardens_own_experiment_reads_the_shards(
    converted, monkeypatch, name):
  monkeypatch.chdir(converted.parent)
  # Unchanged, but for a batch that fits this machine.
  params = exp_factory.get_exp_config('vit_imagenet_pretrain')
  data = getattr(params.task, name)
  data.global_batch_size = 5
  task = task_factory.get_task(params.task)
  images, labels = next(iter(task.build_inputs(data)))
  assert images.shape == (5, 224, 224, 3)
  if name == 'validation_data':
    expected = conversions.labels(converted, 'validation')
    assert sorted(labels.numpy()) == sorted(expected.values())
  else:
    # One-hot or smoothed over 1,001 classes, of which 0 is none.
    assert params.task.model.num_classes == 1001
    top = labels.numpy() if labels.shape == (5,) else labels.numpy().argmax(-1)
    assert ((top >= 1) & (top <= 1000)).all()
