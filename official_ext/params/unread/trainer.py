"""Where settings of the trainer and of the machine have no effect."""

from __future__ import annotations

from official.core import config_definitions as cfg

from official_ext.configs import image_classification
from official_ext.params.unread import reasons

_STEPS = ('steps_per_loop', 'checkpoint_interval', 'validation_interval')


def _is_given(params: cfg.ExperimentConfig, path: str) -> bool:
  return all(one.setting != path for one in params.trainer.derived)


def _steps_are_given(params: cfg.ExperimentConfig) -> bool:
  return all(_is_given(params, f'trainer.{name}') for name in _STEPS)


def _frozen_steps(params: cfg.ExperimentConfig) -> str:
  kind = params.trainer.optimizer_config.optimizer.type
  return f'trainer.optimizer_config.optimizer.{kind}.frozen_backbone_steps'


def _has_one_device(params: cfg.ExperimentConfig) -> bool:
  return (params.runtime.distribution_strategy == 'mirrored' and
          params.runtime.num_gpus < 2)


TABLE: tuple[reasons.Rule, ...] = (
    reasons.never(
        "nothing in Model Garden's driver reads it", *(
            f'runtime.{name}' for name in (
                'gpu_thread_mode', 'dataset_num_private_threads',
                'per_gpu_thread_count', 'worker_hosts', 'task_index',
                'num_packs', 'run_eagerly', 'batchnorm_spatial_persistent',
                'num_cores_per_replica', 'default_shard_dim',
                'use_tpu_mp_strategy'))),
    # The length of the training.
    reasons.where_not_zero(
        lambda params: _is_given(params, 'trainer.train_steps'),
        'trainer.train_steps is set, and wins. Set trainer.train_steps=0',
        'trainer.train_epochs'),
    reasons.where_not_zero(
        _steps_are_given, 'the intervals are set in steps, and win',
        'trainer.interval_epochs'),
    reasons.where(
        lambda params: params.trainer.learning_rate_scaling == 'none' and
        _is_given(params, 'trainer.learning_rate_scaling'),
        'trainer.learning_rate_scaling is none. Set it to linear or sqrt',
        'trainer.reference_batch_size'),
    # What happens in it.
    reasons.beside(
        lambda trainer: trainer.recovery_max_trials < 0,
        'trainer.recovery_max_trials is negative: the loss is not watched',
        'trainer.loss_upper_bound', 'trainer.recovery_begin_steps'),
    reasons.beside(
        lambda trainer: trainer.recovery_begin_steps > trainer.train_steps,
        'the run ends before trainer.recovery_begin_steps',
        'trainer.loss_upper_bound', 'trainer.recovery_begin_steps'),
    reasons.beside(
        lambda trainer: trainer.train_steps <= (
            image_classification.USUAL_LOSS_STEPS),
        'what a loss usually is is known after '
        f'{image_classification.USUAL_LOSS_STEPS} steps, and the run ends '
        'before (trainer.train_steps)', 'trainer.loss_spike_factor'),
    reasons.beside(
        lambda trainer: trainer.max_to_keep is None,
        'trainer.max_to_keep is null, so every checkpoint is kept',
        'trainer.keep_checkpoint_every_n_hours'),
    reasons.beside(
        lambda trainer: not trainer.preemption_on_demand_checkpoint,
        'trainer.preemption_on_demand_checkpoint is false',
        'trainer.preemption_metadata_server'),
    reasons.beside(
        lambda trainer: not trainer.best_checkpoint_eval_metric,
        'no best checkpoint is kept: set trainer.best_checkpoint_eval_metric '
        'and best_checkpoint_export_subdir',
        'trainer.best_checkpoint_metric_comp'),
    reasons.beside(
        lambda stopping: not stopping.patience_evaluations,
        'nothing is stopped early: set '
        'trainer.early_stopping.patience_evaluations to 5, for example',
        'trainer.early_stopping.metric', 'trainer.early_stopping.min_delta'),
    reasons.where(
        lambda params: params.trainer.warmup_share > 0,
        'trainer.warmup_share is set, and wins. Set trainer.warmup_share=0',
        'trainer.optimizer_config.warmup.*.warmup_steps'),
    reasons.where_not_zero(
        lambda params: _is_given(params, _frozen_steps(params)),
        'the optimizer has frozen_backbone_steps, which win. Set them to 0',
        'trainer.frozen_backbone_epochs'),
    reasons.beside(
        lambda export: not (export.at_end or export.at_best),
        'nothing is exported: trainer.export.at_end and at_best are false',
        'trainer.export.export_dir'),
    # The machine.
    reasons.where(
        lambda params: params.runtime.mixed_precision_dtype != 'float16',
        'the loss is scaled in float16 alone: '
        'runtime.mixed_precision_dtype is another', 'runtime.loss_scale'),
    reasons.where(
        lambda params: params.runtime.distribution_strategy not in (
            'mirrored', 'multi_worker_mirrored'),
        'runtime.distribution_strategy has nothing to reduce over devices',
        'runtime.all_reduce_alg'),
    reasons.where(
        _has_one_device, 'there is one device: runtime.num_gpus is below 2',
        'runtime.all_reduce_alg'),
    reasons.where(
        lambda params: params.runtime.distribution_strategy != 'tpu',
        'runtime.distribution_strategy is not tpu', 'runtime.tpu',
        'runtime.tpu_enable_xla_dynamic_padder', 'trainer.allow_tpu_summary'),
    reasons.where(
        lambda params: params.runtime.distribution_strategy == 'tpu',
        'runtime.distribution_strategy is tpu', 'runtime.num_gpus'),
)
