"""What the fields of the backbones take, Model Garden's and ours."""

from __future__ import annotations

from official.vision.configs import backbones as garden
from official.vision.modeling.backbones import efficientnet
from official.vision.modeling.backbones import mobiledet
from official.vision.modeling.backbones import mobilenet
from official.vision.modeling.backbones import resnet
from official.vision.modeling.backbones import revnet
from official.vision.modeling.backbones import spinenet
from official.vision.modeling.backbones import spinenet_mobile
from official.vision.modeling.backbones import vit_specs

from official_ext.configs import backbones
from official_ext.modeling import feature_levels
from official_ext.modeling import gelu
from official_ext.modeling import layout
from official_ext.modeling import options
from official_ext.modeling import specs
from official_ext.params.fields import rules

_SIZE = rules.whole(at_least=1, at_most=2**20)
_SIZE_OR_PRESET = rules.whole(at_least=1, at_most=2**20, null="the preset's")
_LEVEL = rules.whole(at_least=1, at_most=10)
# Below 1 in CaiT (arXiv 2103.17239, section 2), where it comes from.
_LAYER_SCALE = rules.number(at_least=0, at_most=10)
# What Model Garden's vit has of them.
_GARDEN_POOLER = rules.choice(('token', 'gap', 'none'))
_REPRESENTATION_SIZE = rules.whole(
    at_least=0, at_most=2**20, meaning='0: no such layer')


TABLE: dict[type, dict[str, rules.Rule]] = {
    garden.Backbone: {'type': rules.one_of(garden.Backbone())},
    backbones.Backbone: {'type': rules.one_of(backbones.Backbone())},
    backbones.FunnelViT: {
        'model_name': rules.choice(specs.PRESETS),
        'layout': rules.text(null="one block of the preset's depth"),
        'pooling': rules.choice(specs.POOLINGS),
        'pool_axes': rules.choice(layout.POOL_AXES),
        'pool_query_only': rules.flag(),
        'position_embedding': rules.choice(specs.POSITION_EMBEDDINGS),
        'attention_bias': rules.choice(specs.ATTENTION_BIASES),
        'pooler': rules.choice(specs.POOLERS),
        'representation_size': _REPRESENTATION_SIZE,
        'projection_size': rules.whole(
            at_least=0, at_most=2**20, meaning='0: no such layer'),
        'hidden_size': _SIZE_OR_PRESET,
        'patch_size': _SIZE_OR_PRESET,
        'init_stochastic_depth_rate': rules.fraction(),
        'layer_scale_init_value': _LAYER_SCALE,
        'original_init': rules.flag(),
        'crop_to_patches': rules.flag(),
        'gradient_checkpointing': rules.flag(),
        'class_token': rules.flag(null='as the pooler needs it'),
        'class_token_position': rules.flag(),
        'distillation_token': rules.flag(),
        'num_registers': rules.whole(
            at_least=0, at_most=1_024, meaning='0: none'),
        'patch_bias': rules.flag(),
        'norm_before_layers': rules.flag(),
        'final_norm': rules.choice(specs.FINAL_NORMS),
    },
    backbones.FeatureMaps: {
        'levels': rules.several(
            rules.whole(at_least=1, at_most=feature_levels.MAX_LEVEL),
            'a list of levels, whole numbers of 1 to '
            f'{feature_levels.MAX_LEVEL}, or [] for no maps'),
        'source': rules.choice(feature_levels.SOURCES),
        'recovery_layers': rules.whole(
            at_least=0, at_most=1_000, meaning='0: none'),
        'pyramid_filters': _SIZE,
    },
    backbones.FunnelTransformer: {
        'mlp_dim': _SIZE_OR_PRESET,
        'num_heads': _SIZE_OR_PRESET,
        'attention_dropout_rate': rules.fraction(),
        'dropout_rate': rules.fraction(),
        'activation': rules.choice(gelu.BY_NAME),
        'norm_epsilon': rules.number(above=0, below=1),
    },
    backbones.FastPath: {
        'fused_layers': rules.flag(),
        'class_token_only': rules.flag(),
        'float32_matmuls': rules.flag(null='where the CPU needs it'),
        'attention': rules.choice(options.ATTENTION_KINDS),
    },
    garden.VisionTransformer: {
        'model_name': rules.choice(vit_specs.VIT_SPECS),
        'pooler': _GARDEN_POOLER,
        'representation_size': _REPRESENTATION_SIZE,
        'hidden_size': _SIZE,
        'patch_size': _SIZE,
        'init_stochastic_depth_rate': rules.fraction(),
        'original_init': rules.flag(),
        'pos_embed_shape': rules.several(
            _SIZE, '[rows, columns] of patches', length=2, null='of the image'),
        'output_encoded_tokens': rules.flag(),
        'output_2d_feature_maps': rules.flag(),
        'layer_scale_init_value': _LAYER_SCALE,
        'transformer_partition_dims': rules.several(
            _SIZE, 'a list of four whole numbers', length=4, null='none'),
        'output_attention_scores': rules.flag(),
    },
    garden.Transformer: {
        'mlp_dim': _SIZE,
        'num_heads': _SIZE,
        'num_layers': _SIZE,
        'attention_dropout_rate': rules.fraction(),
        'dropout_rate': rules.fraction(),
    },
    garden.ResNet: {
        'model_id': rules.choice(resnet.RESNET_SPECS),
        'depth_multiplier': rules.number(above=0, at_most=1_000),
        'stem_type': rules.choice(('v0', 'v1')),
        'se_ratio': rules.probability(),
        'stochastic_depth_drop_rate': rules.fraction(),
        'scale_stem': rules.flag(),
        'resnetd_shortcut': rules.flag(),
        'replace_stem_max_pool': rules.flag(),
        'bn_trainable': rules.flag(),
    },
    garden.DilatedResNet: {
        'model_id': rules.choice(resnet.RESNET_SPECS),
        'output_stride': rules.choice((4, 8, 16, 32)),
        'multigrid': rules.several(
            _SIZE, 'a list of whole numbers', null='none'),
        'stem_type': rules.choice(('v0', 'v1')),
        'last_stage_repeats': rules.whole(at_least=1, at_most=100),
        'se_ratio': rules.probability(),
        'stochastic_depth_drop_rate': rules.fraction(),
        'resnetd_shortcut': rules.flag(),
        'replace_stem_max_pool': rules.flag(),
    },
    garden.EfficientNet: {
        'model_id': rules.choice(efficientnet.SCALING_MAP),
        'se_ratio': rules.probability(),
        'stochastic_depth_drop_rate': rules.fraction(),
    },
    garden.MobileNet: {
        'model_id': rules.choice(mobilenet.SUPPORTED_SPECS_MAP),
        'filter_size_scale': rules.number(above=0, at_most=1_000),
        'stochastic_depth_drop_rate': rules.fraction(),
        'flat_stochastic_depth_drop_rate': rules.flag(),
        'output_stride': rules.choice(
            (1, 2, 4, 8, 16, 32), null='as the model has it'),
        'output_intermediate_endpoints': rules.flag(),
    },
    garden.SpineNet: {
        'model_id': rules.choice(spinenet.SCALING_MAP),
        'stochastic_depth_drop_rate': rules.fraction(),
        'min_level': _LEVEL,
        'max_level': _LEVEL,
    },
    garden.SpineNetMobile: {
        'model_id': rules.choice(spinenet_mobile.SCALING_MAP),
        'stochastic_depth_drop_rate': rules.fraction(),
        'se_ratio': rules.probability(),
        'expand_ratio': rules.whole(at_least=1, at_most=1_000),
        'min_level': _LEVEL,
        'max_level': _LEVEL,
        'use_keras_upsampling_2d': rules.flag(),
    },
    garden.RevNet: {'model_id': rules.choice(revnet.REVNET_SPECS)},
    garden.MobileDet: {
        'model_id': rules.choice(mobiledet.SUPPORTED_SPECS_MAP),
        'filter_size_scale': rules.number(above=0, at_most=1_000),
    },
}
