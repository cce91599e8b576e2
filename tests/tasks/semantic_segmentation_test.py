"""Tests of semantic segmentation on records of Model Garden's convention."""

import classifiers
import masks as masks_lib
import numpy as np
from official.core import task_factory
import pytest
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore
from official_ext.configs import semantic_segmentation as configs
from official_ext.params import experiment
from official_ext.serving import export_during_training
from official_ext.tasks import segmentation_output
from official_ext.tasks import semantic_segmentation
from official_ext.trained import trained_model
from official_ext.training import event_tags
from official_ext.training import session

FUNNEL_VIT = 'task.model.backbone.funnel_vit'
SIZES = masks_lib.SIZES
parameters = masks_lib.parameters


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return masks_lib.write(
      tmp_path_factory.mktemp('masks') / 'train-00000-of-00001')


def build(records, **settings):
  params = parameters(records, **settings)
  task = task_factory.get_task(params.task)
  assert isinstance(task, semantic_segmentation.SemanticSegmentationTask)
  return task, task.build_model(), params.task


def confusion(logits, masks):
  """Pixels by mask and prediction, [4, 4], without those to ignore."""
  predicted, masks = np.argmax(logits, -1).ravel(), masks.astype(int).ravel()
  counts = np.zeros((4, 4))
  for label, prediction in zip(masks, predicted, strict=True):
    if label != 255:
      counts[label, prediction] += 1
  return counts


@pytest.mark.long
def test_loss_and_mean_iou_by_value(records):
  task, model, config = build(records, **{
      'task.validation_data.resize_eval_groundtruth': True})
  metrics = task.build_metrics(training=False)
  total, state = np.zeros((4, 4)), None
  for images, labels in task.build_inputs(config.validation_data):
    logs = task.validation_step((images, labels), model, metrics)
    state = task.aggregate_logs(state, logs)
    # A prediction for each patch, enlarged.
    logits = model(images)['logits']
    assert logits.shape[1:] == (8, 8, 4)
    logits = tf.image.resize(logits, (32, 32)).numpy()
    masks = labels['masks'].numpy()
    total += confusion(logits, masks)
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    is_valid = masks != 255
    chosen = np.take_along_axis(
        probabilities, np.where(is_valid, masks, 0).astype(int), axis=-1)
    np.testing.assert_allclose(
        logs['loss'], -np.log(chosen)[is_valid].mean(), rtol=1e-5)
  # Beside images that are no squares there is nothing to predict.
  assert 0 < total.sum() < len(SIZES) * 31 * 32
  union = total.sum(0) + total.sum(1) - np.diag(total)
  found = task.reduce_aggregated_logs(state)
  ious = np.diag(total) / np.maximum(union, 1)
  np.testing.assert_allclose(
      [found[f'iou/{number}'] for number in range(4)], ious, rtol=1e-6)
  np.testing.assert_allclose(
      found['mean_iou'], ious[union > 0].mean(), rtol=1e-6)
  # The next evaluation begins at none.
  assert not task.iou_metric.total_cm.numpy().any()


def test_a_class_that_is_nowhere_does_not_count(records):
  task = task_factory.get_task(parameters(records).task)
  task.build_metrics(training=False)
  logits = np.zeros((1, 2, 2, 4), np.float32)
  logits[..., 1] = 1
  masks = np.array([[0, 1], [1, 255]], np.float32)[np.newaxis, ..., np.newaxis]
  task.iou_metric._rescale_predictions = False
  task.iou_metric.update_state(
      {'masks': masks, 'valid_masks': masks != 255,
       'image_info': np.zeros((1, 4, 2), np.float32)}, logits)
  # Class 0: none of 1; class 1: two of 3.
  state = task.aggregate_logs(None, {'loss': 0.0})
  np.testing.assert_allclose(
      task.reduce_aggregated_logs(state)['mean_iou'], (0 + 2 / 3) / 2)


@pytest.mark.long
def test_a_mask_with_a_value_that_is_no_class_is_refused(records):
  task, _, config = build(records, **{'task.model.num_classes': 2})
  for data in (config.train_data, config.validation_data):
    with pytest.raises(tf.errors.InvalidArgumentError, match=(
        'A mask has the value.*')) as refused:
      for _ in task.build_inputs(data).take(4):
        pass
    assert 'classes are 0 to 1, and 255 is ignored' in str(refused.value)


@pytest.mark.long
def test_the_backbone_begins_from_a_classifier(records, tmp_path):
  classifier, _ = classifiers.build(seed=3, layout='B2', pool_axes='grid')
  classifiers.save(tmp_path, classifier)
  task, model, _ = build(records, **{
      'task.init_checkpoint': str(tmp_path), f'{FUNNEL_VIT}.pool_axes': 'grid'})
  head = [variable.numpy() for variable in model.head.variables]
  report = task.initialize(model)
  # The embedding of positions is resampled from fewer patches.
  assert len(report.resampled) == 1 and report.position
  named = classifiers.arrays(classifier)
  encoder = model.backbone.get_layer('encoder')
  np.testing.assert_array_equal(
      encoder._norm.gamma, named['norm/gamma'])
  np.testing.assert_array_equal(
      encoder._encoder_layers[1]._attention_layer._query_dense.kernel,
      named['layer_2/attention/query/kernel'])
  for variable, before in zip(model.head.variables, head, strict=True):
    np.testing.assert_array_equal(variable, before)
  assert len(report.initial) == len(model.head.variables) + len(
      model.backbone.get_layer('feature_maps').variables)
  with pytest.raises(restore.LoadError, match=r'has 2 layers, and B1\(65\)'):
    task, model, _ = build(records, **{
        'task.init_checkpoint': str(tmp_path), f'{FUNNEL_VIT}.layout': 'B1'})
    task.initialize(model)


@pytest.mark.parametrize('settings, message', [
    ({'trainer.export.at_best': True},
     'Set trainer.best_checkpoint_export_subdir=best and '
     'trainer.best_checkpoint_eval_metric=mean_iou.'),
    ({'trainer.best_checkpoint_export_subdir': 'best'},
     'needs both. Set them, to best and mean_iou for example, or neither.')])
def test_what_a_best_checkpoint_goes_by(records, tmp_path, settings, message):
  with pytest.raises(ValueError, match=message):
    session.prepare(parameters(records, **settings), 'train_and_eval',
                    str(tmp_path))


@pytest.mark.parametrize('settings, message', [
    ({'task.model.head.level': 3},
     'task.model.head.level is 3, but the maps of the backbone are of levels '
     f'2. Set {FUNNEL_VIT}.feature_maps.levels, or another head.level.'),
    ({f'{FUNNEL_VIT}.feature_maps.levels': [], 'task.model.min_level': 2,
      'task.model.decoder.type': 'fpn'}, 'min_level is 2, but .* levels none'),
    ({'task.model.input_size': [30, 32, 3],
      'task.train_data.output_size': [30, 32],
      'task.validation_data.output_size': [30, 32]},
     'which patches of 4 px do not fill: 2 px at the bottom'),
])
def test_what_cannot_be_built_is_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    build('nowhere', **settings)


@pytest.mark.long
@pytest.mark.parametrize('settings, side', [
    # A pyramid of the recovered map, its levels added up by a decoder.
    ({f'{FUNNEL_VIT}.feature_maps.source': 'pyramid',
      f'{FUNNEL_VIT}.feature_maps.levels': [1, 2, 3],
      'task.model.decoder.type': 'fpn', 'task.model.min_level': 1,
      'task.model.max_level': 3, 'task.model.head.level': 1,
      'task.model.head.feature_fusion': 'pyramid_fusion'}, 16),
    # Maps of blocks.
    ({f'{FUNNEL_VIT}.layout': 'B1-1(s4)',
      f'{FUNNEL_VIT}.feature_maps.levels': [2, 3],
      'task.model.decoder.type': 'fpn', 'task.model.min_level': 2,
      'task.model.max_level': 3}, 8),
    ({'task.model.decoder.type': 'aspp', 'task.model.decoder.aspp.level': 2},
     8),
], ids=['pyramid', 'blocks', 'aspp'])
def test_decoders_of_model_garden(records, settings, side):
  task, model, config = build(records, **settings)
  images, labels = next(iter(task.build_inputs(config.train_data)))
  assert model(images)['logits'].shape == (2, side, side, 4)
  logs = task.train_step(
      (images, labels), model, tf_keras.optimizers.legacy.SGD(0.1),
      task.build_metrics())
  assert np.isfinite(logs['loss'])
  variables = {variable.ref() for variable in model.trainable_variables}
  assert {one.ref() for one in model.decoder.trainable_variables} <= variables


@pytest.mark.long
def test_the_experiment_trains_evaluates_and_resumes(
    records, tmp_path, caplog):
  def run(mode, steps):
    params = parameters(records, **{
        **dict.fromkeys((f'trainer.{name}' for name in (
            'train_steps', 'steps_per_loop', 'summary_interval',
            'checkpoint_interval', 'validation_interval')), steps),
        'trainer.optimizer_config.learning_rate.polynomial.decay_steps': 40,
        'trainer.optimizer_config.learning_rate.polynomial.'
        'initial_learning_rate': 0.05})
    trainer = session.prepare(params, mode, str(tmp_path)).execute(
        enable_async_checkpointing=False)
    export = export_during_training.TrainingExport(params, str(tmp_path))
    return trainer, export

  run('train', 20)
  assert not [text for text in caplog.messages if 'begins anew' in text]
  trained, export = run('train_and_eval', 40)
  assert [text for text in caplog.messages if 'begins anew' in text]
  assert trained.validation_logs['validation_loss'] > 0
  assert trained.validation_logs[event_tags.NUM_IMAGES] == len(SIZES)
  # At the size of the images. Half of a mask is a guess: 1/2, 1/4 and 1/4.
  assert trained.validation_logs['mean_iou'] > 0.6
  _check_export(export.at_end(40, has_trained=True), str(tmp_path))
  described = metadata.read(tf.train.latest_checkpoint(str(tmp_path)))
  assert described['task'] == 'semantic_segmentation'
  assert described['decoder'] == 'identity'
  assert isinstance(experiment.load_saved(str(tmp_path)).task,
                    configs.SemanticSegmentationTask)


def _check_export(path, model_dir):
  """What is exported at the end predicts what was evaluated."""
  trained = trained_model.find(model_dir, may_segment=True)
  segment = tf.saved_model.load(path).signatures['serving_default']
  for size in SIZES:
    encoded = masks_lib.encode(masks_lib.image_of(masks_lib.mask_of(*size)))
    mask = segment(image_bytes=tf.constant(encoded))['mask']
    assert mask.dtype == tf.uint8 and mask.shape == size
    prepared, info = segmentation_output.prepare(
        segmentation_output.decode(encoded), trained.params.task)
    logits = segmentation_output.at_own_size(
        trained.model(prepared[tf.newaxis])['logits'][0], info)
    np.testing.assert_array_equal(mask, np.argmax(logits, -1))


@pytest.mark.long
def test_a_loss_at_the_size_of_the_masks(records):
  task, model, config = build(records)
  task.build_metrics(training=False)
  for images, labels in task.build_inputs(config.validation_data):
    loss = task.validation_step((images, labels), model)['loss']
    logits, total, pixels = model(images)['logits'], 0.0, 0
    for index, info in enumerate(labels['image_info'].numpy()):
      # Enlarged to the padded image at its own scale, and cropped to it.
      height, width = map(int, info[0])
      size = np.ceil(info[1] / info[2]).astype(int)
      own = tf.image.resize(logits[index], size)[:height, :width].numpy()
      masks = labels['masks'][index, :height, :width, 0].numpy().astype(int)
      log_sums = np.log(np.exp(own).sum(-1))
      chosen = np.take_along_axis(
          own, np.where(masks == 255, 0, masks)[..., np.newaxis], -1)[..., 0]
      total += (log_sums - chosen)[masks != 255].sum()
      pixels += (masks != 255).sum()
    np.testing.assert_allclose(loss, total / pixels, rtol=1e-4)


def test_what_a_run_asks_of_the_task(records):
  task = task_factory.get_task(parameters(records).task)
  assert task.describe() == (
      'Funnel-ViT vit-nano4, B1(65)-1(33): 0.2 M parameters, 0.00983 GMACs per '
      'image; maps of level 2, decoder identity, 4 classes')
  assert task.metrics()[0] == ('mean IoU', 'mean_iou', 'mean_iou')
  assert task.best_checkpoint_metrics() == [
      'mean_iou', 'validation_loss', 'iou/0', 'iou/1', 'iou/2', 'iou/3']
  task.check_files(['train_data'])
  with pytest.raises(ValueError, match="names no data|'nowhere' is not a file"):
    task_factory.get_task(parameters('nowhere').task).check_files(
        ['train_data'])
  # The largest image is of 45 x 64 px.
  task.check_records(['train_data', 'validation_data'])
  task = task_factory.get_task(parameters(records, **{
      'task.validation_data.groundtruth_padded_size': [45, 60]}).task)
  task.check_records(['train_data'])
  with pytest.raises(ValueError, match=(
      r'record 3 of .* has an image 45 px high and 64 px wide.*Set '
      r'task.validation_data.groundtruth_padded_size to .*: \[45,64\] by')):
    task.check_records(['validation_data'])


def test_names_of_classes(records, tmp_path):
  path = tmp_path / 'names.txt'
  path.write_text('none\nright\nbelow\nother\n')
  task = task_factory.get_task(parameters(records, **{
      'task.class_names_path': str(path)}).task)
  task.data_description = task.describe_data({}, trains=True)
  assert task.class_names() == ['none', 'right', 'below', 'other']
  task.save_data_description(str(tmp_path))
  assert task.saved_data_description(str(tmp_path)) == task.data_description


def test_the_experiment_is_of_vit_b16_at_512_px():
  params = experiment.load('funnel_vit_segmentation')
  assert isinstance(params.task, configs.SemanticSegmentationTask)
  # 661 batches of 16 are an epoch.
  assert params.trainer.train_steps == 45 * 661
  schedule = params.trainer.optimizer_config.learning_rate.polynomial
  assert schedule.decay_steps == 45 * 661
  assert params.trainer.validation_interval == 661
  assert params.task.model.backbone.funnel_vit.feature_maps.levels == [4]
  assert params.task.train_data.output_size == [512, 512]
  assert params.task.validation_data.groundtruth_padded_size == [512, 512]
  assert params.task.train_data.input_path.endswith('tfrecord/train*')
