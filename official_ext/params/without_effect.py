"""Settings that change nothing, told by name: one table.

Model Garden's configurations have fields for every task and machine, and many
are read only together with others. A setting that somebody has set, other than
the experiment has it, and that this run does not read is refused where no run
reads it, and warned of where another configuration would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import fnmatch
from typing import Any

from absl import logging
from official.core import config_definitions as cfg
from official.modeling import hyperparams

from official_ext.modeling import specs
from official_ext.params import tree
from official_ext.params.fields import rules

# Says why a setting has no effect in an experiment, and what to do; None: it
# has one.
Reason = Callable[[cfg.ExperimentConfig, tree.Setting], str | None]

_OPTIMIZATION = 'trainer.optimizer_config'
_BACKBONE = 'task.model.backbone.funnel_vit'


@dataclasses.dataclass(frozen=True)
class Rule:
  """Where settings have no effect.

  Attributes:
    settings: their paths; * stands for anything.
    reason: why, in one experiment.
    is_always: whether it is so in all of them, and setting them is a mistake.
  """
  settings: tuple[str, ...]
  reason: Reason
  is_always: bool = False

  def covers(self, path: str) -> bool:
    """Returns whether a setting is one of the rule's."""
    return any(fnmatch.fnmatchcase(path, one) for one in self.settings)


def never(reason: str, *settings: str) -> Rule:
  """Settings that nothing reads here."""
  return Rule(
      settings, lambda params, setting: f'{reason}. Leave it out.',
      is_always=True)


def where(condition: Callable[[cfg.ExperimentConfig], bool], reason: str,
          *settings: str) -> Rule:
  """Settings that nothing reads where a condition holds."""
  return Rule(settings, lambda params, setting: (
      f'{reason}.' if condition(params) else None))


def beside(condition: Callable[[hyperparams.Config], bool], reason: str,
           *settings: str) -> Rule:
  """Settings that nothing reads where those beside them are so."""
  return Rule(settings, lambda params, setting: (
      f'{reason}.' if condition(setting.owner) else None))


def _always(params: cfg.ExperimentConfig) -> bool:
  del params
  return True


def _is_given(params: cfg.ExperimentConfig, path: str) -> bool:
  return all(one.setting != path for one in params.trainer.derived)


def _has_one_block(params: cfg.ExperimentConfig) -> bool:
  spec = specs.of_model(params.task.model)
  return spec is not None and len(spec.blocks) == 1


def _steps_are_given(params: cfg.ExperimentConfig) -> bool:
  return all(_is_given(params, f'trainer.{name}') for name in (
      'steps_per_loop', 'checkpoint_interval', 'validation_interval'))


def _smooths_labels(params: cfg.ExperimentConfig) -> bool:
  losses = params.task.losses
  return params.task.train_data.is_multilabel or (
      losses.one_hot and not losses.use_binary_cross_entropy)


def _has_schedule(params: cfg.ExperimentConfig) -> bool:
  config = params.trainer.optimizer_config
  return config.learning_rate.type != 'constant' or config.warmup.type


def _data(*names: str, of: str = '*') -> list[str]:
  """Returns the paths of fields of both data sets, or of one."""
  return [f'task.{of}_data.{name}' for name in names]


_MULTILABEL = ('task.train_data.is_multilabel is true, which has a loss and '
               'metrics of its own')

TABLE: tuple[Rule, ...] = (
    # What Model Garden has for other tasks and drivers.
    never("nothing in Model Garden's image classification reads it",
          'task.train_input_partition_dims', 'task.eval_input_partition_dims',
          'task.model_output_keys', 'task.allow_image_summary', 'task.name',
          *_data('decoder.*', 'weights')),
    never('it is the former name of aug_type, which is read in its place',
          *_data('aug_policy', 'randaug_magnitude')),
    never("Model Garden's image classification does not hand it on",
          *_data('aug_type.randaug.magnitude_std')),
    never("nothing in Model Garden's driver reads it", *(
        f'runtime.{name}' for name in (
            'gpu_thread_mode', 'dataset_num_private_threads',
            'per_gpu_thread_count', 'worker_hosts', 'task_index', 'num_packs',
            'run_eagerly', 'batchnorm_spatial_persistent',
            'num_cores_per_replica', 'default_shard_dim',
            'use_tpu_mp_strategy'))),
    never(f'the learning rate is that of {_OPTIMIZATION}.learning_rate',
          f'{_OPTIMIZATION}.optimizer.adafactor_keras.learning_rate'),
    never('gradients are clipped by the optimizer alone, not by the average',
          *(f'{_OPTIMIZATION}.ema.{name}' for name in (
              'clipnorm', 'clipvalue', 'global_clipnorm'))),
    never('a constant has no name', f'{_OPTIMIZATION}.learning_rate.constant.'
          'name'),
    # The data.
    where(_always, 'it is read of task.train_data, for evaluation too',
          *_data('image_field_key', 'label_field_key', 'is_multilabel',
                 of='validation')),
    where(_always, 'evaluation takes every image, in one order', *_data(
        'drop_remainder', 'deterministic', of='validation')),
    where(_always, 'only training reads it, not evaluation', *_data(
        'aug_rand_hflip', 'aug_type.*', 'color_jitter', 'crop_area_range',
        'random_erasing.*', 'repeated_augment', 'shuffle_buffer_size',
        'three_augment', of='validation')),
    # The run's seed stands there in a params.yaml of a former version.
    where(lambda params: (params.task.validation_data.seed !=
                          params.trainer.seed),
          'only training shuffles, not evaluation',
          *_data('seed', of='validation')),
    where(_always, 'only evaluation reads it; training crops by '
          'crop_area_range', *_data('center_crop_fraction', of='train')),
    beside(lambda data: not data.aug_crop,
           'nothing is cropped where aug_crop is false, and the images are '
           'decoded by what they are',
           *_data('decode_jpeg_only', 'crop_area_range',
                  'center_crop_fraction')),
    beside(lambda data: data.tfds_name and not data.tfds_skip_decoding_feature,
           'TFDS decodes the images', *_data('decode_jpeg_only')),
    beside(lambda data: data.tfds_name, 'the data are read from TFDS, not from '
           'files', *_data('file_type', 'sharding')),
    beside(lambda data: not data.tfds_name, 'the data are read from files, not '
           'from TFDS: tfds_name is empty', *_data(
               'tfds_split', 'tfds_data_dir', 'tfds_as_supervised',
               'tfds_skip_decoding_feature')),
    beside(lambda data: not data.enable_tf_data_service,
           'the tf.data service is not used: set enable_tf_data_service=true',
           *_data('tf_data_service_job_name', 'trainer_id',
                  'enable_shared_tf_data_service_between_parallel_trainers',
                  'apply_tf_data_service_before_batching'),
           'task.train_data.tf_data_service_address'),
    beside(lambda data: not data.tf_data_service_address,
           'there is no tf_data_service_address: set it, or --tf_data_service',
           *_data('enable_tf_data_service')),
    # The loss and the metrics.
    where(lambda params: params.task.train_data.is_multilabel, _MULTILABEL,
          'task.losses.one_hot', 'task.losses.soft_labels',
          'task.losses.use_binary_cross_entropy', 'task.evaluation.*'),
    where(lambda params: not _smooths_labels(params),
          'labels are smoothed only with task.losses.one_hot=true and '
          'use_binary_cross_entropy=false; mixed images have '
          'task.train_data.mixup_and_cutmix.label_smoothing',
          'task.losses.label_smoothing'),
    where(lambda params: not (params.task.losses.one_hot or
                              params.task.losses.soft_labels),
          'precision and recall need task.losses.one_hot=true or soft_labels',
          'task.evaluation.precision_and_recall_thresholds'),
    where(lambda params: not (
        params.task.evaluation.precision_and_recall_thresholds),
          'it needs task.evaluation.precision_and_recall_thresholds',
          'task.evaluation.report_per_class_precision_and_recall'),
    # The model.
    where(lambda params: not params.task.init_checkpoint,
          'there is no task.init_checkpoint', 'task.init_checkpoint_modules',
          'task.init_checkpoint_grid', 'task.init_checkpoint_resize_method'),
    where(lambda params: params.task.model.backbone.type != 'funnel_vit',
          'only the backbone funnel_vit is loaded at another resolution',
          'task.init_checkpoint_grid', 'task.init_checkpoint_resize_method'),
    where(lambda params: params.task.model.backbone.type in (
        'funnel_vit', 'vit'), 'the backbone has an activation of its own',
          'task.model.norm_activation.activation'),
    where(lambda params: params.task.model.backbone.type in (
        'funnel_vit', 'vit') and not params.task.model.add_head_batch_norm,
          'the model has no batch normalisation: '
          'task.model.add_head_batch_norm is false',
          'task.model.norm_activation.use_sync_bn',
          'task.model.norm_activation.norm_momentum',
          'task.model.norm_activation.norm_epsilon'),
    where(_has_one_block,
          f'nothing is pooled: {_BACKBONE}.layout has one block',
          f'{_BACKBONE}.pooling', f'{_BACKBONE}.pool_axes',
          f'{_BACKBONE}.pool_query_only'),
    where(lambda params: params.task.model.backbone.funnel_vit.pooler !=
          'token', f'{_BACKBONE}.pooler is not token, and needs every token of '
          'the last layer', f'{_BACKBONE}.fast_path.class_token_only'),
    where(lambda params: params.runtime.mixed_precision_dtype != 'bfloat16',
          'runtime.mixed_precision_dtype is not bfloat16',
          f'{_BACKBONE}.fast_path.float32_matmuls'),
    # The optimizer.
    where(lambda params: _is_given(params, 'trainer.train_steps'),
          'trainer.train_steps is set, and wins. Set trainer.train_steps=0',
          'trainer.train_epochs'),
    where(_steps_are_given, 'the intervals are set in steps, and win',
          'trainer.interval_epochs'),
    where(lambda params: params.trainer.learning_rate_scaling == 'none' and
          _is_given(params, 'trainer.learning_rate_scaling'),
          'trainer.learning_rate_scaling is none. Set it to linear or sqrt',
          'trainer.reference_batch_size'),
    where(_has_schedule, 'it is for a constant learning rate without warm-up',
          f'{_OPTIMIZATION}.optimizer.adafactor_keras.relative_step'),
    beside(lambda optimizer: not optimizer.momentum, 'momentum is 0',
           f'{_OPTIMIZATION}.optimizer.*.nesterov'),
    beside(lambda optimizer: not getattr(optimizer, 'weight_decay_rate', None),
           'weight_decay_rate is 0, so nothing decays',
           f'{_OPTIMIZATION}.optimizer.*.include_in_weight_decay',
           f'{_OPTIMIZATION}.optimizer.*.exclude_from_weight_decay'),
    beside(lambda warmup: not warmup.warmup_steps, 'warmup_steps is 0',
           f'{_OPTIMIZATION}.warmup.*.warmup_learning_rate',
           f'{_OPTIMIZATION}.warmup.*.power'),
    # The training.
    beside(lambda trainer: trainer.recovery_max_trials < 0,
           'trainer.recovery_max_trials is negative: the loss is not watched',
           'trainer.loss_upper_bound', 'trainer.recovery_begin_steps'),
    beside(lambda trainer: not trainer.best_checkpoint_eval_metric,
           'no best checkpoint is kept: set '
           'trainer.best_checkpoint_eval_metric and '
           'best_checkpoint_export_subdir',
           'trainer.best_checkpoint_metric_comp'),
    beside(lambda export: not (export.at_end or export.at_best),
           'nothing is exported: trainer.export.at_end and at_best are false',
           'trainer.export.export_dir'),
    # The machine.
    where(lambda params: params.runtime.mixed_precision_dtype != 'float16',
          'the loss is scaled in float16 alone: '
          'runtime.mixed_precision_dtype is another', 'runtime.loss_scale'),
    where(lambda params: params.runtime.distribution_strategy not in (
        'mirrored', 'multi_worker_mirrored'),
          'runtime.distribution_strategy has nothing to reduce over devices',
          'runtime.all_reduce_alg'),
    where(lambda params: params.runtime.distribution_strategy != 'tpu',
          'runtime.distribution_strategy is not tpu', 'runtime.tpu',
          'runtime.tpu_enable_xla_dynamic_padder', 'trainer.allow_tpu_summary'),
    where(lambda params: params.runtime.distribution_strategy == 'tpu',
          'runtime.distribution_strategy is tpu', 'runtime.num_gpus'),
)


def reason(params: cfg.ExperimentConfig, setting: tree.Setting) -> str | None:
  """Returns why the table says that a setting has no effect; None: it has."""
  rule = _rule(params, setting)
  return rule.reason(params, setting) if rule else None


def check(params: cfg.ExperimentConfig, default: cfg.ExperimentConfig) -> None:
  """Refuses settings that no run reads, and warns of those that this does not.

  Args:
    params: an experiment of ours, resolved.
    default: the experiment as it is registered; what is as in it was set by
      nobody.

  Raises:
    ValueError: naming the setting, why it has no effect and what to do.
  """
  for setting, why, is_always in find(params, default):
    text = (f'{setting.path} is {rules.show(setting.value)}, but has no '
            f'effect: {why}')
    if is_always:
      raise ValueError(text)
    logging.warning('%s', text)


def find(params: cfg.ExperimentConfig, default: cfg.ExperimentConfig
         ) -> Iterator[tuple[tree.Setting, str, bool]]:
  """Finds what was set without effect.

  Args:
    params: as in `check`.
    default: as in `check`.

  Yields:
    The setting, the reason, and whether it is so in every experiment.
  """
  before = {one.path: _comparable(one.value)
            for one in tree.walk(default, opens_unset=True)}
  given = {one.setting: one.given for one in params.trainer.derived}
  for setting in tree.walk(params):
    value = setting.value
    if isinstance(value, hyperparams.Config) or setting.path == (
        'trainer.derived'):
      continue
    is_set = _comparable(given.get(setting.path, value)) != before.get(
        setting.path)
    if not is_set:
      continue
    if not setting.is_chosen:
      yield setting, _not_chosen(params, setting.path), False
      continue
    rule = _rule(params, setting)
    if rule:
      yield setting, rule.reason(params, setting), rule.is_always


def _rule(params: cfg.ExperimentConfig, setting: tree.Setting) -> Rule | None:
  return next((rule for rule in TABLE if rule.covers(setting.path) and
               rule.reason(params, setting)), None)


def _comparable(value: Any) -> Any:
  return list(value) if isinstance(value, tuple) else value


def _not_chosen(params: cfg.ExperimentConfig, path: str) -> str:
  """Says which one-of on the way to a setting has chosen another way."""
  group: Any = params
  one_of, name = '', path
  while not isinstance(group, hyperparams.OneOfConfig) or (
      name.partition('.')[0] == group.type):
    first, _, name = name.partition('.')
    group = getattr(group, first)
    one_of += f'.{first}' if one_of else first
  return (f'{one_of}.type is {rules.show(group.type)}. Set it to '
          f'{name.partition(".")[0]}, or leave this out.')
