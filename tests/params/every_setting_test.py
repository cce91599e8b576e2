"""Every setting changes a run, or is in the table of those that do not."""

import fnmatch
import functools
import inspect
import re
import sys
import unittest.mock

from official.core import task_factory
from official.modeling.optimization import optimizer_factory
from official.vision.modeling import classification_model
from official.vision.modeling.backbones import factory
import pytest
import tensorflow as tf
import tf_keras

from official_ext.configs import image_classification
from official_ext.modeling import classifier
from official_ext.optimization import addons
from official_ext.optimization import runnable
from official_ext.params import experiment
from official_ext.params import tree
from official_ext.params import without_effect
from official_ext.params.fields import table
from official_ext.tasks import parsing
from official_ext.tasks import record_counts

DIGITS = 'funnel_vit_digits'
OPTIMIZER = 'trainer.optimizer_config.optimizer'
BACKBONE = 'task.model.backbone.funnel_vit'

# What matters, but not by what the test below looks at: who reads it.
KNOWN = {
    # The names of variables and of scopes, which people look for in logs.
    '*.name': 'the name of what is built',
    '*.type': 'the choice itself',
    'task.data_dir': 'input paths and names of classes are derived from it',
    'task.class_names_path': 'the names of the classes',
    'task.init_checkpoint*': 'checkpoints/restore.py loads it',
    'task.freeze_backbone': "Model Garden's build_model",
    'task.gradient_accumulation_steps': 'tasks/accumulation.py',
    'task.differential_privacy_config.*': 'gradients clipped and noised',
    'task.losses.one_hot': 'labels become vectors in a training step',
    'task.losses.soft_labels': 'labels are vectors already',
    'task.losses.l2_weight_decay': "Model Garden's build_model",
    'task.*_data.num_examples': 'steps, and the count of an evaluation',
    'task.train_data.max_corrupt_records': 'tasks/corrupt_records.py',
    'task.validation_data.mean_rgb': "refused where it is not the training's",
    'task.validation_data.stddev_rgb': "refused where it is not the training's",
    'task.*_data.label_offset': 'added to labels by the task',
    'task.*_data.seed': 'shuffles',
    'task.train_data.cache': 'tasks/training_records.py',
    'task.train_data.cycle_length': 'tasks/training_records.py',
    'task.train_data.shuffle_buffer_size': 'tasks/record_order.py',
    'task.*_data.is_training': 'which of the two data sets it is',
    'task.*_data.input_path': 'the files',
    'task.*_data.tf_data_service_address': 'of the flag --tf_data_service',
    f'{BACKBONE}.crop_to_patches': 'which images are taken',
    # True says what is so: a warning would be of every imported model.
    f'{BACKBONE}.class_token': 'a pooler that reads it has one anyway',
    'task.model.output_softmax': 'the metrics are of probabilities',
    'trainer.train_steps': 'how long', 'trainer.train_epochs': 'train_steps',
    'trainer.*interval*': 'when', 'trainer.steps_per_loop': 'when',
    'trainer.validation_steps': 'how much is evaluated',
    'trainer.*_tf_while_loop': 'how loops are compiled',
    'trainer.*_tf_function': 'whether steps are compiled',
    'trainer.allow_tpu_summary': 'whether a TPU summarises',
    'trainer.max_to_keep': 'how many checkpoints',
    'trainer.keep_checkpoint_every_n_hours': 'which checkpoints stay',
    'trainer.continuous_eval_timeout': 'when continuous_eval gives up',
    'trainer.best_checkpoint_*': "Model Garden's exporter",
    'trainer.loss_upper_bound': 'when a loss is too large',
    'trainer.loss_spike_factor': 'when a loss is too large',
    'trainer.recovery_*': 'what happens then',
    'trainer.validation_summary_subdir': 'where the validation is logged',
    'trainer.preemption_*': 'a checkpoint at the end',
    'trainer.learning_rate_scaling': 'the learning rate',
    'trainer.reference_batch_size': 'the learning rate',
    'trainer.seed': 'every random number', 'trainer.deterministic': 'how exact',
    'trainer.export.*': 'what is exported',
    'trainer.early_stopping.*': 'training/early_stopping.py',
    'trainer.logging.*': 'what is logged, and where else',
    'trainer.warmup_share': 'the steps of the warm-up',
    'trainer.frozen_backbone_epochs': 'params/frozen_backbone.py',
    'task.class_weights': 'tasks/class_weights.py',
    'task.class_sampling': 'tasks/record_order.py',
    'task.distillation.*': 'tasks/distillation.py',
    'trainer.derived': 'filled in by derive.py',
    'trainer.optimizer_config.ema.*': 'handed to the average as it is',
    'runtime.distribution_strategy': 'the strategy',
    'runtime.enable_xla': 'XLA on GPUs, training/strategies.py warns',
    'runtime.tpu*': 'of a TPU', 'runtime.num_gpus': 'the strategy',
    'runtime.all_reduce_alg': 'the strategy',
    'runtime.mixed_precision_dtype': 'the policy',
    'runtime.loss_scale': 'the loss in float16',
}
# In which settings others are read too.
READ_WITH = (
    f"task.train_data.input_path='{__file__}',"
    f"task.validation_data.input_path='{__file__}',"
    'task.model.input_size=[64,64,3],'
    'task.train_data.aug_crop=true,task.validation_data.aug_crop=true,'
    'task.train_data.random_erasing.probability=0.3,'
    'task.train_data.aug_type.type=randaug')


def known(path):
  return any(fnmatch.fnmatchcase(path, one) for one in KNOWN)


def other(setting):
  """Another value that the field takes, or None."""
  value = setting.value
  rule = table.rule_of(type(setting.owner), setting.name)
  candidates = [not value, 0.25, 0.75, -0.5, 3, 2, ['a'], [0.25, 0.5], [1],
                'a', 0.5, True, False, 'bicubic', 'float16', 'gap', 'max',
                'gelu_quick', 'grid', 'zeros', 'vit-ti16',
                'tfrecord_compressed', 'DEFAULT', 'simple',
                [32, 32, 3], [99.5, 127.5, 127.5], ['Invert'], 'outer', 'B1', 8,
                34, 38, [4, 4]]
  candidates += [one for one in rule.choices if one != value]
  for candidate in candidates:
    if candidate != value and rule.problem(candidate) is None and (
        type(candidate) is not bool or type(value) in (bool, type(None))):
      return rule.convert(candidate)
  return None


def attributes(thing, depth=3):
  """The attributes of something and of what it holds, as texts."""
  if isinstance(thing, (list, tuple)):
    return [attributes(one, depth) for one in thing]
  if isinstance(thing, unittest.mock.Mock):
    return 'what was built'
  if inspect.ismethod(thing):
    thing = thing.__self__
  if inspect.isfunction(thing) and thing.__closure__ and depth:
    return [attributes(cell.cell_contents, depth - 1)
            for cell in thing.__closure__]
  if isinstance(thing, functools.partial):
    thing = {'function': thing.func, **thing.keywords, **{
        f'argument {place}': one for place, one in enumerate(thing.args)}}
  if isinstance(thing, dict):
    return {name: attributes(value, depth) for name, value in thing.items()}
  if not hasattr(thing, '__dict__') or isinstance(thing, type) or not depth:
    return re.sub(' at 0x[0-9a-f]+', '', repr(thing))
  return {name: attributes(value, depth - 1)
          for name, value in vars(thing).items()}


def data_behaviour(params):
  """The parser and the reader of both data sets."""
  readers = []
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(parsing.InputReader, 'read',
                    lambda reader, **settings: readers.append(reader))
    patched.setattr(
        record_counts, 'count', lambda files, file_type, folder:
        record_counts.Counts(('file',), file_type, (100,), {}))
    for data in (params.task.train_data, params.task.validation_data):
      parsing.read(params.task, data, None)
  return attributes(readers), [
      attributes(parsing.build_parser(params.task, data))
      for data in (params.task.train_data, params.task.validation_data)]


def backbone_classes():
  """What builds backbones, by module and name."""
  for build in factory._REGISTERED_BACKBONE_CLS.values():
    for name, one in vars(sys.modules[build.__module__]).items():
      if isinstance(one, type) and issubclass(one, tf_keras.Model):
        yield sys.modules[build.__module__], name


def model_behaviour(params):
  """What the backbone and the classifier are built with."""
  calls = []

  def build(*args, **settings):
    calls.append(attributes([*args, settings]))
    return unittest.mock.MagicMock()

  with pytest.MonkeyPatch.context() as patched:
    for module, name in backbone_classes():
      patched.setattr(module, name, build)
    # Of Model Garden's backbones, and of ours.
    patched.setattr(classification_model, 'ClassificationModel', build)
    patched.setattr(classifier, 'FunnelClassifier', build)
    task_factory.get_task(params.task).build_model()
  return calls


def loss_behaviour(params):
  """A loss and the metrics."""
  task = task_factory.get_task(params.task)
  labels = tf.one_hot([1, 2], 10) if (
      params.task.losses.one_hot or params.task.losses.soft_labels or
      params.task.losses.use_binary_cross_entropy) else tf.constant([1, 2])
  loss = task.build_losses(labels, tf.reshape(tf.range(20.0), [2, 10]))
  return float(loss), [attributes(one.get_config())
                       for one in task.build_metrics()]


def optimizer_behaviour(params):
  """The optimizer and its learning rate."""
  factory = optimizer_factory.OptimizerFactory(params.trainer.optimizer_config)
  rate = factory.build_learning_rate()
  optimizer = factory.build_optimizer(rate)
  return attributes(
      [rate, vars(optimizer), dict(optimizer.get_config())], depth=2)


BEHAVIOURS = {
    'task.train_data.': data_behaviour,
    'task.validation_data.': data_behaviour,
    'task.model.': model_behaviour,
    'task.losses.': loss_behaviour,
    'task.evaluation.': loss_behaviour,
    'trainer.optimizer_config.': optimizer_behaviour,
}


def changes(params, setting, before):
  """Whether another value of a setting changes the run, or is told of.

  `before` returns the behaviour of `params` as they are.
  """
  behaviour = next((function for prefix, function in BEHAVIOURS.items()
                    if setting.path.startswith(prefix)), None)
  if behaviour is None:
    return False
  value = other(setting)
  assert value is not None, f'name another value of {setting.path}'
  expected = before(behaviour)
  kept = setting.value
  setattr(setting.owner, setting.name, value)
  try:
    return bool(without_effect.reason(params, setting)) or (
        behaviour(params) != expected)
  except ValueError:
    return True  # It is read, and refused.
  finally:
    setattr(setting.owner, setting.name, kept)


def without_entry(params, group=None, path=''):
  """The settings that are neither in a table nor change the run."""
  before = functools.cache(lambda behaviour: behaviour(params))
  # All reasons first: Model Garden's vit writes its sizes into the
  # configuration when it is built.
  found = [one for one in tree.walk(group or params, path=path)
           if one.is_chosen and not one.group
           and not without_effect.reason(params, one) and not known(one.path)]
  return [one.path for one in found if not changes(params, one, before)]


def unlocked(settings):
  return experiment.load(DIGITS, params_override=settings).replace()


def test_every_setting_changes_the_run_or_is_in_the_table():
  assert without_entry(unlocked(READ_WITH)) == []


# As they are registered: which differ in more than numbers.
@pytest.mark.parametrize('name', [
    'funnel_vit_cifar10_finetune',
    *(pytest.param(name, marks=pytest.mark.long)
      for name in image_classification.EXPERIMENTS
      if name not in (DIGITS, 'funnel_vit_cifar10_finetune'))])
def test_every_setting_of_every_experiment(name):
  params = experiment.load(name, params_override=(
      'trainer.train_steps=100' if name == 'funnel_vit_finetune' else '')
      ).replace()
  for data in (params.task.train_data, params.task.validation_data):
    data.input_path = '' if data.tfds_name else __file__
  assert without_entry(params) == []


def test_every_setting_of_every_backbone():
  params = unlocked(READ_WITH)
  backbone = params.task.model.backbone
  found = []
  for kind in types(backbone):
    backbone.type = kind
    found += without_entry(params, params.task.model, path='task.model.')
  assert found == []


def types(group):
  return [name for name in tree.names(group) if name != 'type']


def can_run(config):
  try:
    addons.check(config.optimizer.type)
    runnable.check(config, 2)
  except ValueError:
    return False
  return True


def test_every_optimizer_schedule_and_warmup_reads_its_settings():
  params = unlocked(f'{READ_WITH},{OPTIMIZER}.adamw.weight_decay_rate=0.1')
  config = params.trainer.optimizer_config
  found = []
  for group in (config.optimizer, config.learning_rate, config.warmup):
    kept = group.type
    for kind in types(group):
      chosen = getattr(group, kind)
      for name, value in {
          'initial_learning_rate': 0.1, 'decay_steps': 10, 'decay_rate': 0.5,
          'total_decay_steps': 10, 'boundaries': [5], 'values': [0.1, 0.05],
          'warmup_steps': 3, 'num_layers': 6}.items():
        if getattr(chosen, name, 0) is None:
          setattr(chosen, name, value)
      if kind == 'step_cosine_with_offset':
        chosen.boundaries = [0, 5]
      group.type = kind
      if can_run(config):
        found += without_entry(
            params, config, path='trainer.optimizer_config.')
    group.type = kept
  assert found == []


def test_a_setting_that_nothing_reads_is_noticed(monkeypatch):
  params = unlocked(READ_WITH)
  monkeypatch.setattr(without_effect, 'TABLE', ())
  assert 'runtime.run_eagerly' in without_entry(
      params, params.runtime, path='runtime.')
