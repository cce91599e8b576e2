"""Images mixed as Model Garden mixes them, but for labels that are wrong.

Legend: B batch, H, W sides of the images.
"""

from __future__ import annotations

from official.vision.ops import augment
import tensorflow as tf


class MixupAndCutmix(augment.MixupAndCutmix):
  """Mixup and CutMix (arXiv 1905.04899) whose labels are as the pixels are.

  Model Garden's labels count the parts of a cut rectangle that lie outside of
  the image too, and its rectangle is as wide as the image is high.
  """

  def _cutmix(self, images: tf.Tensor, labels: tf.Tensor
              ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Puts a rectangle of another image into each.

    Args:
      images: [B, H, W, 3].
      labels: [B].

    Returns:
      The images, the labels, and the share of each image that is its own,
      float32 [B].
    """
    share = self._sample_from_beta(
        self.cutmix_alpha, self.cutmix_alpha, tf.shape(labels))
    rows, height = _interval(share, tf.shape(images)[1])
    columns, width = _interval(share, tf.shape(images)[2])
    is_cut = rows[:, :, None, None] & columns[:, None, :, None]
    area = tf.cast(height * width, tf.float32)
    whole = tf.cast(tf.reduce_prod(tf.shape(images)[1:3]), tf.float32)
    return (tf.where(is_cut, tf.reverse(images, [0]), images), labels,
            1 - area / whole)


def _interval(share: tf.Tensor,
              side: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Draws where a rectangle lies on one side of the images.

  Args:
    share: of the area that is not to be cut, [B].
    side: of the images, px, int32 [].

  Returns:
    Whether each pixel of the side is in it, bool [B, side], and how many are,
    int32 [B].
  """
  half = tf.cast(
      tf.sqrt(1 - share) * tf.cast(side, tf.float32), tf.int32) // 2
  center = tf.random.uniform(tf.shape(share), maxval=side, dtype=tf.int32)
  first = tf.maximum(center - half, 0)
  last = tf.minimum(center + half, side)
  pixels = tf.range(side)[None]
  return ((pixels >= first[:, None]) & (pixels < last[:, None]), last - first)
