"""From an experiment's name and overrides to its final configuration.

Order of precedence, as in Model Garden: the registered experiment, then the
`--config_file`s in order, then `--params_override`. Unknown keys are refused
with the keys that exist; then everything that is left to derive is derived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import difflib
import os
import pathlib
import types
import typing
from typing import Any

from absl import logging
from official.core import config_definitions as cfg
from official.core import exp_factory
from official.core import train_utils
from official.modeling import hyperparams
import tensorflow as tf

from official_ext.configs import image_classification
from official_ext.modeling import specs

# Written by data_prep beside the shards, and looked for by the exporter.
CLASS_NAMES_FILE = 'class_names.txt'

_SCALARS = (int, float, str, bool, type(None))

# The shards of each data set in task.data_dir.
_PATTERNS = {'train_data': 'train*', 'validation_data': 'valid*'}

# In a checkout the files stand beside the package, in an installation inside.
_PACKAGE_DIR = pathlib.Path(__file__).resolve().parent.parent
_EXPERIMENT_DIRS = (
    _PACKAGE_DIR / 'experiments', _PACKAGE_DIR.parent / 'experiments')


def load(experiment: str,
         config_files: Sequence[str] = (),
         params_override: str = '',
         tpu: str | None = None,
         tf_data_service: str | None = None) -> cfg.ExperimentConfig:
  """Reads an experiment's configuration.

  Args:
    experiment: name of a registered experiment.
    config_files: YAML files, by path or by the name of one that is shipped.
    params_override: 'key=value,...' or YAML, over the files.
    tpu: address of the TPU.
    tf_data_service: address of the tf.data service.

  Returns:
    The configuration with every derived value filled in, locked.

  Raises:
    ValueError: if a name, key or value is wrong, saying what to type instead.
  """
  paths = [find_config_file(name) for name in config_files]
  default = _registered(experiment)
  for override in [*paths, params_override]:
    if override:
      _check_keys(_as_dict(override), default, override)
  params = train_utils.ExperimentParser(train_utils.ParseConfigOptions(
      experiment=experiment,
      config_file=paths,
      tpu=tpu,
      tf_data_service=tf_data_service or '',
      params_override=params_override)).parse()
  if isinstance(params.task, image_classification.ImageClassificationTask):
    resolve(params)
  params.validate()
  params.lock()
  return params


def load_saved(model_dir: str) -> cfg.ExperimentConfig:
  """Reads the configuration that a training left in its folder.

  Args:
    model_dir: folder of the training.

  Returns:
    The configuration, locked.

  Raises:
    ValueError: if there is none.
  """
  path = os.path.join(model_dir, 'params.yaml')
  if not tf.io.gfile.exists(path):
    raise ValueError(
        f'there is no params.yaml in {model_dir}: it is not the --model_dir of '
        'a training.')
  params = cfg.ExperimentConfig(
      task=image_classification.ImageClassificationTask(),
      trainer=image_classification.TrainerConfig())
  hyperparams.override_params_dict(params, path, is_strict=True)
  params.lock()
  return params


def class_names_path(
    task: image_classification.ImageClassificationTask) -> str | None:
  """The file that names the classes of a task, one a line.

  Args:
    task: the task's configuration.

  Returns:
    The path, or None if the task names no file and its data has none.

  Raises:
    ValueError: if the task names a file that does not exist.
  """
  if task.class_names_path:
    if not tf.io.gfile.exists(task.class_names_path):
      raise ValueError(
          f'task.class_names_path: {task.class_names_path!r} does not exist.')
    return task.class_names_path
  path = os.path.join(task.data_dir, CLASS_NAMES_FILE)
  return path if task.data_dir and tf.io.gfile.exists(path) else None


def find_config_file(name: str) -> str:
  """Finds a configuration file by path, or by name among those shipped.

  Args:
    name: path of a YAML file, or the name of a shipped one, with or without
      its folder and its ending.

  Returns:
    The path of the file.

  Raises:
    ValueError: if there is none, listing those shipped.
  """
  if tf.io.gfile.exists(name) and not tf.io.gfile.isdir(name):
    return name
  shipped = shipped_config_files()
  stem = name.removesuffix('.yaml')
  matches = [path for key, path in shipped.items()
             if stem in (key, key.rsplit('/', maxsplit=1)[-1])]
  if len(matches) == 1:
    return str(matches[0])
  if matches:
    named = [key for key, path in shipped.items() if path in matches]
    raise ValueError(
        f'--config_file={name} is the name of several files: '
        f'{", ".join(named)}. Name one with its folder.')
  raise ValueError(
      f'--config_file={name} is neither a file nor the name of one shipped: '
      f'{", ".join(shipped) or "none"}.')


def shipped_config_files() -> dict[str, pathlib.Path]:
  """The experiments' YAML files by name, such as 'imagenet/...'."""
  for directory in _EXPERIMENT_DIRS:
    if directory.is_dir():
      return {
          str(path.relative_to(directory).with_suffix('')): path
          for path in sorted(directory.rglob('*.yaml'))}
  return {}


def resolve(params: cfg.ExperimentConfig) -> None:
  """Derives what the configuration leaves open, in place.

  Args:
    params: an experiment of ours, not locked.

  Raises:
    ValueError: if something cannot be derived, or does not fit.
  """
  _resolve_model(params.task)
  _check_labels_and_losses(params.task)
  _resolve_data(params.task, params.trainer.seed)
  _resolve_steps(params.trainer, params.task.train_data)
  backbone = params.task.model.backbone
  optimizer = params.trainer.optimizer_config.optimizer.get()
  if (backbone.type == 'funnel_vit' and
      getattr(optimizer, 'num_layers', 0) is None):
    optimizer.num_layers = specs.resolve(
        backbone.funnel_vit,
        tuple(params.task.model.input_size[:2])).layout.num_layers


def _registered(experiment: str) -> cfg.ExperimentConfig:
  try:
    return exp_factory.get_exp_config(experiment)
  except LookupError as error:
    ours = ('funnel_vit_imagenet', 'vit_imagenet',
            'funnel_vit_imagenet_finetune', 'funnel_vit_cifar10_finetune',
            'funnel_vit_cifar100_finetune', 'funnel_vit_digits')
    raise ValueError(
        f'--experiment={experiment} is not registered. This project registers '
        f"{', '.join(ours)}; Model Garden's own can be named too.") from error


def _as_dict(override: str) -> Mapping[str, Any]:
  """An override as nested dictionaries, read by Model Garden's own reader."""
  read = hyperparams.ParamsDict({})
  try:
    hyperparams.override_params_dict(read, override, is_strict=False)
  except Exception as error:
    raise ValueError(
        f'the configuration {override!r} cannot be read: {error}. Give '
        "key=value pairs joined by commas, with quotes around a value that "
        "holds a comma, as in task.model.backbone.funnel_vit.layout='B6(197, "
        "m4096)-6'; or a YAML file.") from error
  return read.as_dict()


def _check_keys(override: Mapping[str, Any], params: hyperparams.Config,
                source: str, path: str = '') -> None:
  """Raises ValueError on the first key that the configuration lacks."""
  # Not as_dict(), which of a one-of shows only the type that is chosen.
  known = [key for key in vars(params) if key not in params.RESERVED_ATTR]
  for key, value in override.items():
    if key not in known:
      close = difflib.get_close_matches(key, known, n=1)
      hint = f' Did you mean {path}{close[0]}?' if close else ''
      raise ValueError(
          f'{source}: there is no key {path}{key}.{hint} Keys of '
          f'{path.rstrip(".") or "an experiment"}: {", ".join(sorted(known))}.')
    if not isinstance(value, Mapping):
      _check_type(value, type(params), key, f'{source}: {path}{key}')
      continue
    below = getattr(params, key)
    if not isinstance(below, hyperparams.Config):
      # Unset: an untyped Config would take any key without a word.
      config_class = _config_class(type(params), key)
      if config_class is None:
        continue
      below = config_class()
    if vars(below).keys() - set(below.RESERVED_ATTR):
      _check_keys(value, below, source, f'{path}{key}.')


def _check_type(value: Any, owner: type, key: str, where: str) -> None:
  """Raises ValueError on a value that a field cannot take.

  Model Garden takes anything, and `seed=None` would be the text 'None'.
  """
  annotation = typing.get_type_hints(owner).get(key)
  choices = (annotation,)
  if typing.get_origin(annotation) in (typing.Union, types.UnionType):
    choices = typing.get_args(annotation)
  if not all(choice in _SCALARS or (isinstance(choice, type) and issubclass(
      choice, hyperparams.Config)) for choice in choices):
    return  # Sequences, and what has no annotation.
  accepted = [choice for choice in choices if choice in _SCALARS]
  if float in accepted:
    accepted.append(int)
  # None also where the annotation forgets it, as Model Garden's often do.
  if value is not None and type(value) not in accepted:
    names = [choice.__name__ for choice in accepted
             if choice is not type(None)] or ['a group of settings']
    raise ValueError(
        f'{where} is {value!r}, but must be {" or ".join(names)}, or null for '
        'none.')


def _config_class(owner: type, key: str) -> type | None:
  """The Config subclass that a field such as `Optional[Augmentation]` takes."""
  annotation = typing.get_type_hints(owner).get(key)
  for candidate in (annotation, *typing.get_args(annotation)):
    if isinstance(candidate, type) and issubclass(
        candidate, hyperparams.Config):
      return candidate
  return None


def _resolve_model(task: image_classification.ImageClassificationTask) -> None:
  """Checks the model's sizes, while an error is still cheap."""
  model = task.model
  if len(model.input_size) != 3 or model.input_size[2] != 3:
    raise ValueError(
        f'task.model.input_size is {list(model.input_size)}, but must be '
        '[height, width, 3].')
  if model.num_classes < 1:
    raise ValueError(
        f'task.model.num_classes is {model.num_classes}, but must be at least '
        '1.')
  if model.backbone.type == 'funnel_vit':
    specs.resolve(model.backbone.funnel_vit, tuple(model.input_size[:2]))


def _check_labels_and_losses(
    task: image_classification.ImageClassificationTask) -> None:
  """Mixed images have soft labels, and only they have."""
  losses = task.losses
  if task.train_data.mixup_and_cutmix:
    if losses.one_hot or not (
        losses.soft_labels or losses.use_binary_cross_entropy):
      raise ValueError(
          'task.train_data.mixup_and_cutmix makes labels soft: set '
          'task.losses.soft_labels=true and task.losses.one_hot=false, or '
          'switch it off with null.')
  elif losses.soft_labels:
    raise ValueError(
        'task.losses.soft_labels is true, but without '
        'task.train_data.mixup_and_cutmix labels are not soft: set '
        'task.losses.soft_labels=false and task.losses.one_hot=true.')


def _resolve_data(task: image_classification.ImageClassificationTask,
                  seed: int | None) -> None:
  """Derives input paths, label offsets and seeds of both data sets."""
  for name, pattern in _PATTERNS.items():
    data = getattr(task, name)
    if data.global_batch_size < 1:
      raise ValueError(
          f'task.{name}.global_batch_size is {data.global_batch_size}, but '
          'must be at least 1.')
    if data.tfds_name and (data.input_path or task.data_dir):
      raise ValueError(
          f'task.{name} has both tfds_name={data.tfds_name!r} and files '
          f'({data.input_path or task.data_dir!r}). For files set '
          f"task.{name}.tfds_name=''; for TFDS set task.data_dir='' and "
          f"task.{name}.input_path=''.")
    if not data.input_path and not data.tfds_name:
      data.input_path = os.path.join(task.data_dir, pattern)
    if data.label_offset is None:
      is_tfds_imagenet = str(data.tfds_name).startswith('imagenet2012')
      data.label_offset = int(
          is_tfds_imagenet and
          task.model.num_classes == image_classification.IMAGENET_NUM_CLASSES)
    if data.seed is None:
      data.seed = seed


def _resolve_steps(trainer: image_classification.TrainerConfig,
                   data: image_classification.DataConfig) -> None:
  """Derives the steps from the epochs."""
  steps_per_epoch = data.num_examples // data.global_batch_size
  if not trainer.train_steps:
    if not trainer.train_epochs:
      raise ValueError(
          'trainer.train_epochs and trainer.train_steps are both 0: set one.')
    if not steps_per_epoch:
      raise ValueError(
          'steps cannot be derived from epochs: task.train_data.num_examples '
          f'is {data.num_examples} and global_batch_size is '
          f'{data.global_batch_size}. Set num_examples to the number of '
          'training images (at least one batch), or trainer.train_steps.')
    trainer.train_steps = round(trainer.train_epochs * steps_per_epoch)
  interval = round(trainer.interval_epochs * steps_per_epoch) or 1_000
  interval = min(interval, trainer.train_steps)
  trainer.steps_per_loop = trainer.steps_per_loop or interval
  trainer.summary_interval = trainer.summary_interval or trainer.steps_per_loop
  trainer.checkpoint_interval = trainer.checkpoint_interval or interval
  trainer.validation_interval = trainer.validation_interval or interval
  optimizer_config = trainer.optimizer_config
  schedule = optimizer_config.learning_rate.get()
  if hasattr(schedule, 'decay_steps') and schedule.decay_steps is None:
    schedule.decay_steps = trainer.train_steps
  _scale_learning_rate(trainer, schedule, data.global_batch_size)
  warmup = optimizer_config.warmup.get() if optimizer_config.warmup else None
  warmup_steps = getattr(warmup, 'warmup_steps', 0) or 0
  if warmup_steps >= trainer.train_steps:
    logging.warning(
        'The learning rate never reaches its peak: the warm-up takes %d steps '
        'of %d. Set trainer.optimizer_config.warmup.%s.warmup_steps.',
        warmup_steps, trainer.train_steps, optimizer_config.warmup.type)


def _scale_learning_rate(trainer: image_classification.TrainerConfig,
                         schedule: hyperparams.Config,
                         batch_size: int) -> None:
  """Scales the learning rate with the batch, where that is asked for."""
  scaling = trainer.learning_rate_scaling
  exponents = {'none': 0.0, 'linear': 1.0, 'sqrt': 0.5}
  if scaling not in exponents:
    raise ValueError(
        f'trainer.learning_rate_scaling is {scaling!r}, but must be one of '
        f'{", ".join(exponents)}.')
  if scaling == 'none':
    return
  if trainer.reference_batch_size < 1:
    raise ValueError(
        f'trainer.learning_rate_scaling is {scaling}, but '
        'trainer.reference_batch_size is not set. Set it to the batch that '
        'the learning rate is given for.')
  if not hasattr(schedule, 'initial_learning_rate'):
    raise ValueError(
        'trainer.learning_rate_scaling needs a schedule with an '
        f'initial_learning_rate, not {type(schedule).__name__}. Set it to '
        'none and the learning rate yourself.')
  factor = (batch_size / trainer.reference_batch_size) ** exponents[scaling]
  schedule.initial_learning_rate *= factor
  # What is saved beside the checkpoint is scaled already.
  trainer.learning_rate_scaling = 'none'
