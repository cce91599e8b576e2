"""The settings of an experiment that fine-tunes an imported model."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import shlex
from typing import Any

from official.modeling import hyperparams
import yaml

from official_ext.configs import backbones
from official_ext.configs import preprocessing as preprocessing_settings
from official_ext.pretrained import architecture

BASE = 'funnel_vit_imagenet_finetune'
_WHITE = 255
_HEAD = """\
# Fine-tunes {kind} from {source}{license}.
#
# Command:   python train.py --experiment={base} \\
#              --mode=train_and_eval --model_dir=runs/finetuned \\
#              --config_file={path} --config_file=data/photos/experiment.yaml
#
# The experiment.yaml that the conversion of your images wrote comes after this
# file: its classes are yours. Any layout of {num_layers} layers can be taken:
#   --params_override=task.model.backbone.funnel_vit.layout=...
"""


def settings(model: architecture.Architecture, layout: str,
             image_size: Sequence[int], num_classes: int) -> dict[str, Any]:
  """Returns the settings of model and data.

  Args:
    model: what was imported.
    layout: of the model.
    image_size: (height, width), px.
    num_classes: of the head.

  Returns:
    Settings below `task`, nested by name.
  """
  backbone = _changed(
      model.backbone.replace(
          layout=layout,
          # As the convolution of the libraries does, without a word.
          crop_to_patches=any(
              side % model.backbone.patch_size for side in image_size)),
      backbones.FunnelViT())
  images = model.preprocessing
  mode = (preprocessing_settings.SQUASH_THEN_CROP if images.squashes
          else preprocessing_settings.RESIZE_THEN_CROP)
  return {
      'model': {
          'num_classes': num_classes,
          'input_size': [*image_size, 3],
          'backbone': {'type': 'funnel_vit', 'funnel_vit': backbone},
      },
      'train_data': {
          'mean_rgb': _as_rgb(images.mean),
          'stddev_rgb': _as_rgb(images.stddev),
          # Pillow, with which it was trained or is used, always does.
          'resize_antialias': True,
          'tf_resize_method': images.resize_method,
      },
      'validation_data': {
          'aug_crop': True,
          'tf_resize_method': images.resize_method,
          'resize_mode': mode,
          'center_crop_fraction': images.crop_fraction,
      },
  }


def text(task: dict[str, Any], model: architecture.Architecture, source: str,
         folder: str, path: str) -> str:
  """Writes an experiment that begins from an imported model.

  Args:
    task: what `settings` returned.
    model: what was imported.
    source: where from.
    folder: of the checkpoint.
    path: of the file that the text is for.

  Returns:
    YAML, its head a command.
  """
  name = _one_line(model.license)
  head = _HEAD.format(
      kind=model.kind, source=_one_line(source), base=BASE,
      path=shlex.quote(_one_line(path)),
      license=f' (license: {name})' if name else '',
      num_layers=model.num_layers)
  return head + as_yaml({
      'init_checkpoint': folder,
      # The head is that of other classes.
      'init_checkpoint_modules': 'backbone',
      **task})


def as_yaml(task: dict[str, Any]) -> str:
  """Returns settings below `task` as YAML."""
  return yaml.safe_dump(
      {'task': task}, sort_keys=False, default_flow_style=None)


def preprocessing(model: architecture.Architecture) -> dict[str, Any]:
  """Returns what metadata say of the preprocessing."""
  return dataclasses.asdict(model.preprocessing)


def _one_line(text: str) -> str:
  """Returns a text that a comment can hold."""
  return ''.join(
      character if character.isprintable() else ' ' for character in text)


def _as_rgb(values: Sequence[float]) -> list[float]:
  """Returns values of 0 to 1 as 0 to 255, without the noise of the product."""
  return [round(_WHITE * value, 6) for value in values]


def _changed(config: hyperparams.Config,
             default: hyperparams.Config) -> dict[str, Any]:
  """Returns the settings that are other than the default, nested by name."""
  found = {}
  for field in dataclasses.fields(config):
    value, usual = getattr(config, field.name), getattr(default, field.name)
    if isinstance(value, hyperparams.Config):
      value = _changed(value, usual)
      if value:
        found[field.name] = value
    elif value != usual:
      found[field.name] = value
  return found
