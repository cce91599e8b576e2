"""Where settings of the data and of their augmentation have no effect."""

from __future__ import annotations

from official.vision.configs import common
from official.vision.ops import augment

from official_ext.params.unread import reasons

_MIXING = 'task.train_data.mixup_and_cutmix'
_RANDAUG = 'task.train_data.aug_type.randaug'
_AUTOAUG = 'task.train_data.aug_type.autoaug'
_TRANSLATIONS = ('TranslateX', 'TranslateY')


def _data(*names: str, of: str = '*') -> list[str]:
  """Returns the paths of fields of both data sets, or of one."""
  return [f'task.{of}_data.{name}' for name in names]


def _has_operation(policy: common.AutoAugment, *names: str) -> bool:
  """Returns whether a policy of AutoAugment has one of some operations."""
  policies = augment.AutoAugment(policy.augmentation_name).policies
  return any(operation in names for several in policies
             for operation, *_ in several)


TABLE: tuple[reasons.Rule, ...] = (
    reasons.never(
        "nothing in Model Garden's image classification reads it",
        *_data('decoder.*', 'weights')),
    reasons.never('it is the former name of aug_type, which is read in its '
                  'place', *_data('aug_policy', 'randaug_magnitude')),
    reasons.never("Model Garden's image classification does not hand it on",
                  *_data('aug_type.randaug.magnitude_std')),
    reasons.where(
        reasons.everywhere, 'it is read of task.train_data, for evaluation too',
        *_data('image_field_key', 'label_field_key', 'is_multilabel',
               of='validation')),
    reasons.where(
        reasons.everywhere, 'evaluation takes every image, in one order',
        *_data('drop_remainder', 'deterministic', of='validation')),
    reasons.where(
        reasons.everywhere,
        'the workers of an evaluation share its images themselves',
        *_data('sharding', of='validation')),
    reasons.beside(
        lambda data: not (data.tfds_name or data.enable_tf_data_service),
        'the records have the order of the training, each worker its own',
        *_data('block_length', 'deterministic', 'sharding', of='train')),
    reasons.where(
        reasons.everywhere, 'only training reads it, not evaluation', *_data(
            'aug_rand_hflip', 'aug_type.*', 'color_jitter', 'crop_area_range',
            'random_erasing.*', 'repeated_augment', 'shuffle_buffer_size',
            'three_augment', 'max_corrupt_records', of='validation')),
    # The run's seed stands there in a params.yaml of a former version.
    reasons.where(
        lambda params: (params.task.validation_data.seed !=
                        params.trainer.seed),
        'only training shuffles, not evaluation',
        *_data('seed', of='validation')),
    reasons.where(
        reasons.everywhere, 'only evaluation reads it; training crops by '
        'crop_area_range',
        *_data('center_crop_fraction', 'resize_mode', of='train')),
    reasons.beside(
        lambda data: not data.aug_crop,
        'nothing is cropped where aug_crop is false, and the images are '
        'decoded by what they are',
        *_data('decode_jpeg_only', 'crop_area_range', 'center_crop_fraction',
               'resize_mode')),
    reasons.beside(
        lambda data: data.tfds_name and not data.tfds_skip_decoding_feature,
        'TFDS decodes the images', *_data('decode_jpeg_only')),
    reasons.beside(
        lambda data: data.tfds_name, 'the data are read from TFDS, not from '
        'files', *_data('file_type', 'sharding', 'max_corrupt_records')),
    reasons.beside(
        lambda data: not data.tfds_name, 'the data are read from files, not '
        'from TFDS: tfds_name is empty', *_data(
            'tfds_split', 'tfds_data_dir', 'tfds_as_supervised',
            'tfds_skip_decoding_feature')),
    reasons.beside(
        lambda data: not data.enable_tf_data_service,
        'the tf.data service is not used: set enable_tf_data_service=true',
        *_data('tf_data_service_job_name', 'trainer_id',
               'enable_shared_tf_data_service_between_parallel_trainers',
               'apply_tf_data_service_before_batching'),
        'task.train_data.tf_data_service_address'),
    # --tf_data_service is the address of both.
    reasons.where(
        lambda params: (params.task.validation_data.tf_data_service_address !=
                        params.task.train_data.tf_data_service_address),
        'only training takes its images from the tf.data service, not '
        'evaluation', *_data('tf_data_service_address', of='validation')),
    reasons.beside(
        lambda data: not data.tf_data_service_address,
        'there is no tf_data_service_address: set it, or --tf_data_service',
        *_data('enable_tf_data_service')),
    # Augmentation that a number switches off.
    reasons.beside(
        lambda data: data.repeated_augment == 1,
        'it is 1, so every image is taken once, as with null',
        *_data('repeated_augment', of='train')),
    reasons.beside(
        lambda mixing: not mixing.prob, 'prob is 0, so no image is mixed, and '
        f'labels are smoothed alone. Set {_MIXING}=null for neither', *(
            f'{_MIXING}.{name}' for name in (
                'prob', 'mixup_alpha', 'cutmix_alpha', 'switch_prob',
              'exact_labels'))),
    reasons.beside(
        lambda mixing: not mixing.cutmix_alpha, 'cutmix_alpha is 0, so nothing '
        'is cut', f'{_MIXING}.exact_labels'),
    reasons.beside(
        lambda mixing: not (mixing.mixup_alpha and mixing.cutmix_alpha),
        'one of mixup_alpha and cutmix_alpha is 0, so there is no switch '
        'between them', f'{_MIXING}.switch_prob'),
    reasons.beside(
        lambda erasing: not erasing.probability, 'probability is 0, so nothing '
        'is erased', 'task.train_data.random_erasing.*'),
    reasons.beside(
        lambda randaug: randaug.prob_to_apply == 0,
        'prob_to_apply is 0, so no image is changed', f'{_RANDAUG}.*'),
    reasons.beside(
        lambda randaug: 'Cutout' in randaug.exclude_ops,
        'exclude_ops names Cutout', f'{_RANDAUG}.cutout_const'),
    reasons.beside(
        lambda randaug: set(_TRANSLATIONS) <= set(randaug.exclude_ops),
        f'exclude_ops names {" and ".join(_TRANSLATIONS)}',
        f'{_RANDAUG}.translate_const'),
    reasons.beside(
        lambda autoaug: not _has_operation(autoaug, 'Cutout'),
        'the policy augmentation_name has no Cutout',
        f'{_AUTOAUG}.cutout_const'),
    reasons.beside(
        lambda autoaug: not _has_operation(autoaug, *_TRANSLATIONS),
        'the policy augmentation_name has neither '
        f'{" nor ".join(_TRANSLATIONS)}',
        f'{_AUTOAUG}.translate_const'),
)
