"""Object detection on Funnel-ViT: Model Garden's RetinaNet, our backbone.

Heads, anchors, losses, data and their settings are Model Garden's own
(`official.vision.configs.retinanet`).
"""

import dataclasses

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.vision.configs import decoders
from official.vision.configs import retinanet as garden

from official_ext.configs import backbones
from official_ext.configs import image_classification

_IMAGE_SIZE = 1024
_LEVELS = [3, 4, 5, 6, 7]
_BATCH_SIZE = 64
_EVAL_BATCH_SIZE = 8
_EPOCHS = 100
# Of the steps, where the learning rate falls to a tenth.
_FALLS = (0.889, 0.963)
_LEARNING_RATE = 1e-4


@dataclasses.dataclass
class RetinaNet(garden.RetinaNet):
  """Model Garden's model, which may be on a backbone of ours."""
  backbone: backbones.Backbone = dataclasses.field(
      default_factory=backbones.Backbone)


@dataclasses.dataclass
class RetinaNetTask(garden.RetinaNetTask):
  """Model Garden's task, whose backbone may begin from a classifier of ours.

  Attributes:
    init_checkpoint_grid: (rows, columns) of the patches of init_checkpoint;
      needed only where it has no metadata and they are not square.
    init_checkpoint_resize_method: how its position embedding is resampled for
      another resolution, 'bilinear' or 'bicubic'.
  """
  model: RetinaNet = dataclasses.field(default_factory=RetinaNet)
  init_checkpoint_modules: str | list[str] = 'backbone'
  init_checkpoint_grid: list[int] | None = None
  init_checkpoint_resize_method: str = 'bilinear'


@exp_factory.register_config_factory('funnel_vit_retinanet')
def funnel_vit_retinanet() -> cfg.ExperimentConfig:
  """Detects the objects of COCO on a pyramid of Funnel-ViT-B/16. Not run.

  As ViTDet (arXiv 2203.16527, appendix A.2) trains ViT-B, as far as Model
  Garden's RetinaNet has it: 1,024 px with a scale of 0.1 to 2, 100 epochs of
  batch 64, AdamW with 1e-4, decay 0.1 and 0.7 from layer to layer, stochastic
  depth of 0.1, a tenth of the rate after 88.9 % and 96.3 % of the steps. Its
  detector is Mask R-CNN; levels, anchors, losses and the batch normalisation
  of the heads are those of `retinanet_resnetfpn_coco`. Its windowed attention
  is not there: layouts pool instead.
  """
  steps_per_epoch = garden.COCO_TRAIN_EXAMPLES // _BATCH_SIZE
  train_steps = _EPOCHS * steps_per_epoch
  return cfg.ExperimentConfig(
      task=RetinaNetTask(
          annotation_file='coco/instances_val2017.json',
          model=RetinaNet(
              # COCO's identifiers go up to 90.
              num_classes=91,
              input_size=[_IMAGE_SIZE, _IMAGE_SIZE, 3],
              min_level=_LEVELS[0],
              max_level=_LEVELS[-1],
              backbone=backbones.Backbone(
                  type='funnel_vit',
                  funnel_vit=backbones.FunnelViT(
                      model_name='vit-b16',
                      layout='B4-4-4',
                      pool_axes='grid',
                      # No decoder reads it; pretrained classifiers have it.
                      pooler='none',
                      class_token=True,
                      init_stochastic_depth_rate=0.1,
                      feature_maps=backbones.FeatureMaps(
                          levels=list(_LEVELS), source='pyramid'))),
              decoder=decoders.Decoder(type='identity')),
          train_data=garden.DataConfig(
              input_path='coco/train*',
              is_training=True,
              global_batch_size=_BATCH_SIZE,
              dtype='float32',
              parser=garden.Parser(
                  aug_rand_hflip=True, aug_scale_min=0.1, aug_scale_max=2.0)),
          validation_data=garden.DataConfig(
              input_path='coco/val*',
              is_training=False,
              global_batch_size=_EVAL_BATCH_SIZE,
              dtype='float32')),
      trainer=cfg.TrainerConfig(
          train_steps=train_steps,
          steps_per_loop=steps_per_epoch,
          summary_interval=steps_per_epoch,
          checkpoint_interval=steps_per_epoch,
          validation_interval=steps_per_epoch,
          validation_steps=garden.COCO_VAL_EXAMPLES // _EVAL_BATCH_SIZE,
          optimizer_config=image_classification.OptimizationConfig({
              'optimizer': {
                  'type': 'adamw_layerwise',
                  'adamw_layerwise': {
                      'weight_decay_rate': 0.1,
                      'layer_decay': 0.7,
                      'num_layers': 12,
                      'gradient_clip_norm': 0.0,
                  },
              },
              'learning_rate': {
                  'type': 'stepwise',
                  'stepwise': {
                      'boundaries': [
                          round(share * train_steps) for share in _FALLS],
                      'values': [_LEARNING_RATE * 0.1 ** falls
                                 for falls in range(len(_FALLS) + 1)],
                  },
              },
              'warmup': {
                  'type': 'linear',
                  'linear': {
                      'warmup_steps': 250,
                      'warmup_learning_rate': 1e-3 * _LEARNING_RATE,
                  },
              },
          })),
      restrictions=[
          'task.train_data.is_training != None',
          'task.validation_data.is_training != None',
      ])
