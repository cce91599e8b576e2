"""What another value of a setting means for a training that goes on: one table.

A training that is interrupted resumes with whatever it is given then. Which of
the differences only concern the machine, and which make it another training,
is entered here for every setting of an experiment.
"""

from __future__ import annotations

import enum
import fnmatch

_MODEL = 'task.model'
_BACKBONES = f'{_MODEL}.backbone'
_BACKBONE = f'{_BACKBONES}.funnel_vit'
_HEAD = f'{_MODEL}.head'
_DECODER = f'{_MODEL}.decoder'
_TRAIN_DATA = 'task.train_data'
_OPTIMIZATION = 'trainer.optimizer_config'


class Kind(enum.Enum):
  """What another value means, as a table says it."""
  HARMLESS = 'harmless'
  # How long: harmless where the learning rate does not follow from it.
  LENGTH = 'extends the training'
  TRAINING = 'changes the training'
  # Another model, unless both values come to the same one.
  ARCHITECTURE = 'impossible'
  # Always other variables.
  VARIABLES = 'impossible: other variables'


def _of(group: str, *names: str) -> tuple[str, ...]:
  """Returns the paths of fields of a group."""
  return tuple(f'{group}.{name}' for name in names)


# The settings of each kind, by their paths; * stands for anything. It stands
# for the names of fields only where these are of one kind by their nature: a
# new field elsewhere has no kind, which a test finds.
TABLE: dict[Kind, tuple[str, ...]] = {
    Kind.HARMLESS: (
        # Where things lie.
        'task.data_dir', 'task.class_names_path',
        *_of(_TRAIN_DATA, 'input_path', 'tfds_data_dir'),
        # Read once, before the first step.
        'task.init_checkpoint', 'task.init_checkpoint_modules',
        'task.init_checkpoint_grid', 'task.init_checkpoint_resize_method',
        f'{_MODEL}.kernel_initializer', f'{_BACKBONE}.original_init',
        f'{_BACKBONES}.vit.original_init',
        # How fast the same is computed, and with how much memory.
        f'{_BACKBONE}.fast_path.*', f'{_BACKBONE}.gradient_checkpointing',
        'task.gradient_accumulation_steps',
        f'{_MODEL}.norm_activation.use_sync_bn',
        *_of(_TRAIN_DATA, 'cache', 'prefetch_buffer_size', 'ram_budget',
             'autotune_algorithm', 'enable_tf_data_service',
             'tf_data_service_address', 'tf_data_service_job_name',
             'enable_shared_tf_data_service_between_parallel_trainers',
             'apply_tf_data_service_before_batching', 'trainer_id'),
        'runtime.distribution_strategy', 'runtime.enable_xla',
        'runtime.gpu_thread_mode', 'runtime.dataset_num_private_threads',
        'runtime.per_gpu_thread_count', 'runtime.tpu', 'runtime.num_gpus',
        'runtime.worker_hosts', 'runtime.task_index', 'runtime.all_reduce_alg',
        'runtime.num_packs', 'runtime.run_eagerly',
        'runtime.batchnorm_spatial_persistent',
        'runtime.tpu_enable_xla_dynamic_padder',
        'runtime.num_cores_per_replica', 'runtime.default_shard_dim',
        'runtime.use_tpu_mp_strategy',
        *_of('trainer', 'train_tf_while_loop', 'train_tf_function',
             'eval_tf_function', 'eval_tf_while_loop', 'allow_tpu_summary',
             'deterministic'),
        # What is evaluated, logged, kept and exported.
        'task.validation_data', 'task.validation_data.*', 'task.evaluation.*',
        'task.name', 'task.allow_image_summary', 'task.model_output_keys',
        'task.train_input_partition_dims', 'task.eval_input_partition_dims',
        'task.export_config.rescale_output',
        *_of('trainer', 'interval_epochs', 'steps_per_loop',
             'summary_interval', 'checkpoint_interval', 'validation_interval',
             'validation_steps', 'max_to_keep',
             'keep_checkpoint_every_n_hours', 'continuous_eval_timeout',
             'best_checkpoint_export_subdir', 'best_checkpoint_eval_metric',
             'best_checkpoint_metric_comp', 'validation_summary_subdir',
             'loss_upper_bound', 'loss_spike_factor', 'recovery_begin_steps',
             'recovery_max_trials',
             'preemption_on_demand_checkpoint', 'preemption_metadata_server',
             'export.at_end', 'export.at_best', 'export.export_dir',
             # Only how long; no step is another.
             'early_stopping.patience_evaluations', 'early_stopping.metric',
             'early_stopping.min_delta', 'logging.training_images',
             'logging.confusion_matrix', 'logging.wandb', 'logging.mlflow'),
        # It says of others how they were set.
        'trainer.derived',
    ),
    Kind.LENGTH: _of('trainer', 'train_steps', 'train_epochs'),
    Kind.TRAINING: (
        f'{_OPTIMIZATION}.*', 'task.losses.*', 'task.class_weights',
        'task.class_sampling', 'task.distillation.*', 'trainer.warmup_share',
        'trainer.frozen_backbone_epochs',
        'task.differential_privacy_config',
        'task.differential_privacy_config.*', 'task.freeze_backbone',
        # Of Model Garden's own backbones, whose variables stay the same.
        *_of(_BACKBONES, 'resnet.resnetd_shortcut', 'resnet.bn_trainable',
             'resnet.scale_stem', 'dilated_resnet.resnetd_shortcut',
             'dilated_resnet.output_stride', 'dilated_resnet.multigrid',
             'mobilenet.flat_stochastic_depth_drop_rate',
             'mobilenet.output_stride',
             'mobilenet.output_intermediate_endpoints',
             'spinenet_mobile.use_keras_upsampling_2d',
             'vit.init_stochastic_depth_rate', 'vit.output_*',
             'vit.layer_scale_init_value', 'vit.transformer_partition_dims',
             'vit.transformer.attention_dropout_rate',
             'vit.transformer.dropout_rate'),
        *(f'{_BACKBONES}.{kind}.stochastic_depth_drop_rate' for kind in (
            'resnet', 'dilated_resnet', 'efficientnet', 'spinenet',
            'spinenet_mobile', 'mobilenet')),
        f'{_MODEL}.input_size', f'{_MODEL}.dropout_rate',
        f'{_MODEL}.output_softmax',
        *_of(f'{_MODEL}.norm_activation', 'activation', 'norm_momentum',
             'norm_epsilon'),
        *_of(_BACKBONE, 'transformer.attention_dropout_rate',
             'transformer.dropout_rate', 'init_stochastic_depth_rate',
             'crop_to_patches'),
        *_of(_TRAIN_DATA, 'tfds_name', 'tfds_split', 'tfds_as_supervised',
             'tfds_skip_decoding_feature', 'global_batch_size', 'is_training',
             'drop_remainder', 'shuffle_buffer_size', 'cycle_length',
             'block_length', 'deterministic', 'sharding', 'seed', 'dtype',
             'is_multilabel', 'aug_rand_hflip', 'aug_crop', 'crop_area_range',
             'aug_type', 'aug_type.*', 'three_augment', 'color_jitter',
             'random_erasing', 'random_erasing.*', 'file_type',
             'image_field_key', 'label_field_key', 'decode_jpeg_only',
             'mixup_and_cutmix', 'mixup_and_cutmix.*', 'decoder', 'decoder.*',
             'aug_policy', 'randaug_magnitude', 'center_crop_fraction',
             'tf_resize_method', 'repeated_augment', 'num_examples',
             'label_offset', 'weights', 'max_corrupt_records', 'mean_rgb',
             'stddev_rgb', 'resize_antialias', 'resize_mode',
             # Of images with masks.
             'image_feature.*', 'output_size', 'crop_size', 'aug_scale_min',
             'aug_scale_max', 'preserve_aspect_ratio',
             'resize_eval_groundtruth', 'groundtruth_padded_size',
             'additional_dense_features', 'centered_crop'),
        f'{_HEAD}.upsample_factor', f'{_HEAD}.logit_activation',
        f'{_DECODER}.aspp.dropout_rate', f'{_DECODER}.aspp.dilation_rates',
        f'{_DECODER}.aspp.pool_kernel_size', f'{_DECODER}.aspp.output_tensor',
        *_of('trainer', 'seed', 'learning_rate_scaling',
             'reference_batch_size'),
        'runtime.mixed_precision_dtype', 'runtime.loss_scale',
    ),
    Kind.ARCHITECTURE: (
        f'{_MODEL}.num_classes', f'{_MODEL}.backbone.type',
        *_of(_BACKBONE, 'model_name', 'layout', 'pooling', 'pool_axes',
             'pool_query_only', 'position_embedding', 'attention_bias',
             'pooler', 'representation_size', 'hidden_size', 'patch_size',
             'transformer.mlp_dim', 'transformer.num_heads',
             'transformer.activation', 'transformer.norm_epsilon',
             'layer_scale_init_value', 'projection_size', 'class_token',
             'class_token_position', 'distillation_token', 'num_registers',
             'patch_bias', 'norm_before_layers', 'final_norm',
             'feature_maps.levels', 'feature_maps.source',
             'feature_maps.recovery_layers', 'feature_maps.pyramid_filters'),
    ),
    Kind.VARIABLES: (
        f'{_MODEL}.add_head_batch_norm',
        # Of a model that segments.
        *_of(_MODEL, 'min_level', 'max_level', 'mask_scoring_head',
             'mask_scoring_head.*'),
        *_of(_HEAD, 'level', 'num_convs', 'num_filters',
             'use_depthwise_convolution', 'prediction_kernel_size',
             'feature_fusion', 'low_level', 'low_level_num_filters',
             'decoder_min_level', 'decoder_max_level'),
        *_of(_DECODER, 'type', 'fpn.*', 'nasfpn.*', 'aspp.level',
             'aspp.num_filters', 'aspp.use_depthwise_convolution',
             'aspp.spp_layer_version'),
        *(f'{_BACKBONES}.{kind}.model_id' for kind in (
            'resnet', 'dilated_resnet', 'revnet', 'efficientnet', 'spinenet',
            'spinenet_mobile', 'mobilenet', 'mobiledet')),
        *(f'{_BACKBONES}.{kind}.se_ratio' for kind in (
            'resnet', 'dilated_resnet', 'efficientnet', 'spinenet_mobile')),
        *(f'{_BACKBONES}.{kind}.{name}' for kind in ('spinenet',
                                                     'spinenet_mobile')
          for name in ('min_level', 'max_level')),
        *_of(_BACKBONES, 'resnet.depth_multiplier', 'resnet.stem_type',
             'resnet.replace_stem_max_pool', 'dilated_resnet.stem_type',
             'dilated_resnet.replace_stem_max_pool',
             'dilated_resnet.last_stage_repeats',
             'spinenet_mobile.expand_ratio', 'mobilenet.filter_size_scale',
             'mobiledet.filter_size_scale', 'vit.model_name', 'vit.pooler',
             'vit.representation_size', 'vit.hidden_size', 'vit.patch_size',
             'vit.pos_embed_shape', 'vit.transformer.mlp_dim',
             'vit.transformer.num_heads', 'vit.transformer.num_layers'),
    ),
}


# With these the grid of patches may change, and with it the variables.
OF_GRID = (f'{_MODEL}.input_size', f'{_BACKBONE}.crop_to_patches')


def of_setting(path: str) -> Kind:
  """Returns what another value of a setting means.

  Args:
    path: of the setting, such as 'trainer.seed'.

  Returns:
    Its kind; of one that Model Garden has in a version that the table does not
    know, `Kind.TRAINING`, so that it does not pass unseen.
  """
  found = kinds(path)
  return found[0] if found else Kind.TRAINING


def kinds(path: str) -> list[Kind]:
  """Returns all kinds under which the table has a setting."""
  return [kind for kind, settings in TABLE.items()
          if any(fnmatch.fnmatchcase(path, one) for one in settings)]
