"""What a run needs at the least, by hand, and what is said of too much."""

import pytest
import short_runs
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import distillation
from official_ext.training import memory_need
from official_ext.training import session

GIB = 2**30
# Two layers of width 64, MLP 256, 4 heads, on 16 patches and a class token.
TINY = "task.model.backbone.funnel_vit.layout='B2'"


def load(*overrides):
  return experiment.load(
      'funnel_vit_digits', params_override=','.join((TINY, *overrides)))


def check(*overrides, mode='train', replicas=1):
  strategy = tf.distribute.OneDeviceStrategy('CPU:0')
  if replicas > 1:
    strategy = tf.distribute.MirroredStrategy(
        [f'CPU:{index}' for index in range(replicas)])
  memory_need.check(load(*overrides), mode, strategy)


@pytest.fixture(name='of_one_gib')
def _of_one_gib(monkeypatch):
  monkeypatch.setattr(memory_need, '_machine_gib', lambda: 1.0)


def test_a_training_step_by_hand():
  # One layer: kernels and biases of query, key, value and output, of the MLP,
  # and two LayerNorms.
  layer = 4 * (64 * 64 + 64) + (64 * 256 + 256) + (256 * 64 + 64) + 4 * 64
  weights = (48 * 64 + 64 + 64 + 17 * 64 + 2 * layer + 2 * 64 + 64 * 10 + 10)
  # Embedding; per layer 8 times the tokens, twice the MLP, and the scores.
  saved = 3 * 17 * 64 + 2 * (8 * 17 * 64 + 2 * 17 * 256 + 2 * 4 * 17 * 17)
  need = memory_need.of_step(load(), 'train_data')
  assert need.fixed_bytes == 2 * 4 * weights
  assert need.image_bytes == 16 * 16 * 3 * 4 + 4 * saved / 2
  assert need.gib(10) == (need.fixed_bytes + 10 * need.image_bytes) / GIB
  half = memory_need.of_step(load(
      'runtime.mixed_precision_dtype=bfloat16',
      'task.gradient_accumulation_steps=4'), 'train_data')
  assert half.image_bytes == 16 * 16 * 3 * 4 + 2 * saved / 2 / 4
  again = memory_need.of_step(load(
      'task.model.backbone.funnel_vit.gradient_checkpointing=true'),
                              'train_data')
  assert again.image_bytes == 16 * 16 * 3 * 4 + 4 * 2 * 17 * 64
  # A teacher is held beside them, and has no gradients.
  teacher = distillation.Teacher(
      'a', 'a/ckpt-1', load('task.model.num_classes=11').task, {}, None)
  taught = memory_need.of_step(load(), 'train_data', teacher)
  assert taught.fixed_bytes == 4 * (2 * weights + weights + 64 + 1)
  assert taught.image_bytes == need.image_bytes
  evaluation = memory_need.of_step(load(), 'validation_data', teacher)
  assert evaluation.fixed_bytes == 4 * weights
  assert evaluation.image_bytes == 16 * 16 * 3 * 4 + 4 * 17 * 256


def test_a_batch_beyond_the_memory_is_refused_with_one_that_fits(of_one_gib):
  need = memory_need.of_step(load(), 'train_data')
  fits = int((GIB - need.fixed_bytes) / need.image_bytes)
  batch = 'trainer.train_steps=5,task.train_data.num_examples=0'
  with pytest.raises(ValueError, match=(
      '^task.train_data.global_batch_size is 500,000: a step of training on '
      f'images of 16 x 16 px needs at least {need.gib(500_000):,.0f} GiB, but '
      f'this machine has 1 GiB. Set it to {fits:,} at most.$')):
    check(batch, 'task.train_data.global_batch_size=500000')
  check(batch, f'task.train_data.global_batch_size={fits}')
  with pytest.raises(ValueError, match=f'Set it to {fits:,} at most'):
    check(batch, f'task.train_data.global_batch_size={fits + 1}')
  # The replicas of a machine share it.
  with pytest.raises(ValueError, match=f'Set it to {fits:,} at most'):
    check(batch, f'task.train_data.global_batch_size={fits + 1}', replicas=2)
  with pytest.raises(ValueError, match='^task.validation_data.global_batch_si'):
    check('task.validation_data.global_batch_size=1000000', mode='eval')


def test_an_image_beyond_the_memory_is_refused(of_one_gib):
  with pytest.raises(ValueError, match=(
      r'^task.model.input_size is \[4096, 4096, 3\], and task.train_data.global'
      '_batch_size 64: a step of training on images of 4096 x 4096 px needs at '
      'least .* GiB, but this machine has 1 GiB, which one image alone goes '
      'beyond. Make the images or task.model.backbone.funnel_vit smaller.$')):
    check('task.model.input_size=[4096,4096,3]')


def test_an_accelerator_is_held_to_the_largest_there_is(monkeypatch):
  monkeypatch.setattr(tf.config, 'list_logical_devices', lambda kind: [kind])
  monkeypatch.setattr(memory_need, '_machine_gib', lambda: None)
  check('task.model.input_size=[256,256,3]')
  with pytest.raises(ValueError, match='but the largest accelerator has 512 G'):
    check('task.model.input_size=[4096,4096,3]')


def test_images_in_memory(of_one_gib):
  # 3 KiB each.
  limit = GIB // (16 * 16 * 3 * 4)
  data = 'task.train_data'
  check(f'{data}.num_examples={limit}')
  with pytest.raises(ValueError, match=(
      f'^task.train_data.cache is true: {limit * 2:,} images of 16 x 16 px are '
      '2 GiB, but this machine has 1 GiB. Set it to false.$')):
    check(f'{data}.num_examples={limit * 2}')
  # A training of a few steps does not fill it.
  check(f'{data}.num_examples={limit * 2}', 'trainer.train_steps=10')
  check(f'{data}.num_examples={limit * 2}', f'{data}.cache=false')
  with pytest.raises(ValueError, match=(
      '^task.train_data.prefetch_buffer_size is 10,000: so many batches of 64 '
      'images are 2 GiB, but this machine has 1 GiB. Leave it out.$')):
    check(f'{data}.prefetch_buffer_size=10000')


def test_little_memory_is_warned_of(monkeypatch, caplog):
  monkeypatch.setattr(memory_need.memory, 'proc_gib', lambda path, name: {
      'MemTotal': 1.0, 'SwapTotal': 0.0, 'MemAvailable': 0.001}[name])
  check()
  need = memory_need.of_step(load(), 'train_data')
  assert caplog.messages == [
      'task.train_data.global_batch_size is 64, which needs at least '
      f'{need.gib(64):.1f} GiB, and 0.0 GiB are free. If the run ends without '
      'a word, lower it.']


def test_other_backbones(of_one_gib):
  vit = memory_need.of_step(load(
      'task.model.backbone.type=vit,task.model.input_size=[32,32,3],'
      'task.model.backbone.vit.model_name=vit-ti16'), 'train_data')
  ours = memory_need.of_step(experiment.load(
      'funnel_vit_digits', params_override=(
          'task.model.backbone.funnel_vit.layout=B12,'
          'task.model.backbone.funnel_vit.model_name=vit-ti16,'
          'task.model.input_size=[32,32,3]')), 'train_data')
  assert vit == ours
  resnet = memory_need.of_step(load('task.model.backbone.type=resnet'),
                               'train_data')
  assert (resnet.fixed_bytes, resnet.image_bytes) == (0, 16 * 16 * 3 * 4)


def test_a_run_is_refused_before_it_is_built(
    monkeypatch, digits_dir, tmp_path):
  monkeypatch.setattr(memory_need, '_machine_gib', lambda: 1e-4)
  with pytest.raises(ValueError, match='but this machine has 0 GiB'):
    session.prepare(
        short_runs.parameters(digits_dir), 'train', str(tmp_path / 'run'))
