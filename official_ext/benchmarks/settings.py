"""What a benchmark process is asked to measure."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import importlib.util
import itertools
import re
from typing import Any

from official_ext.modeling import layout as layout_lib

# The layout that stands for Model Garden's own ViT, built by its own factory.
MODEL_GARDEN = 'vit'

# Models of another library beside them: timm's ViT in PyTorch, and the same
# with the pooling of each layout.
TIMM, TIMM_POOLED = 'timm', 'timm_pooled'
PEERS = (TIMM, TIMM_POOLED)

# What a model has for decoders: nothing; one map of the recovered tokens, with
# so many layers after them; or maps of several levels from it.
NO_MAPS, PYRAMID = 'none', 'pyramid'
FEATURE_MAPS = (NO_MAPS, 'recovered_0', 'recovered_2', PYRAMID)

MODES = ('train', 'eval')
DTYPES = ('float32', 'bfloat16')


@dataclasses.dataclass(frozen=True)
class Settings:
  """One model under one set of circumstances.

  Attributes:
    layout: a layout, or MODEL_GARDEN.
    model_name: the preset.
    image_size: side of the images, px.
    batch_size: images per replica.
    dtype: 'float32', or 'bfloat16' for mixed bfloat16.
    xla: whether XLA compiles the step.
    mode: 'train' or 'eval'.
    params_override: further settings of the experiment.
    tpu: address of the TPU, '' for none.
    memory_limit_gib: what the process may allocate on the host; 0 for no
      limit.
    dump_dir: folder for what XLA writes about its buffers; '' for none. Only
      the gradients are then computed, without the optimizer's update.
    peer: one of PEERS, which PyTorch runs; '' for this project.
    pooling: how the layout pools; '' for what the settings say.
    attention_bias: what is added to its scores; '' for what the settings say.
    feature_maps: one of FEATURE_MAPS; with some the model segments, and else it
      classifies.
  """
  layout: str
  model_name: str = 'vit-b16'
  image_size: int = 224
  batch_size: int = 8
  dtype: str = 'float32'
  xla: bool = False
  mode: str = 'train'
  params_override: str = ''
  tpu: str = ''
  memory_limit_gib: float = 0.0
  dump_dir: str = ''
  peer: str = ''
  pooling: str = ''
  attention_bias: str = ''
  feature_maps: str = NO_MAPS

  @property
  def has_maps(self) -> bool:
    return self.feature_maps != NO_MAPS

  @property
  def arithmetic(self) -> str:
    """What the step computes in, in words."""
    return f'{self.dtype}, XLA {"on" if self.xla else "off"}'

  @property
  def circumstances(self) -> str:
    """Everything but the model, in words."""
    maps = f', feature maps {self.feature_maps}' if self.has_maps else ''
    return (f'{self.mode}, {self.image_size} px, batch {self.batch_size}, '
            f'{self.arithmetic}{maps}')

  def replace(self, **changes: Any) -> Settings:
    return dataclasses.replace(self, **changes)


def combine(common: Settings, layouts: str, batch_sizes: Sequence[int],
            dtypes: Sequence[str], xla: Sequence[str],
            poolings: Sequence[str] = (),
            attention_biases: Sequence[str] = (),
            feature_maps: Sequence[str] = (NO_MAPS,)) -> list[Settings]:
  """Combines all that the flags of a benchmark name.

  Args:
    common: the settings that all share.
    layouts: separated by commas outside of parentheses.
    batch_sizes: images per replica, each at least 1.
    dtypes: of DTYPES.
    xla: 'off' and 'on'.
    poolings: each of every layout of several blocks; none: what the settings
      say.
    attention_biases: likewise.
    feature_maps: of FEATURE_MAPS.

  Returns:
    The combinations; in each group of the same circumstances Model Garden's
    ViT comes first.

  Raises:
    ValueError: if a value cannot be, naming its flag.
  """
  names = split_layouts(layouts)
  if MODEL_GARDEN in names or not all(names):
    raise ValueError(
        f"--layouts={layouts}: name layouts such as B12,B6-6. Model Garden's "
        'vit is in the run without being named.')
  for name in names:
    try:
      layout_lib.parse(name)
    except ValueError as error:
      raise ValueError(f'--layouts: {error}') from error
  for name, values, allowed in (
      ('dtype', dtypes, DTYPES), ('xla', xla, ('off', 'on')),
      ('feature_maps', feature_maps, FEATURE_MAPS)):
    if not values or not set(values) <= set(allowed):
      several = 'both' if len(allowed) == 2 else 'several'
      raise ValueError(
          f'--{name}={",".join(values)}: must be {" or ".join(allowed)}, or '
          f'{several} with a comma between them.')
  models = [(MODEL_GARDEN, '', '')]
  for name in dict.fromkeys(names):
    models += itertools.product(
        [name], (dict.fromkeys(poolings) if '-' in name else ()) or [''],
        (dict.fromkeys(attention_biases) if '-' in name else ()) or [''])
  return [
      common.replace(
          layout=layout, pooling=pooling, attention_bias=attention_bias,
          batch_size=batch_size, dtype=dtype, xla=is_on == 'on',
          feature_maps=maps)
      for batch_size, dtype, is_on, maps, (layout, pooling, attention_bias)
      in itertools.product(
          dict.fromkeys(batch_sizes), dict.fromkeys(dtypes),
          dict.fromkeys(xla), dict.fromkeys(feature_maps), models)]


def with_peers(settings: Sequence[Settings],
               peers: Sequence[str]) -> list[Settings]:
  """Adds rows of PyTorch to each group of the same circumstances.

  Args:
    settings: what `combine` returned.
    peers: of PEERS; `timm_pooled` of every layout of several blocks.

  Raises:
    ValueError: if a peer is not known, or its libraries are not there.
  """
  if not set(peers) <= set(PEERS):
    raise ValueError(
        f'--peers={",".join(peers)}: must be {" or ".join(PEERS)}, or both '
        'with a comma between them.')
  if peers and any(one.tpu for one in settings):
    raise ValueError(
        f'--peers={",".join(peers)} are for GPUs and CPUs. Leave out --tpu.')
  if peers and any(one.has_maps for one in settings):
    raise ValueError(
        f'--peers={",".join(peers)} classify. Leave out --feature_maps.')
  for layout in {one.layout for one in settings if TIMM_POOLED in peers}:
    if '-' in layout and not re.fullmatch(r'B\d+(-\d+)+', layout):
      raise ValueError(
          f"--peers={TIMM_POOLED}: timm's layers have one size, so {layout} "
          'cannot be. Name layouts such as B4-4-4.')
  for library in ('torch', 'timm') if peers else ():
    if importlib.util.find_spec(library) is None:
      raise ValueError(
          f'--peers={",".join(peers)} needs {library}, which is not '
          "installed. Install the extra 'peers': pip install -e '.[peers]'.")
  result = []
  for _, group in itertools.groupby(settings, lambda one: one.circumstances):
    group = list(group)
    result += group
    for peer in dict.fromkeys(peers):
      result += dict.fromkeys(
          one.replace(peer=peer, pooling='', attention_bias='')
          for one in group if (one.layout == MODEL_GARDEN if peer == TIMM
                               else '-' in one.layout))
  return result


def load_experiment(settings: Settings) -> Any:
  """Returns the configuration of a row, an `ExperimentConfig`.

  It warns of nothing: what was typed was read alone before, and a row leaves
  without effect what others are meant by.

  Args:
    settings: of the row.
  """
  # pylint: disable=g-import-not-at-top
  from absl import logging

  from official_ext.params import experiment
  # pylint: enable=g-import-not-at-top
  before = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    return experiment.load(
        experiment_name(settings),
        params_override=experiment_override(settings))
  finally:
    logging.set_verbosity(before)


def experiment_name(settings: Settings) -> str:
  """Returns the experiment of a row: maps need a decoder that reads them."""
  return ('funnel_vit_segmentation' if settings.has_maps
          else 'funnel_vit_imagenet')


def experiment_override(settings: Settings) -> str:
  """Returns the settings of an experiment, as `--params_override` takes."""
  size = settings.image_size
  backbone = 'task.model.backbone'
  values = [
      f'task.model.input_size=[{size},{size},3]',
      # Of no use here, and longer than the training.
      'trainer.optimizer_config.warmup.linear.warmup_steps=1',
  ] if not settings.has_maps else [
      f'task.model.input_size=[{size},{size},3]',
      # As without maps, so that the rows compare.
      'trainer.optimizer_config.optimizer.type=adamw',
      *_settings_of_maps(settings),
  ]
  if settings.layout == MODEL_GARDEN:
    values += [
        f'{backbone}.type=vit',
        f"{backbone}.vit.model_name='{settings.model_name}'",
        f'{backbone}.vit.transformer.dropout_rate=0.0',
        f'{backbone}.vit.transformer.attention_dropout_rate=0.0',
    ]
  else:
    values += [
        f"{backbone}.funnel_vit.model_name='{settings.model_name}'",
        f"{backbone}.funnel_vit.layout='{settings.layout}'",
        *(f"{backbone}.funnel_vit.{name}='{getattr(settings, name)}'"
          for name in ('pooling', 'attention_bias') if getattr(settings, name)),
        # The head alone, as in fine-tuning and in Model Garden's vit.
        f'{backbone}.funnel_vit.representation_size=0',
    ]
  return ','.join(filter(None, [*values, settings.params_override]))


def _settings_of_maps(settings: Settings) -> list[str]:
  """Returns the settings of the maps, and the head that reads the finest.

  That of the patches, where it is one; or the one of two levels below it.
  """
  # pylint: disable=g-import-not-at-top
  from official_ext.modeling import feature_levels
  from official_ext.modeling import specs
  # pylint: enable=g-import-not-at-top
  level = feature_levels.of_patches(
      specs.PRESETS[settings.model_name]['patch_size'])
  if settings.layout == MODEL_GARDEN:
    return [f'task.model.head.level={level}',
            'task.model.backbone.vit.output_2d_feature_maps=True']
  maps = 'task.model.backbone.funnel_vit.feature_maps'
  if settings.feature_maps != PYRAMID:
    return [f'task.model.head.level={level}', f'{maps}.levels=[{level}]',
            f'{maps}.recovery_layers={settings.feature_maps[-1]}']
  levels = list(range(max(1, level - 2), level + 2))
  return [f'task.model.head.level={levels[0]}', f'{maps}.levels={levels}',
          f'{maps}.source=pyramid', f'{maps}.recovery_layers=0']


def split_layouts(text: str) -> list[str]:
  """Returns the layouts of a text, split at commas outside of parentheses."""
  return [layout.strip() for layout in re.split(r',(?![^(]*\))', text)]
