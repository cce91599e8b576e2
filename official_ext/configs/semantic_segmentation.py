"""Semantic segmentation on Funnel-ViT: Model Garden's settings, our backbone.

Heads, decoders, losses, data and their settings are Model Garden's own
(`official.vision.configs.semantic_segmentation`); the trainer's are those of
`image_classification`.
"""

import dataclasses

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.vision.configs import decoders
from official.vision.configs import semantic_segmentation as garden

from official_ext.configs import backbones
from official_ext.configs import image_classification
from official_ext.configs import outputs

EXPERIMENT = 'funnel_vit_segmentation'
# What to load of init_checkpoint.
INIT_CHECKPOINT_MODULES = ('all', 'backbone', 'decoder')

# What an evaluation does with an image: it keeps its ratio, or not.
RESIZE_THEN_PAD = 'resize_then_pad'
SQUASH = 'squash'

# PASCAL VOC 2012 with the masks of SBD: a background and 20 classes.
_PASCAL_CLASSES = 21
_BATCH_SIZE = 16
_EPOCHS = 45
_IMAGE_SIZE = [512, 512]


@dataclasses.dataclass
class DataConfig(garden.DataConfig):
  """Model Garden's input settings, and what the steps are derived from.

  `output_size` that is empty is that of the model's input, and so is
  `groundtruth_padded_size` where masks keep their own size.

  Attributes:
    num_examples: images in the data set.
  """
  num_examples: int = 0


def is_centered(data: garden.DataConfig) -> bool:
  """Returns whether images that are padded are in the middle.

  Model Garden for TensorFlow 2.15 has no such setting: they are at the left
  top.
  """
  return getattr(data, 'centered_crop', False)


@dataclasses.dataclass
class SemanticSegmentationModel(garden.SemanticSegmentationModel):
  """Model Garden's model, which may be on a backbone of ours."""
  backbone: backbones.Backbone = dataclasses.field(
      default_factory=backbones.Backbone)


@dataclasses.dataclass
class SemanticSegmentationTask(garden.SemanticSegmentationTask):
  """Model Garden's task, whose backbone may begin from a classifier of ours.

  Attributes:
    data_dir: folder of shards named train-* and validation-*; the input paths
      that are empty are derived from it.
    class_names_path: text file, line i naming class i; empty: class_names.txt
      in `data_dir`, if it is there.
    init_checkpoint_grid: (rows, columns) of the patches of init_checkpoint;
      needed only where it has no metadata and they are not square.
    init_checkpoint_resize_method: how its position embedding is resampled for
      another resolution, 'bilinear' or 'bicubic'.
  """
  model: SemanticSegmentationModel = dataclasses.field(
      default_factory=SemanticSegmentationModel)
  train_data: DataConfig = dataclasses.field(
      default_factory=lambda: DataConfig(is_training=True))
  validation_data: DataConfig = dataclasses.field(
      default_factory=lambda: DataConfig(is_training=False))
  data_dir: str = ''
  class_names_path: str = ''
  # An evaluation hands its batches on for it, and nothing draws them here.
  allow_image_summary: bool = False
  init_checkpoint_modules: str | list[str] = 'backbone'
  init_checkpoint_grid: list[int] | None = None
  init_checkpoint_resize_method: str = 'bilinear'


@exp_factory.register_config_factory(EXPERIMENT)
def funnel_vit_segmentation() -> cfg.ExperimentConfig:
  """Segments PASCAL VOC with the recovered tokens of Funnel-ViT-B/16.

  A prediction for each patch is enlarged to the image, which is the linear
  decoder of Segmenter (arXiv 2105.05633, section 3.2), with its optimizer: SGD
  with momentum, 0.001, polynomial decay of power 0.9. Images, batch and epochs
  are those of Model Garden's `seg_deeplabv3_pascal`. Not run.
  """
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
          data_dir='pascal-voc-2012-tfrecord',
          train_data=DataConfig(
              is_training=True,
              num_examples=garden.PASCAL_TRAIN_EXAMPLES,
              global_batch_size=_BATCH_SIZE,
              aug_scale_min=0.5,
              aug_scale_max=2.0),
          validation_data=DataConfig(
              is_training=False,
              num_examples=garden.PASCAL_VAL_EXAMPLES,
              global_batch_size=_BATCH_SIZE,
              # At the size of the image, which is 500 px at most.
              resize_eval_groundtruth=False,
              drop_remainder=False)),
      trainer=image_classification.TrainerConfig(
          train_epochs=_EPOCHS,
          logging=outputs.LoggingConfig(training_images=0),
          optimizer_config=image_classification.OptimizationConfig({
              'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9}},
              'learning_rate': {
                  'type': 'polynomial',
                  'polynomial': {
                      'initial_learning_rate': 0.001,
                      'end_learning_rate': 0.0,
                      'power': 0.9,
                  },
              },
          })))
