"""The signatures of a SavedModel: what it does with a request.

The preprocessing is the input pipeline's own parser with the experiment's
validation settings, so that a served image is cropped, resized and normalised
exactly as an evaluated one.

A request is answered whole or not at all: one image that cannot be decoded
makes an error of it, since a row that only looks like an answer is worse.

Legend: B images of a request, C classes, K most probable classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from official.core import config_definitions as cfg
from official.core import export_base
import tensorflow as tf
import tf_keras

from official_ext.serving.formats import names
from official_ext.serving.formats import weights_tree
from official_ext.tasks import exif_orientation
from official_ext.tasks import image_header
from official_ext.tasks import image_parser
from official_ext.tasks import parsing

EMPTY_BATCH = 'the request has no images'
NO_IMAGE = 'a tf.Example has no image: it needs the bytes feature'
# Images that are decoded at once.
_PARALLEL_IMAGES = 32
# Where images are decoded, cropped and resized.
_HOST = 'cpu:0'


class ServingModule(export_base.ExportModule):
  """Images in, logits, probabilities and the most probable classes out."""

  def __init__(self, params: cfg.ExperimentConfig, keras_model: tf_keras.Model,
               class_names: Sequence[str], top_k: int = 5,
               orientations: str = exif_orientation.IGNORE,
               xla: bool = False):
    """Initialises the module.

    Args:
      params: the experiment's configuration.
      keras_model: the classifier, its weights restored.
      class_names: the names of the C classes.
      top_k: K, at most C.
      orientations: exif_orientation.APPLY turns photographs as their EXIF data
        say, as those of the training data were.
      xla: whether XLA compiles the model, for each size of a request that
        there is; decoding and resizing stay TensorFlow's.
    """
    # Traced once, for whichever signature calls it.
    @tf.function(jit_compile=True if xla else None)
    def classify(images):
      return keras_model(images, training=False)

    super().__init__(
        params=params, model=weights_tree.mirror(keras_model),
        # The variables alone are saved; here, the layers are needed.
        inference_step=lambda images, model: classify(images))
    self._image_size = tuple(params.task.model.input_size[:2])
    self._class_names = list(class_names)
    self._top_k = min(top_k, len(self._class_names))
    self._turns = orientations == exif_orientation.APPLY
    self._example_key = params.task.train_data.image_field_key
    self._label_key = params.task.train_data.label_field_key
    data = params.task.validation_data
    # Whatever type the experiment's input has: the model casts.
    self._parse_jpeg = parsing.build_parser(params.task, data, dtype='float32')
    # What is not a JPEG (PNG, BMP) is decoded whole, then cropped.
    self._parse_any = parsing.build_parser(
        params.task, data, dtype='float32', decode_jpeg_only=False)

  def preprocess(self, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes, turns, crops, resizes and normalises one image.

    Args:
      encoded: string [], the bytes of a JPEG, PNG or BMP file.

    Returns:
      float32 [height, width, 3].
    """
    encoded = image_header.check(encoded)
    orientation = (exif_orientation.read(encoded) if self._turns
                   else tf.constant(exif_orientation.UPRIGHT))
    # Of a JPEG that stays as it is, the crop alone is decoded.
    return tf.cond(
        tf.io.is_jpeg(encoded) & (orientation == exif_orientation.UPRIGHT),
        lambda: self._parse(self._parse_jpeg, encoded),
        lambda: self._parse(self._parse_any, exif_orientation.turn(
            self._parse_any.decode(encoded), orientation)))

  def preprocess_tensor(self, image: tf.Tensor) -> tf.Tensor:
    """Does as `preprocess`, for uint8 [height, width, 3], RGB."""
    return self._parse(self._parse_any, image)

  def read_example(self, serialized: tf.Tensor) -> tf.Tensor:
    """Returns the image file in a serialised tf.Example, both string []."""
    features = tf.io.parse_single_example(serialized, {
        self._example_key: tf.io.FixedLenFeature([], tf.string, '')})
    encoded = features[self._example_key]
    with tf.control_dependencies([tf.debugging.Assert(
        tf.strings.length(encoded) > 0, [NO_IMAGE, self._example_key])]):
      return tf.identity(encoded)

  def _parse(self, parser: image_parser.Parser, image: tf.Tensor) -> tf.Tensor:
    return image_parser.evaluation_image(parser, {
        self._example_key: image, self._label_key: tf.constant(0)})

  def serve(self, images: tf.Tensor,
            preprocess: Callable[[tf.Tensor], tf.Tensor]
            ) -> Mapping[str, tf.Tensor]:
    """Classifies images.

    Args:
      images: [B, ...].
      preprocess: makes the model's input of one image.

    Returns:
      `logits` and `probs`, float32 [B, C]; `top_classes`, string [B, K],
      `top_indices`, int32 [B, K], and `top_probs`, float32 [B, K], the
      most probable class first.
    """
    with tf.control_dependencies([tf.debugging.Assert(
        tf.size(images) > 0, [EMPTY_BATCH])]):
      images = tf.identity(images)
    with tf.device(_HOST):
      images = tf.map_fn(
          preprocess, images,
          fn_output_signature=tf.TensorSpec([*self._image_size, 3], tf.float32),
          parallel_iterations=_PARALLEL_IMAGES)
    logits = tf.cast(self.inference_step(images), tf.float32)
    is_multilabel = self.params.task.train_data.is_multilabel
    activation = tf.math.sigmoid if is_multilabel else tf.nn.softmax
    probs = activation(logits)
    # By their logits: different ones may round to the same probability.
    _, top_indices = tf.math.top_k(logits, self._top_k)
    return {
        names.LOGITS: logits,
        names.PROBS: probs,
        names.TOP_CLASSES: tf.gather(
            tf.constant(self._class_names), top_indices),
        names.TOP_INDICES: top_indices,
        names.TOP_PROBS: tf.gather(probs, top_indices, batch_dims=1),
    }

  def get_inference_signatures(
      self, function_keys: Mapping[str, str]
  ) -> Mapping[str, tf.types.experimental.ConcreteFunction]:
    """Builds the signatures of the SavedModel.

    Args:
      function_keys: kind of input, of names.SIGNATURES, to signature name.

    Returns:
      Concrete functions by signature name.
    """
    # Traced once for both kinds of files. It is no attribute, of which the
    # SavedModel would keep another copy.
    @tf.function
    def preprocess(encoded):
      # A function does not inherit the device of its caller.
      with tf.device(_HOST):
        return self.preprocess(encoded)

    kinds = {
        'image_bytes': (preprocess, [None], tf.string),
        'image_tensor': (
            self.preprocess_tensor, [None, None, None, 3], tf.uint8),
        'tf_example': (
            lambda serialized: preprocess(self.read_example(serialized)),
            [None], tf.string),
    }
    return {name: self._function(kind, *kinds[kind])
            for kind, name in function_keys.items()}

  def _function(
      self, kind: str, preprocess: Callable[[tf.Tensor], tf.Tensor],
      shape: Sequence[int | None], dtype: tf.DType,
  ) -> tf.types.experimental.ConcreteFunction:
    """Returns `serve` for one kind of input."""
    return tf.function(
        lambda images: self.serve(images, preprocess)
    ).get_concrete_function(tf.TensorSpec(shape, dtype, name=kind))
