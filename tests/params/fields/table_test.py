"""Tests of the table of all fields: none is missing, and what each takes."""

from official.core import exp_factory
import pytest

from official_ext.configs import image_classification as configs
from official_ext.configs import semantic_segmentation
from official_ext.params import experiment
from official_ext.params import tree
from official_ext.params.fields import table

# Those of Model Garden's image classification, and ours.
EXPERIMENTS = [
    *configs.EXPERIMENTS, 'deit_imagenet_pretrain', 'image_classification',
    'mobilenet_imagenet', 'resnet_imagenet', 'resnet_rs_imagenet',
    'revnet_imagenet', 'vit_imagenet_finetune', 'vit_imagenet_pretrain']
# A template to be filled in, which stands for no model.
UNFINISHED = {'task.model.num_classes', 'task.model.input_size',
              'task.train_data.global_batch_size',
              'task.validation_data.global_batch_size',
              'trainer.optimizer_config.optimizer.type',
              'trainer.optimizer_config.learning_rate.type'}
OPTIMIZATION = 'trainer.optimizer_config'
OPTIMIZER = f'{OPTIMIZATION}.optimizer'
RATE = f'{OPTIMIZATION}.learning_rate'


def settings(name):
  return list(tree.walk(experiment.base(name), opens_unset=True))


def test_the_experiments_are_all_there_are():
  known = set(exp_factory._REGISTERED_CONFIGS)
  assert set(EXPERIMENTS) <= known
  ours = {name for name in known if isinstance(
      experiment.base(name).task, configs.ImageClassificationTask)}
  assert ours == set(EXPERIMENTS)


@pytest.mark.parametrize(
    'name', [*EXPERIMENTS, semantic_segmentation.EXPERIMENT])
def test_every_field_has_a_rule_that_its_value_follows(name):
  found = settings(name)
  assert len(found) > 400
  for setting in found:
    rule = table.rule_of(type(setting.owner), setting.name)
    assert rule, f'{setting.path} has no rule in official_ext/params/fields'
    is_open = name == 'image_classification' and setting.path in UNFINISHED
    # Null is no augmentation of a group that is there, but there is no group.
    is_open |= setting.path.endswith('aug_type.type') and not setting.is_set
    assert is_open or rule.problem(setting.value) is None, setting.path


@pytest.mark.parametrize('value', [
    {'a': 1}, [{'a': 1}], float('nan'), float('inf'), -float('inf'), 10**40,
    object()])
def test_no_field_takes_what_is_no_value(value):
  for setting in settings('funnel_vit_digits'):
    rule = table.rule_of(type(setting.owner), setting.name)
    problem = rule.problem(value)
    if setting.name != 'ssd_random_crop_params':
      assert problem and '\n' not in problem, setting.path


def test_numbers_are_neither_truths_nor_texts():
  numbers = 0
  for setting in settings('funnel_vit_digits'):
    if type(setting.value) in (int, float):
      rule = table.rule_of(type(setting.owner), setting.name)
      numbers += 1
      assert rule.problem(True) and rule.problem(False), setting.path
      assert 'Did you mean' in rule.problem(str(setting.value)), setting.path
    elif isinstance(setting.value, bool):
      rule = table.rule_of(type(setting.owner), setting.name)
      assert 'Did you mean true?' in rule.problem(1), setting.path
  assert numbers > 100


@pytest.mark.parametrize('override, message', [
    ('task.model.dropout_rate=7',
     'is 7, but must be a number of at least 0 and below 1.'),
    ('task.losses.label_smoothing=3', 'is 3, but must be a number of at least'),
    (f'{RATE}.cosine.initial_learning_rate=-0.1',
     'must be a number of at least 0 and at most 1,000. Did you mean 0?'),
    (f'{RATE}.cosine.initial_learning_rate=.nan', 'is nan, but must be a numb'),
    (f'{OPTIMIZER}.adamw.weight_decay_rate=.nan', 'is nan, but must be a numb'),
    (f'{OPTIMIZER}.adamw.beta_1=7', 'beta_1 is 7, but must be a number of at'),
    (f'{OPTIMIZATION}.ema.average_decay=7', 'average_decay is 7, but must be'),
    ('task.train_data.mixup_and_cutmix.prob=7',
     'prob is 7, but must be a number of at least 0 and at most 1. Did you me'),
    ('task.validation_data.center_crop_fraction=-1',
     'center_crop_fraction is -1, but must be a number above 0 and at most 1'),
    ('task.evaluation.top_k=0', 'top_k is 0, but must be a whole number of'),
    ('trainer.validation_steps=-7',
     'is -7, but must be a whole number of at least 1, or -1 for all images. '
     'Did you mean -1?'),
    ('trainer.max_to_keep=0', 'is 0, but must be a whole number of at least 1, '
     'or null: all. Did you mean 1?'),
    ('trainer.train_epochs=-3', 'train_epochs is -3, but must be a number of'),
    ('trainer.train_epochs=.inf', 'train_epochs is inf, but must be a number'),
    ('task.train_data.num_examples=-5', 'num_examples is -5, but must be a wh'),
    ('task.train_data.tf_resize_method=bicubi',
     "is 'bicubi', but must be one of area, bicubic, bilinear,"),
    ('task.train_data.tf_resize_method=bicubi', "Did you mean 'bicubic'?"),
    ('task.train_data.mean_rgb=[0.485,0.456,0.406]',
     'mean_rgb is [0.485, 0.456, 0.406], but must be [red, green, blue] from 0 '
     'to 255, or null: as in the training data, there of ImageNet. Did you '
     'mean [123.675, 116.28, 103.53]?'),
    ('task.train_data.stddev_rgb=[0.5,0.5,0.5]',
     'Did you mean [127.5, 127.5, 127.5]?'),
    ('task.train_data.stddev_rgb=[58,57]', 'stddev_rgb is [58, 57], but must '),
    ('task.train_data.mean_rgb=127.5', 'mean_rgb is 127.5, but must be [red, '),
    ('task.validation_data.resize_mode=squash',
     "must be one of crop_then_resize, resize_then_crop, squash_then_crop. Did "
     "you mean 'squash_then_crop'?"),
    ('task.train_data.dtype=int7', "dtype is 'int7', but must be one of float"),
    ('task.model.norm_activation.activation=rleu', "Did you mean 'relu'?"),
    ('task.model.kernel_initializer=zeroes', "Did you mean 'zeros'?"),
    ('trainer.best_checkpoint_export_subdir=../up',
     "is '../up', but must be the name of a folder inside the model_dir"),
    ('trainer.validation_summary_subdir=/up', 'must be the name of a folder'),
    *((f'{path}=1e30', f'{path} is 1e+30, but must be a number') for path in (
        'task.model.backbone.funnel_vit.layer_scale_init_value',
        'task.model.backbone.vit.layer_scale_init_value',
        'task.differential_privacy_config.noise_multiplier',
        'task.differential_privacy_config.clipping_norm',
        'task.losses.loss_weight', 'task.losses.l2_weight_decay',
        f'{OPTIMIZER}.adamw.epsilon', f'{OPTIMIZER}.adamw.weight_decay_rate',
        f'{OPTIMIZER}.sgd.decay', f'{OPTIMIZER}.lars.eeta',
        f'{OPTIMIZER}.adagrad.initial_accumulator_value',
        f'{RATE}.constant.learning_rate', f'{RATE}.exponential.decay_rate',
        f'{RATE}.cosine.initial_learning_rate',
        f'{OPTIMIZATION}.warmup.linear.warmup_learning_rate')),
    (f'{RATE}.stepwise.values=[0.1, 1e30]', 'values is [0.1, 1e+30], but must'),
    (f'{OPTIMIZER}.type=null', 'type is null, but must be one of sgd, '),
    (f'{RATE}.type=cosin', "Did you mean 'cosine'?"),
    ('task.model.backbone.type=null', 'type is null, but must be one of resn'),
    ('task.data_dir=null', 'task.data_dir is null, but must be text.'),
    ('task.train_data.global_batch_size=null', 'is null, but must be a whole'),
    ('trainer.train_steps=null', 'train_steps is null, but must be a whole'),
    ('trainer.train_steps=true', 'train_steps is true, but must be a whole'),
    ("trainer.train_steps='10'", "is '10', but must be a whole number of at "
     'least 0 (0: from the epochs). Did you mean 10?'),
    ('trainer.train_steps.a=1', "train_steps is {'a': 1}, but must be a whole"),
    (f"{OPTIMIZER}.adamw.exclude_from_weight_decay=['/bias','*']",
     "is ['/bias', '*'], but must be a list of regular expressions of names"),
    ('trainer=5', 'trainer is 5, but must be a group of settings.'),
    ('task.losses=null', 'task.losses is null, but must be a group of sett'),
    ('{1: 2}', 'there is no key 1. Keys of an experiment: runtime, task, '),
    ('{trainer: {1: 2}}', 'there is no key trainer.1. Keys of trainer: '),
])
def test_nonsense_is_refused_by_name(override, message):
  with pytest.raises(ValueError) as raised:
    experiment.load('vit_imagenet', params_override=override)
  assert message in str(raised.value)
  assert '\n' not in str(raised.value)


def test_whole_numbers_become_floats_where_floats_belong():
  params = experiment.load('vit_imagenet', params_override=(
      f'{RATE}.type=stepwise,{RATE}.stepwise.values=[1,0.1],'
      f'{RATE}.stepwise.boundaries=[50000],{RATE}.stepwise.offset=0,'
      f'{OPTIMIZER}.adamw.weight_decay_rate=1,trainer.train_epochs=5'))
  optimization = params.trainer.optimizer_config
  values = optimization.learning_rate.stepwise.values
  assert values == [1, 0.1] and [type(one) for one in values] == [float, float]
  assert type(optimization.learning_rate.stepwise.boundaries[0]) is int
  rate = optimization.optimizer.adamw.weight_decay_rate
  assert rate == 1 and type(rate) is float
  assert type(params.trainer.train_epochs) is float


def test_what_model_garden_documents_is_taken():
  params = experiment.load('vit_imagenet', params_override=(
      'trainer.validation_steps=-1,trainer.max_to_keep=null,'
      'trainer.recovery_max_trials=-1,trainer.continuous_eval_timeout=null,'
      'task.train_data.label_offset=-1,task.train_data.cycle_length=null,'
      f'{OPTIMIZER}.adamw.gradient_clip_norm=0,{OPTIMIZATION}.warmup.type=null,'
      'task.train_data.center_crop_fraction=1,'
      'task.train_data.tf_resize_method=lanczos3,'
      'task.train_data.mean_rgb=[0,0,0],task.train_data.stddev_rgb=[1,1,1],'
      "trainer.best_checkpoint_export_subdir='best/now',"
      'task.train_data.autotune_algorithm=HILL_CLIMB'))
  assert params.trainer.recovery_max_trials == -1
  assert params.task.train_data.center_crop_fraction == 1


def test_a_number_beyond_what_is_computed_with():
  rule = table.rule_of(configs.TrainerConfig, 'loss_upper_bound')
  assert rule.problem(1e300) == (
      'is 1e+300, but must be a number above 0, and at most 3.4e+38.')
  assert rule.problem(-1.0) == 'is -1.0, but must be a number above 0.'
  rule = table.rule_of(configs.TrainerConfig, 'validation_interval')
  assert rule.problem(10**12) == (
      'is 1000000000000, but must be a whole number of at least 0 (0: from the '
      'epochs), and at most 2,147,483,647. Did you mean 2147483647?')
