"""What the fields of the trainer and of the runtime take."""

from __future__ import annotations

from official.core import config_definitions as cfg

from official_ext.configs import image_classification as configs
from official_ext.configs import outputs
from official_ext.configs import small_data
from official_ext.params.fields import rules
from official_ext.params.fields import task

_DERIVED_STEPS = rules.whole(at_least=0, meaning='0: from the epochs')
_MAX_EPOCHS = 1_000_000
# More are not told apart in one picture.
MAX_TRAINING_IMAGES = 64


def _is_folder_below(value: str) -> bool:
  """Returns whether a path stays inside the folder that it is relative to."""
  parts = value.split('/')
  return (not value or ('\0' not in value and '\\' not in value and
          '://' not in value and all(
              part.strip() not in ('', '.', '..') for part in parts)))


_FOLDER_BELOW = rules.Rule(
    'the name of a folder inside the model_dir, without .. and without / in '
    'front, such as best',
    lambda value: isinstance(value, str) and _is_folder_below(value))

TABLE: dict[type, dict[str, rules.Rule]] = {
    cfg.TrainerConfig: {
        'train_tf_while_loop': rules.flag(),
        'train_tf_function': rules.flag(),
        'eval_tf_function': rules.flag(),
        'eval_tf_while_loop': rules.flag(),
        'allow_tpu_summary': rules.flag(),
        'steps_per_loop': _DERIVED_STEPS,
        'summary_interval': _DERIVED_STEPS,
        'checkpoint_interval': _DERIVED_STEPS,
        'max_to_keep': rules.whole(at_least=1, null='all'),
        'continuous_eval_timeout': rules.whole(
            at_least=0, null='no limit'),
        'train_steps': _DERIVED_STEPS,
        'validation_steps': rules.Rule(
            'a whole number of at least 1, or -1 for all images',
            lambda value: (value == -1 and type(value) is int) or
            rules.whole(at_least=1).accepts(value), nearest=lambda value: -1),
        'validation_interval': _DERIVED_STEPS,
        'best_checkpoint_export_subdir': _FOLDER_BELOW,
        'best_checkpoint_eval_metric': rules.text(),
        'best_checkpoint_metric_comp': rules.choice(('higher', 'lower')),
        'loss_upper_bound': rules.number(above=0),
        'recovery_begin_steps': rules.whole(at_least=0),
        'recovery_max_trials': rules.whole(
            at_least=-1, meaning='-1: never look at the loss'),
        'validation_summary_subdir': _FOLDER_BELOW,
        'preemption_on_demand_checkpoint': rules.flag(),
    },
    configs.TrainerConfig: {
        'train_epochs': rules.number(at_least=0, at_most=_MAX_EPOCHS),
        'interval_epochs': rules.number(at_least=0, at_most=_MAX_EPOCHS),
        'learning_rate_scaling': rules.choice(('none', 'linear', 'sqrt')),
        'reference_batch_size': rules.whole(
            at_least=0, meaning='0: none'),
        'seed': task.SEED,
        'deterministic': rules.flag(),
        'loss_spike_factor': rules.number(
            above=1, null='a loss may rise as it likes'),
        'derived': rules.Rule(
            'what a training wrote there',
            lambda value: isinstance(value, list) and all(
                isinstance(one, configs.DerivedSetting) for one in value)),
        'keep_checkpoint_every_n_hours': rules.number(
            above=0, null='none is kept for good'),
        'preemption_metadata_server': rules.matching(
            r'(https?://[^/\s]+/?)?',
            'an address such as http://metadata.google.internal, or nothing',
            null="Google's own, on its machines"),
    },
    small_data.TrainerConfig: {
        'warmup_share': rules.fraction(),
        'frozen_backbone_epochs': rules.number(
            at_least=0, at_most=_MAX_EPOCHS),
    },
    small_data.EarlyStopping: {
        'patience_evaluations': rules.whole(
            at_least=0, meaning='0: never stop early'),
        'metric': rules.text(),
        'min_delta': rules.number(at_least=0),
    },
    outputs.LoggingConfig: {
        'training_images': rules.whole(
            at_least=0, at_most=MAX_TRAINING_IMAGES, meaning='0: none'),
        'confusion_matrix': rules.flag(),
        'wandb': rules.matching(
            r'([^\s/][^/\\#?%:]*(/[^/\\#?%:]+)?)?',
            'the name of a project, such as funnel-vit, or ENTITY/PROJECT'),
        'mlflow': rules.text(),
    },
    outputs.ExportConfig: {
        'at_end': rules.flag(),
        'at_best': rules.flag(),
        'export_dir': rules.text(),
    },
    cfg.RuntimeConfig: {
        'distribution_strategy': rules.choice(
            ('one_device', 'mirrored', 'multi_worker_mirrored', 'tpu', 'off')),
        'enable_xla': rules.flag(),
        'gpu_thread_mode': rules.choice(
            ('global', 'gpu_private', 'gpu_shared'), null='automatic'),
        'dataset_num_private_threads': rules.whole(
            at_least=1, at_most=10_000, null='automatic'),
        'per_gpu_thread_count': rules.whole(
            at_least=0, at_most=10_000, meaning='0: automatic'),
        'tpu': rules.text(null='none'),
        'num_gpus': rules.whole(at_least=0),
        'worker_hosts': rules.text(null='none'),
        'task_index': rules.whole(at_least=-1),
        'all_reduce_alg': rules.choice(
            ('nccl', 'ring', 'hierarchical_copy'), null='automatic'),
        'num_packs': rules.whole(at_least=0),
        'mixed_precision_dtype': rules.choice(
            configs.PRECISIONS, null='float32'),
        'loss_scale': rules.Rule(
            'dynamic or a number above 0',
            lambda value: value == 'dynamic' or
            rules.number(above=0).accepts(value), null='none',
            choices=['dynamic'],
            convert=lambda value: value if isinstance(value, str)
            else float(value)),
        'run_eagerly': rules.flag(),
        'batchnorm_spatial_persistent': rules.flag(),
        'tpu_enable_xla_dynamic_padder': rules.flag(null='as XLA does'),
        'num_cores_per_replica': rules.whole(at_least=1),
        'default_shard_dim': rules.whole(at_least=-1),
        'use_tpu_mp_strategy': rules.flag(),
    },
}
