"""Tests of what semantic segmentation derives and refuses."""

from official.core import train_utils
import pytest

from official_ext.configs import semantic_segmentation
from official_ext.params import experiment
from official_ext.params import segmentation

EXPERIMENT = semantic_segmentation.EXPERIMENT
TRAIN, VALIDATION = 'task.train_data', 'task.validation_data'


def load(override):
  return experiment.load(EXPERIMENT, params_override=override)


def test_sizes_follow_from_the_input():
  params = load('task.model.input_size=[96,128,3]')
  assert segmentation.is_of(params)
  assert not segmentation.is_of(experiment.base('funnel_vit_digits'))
  task = params.task
  assert task.train_data.output_size == task.validation_data.output_size == (
      [96, 128])
  assert task.validation_data.groundtruth_padded_size == [96, 128]
  # Masks that are resized with their images need none.
  task = load(f'{VALIDATION}.resize_eval_groundtruth=true').task
  assert task.validation_data.groundtruth_padded_size == []
  task = load(f'{TRAIN}.crop_size=[512,512]').task
  assert task.train_data.output_size == []


def test_what_a_training_saves_is_taken_again(tmp_path):
  params = load('task.model.input_size=[96,128,3],trainer.train_epochs=3')
  train_utils.serialize_config(params, str(tmp_path))
  again = experiment.load(EXPERIMENT, [f'{tmp_path}/params.yaml'])
  assert again.as_dict() == params.as_dict()
  # Of a group without settings there are none.
  with pytest.raises(ValueError, match='identity is .*must be a group of'):
    load('task.model.decoder.identity.level=4')


def test_steps_follow_from_epochs():
  trainer = load(f'{TRAIN}.num_examples=100,{TRAIN}.global_batch_size=8,'
                 'trainer.train_epochs=3,trainer.interval_epochs=1').trainer
  assert (trainer.train_steps, trainer.validation_interval) == (36, 12)
  rate = trainer.optimizer_config.learning_rate.polynomial
  assert rate.decay_steps == 36


@pytest.mark.parametrize('override, message', [
    (f'{TRAIN}.output_size=[64,64]',
     r'output_size is \[64, 64\], but the model takes images of \[512, 512\]'),
    (f'{TRAIN}.aug_scale_min=3', 'is 3, but must be at most aug_scale_max, 2.'),
    ('task.losses.class_weights=[1,2]', 'has 2 weights, but the model has 21'),
    ('task.losses.ignore_label=0', 'is 0, which is one of the 21 classes'),
    ('task.model.num_classes=300', 'at least 2 and at most 256'),
    ('task.model.input_size=[null,null,3]', r'must be \[height, width, 3\]'),
    (f'{VALIDATION}.image_feature.mean=[1,2,3]', 'is evaluated as it is train'),
    (f'{VALIDATION}.preserve_aspect_ratio=false', 'the size of the image is l'),
    (f'{VALIDATION}.centered_crop=true', 'where images are at the left top'),
    (f"{TRAIN}.tfds_name=x,task.data_dir=''", 'are read from TFRecords'),
    ('trainer.logging.confusion_matrix=true', 'logs the IoU of each class'),
    ('task.allow_image_summary=true', 'has no effect: official_ext.analysis'),
    ('trainer.logging.training_images=4', 'not drawn while a training runs'),
    (f'{TRAIN}.aug_policy=autoaug', 'semantic segmentation reads it'),
    ('task.freeze_backbone=true', 'there is no key task.freeze_backbone'),
])
def test_what_is_refused(override, message):
  with pytest.raises(ValueError, match=message):
    load(override)


@pytest.mark.parametrize('override, message', [
    (f'{VALIDATION}.aug_scale_max=2.0', 'evaluation takes every image as it'),
    (f'{TRAIN}.groundtruth_padded_size=[8,8]', 'only evaluation reads it'),
    (f'{TRAIN}.tfds_split=train', 'not from TFDS'),
    ('task.model.head.num_filters=8', 'num_convs is 0'),
    ('task.model.min_level=2', 'the decoder reads one map'),
    ('task.losses.mask_scoring_weight=2.0', 'there is no task.model.mask_sco'),
    ('task.init_checkpoint_modules=all', 'there is no task.init_checkpoint'),
    ('task.model.backbone.funnel_vit.feature_maps.pyramid_filters=8',
     'there is no pyramid'),
    ('trainer.optimizer_config.learning_rate.cosine.alpha=0.5',
     "type is 'polynomial'"),
])
def test_what_has_no_effect_is_warned_of(override, message, caplog):
  load(override)
  assert len(caplog.messages) == 1 and message in caplog.text


def test_nothing_is_told_of_what_nobody_has_set(caplog):
  load('')
  assert not caplog.text
