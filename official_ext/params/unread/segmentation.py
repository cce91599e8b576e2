"""Where settings of semantic segmentation have no effect."""

from __future__ import annotations

from official_ext.params.unread import reasons

_MODEL = 'task.model'


def _data(*names: str, of: str = '*') -> list[str]:
  """Returns the paths of fields of both data sets, or of one."""
  return [f'task.{of}_data.{name}' for name in names]


TABLE: tuple[reasons.Rule, ...] = (
    reasons.never(
        "nothing in Model Garden's semantic segmentation reads it",
        *_data('decoder.*', 'aug_policy', 'weights'), 'task.name',
        'task.train_input_partition_dims', 'task.eval_input_partition_dims'),
    reasons.never(
        'an export writes masks at the size of each image anyway',
        'task.export_config.rescale_output'),
    reasons.never('official_ext.analysis.segmentation draws what a model '
                  'predicts', 'task.allow_image_summary'),
    reasons.never('images with masks are not drawn while a training runs',
                  'trainer.logging.training_images'),
    reasons.where(
        reasons.everywhere, 'evaluation takes every image as it is', *_data(
            'aug_scale_min', 'aug_scale_max', 'aug_rand_hflip', 'crop_size',
            'shuffle_buffer_size', of='validation')),
    reasons.where(
        reasons.everywhere, 'only evaluation reads it; a training resizes '
        'masks with their images', *_data(
            'resize_eval_groundtruth', 'groundtruth_padded_size', of='train')),
    reasons.beside(
        lambda data: data.resize_eval_groundtruth,
        'resize_eval_groundtruth is true, so masks are resized',
        *_data('groundtruth_padded_size', of='validation')),
    reasons.where(
        reasons.everywhere, 'the data are read from files, not from TFDS',
        *_data('tfds_split', 'tfds_data_dir', 'tfds_as_supervised',
               'tfds_skip_decoding_feature')),
    reasons.beside(
        lambda data: not data.enable_tf_data_service,
        'the tf.data service is not used: set enable_tf_data_service=true',
        *_data('tf_data_service_job_name', 'trainer_id',
               'enable_shared_tf_data_service_between_parallel_trainers',
               'apply_tf_data_service_before_batching',
               'tf_data_service_address', of='train')),
    reasons.where(
        lambda params: not params.task.init_checkpoint,
        'there is no task.init_checkpoint', 'task.init_checkpoint_modules',
        'task.init_checkpoint_grid', 'task.init_checkpoint_resize_method'),
    reasons.where(
        lambda params: params.task.losses.use_binary_cross_entropy or
        params.task.losses.gt_is_matting_map,
        'labels are smoothed in the loss of softmax alone',
        'task.losses.label_smoothing'),
    reasons.where(
        lambda params: params.task.model.mask_scoring_head is None,
        'there is no task.model.mask_scoring_head',
        'task.losses.mask_scoring_weight'),
    # Which maps a decoder and a head read.
    reasons.where(
        lambda params: params.task.model.decoder.type in ('identity', 'aspp'),
        'the decoder reads one map: task.model.decoder.type is another than '
        'fpn and nasfpn', f'{_MODEL}.min_level', f'{_MODEL}.max_level'),
    reasons.beside(
        lambda head: not head.num_convs,
        'num_convs is 0, so there is no convolution before the prediction',
        f'{_MODEL}.head.num_filters',
        f'{_MODEL}.head.use_depthwise_convolution'),
    reasons.beside(
        lambda head: not str(head.feature_fusion).startswith('deeplabv3plus'),
        'feature_fusion is not that of DeepLabv3+',
        f'{_MODEL}.head.low_level', f'{_MODEL}.head.low_level_num_filters'),
    reasons.beside(
        lambda head: head.feature_fusion != 'panoptic_fpn_fusion',
        'feature_fusion is not panoptic_fpn_fusion',
        f'{_MODEL}.head.decoder_min_level',
        f'{_MODEL}.head.decoder_max_level'),
)
