"""Tests of the YAML files: one for every row of the paper's tables."""

import numpy as np
from official.core import task_factory
import proofs
import pytest
import tensorflow as tf
from tf_keras.src.dtensor import lazy_variable
import write_experiments

from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment

PRETRAINING = 'funnel_vit_imagenet'
FINE_TUNING = 'funnel_vit_imagenet_finetune'
LAYOUT = 'layout'

# What a row varies of its experiment, the tokens of its blocks, and the
# parameters of its model with 1,001 classes.
ROWS = {
    'patch32': (
        PRETRAINING, {LAYOUT: 'B12(50)', 'model_name': 'vit-b32'}, [50],
        88_815_593),
    'table2/b12': (PRETRAINING, {LAYOUT: 'B12(197)'}, [197], 87_159_017),
    'table2/b6-6_max': (
        PRETRAINING, {LAYOUT: 'B6(197)-6(99)', 'pooling': 'max'}, [197, 99],
        87_159_017),
    'table2/b6-6_mean': (
        PRETRAINING, {LAYOUT: 'B6(197)-6(99)'}, [197, 99], 87_159_017),
    'table2/b4-4-4_max': (
        PRETRAINING, {LAYOUT: 'B4(197)-4(99)-4(50)', 'pooling': 'max'},
        [197, 99, 50], 87_159_017),
    'table2/b4-4-4_mean': (
        PRETRAINING, {LAYOUT: 'B4(197)-4(99)-4(50)'}, [197, 99, 50],
        87_159_017),
    'table2/b6-6_stride4_max': (
        PRETRAINING, {LAYOUT: 'B6(197)-6(50)', 'pooling': 'max'}, [197, 50],
        87_159_017),
    'table3/vit_to_vit': (
        FINE_TUNING, {LAYOUT: 'B12(577)', 'init_checkpoint': 'table2/b12'},
        [577], 86_860_265),
    'table3/funnel_to_funnel': (
        FINE_TUNING, {LAYOUT: 'B6(577)-6(289)',
                      'init_checkpoint': 'table2/b6-6_mean'}, [577, 289],
        86_860_265),
    'table3/funnel_to_vit': (
        FINE_TUNING, {LAYOUT: 'B12(577)',
                      'init_checkpoint': 'table2/b6-6_mean'}, [577],
        86_860_265),
    'table3/vit_to_funnel': (
        FINE_TUNING, {LAYOUT: 'B6(577)-6(289)',
                      'init_checkpoint': 'table2/b12'}, [577, 289],
        86_860_265),
    'table4/b12': (PRETRAINING, {LAYOUT: 'B12(197)'}, [197], 87_159_017),
    'table4/b6-6': (
        PRETRAINING, {LAYOUT: 'B6(197)-6(99)'}, [197, 99], 87_159_017),
    'table4/b6-6-4': (
        PRETRAINING, {LAYOUT: 'B6(197)-6(99)-4(50)'}, [197, 99, 50],
        115_510_505),
    'table4/b6-6_h1024': (
        PRETRAINING, {LAYOUT: 'B6(197, h1024)-6(99, h1024)'}, [197, 99],
        128_525_801),
    'table4/b6-6_m4096': (
        PRETRAINING, {LAYOUT: 'B6(197, m4096)-6(99, m4096)'}, [197, 99],
        106_045_673),
    'table4/b6-6-4_m1536': (
        PRETRAINING, {LAYOUT: 'B6(197)-6(99)-4(50, m1536)'}, [197, 99, 50],
        106_067_177),
    'table4/b6-6-2_m1536': (
        PRETRAINING, {LAYOUT: 'B6(197)-6(99)-2(50, m1536)'}, [197, 99, 50],
        96_613_097),
    'table4/b6_m4096-6-2_m1536': (
        PRETRAINING, {LAYOUT: 'B6(197, m4096)-6(99)-2(50, m1536)'},
        [197, 99, 50], 106_056_425),
}


def test_every_file_is_a_row_and_every_row_a_file():
  files = experiment.shipped_config_files()
  assert set(ROWS) == {
      name for name in files if not name.startswith(
          (*write_experiments.NO_ROWS, 'imagenet21k/'))}


@pytest.mark.addons
@pytest.mark.parametrize('name', ROWS)
def test_a_row_holds_what_the_paper_varies_and_nothing_else(name):
  base_name, varied, _, _ = ROWS[name]
  params = experiment.load(base_name, [name]).as_dict()
  expected = experiment.load(base_name).as_dict()
  backbone = expected['task']['model']['backbone']['funnel_vit']
  for key, value in varied.items():
    if key == 'init_checkpoint':
      expected['task'][key] = f'runs/{value}'
    else:
      assert backbone[key] != value
      backbone[key] = value
  assert params == expected


@pytest.mark.parametrize('name', ROWS)
def test_tokens_and_parameters(name):
  base_name, _, tokens, parameters = ROWS[name]
  model = experiment.load(base_name, [name]).task.model
  spec = specs.resolve(model.backbone.get(), model.input_size[:2])
  assert [block.num_tokens for block in spec.blocks] == tokens
  assert costs.count_parameters(spec, model.num_classes) == parameters


def test_gpus_take_an_epoch_at_a_time_in_steps_that_xla_compiles():
  params = experiment.load('funnel_vit_imagenet', ['gpu'])
  trainer, task = params.trainer, params.task
  assert params.runtime.enable_xla
  assert task.model.backbone.funnel_vit.fast_path.attention == 'auto'
  # Of 1,281,167 images in batches of 4,096, without a word to the host.
  assert trainer.steps_per_loop == trainer.summary_interval == 312
  assert trainer.train_tf_while_loop and trainer.train_tf_function
  for data in (task.train_data, task.validation_data):
    assert data.dtype == 'bfloat16'
    # tf.data tunes it, in any order that is quickest.
    assert data.prefetch_buffer_size is None
    assert not data.deterministic


# The widest; the other models are built by long proofs.
WIDEST = 'table4/b6-6_h1024'
# Without `make proofs FULL=1`: of each kind of row one.
STEPPED = (WIDEST, 'table2/b4-4-4_max', 'table3/funnel_to_funnel',
           'table4/b6_m4096-6-2_m1536')


@pytest.mark.parametrize('name', [
    name if name == WIDEST else pytest.param(name, marks=pytest.mark.long)
    for name in ROWS])
def test_the_model_has_these_tokens_and_parameters(name):
  base_name, _, tokens, parameters = ROWS[name]
  params = experiment.load(base_name, [name])
  with lazy_variable.lazy_init_scope():
    model = task_factory.get_task(params.task).build_model()
    assert [block.num_tokens for block in model.backbone.spec.blocks] == tokens
    assert model.count_params() == parameters


@pytest.mark.long
@pytest.mark.parametrize('name', proofs.choose(STEPPED, ROWS))
def test_one_step_of_training(name):
  params = experiment.load(ROWS[name][0], [name])
  task = task_factory.get_task(params.task)
  model = task.build_model()
  optimizer = task.create_optimizer(params.trainer.optimizer_config)
  # Past the first step, whose learning rate is 0 in a warm-up.
  optimizer.iterations.assign(1_000)
  images = tf.random.normal([1, *params.task.model.input_size])
  before = model.variables[-1].numpy()
  logs = task.train_step(
      (images, tf.constant([5])), model, optimizer,
      task.build_metrics(training=True))
  assert float(logs['loss']) == pytest.approx(np.log(1001), rel=1e-4)
  assert np.abs(model.variables[-1].numpy() - before).max() > 0
