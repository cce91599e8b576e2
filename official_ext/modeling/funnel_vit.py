"""The backbone `funnel_vit`: patches, funnel encoder, image representation.

With a layout of one block this is Model Garden's `vit`: the same layers in the
same order, hence the same variables under the same checkpoint keys.

Legend: B batch, H x W the grid of patches, N = H * W patch tokens, T tokens
with those before the patches, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from official.modeling import hyperparams
from official.vision.modeling.backbones import factory
from official.vision.modeling.backbones import vit
import tensorflow as tf
import tf_keras

from official_ext.configs import backbones
from official_ext.modeling import attention_pooling
from official_ext.modeling import feature_maps
from official_ext.modeling import funnel_encoder
from official_ext.modeling import hardware
from official_ext.modeling import keras_config
from official_ext.modeling import options as options_lib
from official_ext.modeling import specs


@keras_config.register
class TokenLayer(vit.TokenLayer):
  """Model Garden's token before all others, which Keras finds by its name."""


@keras_config.register
class FunnelViT(tf_keras.Model):
  """Funnel Vision Transformer (paper, section 3.2).

  Call with images, [B, height, width, 3]. Returns a dictionary of endpoints:
  `pre_logits` [B, 1, 1, D'], or with the pooler 'none' `encoded_tokens`
  [B, T', D'], of the last block. Feature maps, [B, rows, columns, D'], are
  under their levels, such as '4', beside `pre_logits`; with the pooler 'none'
  alone.
  """

  def __init__(
      self,
      spec: specs.ModelSpec,
      input_specs: tf_keras.layers.InputSpec,
      options: options_lib.EncoderOptions,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      name: str | None = None,
  ):
    """Builds the model.

    Args:
      spec: the sizes of the model.
      input_specs: shape of the images, [B, height, width, 3].
      options: of the encoder.
      kernel_regularizer: regulariser of every kernel.
      name: of the model.
    """
    hidden_size = spec.blocks[0].hidden_size
    dense_initializer = (
        'lecun_normal' if options.original_init else 'he_uniform')
    images = tf_keras.Input(shape=input_specs.shape[1:])
    # [B, height, width, 3] -> [B, H, W, D]
    x = tf_keras.layers.Conv2D(
        filters=hidden_size,
        kernel_size=spec.patch_size,
        strides=spec.patch_size,
        padding='valid',
        use_bias=spec.patch_bias,
        kernel_regularizer=kernel_regularizer,
        kernel_initializer=dense_initializer)(images)
    # [B, H, W, D] -> [B, N, D], row by row
    x = tf.reshape(x, [-1, spec.grid[0] * spec.grid[1], hidden_size])
    if spec.has_distillation_token:
      x = TokenLayer(name='distillation')(x)
    if spec.has_class_token:
      x = TokenLayer(name='cls')(x)  # [B, N, D] -> [B, N + 1, D]
    encoder = funnel_encoder.FunnelEncoder(
        spec.blocks, options, kernel_regularizer,
        spec.grid if spec.position_embedding == 'sin_cos' else None,
        name='encoder')
    maps = {}
    if spec.feature_maps.levels:
      x, block_outputs = encoder(x, returns_blocks=True)
      maps = feature_maps.FeatureMaps(
          spec, options, kernel_regularizer, name='feature_maps')(
              x, block_outputs)
    else:
      x = encoder(x)
    if spec.pooler != 'none':
      x = _pool_features(x, spec, options, kernel_regularizer)
    if spec.representation_size:
      x = tf_keras.layers.Dense(
          spec.representation_size,
          kernel_regularizer=kernel_regularizer,
          kernel_initializer=dense_initializer,
          name='pre_logits')(x)
      x = tf.nn.tanh(x)
    if spec.projection_size:
      x = tf_keras.layers.Dense(
          spec.projection_size,
          use_bias=False,
          kernel_regularizer=kernel_regularizer,
          kernel_initializer=dense_initializer,
          name='projection')(x)
    # The head reads the endpoint whose key sorts last, and digits sort before.
    if spec.pooler != 'none':
      # [B, D'] -> [B, 1, 1, D']
      features = {'pre_logits': tf.reshape(x, [-1, 1, 1, x.shape[-1]])}
    else:
      features = {} if maps else {'encoded_tokens': x}
    endpoints = maps | features
    super().__init__(inputs=images, outputs=endpoints, name=name)
    self._spec = spec
    self._options = options
    self._kernel_regularizer = kernel_regularizer
    # Decoders take every key for a level.
    self._output_specs = {
        key: value.shape for key, value in (maps or endpoints).items()}

  @property
  def spec(self) -> specs.ModelSpec:
    """The sizes that the model was built with."""
    return self._spec

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """The shape of every endpoint; where there are maps, of these alone."""
    return self._output_specs

  def get_config(self) -> dict[str, Any]:
    return {
        'name': self.name,
        'spec': specs.as_dict(self._spec),
        'input_shape': list(self.input_shape),
        'options': dataclasses.asdict(self._options),
        'kernel_regularizer': tf_keras.saving.serialize_keras_object(
            self._kernel_regularizer),
        'policy': self.get_layer('encoder').dtype_policy.name,
        'trains': keras_config.trains(self),
    }

  @classmethod
  def from_config(cls, config: Mapping[str, Any],
                  custom_objects: Mapping[str, Any] | None = None) -> FunnelViT:
    """Builds a model from its configuration, with new weights.

    Args:
      config: what `get_config` returned.
      custom_objects: classes by name, beside those that are registered.

    Returns:
      The model.
    """
    with keras_config.policy(config['policy']):
      model = cls(
          specs.from_dict(config['spec']),
          tf_keras.layers.InputSpec(shape=config['input_shape']),
          options_lib.EncoderOptions(**config['options']),
          tf_keras.saving.deserialize_keras_object(
              config['kernel_regularizer'], custom_objects),
          config['name'])
    keras_config.set_trains(model, config['trains'])
    return model

  def trace(self, images: tf.Tensor) -> list[funnel_encoder.LayerTrace]:
    """Returns what each transformer layer is given when it sees images.

    Args:
      images: [B, height, width, 3], normalised.

    Returns:
      The layers, in order.
    """
    encoder = self.get_layer('encoder')
    tokens = tf_keras.Model(self.inputs, encoder.input)(
        images, training=False)  # [B, T, D]
    traces, _ = encoder.trace(tokens)
    return traces


def _pool_features(
    tokens: tf.Tensor, spec: specs.ModelSpec,
    options: options_lib.EncoderOptions,
    kernel_regularizer: tf_keras.regularizers.Regularizer | None,
) -> tf.Tensor:
  """Takes from the last tokens what the head reads, [B, T', D'] -> [B, F]."""
  if spec.pooler == 'map':
    features = [attention_pooling.AttentionPooling(
        spec.blocks[-1].num_heads, spec.blocks[-1].mlp_dim, options,
        kernel_regularizer, name='attention_pooling')(tokens)]
  elif spec.pooler == 'token':
    features = [tokens[:, 0]]
  elif spec.pooler == 'token_and_distillation':
    features = [tokens[:, 0], tokens[:, 1]]
  else:
    patches = tokens
    if spec.num_prefix_tokens:
      patches = tokens[:, spec.num_prefix_tokens:]
    features = [tf.reduce_mean(patches, axis=1)]
    if spec.pooler == 'token_and_mean':
      features.insert(0, tokens[:, 0])
  if spec.final_norm == 'pooled':
    norm = tf_keras.layers.LayerNormalization(
        epsilon=spec.norm_epsilon, name='pooled_norm')
    features = [norm(feature) for feature in features]
  return features[0] if len(features) == 1 else tf.concat(features, axis=-1)


@factory.register_backbone_builder('funnel_vit')
def build_funnel_vit(
    input_specs: tf_keras.layers.InputSpec,
    backbone_config: backbones.Backbone,
    norm_activation_config: hyperparams.Config,
    l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> FunnelViT:
  """Builds the backbone from its configuration.

  Args:
    input_specs: shape of the images, [B, height, width, 3].
    backbone_config: with `type='funnel_vit'`.
    norm_activation_config: unused; ViT has LayerNorm and GELU.
    l2_regularizer: regulariser of every kernel.

  Returns:
    The backbone.

  Raises:
    ValueError: if a size or a name does not fit, naming it and its fix.
  """
  del norm_activation_config
  if backbone_config.type != 'funnel_vit':
    raise ValueError(
        f'backbone type is {backbone_config.type!r}, but the builder of '
        "'funnel_vit' was called.")
  config = backbone_config.get()
  size = tuple(input_specs.shape[1:3])
  if None in size:
    raise ValueError(
        f'input_specs.shape is {list(input_specs.shape)}, but a position '
        'embedding is for one size of the images. Give [None, height, width, '
        '3], px.')
  spec = specs.resolve(config, size)
  if not config.crop_to_patches:
    specs.check_patches(
        size, spec.patch_size, 'the size of images',
        ', or set crop_to_patches=true to do without the rest of every image.')
  return FunnelViT(
      spec, input_specs, encoder_options(config), l2_regularizer)


def encoder_options(config: backbones.FunnelViT) -> options_lib.EncoderOptions:
  """Returns what the configuration of a backbone says of its encoder."""
  fast_path, transformer = config.fast_path, config.transformer
  float32_matmuls = fast_path.float32_matmuls
  if float32_matmuls is None:
    float32_matmuls = hardware.prefers_float32_matmuls()
  return options_lib.EncoderOptions(
      pooling=config.pooling,
      pool_query_only=config.pool_query_only,
      attention_bias=config.attention_bias,
      has_class_token=specs.has_class_token(config),
      has_distillation_token=config.distillation_token,
      num_registers=config.num_registers,
      class_token_position=config.class_token_position,
      norm_before_layers=config.norm_before_layers,
      has_final_norm=config.final_norm == 'tokens',
      dropout_rate=transformer.dropout_rate,
      attention_dropout_rate=transformer.attention_dropout_rate,
      init_stochastic_depth_rate=config.init_stochastic_depth_rate,
      layer_scale_init_value=config.layer_scale_init_value,
      activation=transformer.activation,
      norm_epsilon=transformer.norm_epsilon,
      original_init=config.original_init,
      class_token_only=(
          config.pooler == 'token' and fast_path.class_token_only and
          not config.feature_maps.levels),
      fused_layers=fast_path.fused_layers,
      float32_matmuls=float32_matmuls,
      attention=fast_path.attention,
      gradient_checkpointing=config.gradient_checkpointing)
