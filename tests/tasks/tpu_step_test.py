"""What can be known of a TPU without one: shapes, XLA, operations.

The steps are those of the experiments with `runtime/tpu`, on what the real
input pipeline gives to one of 32 replicas. What TPUStrategy adds around them
(the sum of the gradients over the replicas) cannot be traced here.
"""

import graphs
from official.core import task_factory
from official.modeling import performance
import proofs
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.modeling import hardware
from official_ext.params import experiment

REPLICAS = 32
LAYOUTS = proofs.choose(['B4-4-4'], ['B12', 'B6-6', 'B4-4-4'])
EXPERIMENTS = proofs.choose(['funnel_vit_imagenet'], [
    'funnel_vit_imagenet', 'funnel_vit_imagenet_finetune'])
# 64 patches, 64 wide.
SMALL = (
    "task.model.backbone.funnel_vit.model_name='vit-nano4',"
    'task.model.input_size=[32,32,3],'
    "task.model.backbone.funnel_vit.layout='{layout}',"
    'trainer.optimizer_config.warmup.linear.warmup_steps=1')
VARIANTS = {
    'B1-1': '',
    'B1-1-1, max': 'task.model.backbone.funnel_vit.pooling=max',
    'B1-1-1, conv': (
        'task.model.backbone.funnel_vit.pooling=conv,'
        'task.model.backbone.funnel_vit.attention_bias=proportional'),
    'B1-1(s3), weighted': 'task.model.backbone.funnel_vit.pooling=weighted',
    'B1-1, grid': 'task.model.backbone.funnel_vit.pool_axes=grid',
    'B2, gap': 'task.model.backbone.funnel_vit.pooler=gap',
    'B1-1(h128), widths': '',
    'B1-1, microbatches': 'task.gradient_accumulation_steps=4',
    'B1-1, checkpointed': (
        'task.model.backbone.funnel_vit.gradient_checkpointing=true'),
    'B1-1, drops': (
        'task.model.backbone.funnel_vit.transformer.dropout_rate=0.1,'
        'task.model.backbone.funnel_vit.transformer.attention_dropout_rate=0.1,'
        'task.model.backbone.funnel_vit.init_stochastic_depth_rate=0.1'),
    'B1-1, published parts': ','.join(
        f'task.model.backbone.funnel_vit.{setting}' for setting in (
            'pooler=map', 'class_token=true', 'distillation_token=true',
            'num_registers=4', 'class_token_position=false', 'patch_bias=false',
            'norm_before_layers=true', 'final_norm=pooled',
            'representation_size=0', 'projection_size=32')),
    'B1-1, mixed': (
        'task.train_data.mixup_and_cutmix.mixup_alpha=0.8,'
        'task.losses.one_hot=false,task.losses.soft_labels=true'),
}
# What `make test` has of them.
SHORT = (('B1-1', 'eval'), ('B1-1, microbatches', 'train'))


@pytest.fixture(name='data_dir', scope='module')
def _data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('imagenet')
  for name in ('train', 'validation'):
    records_for_tests.write(
        folder / f'{name}-00000-of-00001',
        [records_for_tests.example(label) for label in (1, 1000)])
  return folder


@pytest.fixture(autouse=True)
def _as_on_an_accelerator(monkeypatch):
  """Not the path of CPUs that multiply bfloat16 slowly."""
  monkeypatch.setattr(
      hardware, 'prefers_float32_matmuls', lambda *_: False)


def build(name, mode, data_dir, overrides):
  """A step, what it is called with on one replica, and the images of that."""
  params = experiment.load(name, ['runtime/tpu'], params_override=','.join(
      filter(None, [f"task.data_dir='{data_dir}'", overrides])))
  performance.set_mixed_precision_policy(params.runtime.mixed_precision_dtype)
  task = task_factory.get_task(params.task)
  model = task.build_model()
  metrics = task.build_metrics(training=mode == 'train')
  data = params.task.train_data if mode == 'train' else (
      params.task.validation_data)
  batch_size = data.global_batch_size // REPLICAS
  spec = task.build_inputs(data, tf.distribute.InputContext(
      num_replicas_in_sync=REPLICAS)).element_spec
  if mode == 'eval':
    return tf.function(
        lambda inputs: task.validation_step(inputs, model, metrics),
        jit_compile=True), spec, batch_size
  optimizer = task.create_optimizer(params.trainer.optimizer_config)
  # Slots are made on first use, which must not be inside the compiled step.
  optimizer._create_all_weights(model.trainable_variables)
  return tf.function(
      lambda inputs: task.train_step(inputs, model, optimizer, metrics),
      jit_compile=True), spec, batch_size


def check(name, mode, data_dir, overrides):
  """Static shapes, operations that TPUs have, and that XLA takes it."""
  step, spec, batch_size = build(name, mode, data_dir, overrides)
  assert spec[0].shape[0] == batch_size
  assert spec[0].dtype == tf.bfloat16
  traced = step.get_concrete_function(spec)
  assert graphs.unknown_shapes(traced) == []
  assert graphs.not_on_tpus(traced) == []
  inputs = tf.nest.map_structure(
      lambda one: tf.zeros(one.shape, one.dtype), spec)
  # Neither compiled for this CPU nor run.
  hlo = step.experimental_get_compiler_ir(inputs)(stage='hlo')
  assert f'bf16[{batch_size},' in hlo


@pytest.mark.slow
@pytest.mark.parametrize('variant, mode', [
    pytest.param(variant, mode,
                 marks=[] if (variant, mode) in SHORT else pytest.mark.long)
    for variant in VARIANTS for mode in ('train', 'eval')])
def test_small_steps(variant, mode, data_dir):
  layout, _, _ = variant.partition(', ')
  check('funnel_vit_imagenet', mode, data_dir, ','.join(filter(None, [
      SMALL.format(layout=layout), VARIANTS[variant]])))


@pytest.mark.long
@pytest.mark.parametrize('mode', ['train', 'eval'])
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', EXPERIMENTS)
def test_real_steps(name, layout, mode, data_dir):
  check(name, mode, data_dir,
        f"task.model.backbone.funnel_vit.layout='{layout}'")


def test_an_unknown_dimension_is_found():
  @tf.function
  def inner(values):
    return tf.boolean_mask(values, values > 0)

  @tf.function
  def step(values):
    return tf.cond(tf.reduce_sum(values) > 0, lambda: tf.size(inner(values)),
                   lambda: 0)

  found = graphs.unknown_shapes(
      step.get_concrete_function(tf.TensorSpec([4])))
  assert any('Where' in tensor for tensor in found)


@pytest.mark.parametrize('bad, missing', [
    (tf.strings.as_string, 'AsString T=float32'),
    (lambda values: tf.py_function(abs, [values], tf.float32), 'EagerPyFunc'),
    (lambda values: tf.raw_ops.FractionalMaxPool(
        value=tf.reshape(values, [1, 2, 2, 1]),
        pooling_ratio=[1.0, 1.5, 1.5, 1.0]).output,
     'FractionalMaxPool T=float32'),
    # The operation is there, but not for this type.
    (lambda values: tf.cast(values, tf.complex128),
     'Cast DstT=complex128 SrcT=float32'),
])
def test_an_operation_that_tpus_lack_is_found(bad, missing):
  inner = tf.function(bad)

  @tf.function
  def step(values):
    return inner(values)

  assert missing in graphs.not_on_tpus(
      step.get_concrete_function(tf.TensorSpec([4])))
