"""What the fields of a task take: data, augmentation, classifier, losses."""

from __future__ import annotations

from typing import Any

from official.core import config_definitions as cfg
from official.modeling.privacy import configs as privacy
from official.vision.configs import common
from official.vision.configs import image_classification as garden
import tensorflow as tf
import tf_keras

from official_ext.configs import distillation
from official_ext.configs import image_classification as configs
from official_ext.configs import preprocessing
from official_ext.configs import small_data
from official_ext.params.fields import rules

# What NumPy and TensorFlow are seeded by.
SEED = rules.whole(
    at_least=0, at_most=2**32 - 1, null='a new seed in every run')
# Sides of images; beyond this, the tokens alone would take terabytes.
MAX_SIDE_PX = 16_384
_MAX_BATCH = 2**20
# 300 M images are the largest data set that such a model was trained on.
MAX_EXAMPLES = 10**12
# Each is a part of the input pipeline's graph, or a thread.
_MAX_REPEATS = 64
_MAX_CYCLE_LENGTH = 4_096
_MAX_PREFETCHED = 10_000
_MAX_RAM_GB = 2**20
# As Model Garden's augmentations count; RandAugment's paper goes up to 30.
_MAX_MAGNITUDE = 30
_MAX_LAYERS = 100
_MAX_SHIFT_PX = 10_000
_MAX_BETA = 1_000
_MAX_FACTOR = 1_000_000
# Beyond it, float32 tells no probabilities apart.
_MAX_TEMPERATURE = 1_000

_RESIZE_METHODS = sorted(
    value for name, value in vars(tf.image.ResizeMethod).items()
    if not name.startswith('_'))
_WHITE = 255
# Values of RGB that go from 0 to 1, as other libraries count them.
_UNIT = rules.several(rules.probability(), '', length=3)
# What stands in modules of Keras beside what they are for.
_NOT_NAMES = ('Initializer', 'get', 'serialize', 'deserialize')


def _callables(module: Any) -> list[str]:
  """Returns the names of what a module of Keras offers."""
  return [name for name, value in vars(module).items()
          if callable(value) and not name.startswith('_') and
          name not in _NOT_NAMES]


# Model Garden's own, and Keras's.
_ACTIVATIONS = sorted({
    'gelu', 'simple_swish', 'hard_swish', 'relu6', 'hard_sigmoid', 'identity',
    'mish', *_callables(tf_keras.activations)})
RANDAUGMENT = frozenset((
    'AutoContrast', 'Equalize', 'Invert', 'Rotate', 'Posterize', 'Solarize',
    'Color', 'Contrast', 'Brightness', 'Sharpness', 'ShearX', 'ShearY',
    'TranslateX', 'TranslateY', 'Cutout', 'SolarizeAdd'))
# Without those of detection and segmentation, which move boxes and masks.
_AUTOAUGMENT = ('v0', 'test', 'simple', 'reduced_cifar10', 'svhn',
                'reduced_imagenet', 'vit', 'deit3_three_augment')


def _sizes(length: int, expected: str, **settings: Any) -> rules.Rule:
  return rules.several(
      rules.whole(at_least=1), expected, length=length, **settings)


def _is_area_range(value: Any) -> bool:
  low_and_high = rules.several(rules.number(above=0, at_most=1), '', length=2)
  return low_and_high.accepts(value) and value[0] <= value[1]


def _is_image_size(value: Any) -> bool:
  side = rules.whole(at_least=1, at_most=MAX_SIDE_PX)
  return (isinstance(value, (list, tuple)) and len(value) == 3 and
          value[2] == 3 and all(map(side.accepts, value)))


def _as_rgb(value: Any) -> list[float] | None:
  """Returns values that other libraries count from 0 to 1 as 0 to 255."""
  return ([round(_WHITE * one, 3) for one in value]
          if _UNIT.accepts(value) else None)


_PATHS = rules.several(
    rules.text(), 'a path, a pattern or a list of them', also_one=True,
    null='from task.data_dir')
_MEAN = rules.several(rules.number(at_least=0, at_most=_WHITE), '', length=3)
_STDDEV = rules.several(rules.number(at_least=1, at_most=_WHITE), '', length=3)
_COUNTS = rules.several(rules.whole(at_least=1), 'a list of whole numbers',
                        null='none')

# The size of a model's images, and the grid of a checkpoint's patches.
IMAGE_SIZE = rules.Rule(
    f'[height, width, 3] in px, of at most {MAX_SIDE_PX:,}', _is_image_size)
GRID = _sizes(2, '[rows, columns] of patches', null='square')

TABLE: dict[type, dict[str, rules.Rule]] = {
    cfg.TaskConfig: {
        'name': rules.text(null='none'),
        'allow_image_summary': rules.flag(),
    },
    privacy.DifferentialPrivacyConfig: {
        # 10**8 is Model Garden's default.
        'clipping_norm': rules.number(above=0, at_most=1_000 * _MAX_FACTOR),
        'noise_multiplier': rules.number(at_least=0, at_most=_MAX_FACTOR),
    },
    garden.ImageClassificationTask: {
        'init_checkpoint': rules.text(null='random weights'),
        'init_checkpoint_modules': rules.choice(
            configs.INIT_CHECKPOINT_MODULES),
        'train_input_partition_dims': _COUNTS,
        'eval_input_partition_dims': _COUNTS,
        'model_output_keys': rules.several(
            rules.whole(at_least=0), 'a list of whole numbers', null='none'),
        'freeze_backbone': rules.flag(),
    },
    configs.ImageClassificationTask: {
        'data_dir': rules.text(),
        'init_checkpoint_grid': GRID,
        'init_checkpoint_resize_method': rules.choice(configs.RESIZE_METHODS),
        'class_names_path': rules.text(),
        'gradient_accumulation_steps': rules.whole(at_least=1),
        'class_weights': rules.choice(small_data.CLASS_WEIGHTS),
        'class_sampling': rules.choice(small_data.CLASS_WEIGHTS),
    },
    distillation.Distillation: {
        'teacher': rules.text(),
        'kind': rules.choice(distillation.KINDS),
        'temperature': rules.number(above=0, at_most=_MAX_TEMPERATURE),
        'weight': rules.probability(),
        'representation_weight': rules.number(
            at_least=0, at_most=_MAX_FACTOR),
    },
    garden.ImageClassificationModel: {
        'num_classes': rules.whole(at_least=1, at_most=2**24),
        'input_size': IMAGE_SIZE,
        'dropout_rate': rules.fraction(),
        'add_head_batch_norm': rules.flag(),
        'kernel_initializer': rules.choice(
            sorted(_callables(tf_keras.initializers))),
        'output_softmax': rules.flag(),
    },
    common.NormActivation: {
        'activation': rules.choice(_ACTIVATIONS),
        'use_sync_bn': rules.flag(),
        'norm_momentum': rules.probability(),
        'norm_epsilon': rules.number(above=0, below=1),
    },
    garden.Losses: {
        'loss_weight': rules.number(above=0, at_most=_MAX_FACTOR),
        'one_hot': rules.flag(),
        'label_smoothing': rules.fraction(),
        'l2_weight_decay': rules.number(at_least=0, at_most=_MAX_FACTOR),
        'soft_labels': rules.flag(),
        'use_binary_cross_entropy': rules.flag(),
    },
    garden.Evaluation: {
        'top_k': rules.whole(at_least=1),
        'precision_and_recall_thresholds': rules.several(
            rules.probability(), 'a list of numbers from 0 to 1', null='none'),
        'report_per_class_precision_and_recall': rules.flag(),
    },
    cfg.DataConfig: {
        'input_path': _PATHS,
        'tfds_name': rules.text(null='files'),
        'tfds_split': rules.text(null='none'),
        'global_batch_size': rules.whole(at_least=1, at_most=_MAX_BATCH),
        'is_training': rules.flag(),
        'drop_remainder': rules.flag(),
        'shuffle_buffer_size': rules.whole(at_least=1),
        'cache': rules.flag(),
        'cycle_length': rules.whole(
            at_least=1, at_most=_MAX_CYCLE_LENGTH, null='automatic'),
        'block_length': rules.whole(at_least=1),
        'ram_budget': rules.whole(
            at_least=1, at_most=_MAX_RAM_GB, null='half of the memory'),
        'deterministic': rules.flag(null='as TensorFlow does'),
        'sharding': rules.flag(),
        'enable_tf_data_service': rules.flag(),
        'tf_data_service_address': rules.text(null='none'),
        'tf_data_service_job_name': rules.text(null='none'),
        'tfds_data_dir': rules.text(null="TFDS's own folder"),
        'tfds_as_supervised': rules.flag(),
        'tfds_skip_decoding_feature': rules.text(),
        'enable_shared_tf_data_service_between_parallel_trainers':
            rules.flag(),
        'apply_tf_data_service_before_batching': rules.flag(),
        'trainer_id': rules.text(null='none'),
        'seed': SEED,
        'prefetch_buffer_size': rules.whole(
            at_least=1, at_most=_MAX_PREFETCHED, null='automatic'),
        'autotune_algorithm': rules.choice(
            tf.data.experimental.AutotuneAlgorithm.__members__,
            null='automatic'),
    },
    garden.DataConfig: {
        'weights': rules.nothing(
            'data sets are mixed by name, and here input_path is one'),
        'dtype': rules.choice(configs.PRECISIONS),
        'is_multilabel': rules.flag(),
        'aug_rand_hflip': rules.flag(),
        'aug_crop': rules.flag(null='no crop'),
        'crop_area_range': rules.Rule(
            '[smallest, largest] fraction of the image, above 0 and at most 1',
            _is_area_range, null='5 to 100 %, as TensorFlow does'),
        'three_augment': rules.flag(),
        'color_jitter': rules.probability(),
        'file_type': rules.choice(('tfrecord', 'tfrecord_compressed')),
        'image_field_key': rules.text(),
        'label_field_key': rules.text(),
        'decode_jpeg_only': rules.flag(),
        'aug_policy': rules.choice(('autoaug', 'randaug'), null='none'),
        'randaug_magnitude': rules.whole(
            at_least=0, at_most=_MAX_MAGNITUDE, null='none'),
        'center_crop_fraction': rules.number(above=0, at_most=1),
        'tf_resize_method': rules.choice(_RESIZE_METHODS),
        'repeated_augment': rules.whole(
            at_least=1, at_most=_MAX_REPEATS, null='every image once'),
    },
    preprocessing.DataConfig: {
        # Of black alone nothing is to be subtracted.
        'mean_rgb': rules.Rule(
            '[red, green, blue] from 0 to 255', lambda value: (
                _MEAN.accepts(value) and not (
                    _UNIT.accepts(value) and any(value))),
            null='as in the training data, there of ImageNet',
            convert=_MEAN.convert, nearest=_as_rgb),
        'stddev_rgb': rules.Rule(
            '[red, green, blue] from 1 to 255', _STDDEV.accepts,
            null='as in the training data, there of ImageNet',
            convert=_STDDEV.convert, nearest=_as_rgb),
        'resize_antialias': rules.flag(null='as in the training data'),
        'resize_mode': rules.choice(preprocessing.RESIZE_MODES),
    },
    configs.DataConfig: {
        'num_examples': rules.whole(
            at_least=0, at_most=MAX_EXAMPLES, meaning='0: unknown'),
        'max_corrupt_records': rules.whole(at_least=0),
        'label_offset': rules.whole(
            at_least=-2**24, at_most=2**24, null='by the data set'),
    },
    common.DataDecoder: {
        'type': rules.choice(('simple_decoder', 'label_map_decoder')),
    },
    common.TfExampleDecoder: {
        'regenerate_source_id': rules.flag(),
        'mask_binarize_threshold': rules.number(null='none'),
        'attribute_names': rules.several(rules.text(), 'a list of names'),
    },
    common.TfExampleDecoderLabelMap: {
        'regenerate_source_id': rules.flag(),
        'mask_binarize_threshold': rules.number(null='none'),
        'label_map': rules.text(),
    },
    common.Augmentation: {
        # Model Garden's classification refuses ssd_random_crop.
        'type': rules.choice(('randaug', 'autoaug')),
    },
    common.RandAugment: {
        'num_layers': rules.whole(at_least=1, at_most=_MAX_LAYERS),
        'magnitude': rules.number(at_least=0, at_most=_MAX_MAGNITUDE),
        'cutout_const': rules.number(at_least=0, at_most=_MAX_SHIFT_PX),
        'translate_const': rules.number(at_least=0, at_most=_MAX_SHIFT_PX),
        'magnitude_std': rules.number(at_least=0, at_most=_MAX_MAGNITUDE),
        'prob_to_apply': rules.probability(null='always'),
        'exclude_ops': rules.several(
            rules.choice(RANDAUGMENT),
            f'a list of names among {", ".join(sorted(RANDAUGMENT))}'),
    },
    common.AutoAugment: {
        'augmentation_name': rules.choice(_AUTOAUGMENT),
        'cutout_const': rules.number(at_least=0, at_most=_MAX_SHIFT_PX),
        'translate_const': rules.number(at_least=0, at_most=_MAX_SHIFT_PX),
    },
    common.RandomErasing: {
        'probability': rules.probability(),
        'min_area': rules.number(above=0, at_most=1),
        'max_area': rules.number(above=0, at_most=1),
        'min_aspect': rules.number(above=0, at_most=1),
    },
    preprocessing.MixupAndCutmix: {'exact_labels': rules.flag()},
    common.MixupAndCutmix: {
        'mixup_alpha': rules.number(at_least=0, at_most=_MAX_BETA),
        'cutmix_alpha': rules.number(at_least=0, at_most=_MAX_BETA),
        'prob': rules.probability(),
        'switch_prob': rules.probability(),
        'label_smoothing': rules.fraction(),
    },
}

# Not in Model Garden 2.15.
if hasattr(common, 'SSDRandomCrop'):
  TABLE[common.SSDRandomCrop] = {
      'ssd_random_crop_params': rules.Rule(
          'a list', lambda value: isinstance(value, (list, tuple))),
      'aspect_ratio_range': rules.several(
          rules.number(above=0), 'two numbers above 0', length=2),
      'area_range': rules.Rule(
          '[smallest, largest] fraction of the image, above 0 and at most 1',
          _is_area_range),
  }
