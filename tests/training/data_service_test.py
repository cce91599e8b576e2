"""Training on what a tf.data service prepares: a dispatcher and two workers."""

import collections

import commands
from official.core import task_factory
import pytest
import tensorflow as tf

from official_ext.params import experiment

WORKERS = 2
SHORT = ('trainer.seed=null,trainer.train_steps=60,trainer.steps_per_loop=30,'
         'trainer.checkpoint_interval=60,trainer.validation_interval=60,'
         'trainer.export.at_end=false,'
         'trainer.optimizer_config.warmup.linear.warmup_steps=5')


@pytest.fixture(name='address')
def _address():
  service = tf.data.experimental.service
  dispatcher = service.DispatchServer()
  _, _, address = dispatcher.target.partition('://')
  workers = [
      service.WorkerServer(service.WorkerConfig(dispatcher_address=address))
      for _ in range(WORKERS)]
  yield dispatcher.target
  del workers


@pytest.mark.long
def test_a_training(repository, digits_dir, address, tmp_path):
  result = commands.run_alone(
      'train.py', '--experiment=funnel_vit_digits', '--mode=train_and_eval',
      f'--model_dir={tmp_path}/run', f'--tf_data_service={address}',
      '--params_override='
      f"task.data_dir='{digits_dir}',{SHORT},"
      'task.train_data.enable_tf_data_service=true', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert 'step 60/60  train' in result.stdout
  assert 'step 60/60  validation' in result.stdout


@pytest.mark.slow
def test_workers_read_in_orders_of_their_own(digits_dir, address):
  params = experiment.load(
      'funnel_vit_digits', tf_data_service=address, params_override=(
          f"task.data_dir='{digits_dir}',trainer.seed=null,"
          'task.losses.one_hot=true,task.losses.soft_labels=false,'
          'task.train_data.mixup_and_cutmix=null,'
          'task.train_data.enable_tf_data_service=true'))
  # As in a training without a seed; the tests have one.
  tf.random.set_seed(None)
  dataset = task_factory.get_task(params.task).build_inputs(
      params.task.train_data, tf.distribute.InputContext())
  batches = collections.Counter(
      images.numpy().tobytes() for images, _ in dataset.take(20))
  assert len(batches) == 20


def test_a_seed_is_refused():
  with pytest.raises(ValueError, match='trainer.seed is 1, so every worker'):
    experiment.load(
        'funnel_vit_digits',
        params_override='task.train_data.enable_tf_data_service=true')
