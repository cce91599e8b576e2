"""The same losses, step by step, however a step is distributed."""

import event_files
import models
import numpy as np
import pytest
import workers

from data_prep import digits_to_tfrecord
from official_ext.params import experiment
from official_ext.training import event_tags
from official_ext.training import session

pytestmark = pytest.mark.long

STEPS = 20
TIMEOUT_SECONDS = 300


@pytest.fixture(scope='module')
def overrides(tmp_path_factory):
  """Batches that hold the same images whoever reads them: one file, in order.

  20 steps of 64 images are less than the 1,437 images. 37 images in each step
  of the evaluation leave a last one of 27.
  """
  data_dir = tmp_path_factory.mktemp('one_shard')
  digits_to_tfrecord.convert(
      str(data_dir), num_train_shards=1, num_samples=1)
  return ','.join([
      f"task.data_dir='{data_dir}'",
      "task.model.backbone.funnel_vit.layout='B1-1'",
      'task.losses.one_hot=true', 'task.losses.soft_labels=false',
      'task.train_data.mixup_and_cutmix=null',
      'task.train_data.shuffle_buffer_size=1', 'task.train_data.cache=false',
      'task.train_data.global_batch_size=64',
      'task.validation_data.global_batch_size=74',
      f'trainer.train_steps={STEPS}', 'trainer.steps_per_loop=1',
      f'trainer.validation_interval={STEPS}',
      f'trainer.checkpoint_interval={STEPS}',
      'trainer.export.at_end=false',
      'trainer.optimizer_config.learning_rate.cosine.initial_learning_rate='
      '0.005', 'trainer.optimizer_config.warmup.linear.warmup_steps=5'])


def run(overrides, model_dir, strategy=None):
  params = experiment.load('funnel_vit_digits', params_override=overrides)
  session.prepare(
      params, 'train_and_eval', str(model_dir), strategy=strategy).execute(
          enable_async_checkpointing=False)
  return curves(model_dir)


def curves(model_dir):
  """The loss of each step, and what the evaluation found."""
  train = event_files.scalars(model_dir / 'train')
  validation = event_files.scalars(model_dir / 'validation')
  assert sorted(train['training_loss']) == list(range(1, STEPS + 1))
  return ([train[name][step] for name in ('training_loss', 'accuracy')
           for step in sorted(train[name])],
          {name: validation[name][STEPS] for name in (
              event_tags.NUM_IMAGES, 'validation_loss', 'accuracy')})


@pytest.fixture(scope='module')
def one_process(overrides, tmp_path_factory):
  return run(overrides, tmp_path_factory.mktemp('one_process'))


def assert_same(found, expected):
  np.testing.assert_allclose(found[0], expected[0], rtol=2e-5)
  assert found[1] == pytest.approx(expected[1], rel=2e-5)
  assert found[1][event_tags.NUM_IMAGES] == 360


def test_training_gets_somewhere(one_process):
  losses = one_process[0][:STEPS]
  assert losses[0] == pytest.approx(np.log(10), rel=1e-3)
  assert min(losses) < 0.9 * losses[0]


def test_accumulated_gradients(overrides, one_process, tmp_path):
  assert_same(
      run(f'{overrides},task.gradient_accumulation_steps=4', tmp_path),
      one_process)


def test_two_replicas(overrides, one_process, tmp_path):
  assert_same(run(overrides, tmp_path, models.mirrored(2)), one_process)


def test_accumulated_gradients_on_two_replicas(
    overrides, one_process, tmp_path):
  assert_same(
      run(f'{overrides},task.gradient_accumulation_steps=4', tmp_path,
          models.mirrored(2)),
      one_process)


def test_two_workers(overrides, one_process, tmp_path, repository):
  processes = workers.start(
      2, '--experiment=funnel_vit_digits', '--mode=train_and_eval',
      f'--model_dir={tmp_path}/run', '--params_override='
      f'{overrides},runtime.distribution_strategy=multi_worker_mirrored,'
      'trainer.best_checkpoint_export_subdir=best,'
      'trainer.best_checkpoint_eval_metric=accuracy',
      cwd=repository, log_dir=tmp_path)
  codes = [process.wait(TIMEOUT_SECONDS) for process in processes]
  logs = [(tmp_path / f'worker-{index}.txt').read_text() for index in (0, 1)]
  assert codes == [0, 0], '\n'.join(logs)
  assert_same(curves(tmp_path / 'run'), one_process)
  # The chief speaks and writes for all.
  assert 'Funnel-ViT vit-nano4, B1(17)-1(9)' in logs[0]
  assert 'Funnel-ViT' not in logs[1]
  assert len(list((tmp_path / 'run' / 'train').glob('events.*'))) == 1
  assert (tmp_path / 'run' / 'best' / 'info.json').exists()
  assert (tmp_path / 'run' / 'best' / 'checkpoint').exists()
