"""The experiment for fine-tuning on a few thousand images of one's own."""

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.vision.configs import common
from official.vision.configs import image_classification as garden

from official_ext.configs import backbones
from official_ext.configs import image_classification
from official_ext.configs import outputs
from official_ext.configs import small_data

_NAME = 'funnel_vit_finetune'
image_classification.EXPERIMENTS.append(_NAME)


def _data(is_training: bool, **settings) -> image_classification.DataConfig:
  return image_classification.DataConfig(
      is_training=is_training, global_batch_size=64, resize_antialias=True,
      **settings)


@exp_factory.register_config_factory(_NAME)
def funnel_vit_finetune() -> cfg.ExperimentConfig:
  """Fine-tunes at 224 px on images of one's own; keeps the best weights.

  Set task.data_dir, task.model.num_classes, task.train_data.num_examples and
  task.init_checkpoint. AdamW with layer-wise decay 0.75 and a tenth of the run
  as warm-up is what BEiT (arXiv 2106.08254, appendix H) and MAE (arXiv
  2111.06377, table 9) fine-tune with; the augmentation is milder than theirs,
  which is for a million images and hundreds of epochs. The learning rate is
  that of a batch of 256, and follows the batch. Not yet tuned by runs.
  """
  return cfg.ExperimentConfig(
      task=image_classification.ImageClassificationTask(
          model=garden.ImageClassificationModel(
              num_classes=2,
              input_size=[224, 224, 3],
              kernel_initializer='zeros',
              backbone=backbones.Backbone(
                  type='funnel_vit',
                  funnel_vit=backbones.FunnelViT(
                      model_name='vit-b16', layout='B4-4-4',
                      init_stochastic_depth_rate=0.1))),
          # Those that it was trained on are seldom the classes of the data.
          init_checkpoint_modules='backbone',
          losses=garden.Losses(one_hot=True, label_smoothing=0.1),
          train_data=_data(
              is_training=True,
              # Less would leave of many an image nothing of its object.
              crop_area_range=[0.25, 1.0],
              aug_type=common.Augmentation(
                  type='randaug',
                  randaug=common.RandAugment(num_layers=2, magnitude=7)),
              random_erasing=common.RandomErasing(probability=0.1)),
          validation_data=_data(is_training=False)),
      trainer=image_classification.TrainerConfig(
          train_epochs=50,
          seed=1,
          warmup_share=0.1,
          learning_rate_scaling='linear',
          reference_batch_size=256,
          best_checkpoint_export_subdir='best',
          best_checkpoint_eval_metric='accuracy',
          best_checkpoint_metric_comp='higher',
          export=outputs.ExportConfig(at_end=False, at_best=True),
          early_stopping=small_data.EarlyStopping(
              patience_evaluations=10, metric='accuracy'),
          optimizer_config=image_classification.OptimizationConfig({
              'optimizer': {
                  'type': 'adamw_layerwise',
                  'adamw_layerwise': {
                      'weight_decay_rate': 0.05,
                      'layer_decay': 0.75,
                      'gradient_clip_norm': 0.0,
                  },
              },
              'learning_rate': {
                  'type': 'cosine',
                  'cosine': {'initial_learning_rate': 5e-4},
              },
              'warmup': {
                  'type': 'linear',
                  'linear': {'warmup_learning_rate': 0},
              },
          })))
