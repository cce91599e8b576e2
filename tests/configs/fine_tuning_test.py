"""What funnel_vit_finetune comes to for data of one's own."""

from official.core import task_factory
import pytest

from official_ext.params import experiment

NAME = 'funnel_vit_finetune'


def load(*overrides):
  return experiment.load(NAME, params_override=','.join(
      ['task.train_data.num_examples=640', *overrides]))


def test_steps_and_learning_rate_follow_from_the_data():
  trainer = load().trainer
  # 10 steps an epoch, 50 epochs, a tenth of it warm-up.
  assert trainer.train_steps == 500
  assert trainer.optimizer_config.warmup.get().warmup_steps == 50
  assert trainer.validation_interval == 10
  rate = trainer.optimizer_config.learning_rate.get()
  assert rate.decay_steps == 500
  # That of a batch of 256, at one of 64.
  assert rate.initial_learning_rate == pytest.approx(5e-4 / 4)
  assert trainer.optimizer_config.optimizer.get().num_layers == 12
  trainer = load('trainer.train_epochs=7', 'trainer.warmup_share=0.2').trainer
  assert trainer.optimizer_config.warmup.get().warmup_steps == 14


def test_the_best_weights_are_kept_and_exported():
  trainer = load().trainer
  assert trainer.best_checkpoint_export_subdir == 'best'
  assert trainer.export.at_best
  assert not trainer.export.at_end
  assert trainer.best_checkpoint_eval_metric == trainer.early_stopping.metric
  metrics = task_factory.get_task(load().task).best_checkpoint_metrics()
  assert trainer.early_stopping.metric in metrics


def test_it_says_that_the_images_are_to_be_counted():
  with pytest.raises(ValueError, match='Set num_examples to the number'):
    experiment.load(NAME)


def test_steps_beside_a_share_are_told(caplog):
  steps = 'trainer.optimizer_config.warmup.linear.warmup_steps'
  params = load(f'{steps}=3')
  assert f'{steps} is 3, but has no effect: trainer.warmup_share' in caplog.text
  assert params.trainer.optimizer_config.warmup.get().warmup_steps == 50
  params = load(f'{steps}=3', 'trainer.warmup_share=0')
  assert params.trainer.optimizer_config.warmup.get().warmup_steps == 3


def test_a_share_without_a_warmup_is_refused():
  with pytest.raises(ValueError, match='warmup_share is 0.1, but the exp'):
    load('trainer.optimizer_config.warmup.type=null')
