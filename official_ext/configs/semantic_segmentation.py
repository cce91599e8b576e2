"""Semantic segmentation on Funnel-ViT: Model Garden's settings, our backbone.

Heads, decoders, losses, data and their settings are Model Garden's own
(`official.vision.configs.semantic_segmentation`).
"""

import dataclasses

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import optimization
from official.vision.configs import decoders
from official.vision.configs import semantic_segmentation as garden

from official_ext.configs import backbones

# PASCAL VOC 2012 with the masks of SBD: a background and 20 classes.
_PASCAL_CLASSES = 21
_BATCH_SIZE = 16
_EPOCHS = 45
_IMAGE_SIZE = [512, 512]


@dataclasses.dataclass
class SemanticSegmentationModel(garden.SemanticSegmentationModel):
  """Model Garden's model, which may be on a backbone of ours."""
  backbone: backbones.Backbone = dataclasses.field(
      default_factory=backbones.Backbone)


@dataclasses.dataclass
class SemanticSegmentationTask(garden.SemanticSegmentationTask):
  """Model Garden's task, whose backbone may begin from a classifier of ours.

  Attributes:
    init_checkpoint_grid: (rows, columns) of the patches of init_checkpoint;
      needed only where it has no metadata and they are not square.
    init_checkpoint_resize_method: how its position embedding is resampled for
      another resolution, 'bilinear' or 'bicubic'.
  """
  model: SemanticSegmentationModel = dataclasses.field(
      default_factory=SemanticSegmentationModel)
  init_checkpoint_modules: str | list[str] = 'backbone'
  init_checkpoint_grid: list[int] | None = None
  init_checkpoint_resize_method: str = 'bilinear'


@exp_factory.register_config_factory('funnel_vit_segmentation')
def funnel_vit_segmentation() -> cfg.ExperimentConfig:
  """Segments PASCAL VOC with the recovered tokens of Funnel-ViT-B/16.

  A prediction for each patch is enlarged to the image, which is the linear
  decoder of Segmenter (arXiv 2105.05633, section 3.2), with its optimizer: SGD
  with momentum, 0.001, polynomial decay of power 0.9. Images, batch and epochs
  are those of Model Garden's `seg_deeplabv3_pascal`. Not run.
  """
  steps_per_epoch = garden.PASCAL_TRAIN_EXAMPLES // _BATCH_SIZE
  train_steps = _EPOCHS * steps_per_epoch
  return cfg.ExperimentConfig(
      task=SemanticSegmentationTask(
          model=SemanticSegmentationModel(
              num_classes=_PASCAL_CLASSES,
              input_size=[*_IMAGE_SIZE, 3],
              backbone=backbones.Backbone(
                  type='funnel_vit',
                  funnel_vit=backbones.FunnelViT(
                      model_name='vit-b16',
                      layout='B4-4-4',
                      pool_axes='grid',
                      # No decoder reads it; pretrained classifiers have it.
                      pooler='none',
                      class_token=True,
                      feature_maps=backbones.FeatureMaps(levels=[4]))),
              decoder=decoders.Decoder(type='identity'),
              head=garden.SegmentationHead(level=4, num_convs=0)),
          train_data=garden.DataConfig(
              input_path='pascal_voc_seg/train_aug*',
              is_training=True,
              output_size=list(_IMAGE_SIZE),
              global_batch_size=_BATCH_SIZE,
              aug_scale_min=0.5,
              aug_scale_max=2.0),
          validation_data=garden.DataConfig(
              input_path='pascal_voc_seg/val*',
              is_training=False,
              output_size=list(_IMAGE_SIZE),
              global_batch_size=_BATCH_SIZE,
              # At the size of the image, which is 500 px at most.
              resize_eval_groundtruth=False,
              groundtruth_padded_size=list(_IMAGE_SIZE),
              drop_remainder=False)),
      trainer=cfg.TrainerConfig(
          train_steps=train_steps,
          steps_per_loop=steps_per_epoch,
          summary_interval=steps_per_epoch,
          checkpoint_interval=steps_per_epoch,
          validation_interval=steps_per_epoch,
          # All of them.
          validation_steps=-1,
          optimizer_config=optimization.OptimizationConfig({
              'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9}},
              'learning_rate': {
                  'type': 'polynomial',
                  'polynomial': {
                      'initial_learning_rate': 0.001,
                      'decay_steps': train_steps,
                      'end_learning_rate': 0.0,
                      'power': 0.9,
                  },
              },
          })),
      restrictions=[
          'task.train_data.is_training != None',
          'task.validation_data.is_training != None',
      ])
