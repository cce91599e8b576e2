"""Tests of settings that each are fine, and do not go together."""

import pytest

from official_ext.params import consistency
from official_ext.params import experiment

OPTIMIZATION = 'trainer.optimizer_config'
RATE = f'{OPTIMIZATION}.learning_rate'
STEPWISE = f'{RATE}.type=stepwise,{RATE}.stepwise.values=[1,0.1]'
ADAMW = f'{OPTIMIZATION}.optimizer.adamw'
DATA = 'task.train_data'
PRIVACY = ('task.differential_privacy_config.clipping_norm=1,'
           'task.differential_privacy_config.noise_multiplier=0.1')
VIT = 'task.model.backbone.type=vit,task.model.backbone.vit'
RANDAUGMENT = (
    'AutoContrast,Brightness,Color,Contrast,Cutout,Equalize,Invert,Posterize,'
    'Rotate,Sharpness,ShearX,ShearY,Solarize,SolarizeAdd,TranslateX,TranslateY')
MIXED = 'task.losses.soft_labels=true,task.losses.one_hot=false'


def load(override, name='vit_imagenet'):
  return experiment.load(name, params_override=override)


@pytest.mark.parametrize('override, message', [
    ('task.train_data.is_training=false',
     'task.train_data.is_training is false, but the name says'),
    ('task.validation_data.is_training=true', 'is_training is true, but the'),
    ('task.evaluation.top_k=1002',
     'top_k is 1002, but the model has 1,001 classes'),
    (f'{MIXED},task.train_data.mixup_and_cutmix.mixup_alpha=0,'
     'task.train_data.mixup_and_cutmix.cutmix_alpha=0', 'which mixes nothing'),
    ('task.train_data.random_erasing.min_area=0.5',
     'min_area is 0.5, but must be at most max_area, 0.33'),
    ('trainer.train_steps=10,trainer.steps_per_loop=1000000',
     'trainer.steps_per_loop is 1000000, but the run has 10 steps'),
    ('trainer.train_steps=10,trainer.steps_per_loop=5,'
     'trainer.summary_interval=15', 'summary_interval is 15, but the run has'),
    (f'trainer.train_steps=100,{OPTIMIZATION}.warmup.linear.warmup_steps=101',
     'linear.warmup_steps is 101, but the run has 100 steps .* Set it to 10,'),
    ('trainer.train_epochs=0.001', 'is 0.001, not one of the 312 steps of an'),
    ('trainer.train_epochs=1000000,task.train_data.global_batch_size=1',
     'are 1,281,167,000,000 steps, but a run has 1 to 2,147,483,647'),
    ('trainer.train_steps=10,task.train_data.num_examples=100',
     'global_batch_size is 4096, but task.train_data.num_examples is 100: a b'),
    ('trainer.train_tf_function=false', 'Set trainer.train_tf_while_loop=fal'),
    ('trainer.eval_tf_function=false,trainer.eval_tf_while_loop=true',
     'Set trainer.eval_tf_while_loop=false'),
    ('trainer.train_tf_while_loop=false,trainer.allow_tpu_summary=true',
     'Set trainer.allow_tpu_summary=false'),
    (f'{OPTIMIZATION}.optimizer.adamw.clipnorm=1,'
     f'{OPTIMIZATION}.optimizer.adamw.clipvalue=1',
     'adamw has clipnorm and clipvalue, but '
     '.*optimizer.adamw.clipvalue=null'),
    *((f'{ADAMW}.gradient_clip_norm=1,{ADAMW}.{name}=1',
       f'adamw has {name} and gradient_clip_norm, but gradients are clipped '
       'in one way. Set .*adamw.gradient_clip_norm=0, for')
      for name in ('clipnorm', 'clipvalue', 'global_clipnorm')),
    *((f'{PRIVACY},{ADAMW}.{name}=1',
       f'differential_privacy_config clips gradients by its clipping_norm, but '
       f'{ADAMW}.{name} is set too. Set {ADAMW}.{name}={off}.$')
      for name, off in (('clipnorm', 'null'), ('clipvalue', 'null'),
                        ('global_clipnorm', 'null'),
                        ('gradient_clip_norm', '0'))),
    (f'{DATA}.aug_type.type=randaug,'
     f'{DATA}.aug_type.randaug.exclude_ops=[{RANDAUGMENT}]',
     f'exclude_ops names all 16 operations, which leaves none. Take one out, '
     f'or set {DATA}.aug_type=null'),
    (f'{DATA}.random_erasing.min_aspect=3',
     'min_aspect is 3, but must be a number above 0 and at most 1'),
    ('runtime.all_reduce_alg=ring', "all_reduce_alg is 'ring', but with "
     'runtime.distribution_strategy mirrored must be nccl or hierarchical_co'),
    ('runtime.distribution_strategy=multi_worker_mirrored,'
     'runtime.all_reduce_alg=hierarchical_copy', "is 'hierarchical_copy', but "
     'with runtime.distribution_strategy multi_worker_mirrored must be ring'),
    (f'{VIT}.pos_embed_shape=[14,14]',
     r'vit.pos_embed_shape is \[14, 14\], which counts patches alone, but '
     "task.model.backbone.vit.pooler is 'token', which adds a class token. "
     'Leave it out, or set task.model.backbone.vit.pooler=gap'),
    (f'{VIT}.pooler=none,task.model.backbone.vit.output_encoded_tokens=false',
     'output_encoded_tokens is false, but with pooler none'),
    (f'{VIT}.pooler=gap,task.init_checkpoint=a,'
     'task.init_checkpoint_modules=all_but_head',
     'init_checkpoint_modules is all_but_head, but the backbone vit is loaded '
     "by Model Garden, which takes 'all' or 'backbone'"),
    (f'{DATA}.is_multilabel=true,{MIXED},{DATA}.mixup_and_cutmix.prob=1',
     'mixup_and_cutmix mixes images of one label each, but task.train_data.'
     'is_multilabel is true. Set task.train_data.mixup_and_cutmix=null'),
    (f"{DATA}.is_multilabel=true,task.data_dir='',{DATA}.tfds_name=mnist,"
     f'{DATA}.tfds_split=train,task.validation_data.tfds_name=mnist',
     'is_multilabel is true, but the images of TFDS have one label each'),
    (f"task.data_dir='',{DATA}.tfds_name=mnist,{DATA}.tfds_as_supervised=true",
     'tfds_as_supervised is true, but .* read images and labels by name'),
    ('task.losses.use_binary_cross_entropy=true',
     'use_binary_cross_entropy is true, which Model Garden computes of mixed '
     'images alone. Set task.train_data.mixup_and_cutmix'),
    ('task.losses.use_binary_cross_entropy=true,task.losses.one_hot=false,'
     f'{DATA}.mixup_and_cutmix.prob=1',
     'makes labels soft: set task.losses.soft_labels=true'),
    (f'{RATE}.type=constant',
     'constant.learning_rate is not set. Set it; unasked it would be 0.1'),
    (f'{STEPWISE},{RATE}.stepwise.boundaries=[]', 'boundaries is .., but must'),
    (f'{STEPWISE},{RATE}.stepwise.boundaries=[5,5]', 'must be steps that asc'),
    (f'{STEPWISE},{RATE}.stepwise.boundaries=[5,6]',
     'values has 2 learning rates, but 2 boundaries need 3'),
    ('task.model.input_size=[225,230,3]',
     'input_size is 225 x 230 px .height x width., which patches of 16 px do '
     'not fill: 1 px at the bottom and 6 px at the right of every image would '
     'be lost. Choose 224 or 240, or set '
     'task.model.backbone.funnel_vit.crop_to_patches=true'),
    ('task.model.backbone.type=vit,task.model.input_size=[224,100,3]',
     'Choose 224 x 96 or 112.'),
])
def test_what_contradicts_is_refused(override, message):
  with pytest.raises(ValueError, match=message) as raised:
    load(override)
  assert '\n' not in str(raised.value)


def test_what_an_experiment_brings_does_not_stand_in_a_trial_s_way():
  # Loops of 312 steps, and a warm-up of 10,000.
  params = load('trainer.train_steps=10', 'vit_imagenet_pretrain')
  assert params.trainer.steps_per_loop == 312


@pytest.mark.parametrize('override', [
    f'{STEPWISE},{RATE}.stepwise.boundaries=[5]',
    f'{RATE}.type=constant,{RATE}.constant.learning_rate=0.1',
    f'trainer.train_steps=9,{OPTIMIZATION}.warmup.linear.warmup_steps=9',
    'task.validation_data.num_examples=10', 'task.model.num_classes=3',
    f'{OPTIMIZATION}.optimizer.adamw.clipnorm=1',
    'task.model.backbone.type=resnet,task.model.input_size=[225,225,3]',
    f'{VIT}.pos_embed_shape=[14,14],task.model.backbone.vit.pooler=gap',
    # With several labels per image no setting of the losses is asked for.
    f'{DATA}.is_multilabel=true',
    f'{DATA}.is_multilabel=true,{MIXED}',
    f'{PRIVACY},{OPTIMIZATION}.ema.average_decay=0.9',
    f'{MIXED},task.losses.use_binary_cross_entropy=true,'
    f'{DATA}.mixup_and_cutmix.prob=1',
    'runtime.distribution_strategy=multi_worker_mirrored,'
    'runtime.all_reduce_alg=ring',
])
def test_what_goes_together_is_taken(override):
  load(override)


def test_images_that_do_not_fill_the_patches_can_be_asked_for():
  params = load('task.model.input_size=[225,225,3],'
                'task.model.backbone.funnel_vit.crop_to_patches=true')
  assert list(params.task.model.input_size) == [225, 225, 3]


def test_settings_by_their_paths():
  assert consistency.flat({'a': {'b': 1, 'c': {'d': [2]}}, 'e': 3}) == {
      'a.b': 1, 'a.c.d': [2], 'e': 3}
