"""Tests of what is told of settings without effect, and when it is not."""

import re

import pytest

from official_ext.params import consistency
from official_ext.params import experiment
from official_ext.params import overrides
from official_ext.params import without_effect
from official_ext.params import yaml_settings

DIGITS = 'funnel_vit_digits'
RATE = 'trainer.optimizer_config.learning_rate'
OPTIMIZER = 'trainer.optimizer_config.optimizer'
BACKBONE = 'task.model.backbone.funnel_vit'
TRAIN, VALIDATION = 'task.train_data', 'task.validation_data'
PER_CLASS = 'task.evaluation.report_per_class_precision_and_recall'
ONE_HOT = 'task.losses.one_hot=true,task.losses.soft_labels=false'
EMA = 'trainer.optimizer_config.ema'
WARMUP = 'trainer.optimizer_config.warmup.linear'
NORM = 'task.model.norm_activation'
VIT = 'task.model.backbone.vit'
MIXING = f'{TRAIN}.mixup_and_cutmix'
ERASING = f'{TRAIN}.random_erasing'
RANDAUG = f'{TRAIN}.aug_type.randaug'
AUTOAUG = f'{TRAIN}.aug_type.autoaug'
FAST = f'{BACKBONE}.fast_path'

# A setting, why it has no effect in the experiment of the digits (or in WHERE),
# and in which settings it has; None: in none.
CASES = (
    (f'{RATE}.constant.learning_rate=0.3',
     "^trainer.optimizer_config.learning_rate.type is 'cosine'. Set it to "
     'constant, or leave this out.$', f'{RATE}.type=constant'),
    (f'{OPTIMIZER}.adamw.beta_1=0.5', "optimizer.type is 'sgd'. Set it to adam",
     f'{OPTIMIZER}.type=adamw'),
    ('task.model.backbone.resnet.model_id=18', "type is 'funnel_vit'",
     'task.model.backbone.type=resnet'),
    (f'{OPTIMIZER}.sgd.nesterov=true', 'momentum is 0',
     f'{OPTIMIZER}.sgd.momentum=0.9'),
    (f'{OPTIMIZER}.lamb.exclude_from_weight_decay=[a]',
     'weight_decay_rate is 0',
     f'{OPTIMIZER}.lamb.weight_decay_rate=0.1'),
    (f'{OPTIMIZER}.adafactor_keras.relative_step=false', 'a constant learning',
     f'{RATE}.type=constant,trainer.optimizer_config.warmup.type=null'),
    (f'{OPTIMIZER}.adafactor_keras.learning_rate=0.1', 'learning rate is that',
     None),
    (f'{EMA}.clipnorm=1.0', 'clipped by the optimizer', None),
    (f'{WARMUP}.warmup_learning_rate=0.5', 'warmup_steps is 0',
     f'{WARMUP}.warmup_steps=3'),
    ('task.losses.label_smoothing=0.1', 'labels are smoothed only with',
     ONE_HOT),
    ('task.evaluation.precision_and_recall_thresholds=[0.5]',
     'need task.losses',
     ONE_HOT),
    (f'{PER_CLASS}=true', 'Model Garden reports them only with ',
     'task.evaluation.precision_and_recall_thresholds=[0.5]'),
    ('task.evaluation.top_k=3', 'is_multilabel is true',
     f'{TRAIN}.is_multilabel=false'),
    (f'{TRAIN}.aug_policy=autoaug', 'the former name of aug_type', None),
    (f'{TRAIN}.decoder.simple_decoder.regenerate_source_id=true',
     'nothing in Model Garden', None),
    (f'{TRAIN}.aug_type.randaug.magnitude_std=0.5', 'does not hand it on',
     None),
    (f'{TRAIN}.aug_type.autoaug.cutout_const=9', "aug_type.type is 'randaug'",
     f'{TRAIN}.aug_type.type=autoaug,{AUTOAUG}.augmentation_name=vit'),
    (f'{VALIDATION}.color_jitter=0.5', 'only training reads it', None),
    (f'{VALIDATION}.drop_remainder=false', 'evaluation takes every image',
     None),
    (f'{VALIDATION}.label_field_key=a', 'it is read of task.train_data', None),
    (f'{VALIDATION}.seed=9', 'only training shuffles', None),
    (f'{TRAIN}.center_crop_fraction=0.5', 'only evaluation reads it', None),
    (f'{VALIDATION}.center_crop_fraction=0.5', 'nothing is cropped',
     f'{VALIDATION}.aug_crop=true'),
    (f'{TRAIN}.crop_area_range=[0.5, 1.0]', 'nothing is cropped',
     f'{TRAIN}.aug_crop=true'),
    (f'{TRAIN}.decode_jpeg_only=false', 'nothing is cropped',
     f'{TRAIN}.aug_crop=true'),
    (f'{TRAIN}.tfds_split=train', 'the data are read from files',
     f'{TRAIN}.tfds_name=mnist'),
    (f'{TRAIN}.file_type=tfrecord_compressed', 'the data are read from TFDS',
     f"{TRAIN}.tfds_name=''"),
    (f'{TRAIN}.enable_tf_data_service=true', 'no tf_data_service_address',
     f'{TRAIN}.tf_data_service_address=a:1'),
    (f'{TRAIN}.tf_data_service_address=a:1', 'the tf.data service is not used',
     f'{TRAIN}.enable_tf_data_service=true'),
    (f'{VALIDATION}.tf_data_service_address=a:1', 'not evaluation',
     # As --tf_data_service sets both.
     f'{TRAIN}.tf_data_service_address=a:1'),
    (f'{VALIDATION}.random_erasing={{}}', 'only training reads it', None),
    ('task.init_checkpoint_modules=backbone', 'no task.init_checkpoint',
     'task.init_checkpoint=a'),
    (f'{NORM}.activation=swish', 'an activation of its own',
     'task.model.backbone.type=resnet'),
    (f'{NORM}.norm_momentum=0.5', 'no batch normalisation',
     'task.model.add_head_batch_norm=true'),
    (f'{BACKBONE}.pooling=max', 'layout has one block',
     f'{BACKBONE}.layout=B2-2'),
    (f'{FAST}.class_token_only=false', 'pooler is not token',
     f'{BACKBONE}.pooler=token'),
    (f'{BACKBONE}.class_token_position=false', 'there is no class token',
     f'{BACKBONE}.pooler=token'),
    (f'{FAST}.float32_matmuls=true', 'is not bfloat16',
     'runtime.mixed_precision_dtype=bfloat16'),
    ('runtime.loss_scale=dynamic', 'scaled in float16 alone',
     'runtime.mixed_precision_dtype=float16'),
    ('runtime.all_reduce_alg=nccl', 'nothing to reduce',
     'runtime.distribution_strategy=multi_worker_mirrored'),
    ('runtime.tpu_enable_xla_dynamic_padder=true', 'is not tpu',
     'runtime.distribution_strategy=tpu'),
    ('runtime.run_eagerly=true', 'nothing in Model Garden', None),
    ('runtime.num_packs=2', 'nothing in Model Garden', None),
    ('trainer.recovery_begin_steps=5', 'the loss is not watched',
     'trainer.recovery_max_trials=0'),
    ('trainer.best_checkpoint_metric_comp=lower', 'no best checkpoint is kept',
     'trainer.best_checkpoint_eval_metric=accuracy'),
    ('trainer.export.export_dir=a', 'nothing is exported',
     'trainer.export.at_end=true'),
    ('trainer.reference_batch_size=9', 'learning_rate_scaling is none',
     'trainer.learning_rate_scaling=linear'),
    # Numbers that switch off what is beside them.
    *((f'{MIXING}.{name}={value}', 'prob is 0, so no image is mixed',
       f'{MIXING}.prob=0.5') for name, value in (
           ('mixup_alpha', 0.3), ('cutmix_alpha', 0.3), ('switch_prob', 0.3))),
    (f'{MIXING}.prob=0.0', 'prob is 0, so no image is mixed', None),
    (f'{MIXING}.exact_labels=true', 'nothing is cut',
     f'{MIXING}.cutmix_alpha=1'),
    (f'{MIXING}.switch_prob=0.2', 'one of mixup_alpha and cutmix_alpha is 0',
     f'{MIXING}.mixup_alpha=0.8'),
    (f'{ERASING}.min_area=0.1', 'probability is 0, so nothing is erased',
     f'{ERASING}.probability=0.5'),
    (f'{ERASING}.probability=0', 'nothing is erased', None),
    (f'{RANDAUG}.magnitude=3', 'prob_to_apply is 0, so no image',
     f'{RANDAUG}.prob_to_apply=0.5'),
    (f'{RANDAUG}.cutout_const=3', 'exclude_ops names Cutout',
     f'{RANDAUG}.exclude_ops=[Invert]'),
    (f'{RANDAUG}.translate_const=3', 'names TranslateX and TranslateY',
     f'{RANDAUG}.exclude_ops=[TranslateX]'),
    (f'{AUTOAUG}.cutout_const=3', 'augmentation_name has no Cutout',
     f'{AUTOAUG}.augmentation_name=vit'),
    (f'{AUTOAUG}.translate_const=3', 'has neither TranslateX nor TranslateY',
     f'{AUTOAUG}.augmentation_name=v0'),
    (f'{TRAIN}.repeated_augment=1', 'every image is taken once', None),
    (f'{TRAIN}.sharding=false', 'the order of the training', None),
    (f'{TRAIN}.block_length=16', 'the order of the training',
     f'{TRAIN}.tfds_name=mnist'),
    (f'{VALIDATION}.sharding=false', 'share its images themselves', None),
    (f'{EMA}.average_decay=0', 'average_decay is 0, so the average is the wei',
     None),
    (f'{EMA}.start_step=1400', 'the run ends before ema.start_step',
     'trainer.train_steps=1400'),
    (f'{EMA}.dynamic_decay=false', 'the run ends before ema.start_step',
     f'{EMA}.start_step=1000'),
    (f'{EMA}.trainable_weights_only=false', 'no batch normalisation',
     'task.model.add_head_batch_norm=true'),
    (f'{OPTIMIZER}.adamw_layerwise.num_layers=3', 'layer_decay is 1',
     f'{OPTIMIZER}.adamw_layerwise.layer_decay=0.9'),
    (f'{OPTIMIZER}.radam_lookahead.sync_period=3', 'slow_step_size is 1',
     f'{OPTIMIZER}.radam_lookahead.slow_step_size=0.9'),
    (f'{OPTIMIZER}.radam_lookahead.slow_step_size=0.9', 'longer than the run',
     f'{OPTIMIZER}.radam_lookahead.sync_period=5'),
    (f'{OPTIMIZER}.adamw.include_in_weight_decay=[a]', 'everything decays any',
     f'{OPTIMIZER}.adamw.exclude_from_weight_decay=[b]'),
    (f'{OPTIMIZER}.lars.classic_momentum=false', 'momentum is 0',
     f'{OPTIMIZER}.lars.momentum=0.9'),
    (f'{RATE}.exponential.staircase=true', 'decay_rate is 1',
     f'{RATE}.exponential.decay_rate=0.5'),
    (f'{RATE}.exponential.decay_rate=0.9', 'before the first stair',
     f'{RATE}.exponential.staircase=false'),
    (f'{RATE}.polynomial.end_learning_rate=0.5', 'power is 0',
     f'{RATE}.polynomial.power=2.0'),
    (f'{RATE}.cosine.decay_steps=5', 'alpha is 1', f'{RATE}.cosine.alpha=0.5'),
    (f'{RATE}.power_linear.total_decay_steps=5', 'linear_decay_fraction is 0',
     f'{RATE}.power_linear.linear_decay_fraction=0.5'),
    ('trainer.recovery_begin_steps=1400', 'the run ends before trainer.recov',
     'trainer.train_steps=1400'),
    ('trainer.loss_upper_bound=5.0', 'the run ends before trainer.recovery',
     'trainer.recovery_begin_steps=0'),
    ('trainer.loss_spike_factor=3.0', 'known after 100 steps, and the run en',
     'trainer.train_steps=101'),
    ('trainer.keep_checkpoint_every_n_hours=2.0', 'max_to_keep is null, so eve',
     'trainer.max_to_keep=5'),
    ('trainer.preemption_metadata_server=http://a', 'checkpoint is false',
     'trainer.preemption_on_demand_checkpoint=true'),
    ('runtime.all_reduce_alg=hierarchical_copy', 'there is one device: runtim',
     'runtime.num_gpus=2'),
    # The sizes of Model Garden's vit are those of its presets.
    (f'{VIT}.hidden_size=192', "from model_name, which is 'vit-b16': 768.",
     f'{VIT}.model_name=vit-ti16'),
    (f'{VIT}.patch_size=32', "from model_name, which is 'vit-b16': 16.",
     f'{VIT}.model_name=vit-b32'),
    *((f'{VIT}.transformer.{name}={value}',
       "from model_name, which is 'vit-b16': ", f'{VIT}.model_name=vit-ti16')
      for name, value in (('mlp_dim', 768), ('num_heads', 3))),
    (f'{VIT}.transformer.num_layers=24', "which is 'vit-b16': 12. Leave it out",
     f'{VIT}.model_name=vit-l16'),
    (f'{VIT}.transformer_partition_dims=[1,1,1,1]', 'does not hand it on',
     None),
    (f'{VIT}.output_attention_scores=true', 'reads the pooled output', None),
    (f'{VIT}.output_2d_feature_maps=true', 'reads the pooled output', None),
    (f'{VIT}.output_encoded_tokens=false', 'it is for the pooler none',
     f'{VIT}.pooler=none'),
    # What every block of a layout has of its own.
    (f'{BACKBONE}.transformer.mlp_dim=9', 'every block of .*layout has its ow',
     f"{BACKBONE}.layout='B1(m128)-1'"),
    (f'{BACKBONE}.hidden_size=128', 'every block of .*layout has its own',
     f"{BACKBONE}.layout='B1(h128)-1'"),
    (f'{BACKBONE}.transformer.num_heads=2', 'every block of .*layout has its',
     f"{BACKBONE}.layout='B1(h128)-1'"),
    (f'{BACKBONE}.model_name=vit-ti16', 'nothing is taken of the preset',
     f'{BACKBONE}.transformer.mlp_dim=null'),
    (f'{BACKBONE}.crop_to_patches=true', 'the patches fill',
     'task.model.input_size=[18,16,3]'),
)
# What makes the setting one without effect, where the digits do not.
WHERE = {
    f'{OPTIMIZER}.adamw.beta_1=0.5': f'{OPTIMIZER}.type=sgd',
    f'{OPTIMIZER}.sgd.nesterov=true': f'{OPTIMIZER}.type=sgd',
    f'{OPTIMIZER}.lamb.exclude_from_weight_decay=[a]': f'{OPTIMIZER}.type=lamb',
    f'{OPTIMIZER}.adafactor_keras.relative_step=false':
        f'{OPTIMIZER}.type=adafactor_keras',
    f'{OPTIMIZER}.adafactor_keras.learning_rate=0.1':
        f'{OPTIMIZER}.type=adafactor_keras',
    f'{WARMUP}.warmup_learning_rate=0.5': f'{WARMUP}.warmup_steps=0',
    'task.evaluation.precision_and_recall_thresholds=[0.5]':
        'task.losses.soft_labels=false',
    'task.evaluation.top_k=3': f'{TRAIN}.is_multilabel=true',
    f'{TRAIN}.aug_type.randaug.magnitude_std=0.5':
        f'{TRAIN}.aug_type.type=randaug',
    f'{TRAIN}.aug_type.autoaug.cutout_const=9':
        f'{TRAIN}.aug_type.type=randaug',
    f'{TRAIN}.file_type=tfrecord_compressed': f'{TRAIN}.tfds_name=mnist',
    f'{BACKBONE}.pooling=max': f'{BACKBONE}.layout=B2',
    f'{FAST}.class_token_only=false': f'{BACKBONE}.pooler=gap',
    f'{BACKBONE}.class_token_position=false': f'{BACKBONE}.pooler=gap',
    'runtime.all_reduce_alg=nccl': 'runtime.distribution_strategy=one_device',
    'trainer.recovery_begin_steps=5': 'trainer.recovery_max_trials=-1',
    'trainer.export.export_dir=a': 'trainer.export.at_end=false',
    **{f'{MIXING}.{name}={value}': f'{MIXING}.prob=0' for name, value in (
        ('mixup_alpha', 0.3), ('cutmix_alpha', 0.3), ('switch_prob', 0.3))},
    f'{MIXING}.exact_labels=true': f'{MIXING}.cutmix_alpha=0',
    f'{MIXING}.switch_prob=0.2': f'{MIXING}.mixup_alpha=0',
    f'{ERASING}.min_area=0.1': f'{ERASING}.probability=0',
    f'{RANDAUG}.magnitude=3':
        f'{TRAIN}.aug_type.type=randaug,{RANDAUG}.prob_to_apply=0',
    f'{RANDAUG}.cutout_const=3':
        f'{TRAIN}.aug_type.type=randaug,{RANDAUG}.exclude_ops=[Cutout]',
    f'{RANDAUG}.translate_const=3':
        f'{TRAIN}.aug_type.type=randaug,{RANDAUG}.exclude_ops=['
        'TranslateX,TranslateY]',
    f'{AUTOAUG}.cutout_const=3': f'{TRAIN}.aug_type.type=autoaug',
    f'{AUTOAUG}.translate_const=3':
        f'{TRAIN}.aug_type.type=autoaug,{AUTOAUG}.augmentation_name=simple',
    f'{EMA}.dynamic_decay=false': f'{EMA}.start_step=1400',
    f'{OPTIMIZER}.adamw_layerwise.num_layers=3':
        f'{OPTIMIZER}.type=adamw_layerwise,'
        f'{OPTIMIZER}.adamw_layerwise.layer_decay=1',
    f'{OPTIMIZER}.radam_lookahead.sync_period=3':
        f'{OPTIMIZER}.type=radam_lookahead,'
        f'{OPTIMIZER}.radam_lookahead.slow_step_size=1',
    f'{OPTIMIZER}.radam_lookahead.slow_step_size=0.9':
        f'{OPTIMIZER}.type=radam_lookahead,'
        f'{OPTIMIZER}.radam_lookahead.sync_period=1400',
    f'{OPTIMIZER}.lars.classic_momentum=false':
        f'{OPTIMIZER}.type=lars,{OPTIMIZER}.lars.momentum=0',
    f'{RATE}.exponential.staircase=true': f'{RATE}.type=exponential,'
        f'{RATE}.exponential.decay_rate=1,{RATE}.exponential.decay_steps=5',
    f'{RATE}.exponential.decay_rate=0.9':
        f'{RATE}.type=exponential,{RATE}.exponential.staircase=true,'
        f'{RATE}.exponential.decay_steps=1400',
    f'{RATE}.polynomial.end_learning_rate=0.5':
        f'{RATE}.type=polynomial,{RATE}.polynomial.power=0',
    f'{RATE}.cosine.decay_steps=5': f'{RATE}.cosine.alpha=1',
    f'{RATE}.power_linear.total_decay_steps=5':
        f'{RATE}.type=power_linear,{RATE}.power_linear.linear_decay_fraction=0',
    f'{OPTIMIZER}.adamw.include_in_weight_decay=[a]':
        f'{OPTIMIZER}.adamw.exclude_from_weight_decay=[]',
    'trainer.loss_spike_factor=3.0': 'trainer.train_steps=100',
    'trainer.keep_checkpoint_every_n_hours=2.0': 'trainer.max_to_keep=null',
    'trainer.loss_upper_bound=5.0': 'trainer.recovery_begin_steps=1400',
    'trainer.preemption_metadata_server=http://a':
        'trainer.preemption_on_demand_checkpoint=false',
    **{f'{VIT}.{setting}': 'task.model.backbone.type=vit' for setting in (
        'hidden_size=192', 'patch_size=32', 'transformer.mlp_dim=768',
        'transformer.num_heads=3', 'transformer.num_layers=24',
        'transformer_partition_dims=[1,1,1,1]', 'output_attention_scores=true',
        'output_2d_feature_maps=true', 'output_encoded_tokens=false')},
    f'{BACKBONE}.transformer.mlp_dim=9': f"{BACKBONE}.layout='B1(m8)-1(m4)'",
    f'{BACKBONE}.hidden_size=128': f"{BACKBONE}.layout='B1(h128)-1(h64)'",
    f'{BACKBONE}.transformer.num_heads=2':
        f"{BACKBONE}.layout='B1(h128)-1(a4)'",
    f'{BACKBONE}.model_name=vit-ti16':
        f"{BACKBONE}.layout='B1(h128)-1(h64)',{BACKBONE}.patch_size=4,"
        f'{BACKBONE}.transformer.mlp_dim=9',
}


@pytest.fixture(name='find', scope='module')
def _find():
  """Says what is told after one override after the other, by path."""
  default = experiment.base(DIGITS)
  loaded = experiment.load(DIGITS)

  def find(*texts):
    params = loaded.replace()
    for text in filter(None, texts):
      settings = yaml_settings.with_types(overrides.read(text), params)
      params.override(settings)
      params.trainer.derived = [
          one for one in params.trainer.derived
          if one.setting not in consistency.flat(settings)]
    return {one.path: (reason, is_always) for one, reason, is_always in
            without_effect.find(params, default)}

  return find


@pytest.mark.parametrize('setting, reason, effective', CASES)
def test_what_is_told_and_when_it_is_not(find, setting, reason, effective):
  path = setting.partition('=')[0]
  found = find(WHERE.get(setting), setting)
  assert path in found and re.search(reason, found[path][0]), found
  if effective is not None:
    assert path not in find(WHERE.get(setting), effective, setting)


def test_what_no_run_reads_is_refused():
  with pytest.raises(ValueError, match=(
      '^runtime.run_eagerly is true, but has no effect: nothing in Model '
      "Garden's driver reads it. Leave it out.$")):
    experiment.load(DIGITS, params_override='runtime.run_eagerly=true')


def test_a_size_that_model_gardens_vit_would_not_have_is_refused():
  with pytest.raises(ValueError, match=(
      f'^{VIT}.transformer.num_layers is 3, but has no effect: Model Garden.s '
      "vit takes it from model_name, which is 'vit-b16': 12. Leave it out, or "
      'set task.model.backbone.type=funnel_vit, which has sizes of its own.$')):
    experiment.load('vit_imagenet_pretrain', params_override=(
        f'{VIT}.transformer.num_layers=3'))


def test_what_this_run_does_not_read_is_warned_of(caplog):
  experiment.load(DIGITS, params_override=f'{RATE}.constant.learning_rate=0.3')
  assert caplog.messages == [
      f'{RATE}.constant.learning_rate is 0.3, but has no effect: {RATE}.type '
      "is 'cosine'. Set it to constant, or leave this out."]


def test_a_group_of_default_values(caplog):
  experiment.load(DIGITS, params_override=f'{VALIDATION}.random_erasing={{}}')
  assert caplog.messages == [
      f'{VALIDATION}.random_erasing is set, but has no effect: only training '
      'reads it, not evaluation.']
  caplog.clear()
  # What is in it is told instead; and in training it has an effect.
  experiment.load(DIGITS, params_override=(
      f'{VALIDATION}.random_erasing.min_area=0.1'))
  assert [text.split()[0] for text in caplog.messages] == [
      f'{VALIDATION}.random_erasing.min_area']
  caplog.clear()
  experiment.load(DIGITS, params_override=(
      f'{ERASING}={{}},{TRAIN}.cache=false'))
  assert not caplog.text


def test_epochs_beside_steps(caplog):
  name = 'funnel_vit_imagenet_finetune'
  experiment.load(name, params_override='trainer.train_epochs=3')
  assert caplog.messages == [
      'trainer.train_epochs is 3.0, but has no effect: trainer.train_steps is '
      'set, and wins. Set trainer.train_steps=0.']
  caplog.clear()
  experiment.load('funnel_vit_digits', params_override=(
      'trainer.train_epochs=0,trainer.train_steps=500'))
  params = experiment.load(name, params_override=(
      'trainer.train_epochs=3,trainer.train_steps=0'))
  assert params.trainer.train_steps == 3 * 2_502 and not caplog.text


def test_nothing_is_told_of_what_nobody_has_set(caplog):
  for name in ('vit_imagenet_pretrain', 'deit_imagenet_pretrain',
               'vit_imagenet'):
    experiment.load(name)
  assert not caplog.text


def test_precision_and_recall_of_classes_that_nothing_reports_are_refused():
  thresholds = r'task.evaluation.precision_and_recall_thresholds=\[0.5\]'
  with pytest.raises(ValueError, match=(
      f'{PER_CLASS} is true, but has no effect: .* only with {thresholds}. Set '
      'that, or leave it out: official_ext.evaluate gives')):
    experiment.load(DIGITS, params_override=f'{PER_CLASS}=true')
  with pytest.raises(ValueError, match=(
      f'only with {thresholds} and task.losses.one_hot=true. Set')):
    experiment.load('funnel_vit_imagenet_finetune', params_override=(
        f'{PER_CLASS}=true,task.losses.one_hot=false'))
  experiment.load(DIGITS, params_override=(
      f'{PER_CLASS}=true,task.evaluation.precision_and_recall_thresholds=[0.5]'))
