"""What the fields of optimizers, schedules and warm-ups take."""

from __future__ import annotations

from official.modeling import optimization
from official.modeling.optimization import optimizer_factory
from official.modeling.optimization.configs import learning_rate_config
from official.modeling.optimization.configs import optimizer_config

from official_ext.configs import image_classification as configs
from official_ext.optimization import addons
from official_ext.optimization import layerwise
from official_ext.optimization import runnable
from official_ext.params.fields import rules

# What TensorFlow takes for the scope of an operation.
_NAME = rules.matching(
    r'[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*',
    'a name of letters, digits, _, ., /, > and -, such as Adam')
_CLIPPING = rules.number(above=0, null='no clipping')
_MOMENTUM = rules.probability()
# Of learning rates, decays and what divides them.
_MAX_RATE = runnable.MAX_LEARNING_RATE
_MAX_FACTOR = 1_000_000
_EPSILON = rules.number(above=0, at_most=_MAX_RATE)
_RATE = rules.number(at_least=0, at_most=_MAX_RATE)
# Model Garden's own ViT has a text there.
_PATTERNS = rules.several(
    rules.pattern(), 'a list of regular expressions of names', also_one=True,
    null='none')
# Null until a value is set; `optimization.runnable` asks for it.
_NOT_SET = ''
_STEPS = rules.whole(at_least=0)
_BOUNDARIES = rules.several(
    rules.whole(at_least=0), 'a list of steps', null=_NOT_SET)
_NEEDED_RATE = rules.number(at_least=0, at_most=_MAX_RATE, null=_NOT_SET)
_VALUES = rules.several(
    _RATE, f'a list of learning rates of 0 to {_MAX_RATE:,}', null=_NOT_SET)
# -0.5 is the decay with the root of the step.
_POWER = rules.number(at_least=-100, at_most=100)


_DECAYED = {
    'weight_decay_rate': _RATE,
    'include_in_weight_decay': _PATTERNS,
    'exclude_from_weight_decay': _PATTERNS,
}
_ADAM = {
    'beta_1': rules.fraction(),
    'beta_2': rules.fraction(),
    'epsilon': _EPSILON,
    'amsgrad': rules.flag(),
    'jit_compile': rules.flag(),
}
_MOMENTA = {'momentum': _MOMENTUM, 'nesterov': rules.flag()}
_LAYERWISE = {
    'layer_decay': rules.number(above=0, at_most=1),
    'num_layers': rules.whole(
        at_least=1, at_most=2**20, null="the layout's"),
    'frozen_backbone_steps': rules.whole(
        at_least=0, meaning='0: from trainer.frozen_backbone_epochs'),
}

TABLE: dict[type, dict[str, rules.Rule]] = {
    optimizer_config.BaseOptimizerConfig: {
        'clipnorm': _CLIPPING,
        'clipvalue': _CLIPPING,
        'global_clipnorm': _CLIPPING,
        # Of all that inherit from it.
        'name': _NAME,
    },
    optimizer_config.SGDConfig: {'decay': _RATE, **_MOMENTA},
    optimizer_config.SGDExperimentalConfig: {
        'jit_compile': rules.flag(), **_MOMENTA},
    optimizer_config.RMSPropConfig: {
        'rho': rules.fraction(),
        'momentum': _MOMENTUM,
        'epsilon': _EPSILON,
        'centered': rules.flag(),
    },
    optimizer_config.AdagradConfig: {
        'initial_accumulator_value': rules.number(
            at_least=0, at_most=_MAX_FACTOR),
        'epsilon': _EPSILON,
    },
    optimizer_config.AdamConfig: _ADAM,
    optimizer_config.AdamExperimentalConfig: _ADAM,
    optimizer_config.AdamWeightDecayConfig: {
        'gradient_clip_norm': rules.number(at_least=0), **_ADAM, **_DECAYED},
    optimizer_config.AdamWeightDecayExperimentalConfig: {
        'weight_decay': _RATE, **_ADAM},
    optimizer_config.LAMBConfig: {
        'exclude_from_layer_adaptation': _PATTERNS, **_ADAM, **_DECAYED},
    optimizer_config.EMAConfig: {
        'trainable_weights_only': rules.flag(),
        'average_decay': rules.fraction(),
        'start_step': _STEPS,
        'dynamic_decay': rules.flag(),
    },
    optimizer_config.LARSConfig: {
        'eeta': rules.number(above=0, at_most=_MAX_RATE),
        'classic_momentum': rules.flag(),
        'exclude_from_layer_adaptation': _PATTERNS,
        **_MOMENTA, **_DECAYED,
    },
    # Model Garden has the settings, but not the optimizer.
    optimizer_config.SLIDEConfig: {
        'weight_decay_type': rules.text(),
        'exclude_from_layer_adaptation': _PATTERNS,
        'include_in_sparse_layer_adaptation': _PATTERNS,
        'sparse_layer_learning_rate': _RATE,
        'do_gradient_rescaling': rules.flag(),
        'norm_type': rules.text(),
        'ratio_clip_norm': rules.number(above=0),
        **_ADAM, **_DECAYED,
    },
    optimizer_config.AdafactorConfig: {
        'factored': rules.flag(),
        'multiply_by_parameter_scale': rules.flag(),
        'beta1': rules.fraction(null='none'),
        'decay_rate': rules.probability(),
        'step_offset': _STEPS,
        'clipping_threshold': rules.number(above=0),
        'min_dim_size_to_factor': rules.whole(at_least=1),
        'epsilon1': _EPSILON,
        'epsilon2': _EPSILON,
        'weight_decay': rules.number(
            at_least=0, at_most=_MAX_RATE, null='none'),
        'include_in_weight_decay': rules.text(null='none'),
    },
    layerwise.LayerwiseAdamWConfig: _LAYERWISE,
    layerwise.LayerwiseSGDConfig: _LAYERWISE,
    addons.RectifiedAdamConfig: {
        'sma_threshold': rules.number(at_least=0, at_most=_MAX_FACTOR),
        **_ADAM, **_DECAYED},
    addons.LookaheadConfig: {
        'sync_period': rules.whole(at_least=1),
        'slow_step_size': rules.number(above=0, at_most=1),
    },
    addons.NovoGradConfig: {
        'grad_averaging': rules.flag(), **_ADAM, **_DECAYED},
    addons.YogiConfig: {
        'initial_accumulator_value': rules.number(
            at_least=0, at_most=_MAX_FACTOR),
        **_ADAM, **_DECAYED,
    },
    addons.SGDWConfig: {**_MOMENTA, **_DECAYED},
    optimization.OptimizerConfig: {'type': rules.one_of(
        optimization.OptimizerConfig())},
    configs.OptimizerConfig: {'type': rules.one_of(configs.OptimizerConfig())},
    optimization.LrConfig: {
        'type': rules.choice(['constant', *optimizer_factory.LR_CLS])},
    optimization.WarmupConfig: {
        'type': rules.choice(optimizer_factory.WARMUP_CLS, null='no warm-up')},
    learning_rate_config.ConstantLrConfig: {
        'name': rules.text(), 'learning_rate': _RATE},
    learning_rate_config.StepwiseLrConfig: {
        'name': _NAME,
        'boundaries': _BOUNDARIES,
        'values': _VALUES,
        'offset': _STEPS,
    },
    learning_rate_config.ExponentialLrConfig: {
        'name': _NAME,
        'initial_learning_rate': _NEEDED_RATE,
        'decay_steps': rules.whole(at_least=1, null='the length of the run'),
        'decay_rate': rules.number(
            above=0, at_most=_MAX_FACTOR, null=_NOT_SET),
        'staircase': rules.flag(null='as false'),
        'offset': _STEPS,
    },
    learning_rate_config.PolynomialLrConfig: {
        'name': _NAME,
        'initial_learning_rate': _NEEDED_RATE,
        'decay_steps': rules.whole(at_least=1, null='the length of the run'),
        'end_learning_rate': _RATE,
        'power': rules.number(at_least=0, at_most=100),
        'cycle': rules.flag(),
        'offset': _STEPS,
    },
    learning_rate_config.CosineLrConfig: {
        'name': _NAME,
        'initial_learning_rate': _NEEDED_RATE,
        'decay_steps': rules.whole(at_least=1, null='the length of the run'),
        'alpha': rules.probability(),
        'offset': _STEPS,
    },
    learning_rate_config.DirectPowerLrConfig: {
        'name': _NAME,
        'initial_learning_rate': _NEEDED_RATE,
        'power': _POWER,
    },
    learning_rate_config.PowerAndLinearDecayLrConfig: {
        'name': _NAME,
        'initial_learning_rate': _NEEDED_RATE,
        'total_decay_steps': rules.whole(at_least=1, null=_NOT_SET),
        'power': _POWER,
        'linear_decay_fraction': rules.probability(),
        'offset': _STEPS,
    },
    learning_rate_config.PowerDecayWithOffsetLrConfig: {
        'name': _NAME,
        'initial_learning_rate': _NEEDED_RATE,
        'power': _POWER,
        'offset': _STEPS,
        # The largest is Model Garden's default, and refused where it is read.
        'pre_offset_learning_rate': rules.number(
            at_least=0, at_most=_MAX_FACTOR),
    },
    learning_rate_config.StepCosineLrConfig: {
        'name': _NAME,
        'boundaries': _BOUNDARIES,
        'values': _VALUES,
        'offset': _STEPS,
    },
    learning_rate_config.LinearWarmupConfig: {
        'name': _NAME,
        'warmup_learning_rate': _RATE,
        'warmup_steps': rules.whole(at_least=0, null=_NOT_SET),
    },
    learning_rate_config.PolynomialWarmupConfig: {
        'name': _NAME,
        'power': rules.number(at_least=0, at_most=100),
        'warmup_steps': rules.whole(at_least=0, null=_NOT_SET),
    },
}

# Not in Model Garden 2.15.
if hasattr(optimizer_config, 'AdafactorKerasConfig'):
  TABLE[optimizer_config.AdafactorKerasConfig] = {
      'learning_rate': _RATE,
      # An exponent of the step.
      'beta_2_decay': rules.number(at_least=-1, below=0),
      'epsilon_1': _EPSILON,
      'epsilon_2': _EPSILON,
      'clip_threshold': rules.number(above=0),
      'relative_step': rules.flag(),
  }
