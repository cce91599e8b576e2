"""Model Garden's classifier, which Keras can save whole and copy.

Model Garden's own puts its backbone into its configuration as it is: a copy
shares the backbone, and what was saved cannot be loaded. The layers are the
same here, and so are the variables and their keys in checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official.vision.configs import image_classification
from official.vision.modeling import backbones
from official.vision.modeling import classification_model
import tf_keras

# What is loaded has it inside.
from official_ext.modeling import funnel_vit  # noqa: F401
from official_ext.modeling import keras_config


@keras_config.register
class FunnelClassifier(classification_model.ClassificationModel):
  """A backbone with a head.

  Call with images, [B, height, width, 3]; returns logits, [B, classes].
  """

  def get_config(self) -> dict[str, Any]:
    config = dict(super().get_config())
    config['input_specs'] = config['input_specs'].get_config()
    for key in ('backbone', 'kernel_regularizer', 'bias_regularizer'):
      config[key] = tf_keras.saving.serialize_keras_object(config[key])
    return {
        **config,
        'name': self.name,
        'policy': self.layers[-1].dtype_policy.name,
        'trains': keras_config.trains(self),
    }

  @classmethod
  def from_config(cls, config: Mapping[str, Any],
                  custom_objects: Mapping[str, Any] | None = None
                  ) -> FunnelClassifier:
    """Builds a model from its configuration, with new weights.

    Args:
      config: what `get_config` returned.
      custom_objects: classes by name, beside those that are registered.

    Returns:
      The model.
    """
    config = dict(config)
    policy, trains = config.pop('policy'), config.pop('trains')
    config['input_specs'] = tf_keras.layers.InputSpec.from_config(
        config['input_specs'])
    for key in ('backbone', 'kernel_regularizer', 'bias_regularizer'):
      config[key] = tf_keras.saving.deserialize_keras_object(
          config[key], custom_objects)
    with keras_config.policy(policy):
      model = cls(**config)
    keras_config.set_trains(model, trains)
    return model


def build(
    config: image_classification.ImageClassificationModel,
    l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> FunnelClassifier:
  """Builds a classifier from its configuration, as Model Garden's factory does.

  Args:
    config: the model's.
    l2_regularizer: regulariser of every kernel.

  Returns:
    The classifier, with new weights.

  Raises:
    ValueError: if a size or a name does not fit.
  """
  input_specs = tf_keras.layers.InputSpec(shape=[None, *config.input_size])
  norm = config.norm_activation
  return FunnelClassifier(
      backbone=backbones.factory.build_backbone(
          input_specs, config.backbone, norm, l2_regularizer),
      num_classes=config.num_classes,
      input_specs=input_specs,
      dropout_rate=config.dropout_rate,
      kernel_initializer=config.kernel_initializer,
      kernel_regularizer=l2_regularizer,
      add_head_batch_norm=config.add_head_batch_norm,
      use_sync_bn=norm.use_sync_bn,
      norm_momentum=norm.norm_momentum,
      norm_epsilon=norm.norm_epsilon)
