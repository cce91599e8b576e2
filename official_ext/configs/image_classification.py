"""The registered experiments, and the settings Model Garden has no field for.

Steps are derived from epochs, image count and batch size when the
configuration is read (`official_ext.params.experiment`), so a change of batch
size changes them all. 0 (or None, where it says so) stands for "derive it".
"""

from collections.abc import Callable
import dataclasses
from typing import Any

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import hyperparams
from official.modeling import optimization
from official.vision.configs import image_classification

from official_ext.configs import backbones
from official_ext.configs import distillation as distillation_lib
from official_ext.configs import outputs
from official_ext.configs import preprocessing
from official_ext.configs import small_data
from official_ext.optimization import addons
from official_ext.optimization import layerwise

IMAGENET_TRAIN_EXAMPLES = 1_281_167
IMAGENET_VALIDATION_EXAMPLES = 50_000
# Divides the 50,000 images evenly, so that no batch has to be filled up.
IMAGENET_VALIDATION_BATCH_SIZE = 2_000
# The classes are 1 to 1,000; 0 is background and has no image.
IMAGENET_NUM_CLASSES = 1_001

# What to load of init_checkpoint: everything; the backbone; everything but the
# last layer.
INIT_CHECKPOINT_MODULES = ('all', 'backbone', 'all_but_head')
# What a model can be computed in.
PRECISIONS = ('float32', 'bfloat16', 'float16')
RESIZE_METHODS = ('bilinear', 'bicubic')

# Before so many steps there is no telling what a loss usually is; the mean that
# loss_spike_factor compares it with reaches about as far back.
USUAL_LOSS_STEPS = 100

DIGITS_TRAIN_EXAMPLES = 1_437
DIGITS_VALIDATION_EXAMPLES = 360
DIGITS_NUM_CLASSES = 10

# The names of the experiments below, which --experiment takes.
EXPERIMENTS: list[str] = []


@dataclasses.dataclass
class DataConfig(preprocessing.DataConfig):
  """Settings of the input, and what the steps are derived from.

  Attributes:
    num_examples: images in the data set.
    label_offset: added to every label. None: 1 for TFDS's ImageNet, whose
      labels are 0..999, when the model has 1,001 classes as TFRecords of the
      ImageNet convention need; else 0.
    max_corrupt_records: a training goes without so many of its records, which
      are found before it starts; 0: it is refused if one is corrupt.
  """
  num_examples: int = 0
  label_offset: int | None = None
  max_corrupt_records: int = 0


@dataclasses.dataclass
class ImageClassificationTask(image_classification.ImageClassificationTask):
  """Model Garden's image classification, on our data settings.

  Attributes:
    data_dir: folder of shards named train-* and validation-*; the input paths
      that are empty are derived from it.
    init_checkpoint_grid: (rows, columns) of the patches of init_checkpoint;
      needed only where it has no metadata and they are not square.
    init_checkpoint_resize_method: how its position embedding is resampled for
      another resolution, 'bilinear' (the paper) or 'bicubic'.
    class_names_path: text file, line i naming class i; empty: class_names.txt
      in `data_dir`, if it is there.
    gradient_accumulation_steps: microbatches that every replica splits its
      batch into, one after the other, for one update of the weights: less
      memory, more time.
    class_weights: how much the images of a class count in the training loss,
      by how many they are: one of small_data.CLASS_WEIGHTS.
    class_sampling: how often they come, by the same.
    distillation: whose answers the training learns from.
  """
  model: image_classification.ImageClassificationModel = dataclasses.field(
      default_factory=lambda: image_classification.ImageClassificationModel(
          backbone=backbones.Backbone()))
  train_data: DataConfig = dataclasses.field(
      default_factory=lambda: DataConfig(is_training=True))
  validation_data: DataConfig = dataclasses.field(
      default_factory=lambda: DataConfig(is_training=False))
  data_dir: str = ''
  init_checkpoint_grid: list[int] | None = None
  init_checkpoint_resize_method: str = 'bilinear'
  class_names_path: str = ''
  gradient_accumulation_steps: int = 1
  class_weights: str = 'none'
  class_sampling: str = 'none'
  distillation: distillation_lib.Distillation = dataclasses.field(
      default_factory=distillation_lib.Distillation)


@dataclasses.dataclass
class OptimizerConfig(optimization.OptimizerConfig):
  """Model Garden's choice of optimizers, and what is added to it."""
  adamw_layerwise: layerwise.LayerwiseAdamWConfig = dataclasses.field(
      default_factory=layerwise.LayerwiseAdamWConfig)
  sgd_layerwise: layerwise.LayerwiseSGDConfig = dataclasses.field(
      default_factory=layerwise.LayerwiseSGDConfig)
  radam: addons.RectifiedAdamConfig = dataclasses.field(
      default_factory=addons.RectifiedAdamConfig)
  radam_lookahead: addons.LookaheadConfig = dataclasses.field(
      default_factory=addons.LookaheadConfig)
  novograd: addons.NovoGradConfig = dataclasses.field(
      default_factory=addons.NovoGradConfig)
  yogi: addons.YogiConfig = dataclasses.field(
      default_factory=addons.YogiConfig)
  sgdw: addons.SGDWConfig = dataclasses.field(
      default_factory=addons.SGDWConfig)


@dataclasses.dataclass
class OptimizationConfig(optimization.OptimizationConfig):
  """Model Garden's optimization settings on our choice of optimizers."""
  optimizer: OptimizerConfig = dataclasses.field(
      default_factory=OptimizerConfig)


@dataclasses.dataclass
class DerivedSetting(hyperparams.Config):
  """A setting that was not given, but derived from others.

  Attributes:
    setting: where it is, such as 'trainer.train_steps'.
    given: what the configuration had there, such as 0.
    value: what was derived.
  """
  setting: str = ''
  given: Any = None
  value: Any = None


@dataclasses.dataclass
class TrainerConfig(small_data.TrainerConfig):
  """Model Garden's trainer settings, in epochs.

  Attributes:
    train_epochs: passes over the training images; decides train_steps where
      that is 0.
    interval_epochs: epochs between summaries, checkpoints and evaluations;
      decides their intervals where those are 0.
    learning_rate_scaling: 'none', or how the learning rate follows when the
      batch is not `reference_batch_size`: 'linear' or 'sqrt'.
    reference_batch_size: the batch that the learning rate is given for.
    seed: seeds Python, NumPy, TensorFlow and the shuffling; None for a new
      seed in every run.
    deterministic: whether to make every operation deterministic too, which
      costs speed: two runs with one seed then agree to the last bit.
    keep_checkpoint_every_n_hours: of the checkpoints that max_to_keep would
      delete, one in so many hours is kept for good; None: none is.
    preemption_metadata_server: where Google Cloud announces that it takes the
      machine away; None: its own server, on its machines; '': nobody is asked.
    loss_spike_factor: a training whose loss in a step is more than so many
      times the running mean of the steps before has diverged; None: only one
      whose numbers are not finite has.
    export: what is exported for serving, and when.
    logging: what is logged beside numbers, and where else.
    derived: which settings of the experiment were derived; filled in when it is
      read, so that they are derived again when a training's params.yaml is.
  """
  optimizer_config: OptimizationConfig = dataclasses.field(
      default_factory=OptimizationConfig)
  train_epochs: float = 0.0
  interval_epochs: float = 1.0
  steps_per_loop: int = 0
  summary_interval: int = 0
  checkpoint_interval: int = 0
  validation_interval: int = 0
  learning_rate_scaling: str = 'none'
  reference_batch_size: int = 0
  seed: int | None = None
  deterministic: bool = False
  keep_checkpoint_every_n_hours: float | None = None
  preemption_metadata_server: str | None = None
  loss_spike_factor: float | None = None
  export: outputs.ExportConfig = dataclasses.field(
      default_factory=outputs.ExportConfig)
  logging: outputs.LoggingConfig = dataclasses.field(
      default_factory=outputs.LoggingConfig)
  derived: list[DerivedSetting] = dataclasses.field(default_factory=list)


def _model(model_name: str, layout: str | None, image_size: int,
           num_classes: int, **backbone_settings
           ) -> image_classification.ImageClassificationModel:
  """Returns a classifier on a square image of `image_size` px."""
  return image_classification.ImageClassificationModel(
      num_classes=num_classes,
      input_size=[image_size, image_size, 3],
      # As in Model Garden's recipe: the first loss is ln(classes).
      kernel_initializer='zeros',
      backbone=backbones.Backbone(
          type='funnel_vit',
          funnel_vit=backbones.FunnelViT(
              model_name=model_name, layout=layout, **backbone_settings)))


def _imagenet_data(batch_size: int) -> dict[str, DataConfig]:
  """Returns training and validation data of ImageNet-1k."""
  return dict(
      train_data=DataConfig(
          is_training=True,
          num_examples=IMAGENET_TRAIN_EXAMPLES,
          global_batch_size=batch_size),
      validation_data=DataConfig(
          is_training=False,
          num_examples=IMAGENET_VALIDATION_EXAMPLES,
          global_batch_size=IMAGENET_VALIDATION_BATCH_SIZE))


def _adamw(weight_decay: float, learning_rate: float,
           warmup_steps: int) -> OptimizationConfig:
  """Returns AdamW with linear warm-up and cosine decay to the last step."""
  return OptimizationConfig({
      'optimizer': {
          'type': 'adamw',
          'adamw': {
              'weight_decay_rate': weight_decay,
              'exclude_from_weight_decay': list(layerwise.NOT_DECAYED),
              'gradient_clip_norm': 0.0,
          },
      },
      'learning_rate': {
          'type': 'cosine',
          'cosine': {'initial_learning_rate': learning_rate},
      },
      'warmup': {
          'type': 'linear',
          'linear': {
              'warmup_steps': warmup_steps,
              'warmup_learning_rate': 0,
          },
      },
  })


def _sgd(learning_rate: float) -> OptimizationConfig:
  """Returns SGD with momentum 0.9 and cosine decay, for fine-tuning."""
  return OptimizationConfig({
      'optimizer': {
          'type': 'sgd',
          'sgd': {'momentum': 0.9, 'global_clipnorm': 1.0},
      },
      'learning_rate': {
          'type': 'cosine',
          'cosine': {'initial_learning_rate': learning_rate},
      },
  })


def register(
    build: Callable[[], cfg.ExperimentConfig],
) -> Callable[[], cfg.ExperimentConfig]:
  """Registers an experiment under the name of its function."""
  EXPERIMENTS.append(build.__name__)
  return exp_factory.register_config_factory(build.__name__)(build)


def _imagenet_pretraining(layout: str) -> cfg.ExperimentConfig:
  """Returns the paper's pretraining: 300 epochs at batch 4096 (section 5.1)."""
  return cfg.ExperimentConfig(
      task=ImageClassificationTask(
          model=_model('vit-b16', layout, 224, IMAGENET_NUM_CLASSES,
                       representation_size=768),
          data_dir='imagenet-2012-tfrecord',
          **_imagenet_data(batch_size=4_096)),
      trainer=TrainerConfig(
          train_epochs=300,
          optimizer_config=_adamw(
              weight_decay=0.3, learning_rate=0.003, warmup_steps=10_000)))


@register
def funnel_vit_imagenet() -> cfg.ExperimentConfig:
  """Pretrains Funnel-ViT-B/16 with three blocks, mean pooling."""
  return _imagenet_pretraining('B4-4-4')


@register
def vit_imagenet() -> cfg.ExperimentConfig:
  """Pretrains the paper's baseline, one block, which is ViT-B/16."""
  return _imagenet_pretraining('B12')


@register
def funnel_vit_imagenet_finetune() -> cfg.ExperimentConfig:
  """Fine-tunes at 384 px with SGD (paper, section 5.1), 20,000 steps."""
  return cfg.ExperimentConfig(
      task=ImageClassificationTask(
          model=_model('vit-b16', 'B4-4-4', 384, IMAGENET_NUM_CLASSES),
          data_dir='imagenet-2012-tfrecord',
          # Not the head: it was trained behind the pre-logits layer, which is
          # part of pretraining only.
          init_checkpoint_modules='backbone',
          **_imagenet_data(batch_size=512)),
      trainer=TrainerConfig(
          train_steps=20_000, optimizer_config=_sgd(learning_rate=0.003)))


def _cifar_finetuning(name: str, num_classes: int) -> cfg.ExperimentConfig:
  """Fine-tunes on CIFAR with ViT's recipe (arXiv 2010.11929, table 4).

  10,000 steps at batch 512, 384 px, SGD. From TFDS by default; for TFRecords
  set `task.data_dir` and both `tfds_name`s to ''.
  """
  data = dict(tfds_name=name, global_batch_size=512)
  return cfg.ExperimentConfig(
      task=ImageClassificationTask(
          model=_model('vit-b16', 'B4-4-4', 384, num_classes),
          init_checkpoint_modules='backbone',
          train_data=DataConfig(
              is_training=True, num_examples=50_000, tfds_split='train',
              **data),
          validation_data=DataConfig(
              is_training=False, num_examples=10_000, tfds_split='test',
              **data)),
      trainer=TrainerConfig(
          train_steps=10_000, optimizer_config=_sgd(learning_rate=0.003)))


@register
def funnel_vit_cifar10_finetune() -> cfg.ExperimentConfig:
  """Fine-tunes on CIFAR-10, which the paper names as future work."""
  return _cifar_finetuning('cifar10', 10)


@register
def funnel_vit_cifar100_finetune() -> cfg.ExperimentConfig:
  """Fine-tunes on CIFAR-100, which the paper names as future work."""
  return _cifar_finetuning('cifar100', 100)


@register
def funnel_vit_digits() -> cfg.ExperimentConfig:
  """Trains a small Funnel-ViT on scikit-learn's digits, in minutes.

  The 8 x 8 px digits are enlarged to 16 x 16 px, so that a patch of 4 x 4 px
  covers 2 x 2 px of the original. Flips and random crops would turn one digit
  into another; mixing images does not, and without it the model learns its
  1,437 images by heart (94 % top-1 on the others, with it 98 to 99 %).
  """
  data = dict(
      aug_rand_hflip=False,
      aug_crop=False,
      # The images fit into memory; decode them once.
      cache=True,
      shuffle_buffer_size=DIGITS_TRAIN_EXAMPLES)
  return cfg.ExperimentConfig(
      task=ImageClassificationTask(
          model=_model('vit-nano4', 'B2-2-2', 16, DIGITS_NUM_CLASSES),
          data_dir='data/digits',
          # Mixed images have mixed labels.
          losses=image_classification.Losses(one_hot=False, soft_labels=True),
          train_data=DataConfig(
              is_training=True,
              num_examples=DIGITS_TRAIN_EXAMPLES,
              global_batch_size=64,
              mixup_and_cutmix=preprocessing.MixupAndCutmix(
                  mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1),
              **data),
          validation_data=DataConfig(
              is_training=False,
              num_examples=DIGITS_VALIDATION_EXAMPLES,
              global_batch_size=120,
              **data)),
      trainer=TrainerConfig(
          train_epochs=60,
          interval_epochs=10,
          seed=1,
          optimizer_config=_adamw(
              weight_decay=0.05, learning_rate=0.001, warmup_steps=100)))
