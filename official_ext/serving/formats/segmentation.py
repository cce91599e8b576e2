"""The signatures of a SavedModel that segments: an image in, its mask out.

An image is prepared as in an evaluation, and the mask is at its own size: the
classes that the evaluation counts, pixel by pixel. A request holds one image,
since masks of several sizes make no tensor.

Legend: H x W pixels of an image, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from official.core import config_definitions as cfg
from official.core import export_base
import tensorflow as tf
import tf_keras

from official_ext.serving.formats import names
from official_ext.serving.formats import weights_tree
from official_ext.tasks import exif_orientation
from official_ext.tasks import image_files
from official_ext.tasks import image_header
from official_ext.tasks import segmentation_output


class SegmentationModule(export_base.ExportModule):
  """One image in, the class of each pixel out."""

  def __init__(self, params: cfg.ExperimentConfig, keras_model: tf_keras.Model,
               orientations: str = exif_orientation.IGNORE,
               xla: bool = False):
    """Initialises the module.

    Args:
      params: the experiment's configuration.
      keras_model: the model, its weights restored.
      orientations: exif_orientation.APPLY turns photographs as their EXIF data
        say, as those of the training data were.
      xla: whether XLA compiles the model; decoding and resizing stay
        TensorFlow's.

    Raises:
      ValueError: as `segmentation_output.check`.
    """
    segmentation_output.check(params.task)

    # Traced once, for whichever signature calls it.
    @tf.function(jit_compile=True if xla else None)
    def segment(images):
      outputs = keras_model(images, training=False)
      return outputs['logits'] if isinstance(outputs, Mapping) else outputs

    super().__init__(
        params=params, model=weights_tree.mirror(keras_model),
        # The variables alone are saved; here, the layers are needed.
        inference_step=lambda images, model: segment(images))
    self._turns = orientations == exif_orientation.APPLY
    self._is_binary = params.task.losses.use_binary_cross_entropy

  def decode(self, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes and turns one image; what is transparent is put over white.

    Args:
      encoded: string [], the bytes of a JPEG, PNG or BMP file.

    Returns:
      uint8 [H, W, 3].
    """
    encoded = image_header.check(encoded)
    image = image_files.decode(encoded)
    if self._turns:
      image = exif_orientation.turn(image, exif_orientation.read(encoded))
    return image

  def serve(self, image: tf.Tensor) -> Mapping[str, tf.Tensor]:
    """Segments an image.

    Args:
      image: uint8 [H, W, 3], RGB.

    Returns:
      `mask`, uint8 [H, W], the class of each pixel; and `probs`, float32
      [H, W, C], their probabilities.
    """
    prepared, info = segmentation_output.prepare(image, self.params.task)
    logits = segmentation_output.at_own_size(
        self.inference_step(prepared[tf.newaxis])[0], info)
    activation = tf.math.sigmoid if self._is_binary else tf.nn.softmax
    return {names.MASK: tf.cast(tf.argmax(logits, -1), tf.uint8),
            names.PROBS: activation(logits)}

  def get_inference_signatures(
      self, function_keys: Mapping[str, str]
  ) -> Mapping[str, tf.types.experimental.ConcreteFunction]:
    """Builds the signatures of the SavedModel.

    Args:
      function_keys: kind of input, of names.MASK_SIGNATURES, to signature
        name.

    Returns:
      Concrete functions by signature name.
    """
    kinds = {
        names.IMAGE_BYTES: (self.decode, [], tf.string, False),
        'image_tensor': (lambda image: image, [None, None, 3], tf.uint8, False),
        names.WITH_PROBS: (self.decode, [], tf.string, True),
    }
    return {name: self._function(kind, *kinds[kind])
            for kind, name in function_keys.items()}

  def _function(
      self, kind: str, decode: Callable[[tf.Tensor], tf.Tensor],
      shape: list[int | None], dtype: tf.DType, gives_probs: bool,
  ) -> tf.types.experimental.ConcreteFunction:
    """Returns `serve` for one kind of input."""
    def serve(image):
      found = self.serve(decode(image))
      # They are C times as many numbers as the pixels of a photograph.
      return found if gives_probs else {names.MASK: found[names.MASK]}

    name = names.IMAGE_BYTES if kind == names.WITH_PROBS else kind
    return tf.function(serve).get_concrete_function(
        tf.TensorSpec(shape, dtype, name=name))
