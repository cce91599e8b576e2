"""Pretraining on ImageNet-21k, which the paper names as future work."""

from official.core import config_definitions as cfg
from official.vision.configs import image_classification as garden

from official_ext.configs import backbones
from official_ext.configs import image_classification
from official_ext.optimization import layerwise

NUM_CLASSES = 21_841
# Of 14,197,122 images, what is left when a hundredth of each class is held out:
# about as many, since that is rounded for each class.
_TRAIN_EXAMPLES = 14_055_151
_VALIDATION_EXAMPLES = 141_971


@image_classification.register
def funnel_vit_imagenet21k() -> cfg.ExperimentConfig:
  """Pretrains Funnel-ViT-B/16 on ImageNet-21k.

  As ViT-B/16 is there (arXiv 2010.11929, table 3): 90 epochs at batch 4096,
  1e-3 decaying linearly to 1e-5, weight decay 0.03, dropout 0.1, after a
  warm-up of 10,000 steps. Its authors train on sigmoids, and here it is
  softmax. The files in experiments/imagenet21k are other layouts and L/16.
  """
  return cfg.ExperimentConfig(
      task=image_classification.ImageClassificationTask(
          model=garden.ImageClassificationModel(
              num_classes=NUM_CLASSES,
              input_size=[224, 224, 3],
              kernel_initializer='zeros',
              backbone=backbones.Backbone(
                  type='funnel_vit',
                  funnel_vit=backbones.FunnelViT(
                      model_name='vit-b16', layout='B4-4-4',
                      representation_size=768,
                      transformer=backbones.FunnelTransformer(
                          dropout_rate=0.1)))),
          data_dir='data/imagenet21k',
          train_data=image_classification.DataConfig(
              is_training=True, num_examples=_TRAIN_EXAMPLES,
              global_batch_size=4_096),
          validation_data=image_classification.DataConfig(
              is_training=False, num_examples=_VALIDATION_EXAMPLES,
              global_batch_size=4_096)),
      trainer=image_classification.TrainerConfig(
          train_epochs=90,
          optimizer_config=image_classification.OptimizationConfig({
              'optimizer': {
                  'type': 'adamw',
                  'adamw': {
                      'weight_decay_rate': 0.03,
                      'exclude_from_weight_decay': list(layerwise.NOT_DECAYED),
                      'gradient_clip_norm': 1.0,
                  },
              },
              'learning_rate': {
                  'type': 'polynomial',
                  'polynomial': {
                      'initial_learning_rate': 1e-3,
                      'end_learning_rate': 1e-5,
                      'power': 1.0,
                  },
              },
              'warmup': {
                  'type': 'linear',
                  'linear': {
                      'warmup_steps': 10_000, 'warmup_learning_rate': 0},
              },
          })))
