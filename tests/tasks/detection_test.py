"""Tests of detection on four pictures with boxes, in Model Garden's records."""

import io

import classifiers
import numpy as np
from official.core import task_factory
from PIL import Image
import pytest
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import restore
from official_ext.configs import detection as configs
from official_ext.params import experiment
from official_ext.tasks import detection

FUNNEL_VIT = 'task.model.backbone.funnel_vit'
SIDE = 64
LEVELS = (2, 3, 4)
CLASSES = 3
# Of Model Garden: the side of an anchor in steps of its level, the overlap of a
# match, the losses.
ANCHOR_STEPS, MATCH, BACKGROUND = 4, 0.5, -1
ALPHA, GAMMA, DELTA, BOX_WEIGHT = 0.25, 1.5, 0.1, 50
# By picture: class, and the level, row and column of the anchor that it fills.
OBJECTS = [(1, 2, 3, 5), (2, 3, 3, 4), (1, 3, 2, 2), (2, 2, 8, 9)]


def anchor(level, row, column):
  """(top, left, bottom, right), px."""
  half = ANCHOR_STEPS * 2 ** level / 2
  y, x = ((place + 0.5) * 2 ** level for place in (row, column))
  return np.array([y - half, x - half, y + half, x + half])


def overlap(one, other):
  """Intersection over union of two boxes."""
  sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
  shared = np.prod(np.maximum(sides, 0))
  return shared / (np.prod(one[2:] - one[:2]) +
                   np.prod(other[2:] - other[:2]) - shared)


def example(number, label, box):
  def feature(values, kind='float'):
    types = {'float': tf.train.FloatList, 'int64': tf.train.Int64List,
             'bytes': tf.train.BytesList}
    return tf.train.Feature(**{f'{kind}_list': types[kind](value=values)})

  pixels = np.full((SIDE, SIDE, 3), 40, np.uint8)
  top, left, bottom, right = box.astype(int)
  pixels[top:bottom, left:right, label - 1] = 230
  encoded = io.BytesIO()
  Image.fromarray(pixels).save(encoded, format='PNG')
  sides = dict(zip(('ymin', 'xmin', 'ymax', 'xmax'), box / SIDE, strict=True))
  return tf.train.Example(features=tf.train.Features(feature={
      'image/encoded': feature([encoded.getvalue()], 'bytes'),
      'image/source_id': feature([str(number).encode()], 'bytes'),
      'image/height': feature([SIDE], 'int64'),
      'image/width': feature([SIDE], 'int64'),
      'image/object/class/label': feature([label], 'int64'),
      'image/object/area': feature([np.prod(box[2:] - box[:2])]),
      'image/object/is_crowd': feature([0], 'int64'),
      **{f'image/object/bbox/{name}': feature([value])
         for name, value in sides.items()},
  })).SerializeToString()


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  path = str(tmp_path_factory.mktemp('boxes') / 'train-00000-of-00001')
  with tf.io.TFRecordWriter(path) as writer:
    for number, (label, *place) in enumerate(OBJECTS, start=1):
      writer.write(example(number, label, anchor(*place)))
  return path


def parameters(records, **settings):
  """The experiment with a small model and one anchor at each place."""
  data = {
      f'task.{name}.{setting}': value
      for name in ('train_data', 'validation_data')
      for setting, value in {
          'input_path': records, 'global_batch_size': 4,
          'parser.aug_rand_hflip': False, 'parser.aug_scale_min': 1.0,
          'parser.aug_scale_max': 1.0}.items()}
  settings = data | {
      'task.annotation_file': None,
      'task.model.num_classes': CLASSES,
      'task.model.input_size': [SIDE, SIDE, 3],
      'task.model.min_level': LEVELS[0],
      'task.model.max_level': LEVELS[-1],
      'task.model.anchor.num_scales': 1,
      'task.model.anchor.aspect_ratios': [1.0],
      'task.model.head.num_convs': 1,
      'task.model.head.num_filters': 16,
      f'{FUNNEL_VIT}.model_name': 'vit-nano4',
      f'{FUNNEL_VIT}.layout': 'B1-1',
      f'{FUNNEL_VIT}.feature_maps.levels': list(LEVELS),
      f'{FUNNEL_VIT}.feature_maps.recovery_layers': 1,
      f'{FUNNEL_VIT}.feature_maps.pyramid_filters': 16,
      'trainer.optimizer_config.optimizer.adamw_layerwise.num_layers': 2,
      **dict.fromkeys((f'trainer.{name}' for name in (
          'train_steps', 'steps_per_loop', 'summary_interval',
          'checkpoint_interval', 'validation_interval',
          'validation_steps')), 1),
  } | settings
  return experiment.load('funnel_vit_retinanet', params_override=','.join(
      f'{key}={"null" if value is None else repr(value)}'
      for key, value in settings.items()))


def build(records, **settings):
  params = parameters(records, **settings)
  task = task_factory.get_task(params.task)
  assert isinstance(task, detection.RetinaNetTask)
  return task, task.build_model(), params.task


def flat(maps, channels):
  """The maps of all levels, one place after the other: [B, places, C]."""
  return np.concatenate([
      np.reshape(maps[str(level)], (len(OBJECTS), -1, channels))
      for level in LEVELS], axis=1).astype(float)


def losses(outputs, labels):
  """The loss of the classes and that of the boxes, in NumPy."""
  targets = flat(labels['cls_targets'], 1)[..., 0].astype(int)
  assert np.all(labels['cls_weights'] == 1)
  np.testing.assert_array_equal(labels['box_weights'], targets > 0)
  p = 1 / (1 + np.exp(-flat(outputs['cls_outputs'], CLASSES)))
  focal = -np.where(
      np.arange(CLASSES) == targets[..., np.newaxis],
      ALPHA * (1 - p) ** GAMMA * np.log(p),
      (1 - ALPHA) * p ** GAMMA * np.log(1 - p))
  error = np.abs(
      flat(outputs['box_outputs'], 4) - flat(labels['box_targets'], 4))
  huber = np.where(
      error <= DELTA, error ** 2 / 2, DELTA * error - DELTA ** 2 / 2)
  positives = (targets > 0).sum() + 1
  return (focal.sum() / positives,
          huber.mean(-1)[targets > 0].sum() / positives)


@pytest.mark.long
def test_targets_and_losses_by_value(records):
  task, model, config = build(records)
  images, labels = next(iter(task.build_inputs(config.validation_data)))
  # Model Garden keeps the order of an evaluation.
  for number, (label, *place) in enumerate(OBJECTS):
    box = anchor(*place)
    for level in LEVELS:
      side = SIDE // 2 ** level
      overlaps = np.array([[overlap(box, anchor(level, row, column))
                            for column in range(side)] for row in range(side)])
      found = labels['cls_targets'][str(level)][number].numpy()[..., 0]
      assert found.shape == (side, side)
      np.testing.assert_array_equal(
          found, np.where(overlaps >= MATCH, label, BACKGROUND))
    level, row, column = place
    np.testing.assert_allclose(
        labels['box_targets'][str(level)][number, row, column], 0, atol=1e-6)
  outputs = model(images, training=True)
  for level in map(str, LEVELS):
    side = SIDE // 2 ** int(level)
    assert outputs['cls_outputs'][level].shape == (4, side, side, CLASSES)
    assert outputs['box_outputs'][level].shape == (4, side, side, 4)
  of_classes, of_boxes = losses(outputs, labels)
  before = [variable.numpy() for variable in model.trainable_variables]
  optimizer = tf_keras.optimizers.legacy.SGD(0.1)
  logs = task.train_step((images, labels), model, optimizer,
                         task.build_metrics())
  np.testing.assert_allclose(logs['cls_loss'], of_classes, rtol=1e-4)
  np.testing.assert_allclose(logs['box_loss'], of_boxes, rtol=1e-4)
  np.testing.assert_allclose(
      logs['total_loss'], of_classes + BOX_WEIGHT * of_boxes, rtol=1e-4)
  stayed = [
      variable.name for variable, value in zip(
          model.trainable_variables, before, strict=True)
      if '/kernel' in variable.name and np.array_equal(variable, value)]
  assert stayed == []

  logs = task.validation_step(
      (images, labels), model, task.build_metrics(training=False))
  assert logs[task.coco_metric.name][1]['detection_boxes'].shape == (4, 100, 4)
  found = task.reduce_aggregated_logs(task.aggregate_logs(None, logs))
  # Nothing is learned in one step, and every picture has a box to be found.
  assert 0 <= found['AP50'] < 1 and np.isfinite(logs['total_loss'])


@pytest.mark.long
def test_the_backbone_begins_from_a_classifier(tmp_path):
  classifier, _ = classifiers.build(seed=3, layout='B2', pool_axes='grid')
  classifiers.save(tmp_path, classifier)
  task, model, _ = build('nowhere', **{
      'task.init_checkpoint': str(tmp_path)})
  report = task.initialize(model)
  assert len(report.resampled) == 1 and report.position
  named = classifiers.arrays(classifier)
  encoder = model.backbone.get_layer('encoder')
  np.testing.assert_array_equal(
      encoder._encoder_layers[1]._attention_layer._query_dense.kernel,
      named['layer_2/attention/query/kernel'])
  assert len(report.initial) == len(
      model.backbone.get_layer('feature_maps').variables)
  task, model, _ = build('nowhere', **{
      'task.init_checkpoint': str(tmp_path), f'{FUNNEL_VIT}.layout': 'B1'})
  with pytest.raises(restore.LoadError, match=r'has 2 layers, and B1\(257\)'):
    task.initialize(model)


@pytest.mark.parametrize('settings, message', [
    ({f'{FUNNEL_VIT}.feature_maps.levels': [2, 3]},
     'task.model.max_level is 4, but the maps of the backbone are of levels '
     f'2, 3. Set {FUNNEL_VIT}.feature_maps.levels, or another max_level.'),
    ({f'{FUNNEL_VIT}.feature_maps.levels': [3, 4],
      'task.model.decoder.type': 'fpn'}, 'min_level is 2, but .* levels 3, 4.'),
    ({'task.model.min_level': 5}, 'is 5, but task.model.max_level is 4. Set'),
    ({'task.model.input_size': [64, 72, 3]},
     r'is \[64, 72, 3\], but a step of level 4 .* is 16 px, and anchors'),
    ({'task.model.input_size': [64, 66, 3]}, 'which patches of 4 px do not'),
])
def test_what_cannot_be_built_is_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    build('nowhere', **settings)


def test_the_experiment_is_of_vit_b16_at_1024_px():
  params = experiment.load('funnel_vit_retinanet')
  assert isinstance(params.task, configs.RetinaNetTask)
  # 1,848 batches of 64 are an epoch.
  assert params.trainer.train_steps == 100 * 1848
  rates = params.trainer.optimizer_config.learning_rate.stepwise
  assert rates.boundaries == [164287, 177962]
  np.testing.assert_allclose(rates.values, [1e-4, 1e-5, 1e-6])
  model = params.task.model
  assert model.backbone.funnel_vit.feature_maps.levels == [3, 4, 5, 6, 7]
