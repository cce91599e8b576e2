"""What the fields of semantic segmentation take: data, heads, decoders."""

from __future__ import annotations

from typing import Any

from official.vision.configs import decoders
from official.vision.configs import semantic_segmentation as garden

from official_ext.configs import image_classification
from official_ext.configs import semantic_segmentation as configs
from official_ext.params.fields import rules
from official_ext.params.fields import task

_MAX_FILTERS = 2**16
_MAX_LAYERS = 100
_MAX_FACTOR = 1_000_000
# What a mask of 8 bits can hold.
_MAX_MASK_VALUE = 255
_LEVEL = rules.whole(at_least=1, at_most=10)
_FILTERS = rules.whole(at_least=1, at_most=_MAX_FILTERS)
_RATES = rules.several(rules.whole(at_least=1, at_most=task.MAX_SIDE_PX),
                       'a list of whole numbers')
_OF_RGB = rules.several(
    rules.number(at_least=0, at_most=255), '[red, green, blue] from 0 to 255',
    length=3)
_MODULES = rules.several(
    rules.choice(configs.INIT_CHECKPOINT_MODULES),
    f'one of {", ".join(configs.INIT_CHECKPOINT_MODULES)}, or a list of them',
    also_one=True)
_PARTITIONS = rules.several(
    rules.whole(at_least=1), 'a list of whole numbers')


def _is_size(value: Any) -> bool:
  side = rules.whole(at_least=1, at_most=task.MAX_SIDE_PX)
  return isinstance(value, (list, tuple)) and (
      not value or (len(value) == 2 and all(map(side.accepts, value))))


def _size(empty: str) -> rules.Rule:
  """A size in px that may be left out by an empty list."""
  return rules.Rule(
      f'[height, width] in px, of at most {task.MAX_SIDE_PX:,}, or []: {empty}',
      _is_size)


_AS_THE_INPUT = 'that of task.model.input_size'

TABLE: dict[type, dict[str, rules.Rule]] = {
    garden.DenseFeatureConfig: {
        'feature_name': rules.text(),
        'num_channels': rules.choice((1, 3, 4)),
        'mean': _OF_RGB,
        'stddev': rules.several(
            rules.number(at_least=1, at_most=255),
            '[red, green, blue] from 1 to 255', length=3),
    },
    garden.DataConfig: {
        'output_size': _size(_AS_THE_INPUT),
        'crop_size': _size('images are resized whole'),
        'weights': rules.nothing(
            'data sets are mixed by name, and here input_path is one'),
        'dtype': rules.choice(image_classification.PRECISIONS),
        'resize_eval_groundtruth': rules.flag(),
        'groundtruth_padded_size': _size(_AS_THE_INPUT),
        'aug_scale_min': rules.number(above=0, at_most=task.MAX_SIDE_PX),
        'aug_scale_max': rules.number(above=0, at_most=task.MAX_SIDE_PX),
        'aug_rand_hflip': rules.flag(),
        'preserve_aspect_ratio': rules.flag(),
        'aug_policy': rules.text(null='none'),
        'file_type': rules.choice(('tfrecord', 'tfrecord_compressed')),
        'additional_dense_features': rules.Rule(
            '[]: the model reads one image', lambda value: value == []),
        'centered_crop': rules.flag(),
    },
    configs.DataConfig: {
        'num_examples': rules.whole(
            at_least=0, at_most=task.MAX_EXAMPLES, meaning='0: unknown'),
    },
    garden.SegmentationHead: {
        'level': _LEVEL,
        'num_convs': rules.whole(at_least=0, at_most=_MAX_LAYERS),
        'num_filters': _FILTERS,
        'use_depthwise_convolution': rules.flag(),
        'prediction_kernel_size': rules.whole(at_least=1, at_most=31),
        'upsample_factor': rules.whole(at_least=1, at_most=64),
        'logit_activation': rules.choice(
            ('sigmoid', 'softmax'), null='logits as they are'),
        'feature_fusion': rules.choice(
            ('deeplabv3plus', 'panoptic_fpn_fusion', 'pyramid_fusion',
             'deeplabv3plus_sum_to_merge'), null='none'),
        'low_level': _LEVEL,
        'low_level_num_filters': _FILTERS,
        'decoder_min_level': rules.whole(at_least=1, at_most=10, null='none'),
        'decoder_max_level': rules.whole(at_least=1, at_most=10, null='none'),
    },
    garden.MaskScoringHead: {
        'num_convs': rules.whole(at_least=0, at_most=_MAX_LAYERS),
        'num_filters': _FILTERS,
        'fc_input_size': _size('none'),
        'num_fcs': rules.whole(at_least=0, at_most=_MAX_LAYERS),
        'fc_dims': _FILTERS,
        'use_depthwise_convolution': rules.flag(),
    },
    garden.SemanticSegmentationModel: {
        # Beyond it there is no value in a mask of 8 bits.
        'num_classes': rules.whole(at_least=2, at_most=_MAX_MASK_VALUE + 1),
        'input_size': task.IMAGE_SIZE,
        'min_level': _LEVEL,
        'max_level': _LEVEL,
    },
    garden.Losses: {
        'loss_weight': rules.number(above=0, at_most=_MAX_FACTOR),
        'label_smoothing': rules.fraction(),
        'ignore_label': rules.whole(at_least=0, at_most=_MAX_MASK_VALUE),
        'gt_is_matting_map': rules.flag(),
        'class_weights': rules.several(
            rules.number(at_least=0, at_most=_MAX_FACTOR),
            'a list of numbers, one for each class'),
        'l2_weight_decay': rules.number(at_least=0, at_most=_MAX_FACTOR),
        'use_groundtruth_dimension': rules.flag(),
        'use_binary_cross_entropy': rules.flag(),
        'top_k_percent_pixels': rules.number(above=0, at_most=1),
        'mask_scoring_weight': rules.number(at_least=0, at_most=_MAX_FACTOR),
    },
    garden.Evaluation: {
        'report_per_class_iou': rules.flag(),
        'report_train_mean_iou': rules.flag(),
    },
    garden.ExportConfig: {
        'rescale_output': rules.flag(),
    },
    garden.SemanticSegmentationTask: {
        'train_input_partition_dims': _PARTITIONS,
        'eval_input_partition_dims': _PARTITIONS,
        'init_checkpoint': rules.text(null='random weights'),
        'init_checkpoint_modules': _MODULES,
    },
    configs.SemanticSegmentationTask: {
        'data_dir': rules.text(),
        'class_names_path': rules.text(),
        'init_checkpoint_grid': task.GRID,
        'init_checkpoint_resize_method': rules.choice(
            image_classification.RESIZE_METHODS),
    },
    decoders.Decoder: {'type': rules.one_of(decoders.Decoder())},
    decoders.FPN: {
        'num_filters': _FILTERS,
        'fusion_type': rules.choice(('sum', 'concat')),
        'use_separable_conv': rules.flag(),
        'use_keras_layer': rules.flag(),
    },
    decoders.NASFPN: {
        'num_filters': _FILTERS,
        'num_repeats': rules.whole(at_least=1, at_most=_MAX_LAYERS),
        'use_separable_conv': rules.flag(),
    },
    decoders.ASPP: {
        'level': _LEVEL,
        'dilation_rates': _RATES,
        'dropout_rate': rules.fraction(),
        'num_filters': _FILTERS,
        'use_depthwise_convolution': rules.flag(),
        'pool_kernel_size': rules.several(
            rules.whole(at_least=1, at_most=task.MAX_SIDE_PX),
            '[height, width] of the pooling', length=2, null='the whole map'),
        'spp_layer_version': rules.choice(('v1', 'v2')),
        'output_tensor': rules.flag(),
    },
}
