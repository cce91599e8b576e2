"""Where settings of the classifier, its losses and metrics have no effect."""

from __future__ import annotations

from collections.abc import Callable

from official.core import config_definitions as cfg
from official.vision.configs import image_classification
from official.vision.modeling.backbones import vit_specs

from official_ext.modeling import feature_levels
from official_ext.modeling import hardware
from official_ext.modeling import specs
from official_ext.params import tree
from official_ext.params.fields import rules
from official_ext.params.unread import reasons

_FUNNEL_VIT = 'task.model.backbone.funnel_vit'
_VIT = 'task.model.backbone.vit'
_TRANSFORMERS = ('funnel_vit', 'vit')
_OWN_ACTIVATION = (*_TRANSFORMERS, 'mobilenet', 'mobiledet')
_MULTILABEL = ('task.train_data.is_multilabel is true, which has a loss and '
               'metrics of its own')
_SIZES = ('hidden_size', 'patch_size')
_LAYER_SIZES = ('mlp_dim', 'num_heads')


def _smooths_labels(params: cfg.ExperimentConfig) -> bool:
  losses = params.task.losses
  return params.task.train_data.is_multilabel or (
      losses.one_hot and not losses.use_binary_cross_entropy)


def _lacks_for_classes(params: cfg.ExperimentConfig,
                       setting: tree.Setting) -> str | None:
  """Says what precision and recall of every class lack, if something."""
  del setting
  lacking = []
  if not params.task.evaluation.precision_and_recall_thresholds:
    lacking.append('task.evaluation.precision_and_recall_thresholds=[0.5]')
  if not (params.task.losses.one_hot or params.task.losses.soft_labels):
    lacking.append('task.losses.one_hot=true')
  if not lacking:
    return None
  return (f'Model Garden reports them only with {" and ".join(lacking)}. Set '
          'that, or leave it out: official_ext.evaluate gives precision, '
          'recall and F1 of every class.')


def _attends_plainly(params: cfg.ExperimentConfig) -> bool:
  # A benchmark takes the GPU that there is, and writes steps for one that there
  # is not. That the kernel is demanded in vain is an error of its own.
  return not (params.runtime.num_gpus or hardware.gpu_capabilities() or
              params.task.model.backbone.funnel_vit.fast_path.attention ==
              'fused')


def _has_one_block(params: cfg.ExperimentConfig) -> bool:
  spec = specs.of_model(params.task.model)
  return spec is not None and len(spec.blocks) == 1


def _is_in_every_block(
    *names: str) -> Callable[[cfg.ExperimentConfig], bool]:
  """Says whether each block of the layout sets one of some sizes."""
  def condition(params):
    spec = specs.of_model(params.task.model)
    return spec is not None and all(
        any(getattr(block, name) for name in names)
        for block in spec.layout.blocks)

  return condition


_has_own_hidden_sizes = _is_in_every_block('hidden_size')
_has_own_mlp_dims = _is_in_every_block('mlp_dim')
# A block that sets its hidden size has heads that follow from it.
_has_own_heads = _is_in_every_block('num_heads', 'hidden_size')


def _takes_nothing_of_a_preset(params: cfg.ExperimentConfig) -> bool:
  backbone = params.task.model.backbone.funnel_vit
  layers = backbone.transformer
  return bool(
      backbone.layout and backbone.patch_size and
      (backbone.hidden_size or _has_own_hidden_sizes(params)) and
      (layers.mlp_dim or _has_own_mlp_dims(params)) and
      (layers.num_heads or _has_own_heads(params)))


def _recovers_nothing(params: cfg.ExperimentConfig) -> bool:
  spec = specs.of_model(params.task.model)
  return spec is not None and not spec.recovers_tokens


def _of_a_classifier(params: cfg.ExperimentConfig,
                     setting: tree.Setting) -> str | None:
  """Says that a classifier reads no maps; other tasks may."""
  del setting
  if not isinstance(params.task, image_classification.ImageClassificationTask):
    return None
  return 'a classifier reads the pooled output alone. Leave it out.'


def _fills_patches(params: cfg.ExperimentConfig) -> bool:
  spec = specs.of_model(params.task.model)
  return spec is not None and not any(
      side % spec.patch_size for side in params.task.model.input_size[:2])


def _of_the_specs(params: cfg.ExperimentConfig,
                  setting: tree.Setting) -> str | None:
  """Says what a size of Model Garden's vit is, if not what was set."""
  name = params.task.model.backbone.vit.model_name
  spec = vit_specs.VIT_SPECS[name]
  sizes = {**spec, **spec['transformer']}
  if setting.value == sizes[setting.name]:
    return None
  return (f"Model Garden's vit takes it from model_name, which is {name!r}: "
          f'{rules.show(sizes[setting.name])}. Leave it out, or set '
          'task.model.backbone.type=funnel_vit, which has sizes of its own.')


# Of the backbone, whatever the task.
BACKBONE: tuple[reasons.Rule, ...] = (
    reasons.Rule(
        (*(f'{_VIT}.{name}' for name in _SIZES),
         *(f'{_VIT}.transformer.{name}' for name in (
             *_LAYER_SIZES, 'num_layers'))),
        _of_the_specs, is_always=True),
    reasons.never("Model Garden's vit does not hand it on",
                  f'{_VIT}.transformer_partition_dims'),
    reasons.Rule(
        (f'{_VIT}.output_attention_scores', f'{_VIT}.output_2d_feature_maps',
         f'{_FUNNEL_VIT}.feature_maps.*'), _of_a_classifier, is_always=True),
    reasons.beside(
        lambda maps: not maps.levels, 'levels is [], so there are no maps',
        *(f'{_FUNNEL_VIT}.feature_maps.{name}' for name in (
            'source', 'recovery_layers', 'pyramid_filters'))),
    reasons.beside(
        lambda maps: maps.source != feature_levels.PYRAMID,
        'there is no pyramid: source is not pyramid',
        f'{_FUNNEL_VIT}.feature_maps.pyramid_filters'),
    reasons.where(
        _recovers_nothing, 'no map is of recovered tokens',
        f'{_FUNNEL_VIT}.feature_maps.recovery_layers'),
    reasons.beside(
        lambda vit: vit.pooler != 'none', 'it is for the pooler none',
        f'{_VIT}.output_encoded_tokens'),
    reasons.where(
        _has_one_block, f'nothing is pooled: {_FUNNEL_VIT}.layout has one '
        'block', *(f'{_FUNNEL_VIT}.{name}' for name in (
            'pooling', 'pool_axes', 'pool_query_only', 'attention_bias'))),
    *(reasons.where(
        condition, f'every block of {_FUNNEL_VIT}.layout has its own',
        f'{_FUNNEL_VIT}.{name}') for condition, name in (
            (_has_own_hidden_sizes, 'hidden_size'),
            (_has_own_mlp_dims, 'transformer.mlp_dim'),
            (_has_own_heads, 'transformer.num_heads'))),
    reasons.where(
        _takes_nothing_of_a_preset, 'the layout and all sizes are set, so '
        'nothing is taken of the preset', f'{_FUNNEL_VIT}.model_name'),
    reasons.where(
        _fills_patches, 'the patches fill task.model.input_size, so nothing '
        'is cropped', f'{_FUNNEL_VIT}.crop_to_patches'),
    reasons.where(
        lambda params: (
            params.task.model.backbone.funnel_vit.pooler != 'token'),
        f'{_FUNNEL_VIT}.pooler is not token, and needs every token of the last '
        'layer', f'{_FUNNEL_VIT}.fast_path.class_token_only'),
    reasons.where(
        lambda params: not specs.has_class_token(
            params.task.model.backbone.funnel_vit),
        'there is no class token: the pooler needs none',
        f'{_FUNNEL_VIT}.class_token_position'),
    reasons.where(
        lambda params: params.runtime.mixed_precision_dtype != 'bfloat16',
        'runtime.mixed_precision_dtype is not bfloat16',
        f'{_FUNNEL_VIT}.fast_path.float32_matmuls'),
    reasons.where(
        _attends_plainly,
        'runtime.num_gpus is 0: there is one kind of attention',
        f'{_FUNNEL_VIT}.fast_path.attention'),
)

TABLE: tuple[reasons.Rule, ...] = (
    reasons.never(
        "nothing in Model Garden's image classification reads it",
        'task.train_input_partition_dims', 'task.eval_input_partition_dims',
        'task.model_output_keys', 'task.allow_image_summary', 'task.name'),
    # The loss and the metrics.
    reasons.where(
        lambda params: params.task.train_data.is_multilabel, _MULTILABEL,
        'task.losses.one_hot', 'task.losses.soft_labels',
        'task.losses.use_binary_cross_entropy', 'task.evaluation.*'),
    reasons.where(
        lambda params: not _smooths_labels(params),
        'labels are smoothed only with task.losses.one_hot=true and '
        'use_binary_cross_entropy=false; mixed images have '
        'task.train_data.mixup_and_cutmix.label_smoothing',
        'task.losses.label_smoothing'),
    reasons.where(
        lambda params: not (params.task.losses.one_hot or
                            params.task.losses.soft_labels),
        'precision and recall need task.losses.one_hot=true or soft_labels',
        'task.evaluation.precision_and_recall_thresholds'),
    reasons.Rule(('task.evaluation.report_per_class_precision_and_recall',),
                 _lacks_for_classes, is_always=True),
    reasons.where(
        lambda params: not params.task.distillation.teacher,
        'there is no task.distillation.teacher', 'task.distillation.kind',
        'task.distillation.temperature', 'task.distillation.weight',
        'task.distillation.representation_weight'),
    reasons.beside(
        lambda distillation: not distillation.weight,
        'task.distillation.weight is 0', 'task.distillation.kind'),
    reasons.beside(
        lambda distillation: (
            distillation.kind != 'soft' or not distillation.weight),
        'the classes that a teacher takes, of kind hard, have no temperature, '
        'and with weight 0 its probabilities are not learnt',
        'task.distillation.temperature'),
    # The initial weights.
    reasons.where(
        lambda params: not params.task.init_checkpoint,
        'there is no task.init_checkpoint', 'task.init_checkpoint_modules',
        'task.init_checkpoint_grid', 'task.init_checkpoint_resize_method'),
    reasons.where(
        lambda params: params.task.model.backbone.type != 'funnel_vit',
        'only the backbone funnel_vit is loaded at another resolution',
        'task.init_checkpoint_grid', 'task.init_checkpoint_resize_method'),
    # The model.
    reasons.where(
        lambda params: params.task.model.backbone.type in _OWN_ACTIVATION,
        'the backbone has an activation of its own',
        'task.model.norm_activation.activation'),
    reasons.where(
        lambda params: (
            params.task.model.backbone.type in _TRANSFORMERS and
            not params.task.model.add_head_batch_norm),
        'the model has no batch normalisation: '
        'task.model.add_head_batch_norm is false',
        'task.model.norm_activation.use_sync_bn',
        'task.model.norm_activation.norm_momentum',
        'task.model.norm_activation.norm_epsilon',
        'trainer.optimizer_config.ema.trainable_weights_only'),
    *BACKBONE,
)
