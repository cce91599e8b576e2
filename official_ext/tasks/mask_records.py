"""Records of images with masks: what is wrong with one of them.

The convention is Model Garden's (`official.vision.dataloaders.
segmentation_input`): `image/encoded`, `image/height`, `image/width` and
`image/segmentation/class/encoded`, whose grey values are the classes.
"""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image
import tensorflow as tf

from official_ext.configs import semantic_segmentation as configs
from official_ext.tasks import preflight

MASK_KEY = 'image/segmentation/class/encoded'
_SIDES = ('image/height', 'image/width')
_CONVERT = 'Convert the data again.'
# What Pillow calls an image of one channel of 8 bits.
_GREY = 'L'
_MODES = {
    'P': 'has a palette, which is read as the grey of its colours. Write the '
         'indices themselves as 8-bit grey',
    'I;16': 'has 16 bits, of which the upper half is read. Write 8-bit grey',
    'I': 'has 16 bits or more, of which the upper half is read. Write 8-bit '
         'grey',
    '1': 'has 1 bit, whose white is read as 255. Write the classes as 8-bit '
         'grey',
}
_OTHER_MODE = 'is in colours ({}). Write the classes as 8-bit grey'
# What `check_masks` asserts, and TensorFlow says of it.
_ASSERTION = re.compile(r'\[(A mask has the value)\] \[(\d+)\] \[(.*?)\]\n',
                        re.DOTALL)
# What Model Garden's pipeline fails at: a size that is not that of the record,
# and a mask that is larger than its padding.
_SIZES = re.compile(
    r'(Input to reshape is a tensor with|width must be <= target - offset|'
    r'height must be <= target - offset)')


def check_record(record: bytes, task: configs.SemanticSegmentationTask,
                 data: configs.DataConfig, where: str, decodes: bool) -> None:
  """Checks a record of a data set.

  Args:
    record: the record, serialized.
    task: the task's configuration, resolved.
    data: the settings of the data set.
    where: which record it is, for the message.
    decodes: whether to decode image and mask too.

  Raises:
    ValueError: naming the record, what is wrong with it and the fix.
    message.DecodeError: if it is no tf.train.Example.
  """
  features = tf.train.Example.FromString(record).features.feature
  keys = ', '.join(sorted(features))
  for key, what in ((data.image_feature.feature_name, 'image'),
                    (MASK_KEY, 'mask')):
    if not features[key].bytes_list.value:
      raise ValueError(
          f'{where} has no {what} under {key!r}; its keys are {keys}. '
          f'{_CONVERT}')
  sides = [features[key].int64_list.value for key in _SIDES]
  if not all(sides):
    raise ValueError(
        f'{where} lacks {" or ".join(_SIDES)}, without which nothing is '
        f'decoded; its keys are {keys}. {_CONVERT}')
  height, width = (int(values[0]) for values in sides)
  _check_padding(height, width, data, where)
  if not decodes:
    return
  image, mask = (features[key].bytes_list.value[0] for key in (
      data.image_feature.feature_name, MASK_KEY))
  preflight.check_image(image, where)
  _check_size(image, height, width, f'{where} holds an image')
  _check_mask(mask, height, width, task, where)


def _check_padding(height: int, width: int, data: configs.DataConfig,
                   where: str) -> None:
  """Checks that a mask fits into what masks are padded to."""
  if data.is_training or data.resize_eval_groundtruth:
    return
  padded = data.groundtruth_padded_size
  if height > padded[0] or width > padded[1]:
    setting = 'task.validation_data.groundtruth_padded_size'
    raise ValueError(
        f'{where} has an image {_sides(height, width)}, but masks are '
        'evaluated at the size of their image and padded to be '
        f'{_sides(*padded)}. Set '
        f'{setting} to the largest height and width of all images: '
        f'[{max(height, padded[0])},{max(width, padded[1])}] by this one, the '
        'first that is found, and the experiment.yaml of a conversion has it; '
        'or set task.validation_data.resize_eval_groundtruth=true.')


def _sides(height: int, width: int) -> str:
  return f'{height} px high and {width} px wide'


def _check_size(encoded: bytes, height: int, width: int, what: str
                ) -> Image.Image:
  """Checks the size of an image file against that of its record."""
  with Image.open(io.BytesIO(encoded)) as image:
    if image.size != (width, height):
      raise ValueError(
          f'{what} {_sides(image.height, image.width)}, but says '
          f'image/height {height} and image/width {width}. {_CONVERT}')
    image.load()
    return image


def _check_mask(encoded: bytes, height: int, width: int,
                task: configs.SemanticSegmentationTask, where: str) -> None:
  """Checks what a mask is read as."""
  preflight.check_image(encoded, where)
  mask = _check_size(encoded, height, width, f'{where} holds a mask')
  if mask.mode != _GREY:
    what = _MODES.get(mask.mode, _OTHER_MODE.format(mask.mode))
    raise ValueError(f'{where} holds a mask that {what}. {_CONVERT}')
  if task.losses.gt_is_matting_map:
    return
  num_classes, ignored = task.model.num_classes, task.losses.ignore_label
  values = np.unique(np.asarray(mask))
  bad = values[(values >= num_classes) & (values != ignored)]
  if bad.size:
    raise ValueError(
        f'{where} holds a mask with the value {bad[-1]}, but '
        f'{_classes(num_classes, ignored)}')


def _classes(num_classes: int, ignored: int) -> str:
  """Says which values a mask may have."""
  return (f'task.model.num_classes is {num_classes}: classes are 0 to '
          f'{num_classes - 1}, and {ignored} is ignored '
          '(task.losses.ignore_label).')


def check_masks(masks: tf.Tensor, valid: tf.Tensor,
                task: configs.SemanticSegmentationTask) -> tf.Operation:
  """Returns an operation that fails at a value that is no class.

  Args:
    masks: the classes of a batch.
    valid: where they are not ignored.
    task: the task's configuration.
  """
  num_classes = task.model.num_classes
  largest = tf.reduce_max(tf.where(valid, masks, tf.zeros_like(masks)))
  return tf.debugging.Assert(largest < num_classes, [
      'A mask has the value', tf.cast(largest, tf.int32),
      f', but {_classes(num_classes, task.losses.ignore_label)}'])


def explain(error: Exception) -> str | None:
  """Says what was wrong with an image or its mask.

  Args:
    error: an error of a training or evaluation step.

  Returns:
    The message, or None if it was another error.
  """
  if not isinstance(error, tf.errors.InvalidArgumentError):
    return None
  match = _ASSERTION.search(str(error))
  if match:
    return f'{match[1]} {match[2]}{match[3]}'.replace("\\'", "'")
  if _SIZES.search(str(error)):
    return ('an image or a mask has another size than its record says, or than '
            'masks are padded to')
  return None
