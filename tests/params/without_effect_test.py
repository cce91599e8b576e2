"""Every setting changes a run, or is in the table of those that do not."""

import copy
import fnmatch

from official.core import task_factory
from official.modeling import hyperparams
from official.modeling.optimization import optimizer_factory
from official.vision.dataloaders import input_reader_factory
from official.vision.modeling import classification_model
import pytest
import tensorflow as tf

from official_ext.modeling import funnel_vit
from official_ext.params import experiment
from official_ext.params import tree
from official_ext.params import without_effect
from official_ext.params.fields import table
from official_ext.tasks import parsing

DIGITS = 'funnel_vit_digits'
RATE = 'trainer.optimizer_config.learning_rate'
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
    'task.losses.l2_weight_decay': "Model Garden's build_model",
    'task.*_data.num_examples': 'steps, and the count of an evaluation',
    'task.*_data.label_offset': 'added to labels by the task',
    'task.*_data.seed': 'shuffles',
    'task.*_data.is_training': 'which of the two data sets it is',
    'task.*_data.input_path': 'the files',
    'task.*_data.tf_data_service_address': 'of the flag --tf_data_service',
    'task.model.output_softmax': 'the metrics are of probabilities',
    # One-of's that another backbone opens.
    'task.model.backbone.*': "of Model Garden's own backbones",
    'trainer.train_steps': 'how long', 'trainer.train_epochs': 'train_steps',
    'trainer.*interval*': 'when', 'trainer.steps_per_loop': 'when',
    'trainer.validation_steps': 'how much is evaluated',
    'trainer.*_tf_while_loop': 'how loops are compiled',
    'trainer.*_tf_function': 'whether steps are compiled',
    'trainer.allow_tpu_summary': 'whether a TPU summarises',
    'trainer.max_to_keep': 'how many checkpoints',
    'trainer.continuous_eval_timeout': 'when continuous_eval gives up',
    'trainer.best_checkpoint_*': "Model Garden's exporter",
    'trainer.loss_upper_bound': 'when a loss is too large',
    'trainer.recovery_*': 'what happens then',
    'trainer.validation_summary_subdir': 'where the validation is logged',
    'trainer.preemption_on_demand_checkpoint': 'a checkpoint at the end',
    'trainer.learning_rate_scaling': 'the learning rate',
    'trainer.reference_batch_size': 'the learning rate',
    'trainer.seed': 'every random number', 'trainer.deterministic': 'how exact',
    'trainer.export.*': 'what is exported',
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
    'task.train_data.aug_crop=true,task.validation_data.aug_crop=true,'
    'task.train_data.random_erasing.probability=0.3,'
    'task.train_data.aug_type.type=randaug')


def told(settings='', name=DIGITS):
  """What is told of an override, by path."""
  params = experiment.load(name, params_override=settings)
  return {one.path: reason for one, reason, _ in without_effect.find(
      params, experiment.base(name))}


def in_table(path):
  return any(rule.covers(path) for rule in without_effect.TABLE)


def known(path):
  return any(fnmatch.fnmatchcase(path, one) for one in KNOWN)


def other(setting):
  """Another value that the field takes, or None."""
  value = setting.value
  rule = table.rule_of(type(setting.owner), setting.name)
  candidates = [not value, 0.25, 0.75, 3, 2, ['a'], [0.25, 0.5], [1], 'a', 0.5,
                True, False, 'bicubic', 'float16', 'gap', 'max', 'gelu_quick',
                'grid', 'zeros', 'vit-ti16', 'tfrecord_compressed', 'DEFAULT',
                'simple', [32, 32, 3], ['Invert'], 'outer', 'B1']
  candidates += [one for one in rule.choices if one != value]
  for candidate in candidates:
    if candidate != value and rule.problem(candidate) is None and (
        type(candidate) is not bool or type(value) in (bool, type(None))):
      return rule.convert(candidate)
  return None


def attributes(thing, depth=3):
  """The attributes of something and of what it holds, as texts."""
  if not hasattr(thing, '__dict__') or callable(thing) or not depth:
    return repr(thing).partition(' at 0x')[0]
  return {name: attributes(value, depth - 1)
          for name, value in vars(thing).items()}


@pytest.fixture
def captured(monkeypatch):
  """What Model Garden's readers and our models are built from."""
  calls = []

  def capture(*args, **settings):
    calls.append((args, settings))
    raise StopIteration

  monkeypatch.setattr(funnel_vit, 'FunnelViT', capture)
  monkeypatch.setattr(
      input_reader_factory, 'input_reader_generator', lambda data, **functions:
      calls.append((data, functions)) or capture())
  return calls


def data_behaviour(params, calls):
  """The parser, the mixing and the reader of both data sets."""
  found = []
  for data in (params.task.train_data, params.task.validation_data):
    try:
      parsing.read(params.task, data, None)
    except StopIteration:
      pass
    data, functions = calls[-2]
    functions['sample_fn'] = bool(functions['sample_fn'])
    reader = input_reader_factory.InputReader(
        data.replace(input_path=__file__, tfds_name=''))
    found.append((
        attributes(parsing.build_parser(params.task, data)),
        attributes(functions['postprocess_fn']), attributes(reader),
        functions['sample_fn'], functions['dataset_fn'].__name__,
        attributes(getattr(functions['decoder_fn'], '__self__', None))))
  return found
