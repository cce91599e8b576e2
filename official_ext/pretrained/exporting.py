"""Writes a trained model as Hugging Face or timm would have saved it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile

from absl import logging

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.checkpoints import variable_names
from official_ext.command_line import errors
from official_ext.configs import preprocessing as preprocessing_settings
from official_ext.modeling import specs
from official_ext.pretrained import architecture
from official_ext.pretrained import hugging_face_export
from official_ext.pretrained import importing
from official_ext.pretrained import key_map
from official_ext.pretrained import model_card
from official_ext.pretrained import timm_export
from official_ext.tasks import normalization
from official_ext.trained import trained_model

FORMATS = {'hugging_face': hugging_face_export.convert,
           'timm': timm_export.convert}
_WEIGHTS = 'model.safetensors'
_WHITE = 255
_METHODS = ('bilinear', 'bicubic', 'lanczos3')


def describe(trained: trained_model.TrainedModel,
             with_head: bool = True) -> architecture.Architecture:
  """Says what a trained model is as a plain ViT.

  Pooling by mean or maximum has no variables, so a Funnel-ViT of equal widths
  is one.

  Args:
    trained: the model.
    with_head: whether its head is a part of it.

  Returns:
    The architecture, of one block.

  Raises:
    errors.UserError: if it is no model of ours of equal widths.
  """
  task = trained.params.task
  spec = specs.of_model(task.model)
  if spec is None:
    raise errors.UserError(
        f"{trained.checkpoint} is of Model Garden's backbone "
        f'{task.model.backbone.type}. Import it first '
        '(official_ext.pretrained.import_vit), and export that.')
  if spec.has_learned_pools:
    raise errors.UserError(
        f'{spec.layout_with_tokens} has pooling={spec.pooling}, whose pools '
        'have learned what a plain ViT has no place for. Only a model with '
        f'pooling {" or ".join(specs.PLAIN_POOLINGS)} is one.')
  for name in ('hidden_size', 'mlp_dim', 'num_heads'):
    sizes = {getattr(block, name) for block in spec.blocks}
    if len(sizes) > 1:
      raise errors.UserError(
          f'{spec.layout_with_tokens} has blocks of different {name}: '
          f'{", ".join(map(str, sorted(sizes)))}. Only a model of equal widths '
          'is a plain ViT.')
  block = spec.blocks[0]
  backbone = task.model.backbone.funnel_vit.replace(
      layout=f'B{spec.layout.num_layers}', hidden_size=block.hidden_size,
      patch_size=spec.patch_size, transformer={
          'mlp_dim': block.mlp_dim, 'num_heads': block.num_heads})
  return architecture.Architecture(
      kind='Funnel-ViT', backbone=backbone,
      image_size=tuple(task.model.input_size[:2]),
      num_classes=task.model.num_classes if with_head else 0,
      preprocessing=_preprocessing(task),
      class_names=tuple(trained.class_names or ()) if with_head else (),
      license=_license(trained))


def convert(model: architecture.Architecture, kind: str):
  """Says what a model is in a format, or what else can be done.

  Args:
    model: of ours.
    kind: one of `FORMATS`.

  Returns:
    What the function in `FORMATS` does.

  Raises:
    errors.UserError: if the format has no such model, with the flags that
      export it, if any do.
  """
  try:
    return FORMATS[kind](model)
  except errors.UserError as error:
    raise errors.UserError(f'{error} {_instead(model, kind)}') from error


def _instead(model: architecture.Architecture, kind: str) -> str:
  """Says which flags export a model that one format does not have."""
  others = [other for other in FORMATS if other != kind]
  tries = [(f'--format={other}', other, model) for other in others]
  if model.num_classes:
    headless = dataclasses.replace(model, num_classes=0, class_names=())
    tries += [('--nohead', kind, headless)] + [
        (f'--format={other} --nohead', other, headless) for other in others]
  for flags, other, changed in tries:
    try:
      FORMATS[other](changed)
    except errors.UserError:
      continue
    return f'Give {flags}.'
  return 'No other format that is written holds it either, nor without a head.'


def write(trained: trained_model.TrainedModel, kind: str, output: str,
          with_head: bool = True) -> list[str]:
  """Exports a trained model.

  Args:
    trained: the model.
    kind: one of `FORMATS`.
    output: the folder to make; it appears whole or not at all.
    with_head: whether the head is exported.

  Returns:
    The files in the folder.

  Raises:
    ValueError: if the format has no such model, or the folder is in use.
  """
  try:
    import safetensors.numpy  # pylint: disable=g-import-not-at-top
  except ImportError as error:
    raise errors.UserError(
        'exports need the library safetensors: '
        "pip install -e '.[pretrained]'.") from error
  model = describe(trained, with_head)
  entries, files, beside = convert(model, kind)
  names = variable_names.of_model(trained.model)
  values = {names[id(variable)]: variable.numpy()
            for variable in trained.model.variables}
  parent = os.path.dirname(os.path.abspath(output))
  os.makedirs(parent, exist_ok=True)
  unfinished = tempfile.mkdtemp(
      prefix=f'.{os.path.basename(os.path.normpath(output))}-', dir=parent)
  try:
    safetensors.numpy.save_file(
        {**key_map.to_theirs(entries, values), **beside},
        os.path.join(unfinished, _WEIGHTS),
        # transformers reads no file that does not say so.
        metadata={'format': 'pt'})
    for name, content in files.items():
      with open(os.path.join(unfinished, name), 'w',
                encoding='utf-8') as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write('\n')
    if model.license:
      with open(os.path.join(unfinished, model_card.FILE), 'w',
                encoding='utf-8') as file:
        file.write(model_card.text(model.license))
    os.chmod(unfinished, 0o755)
    importing.put_in_place(unfinished, output)
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)
  beside = [model_card.FILE] if model.license else []
  return sorted([_WEIGHTS, *files, *beside])


def _license(trained: trained_model.TrainedModel) -> str:
  """Returns the license of the weights, or of those that they began from."""
  for path in (trained.checkpoint, trained.params.task.init_checkpoint):
    try:
      found = path and metadata.read(object_graph.find(path))
    except ValueError:  # What a training began from need not be there still.
      continue
    name = ((found or {}).get(importing.METADATA_KEY) or {}).get('license')
    if name:
      return name
  return ''


def _preprocessing(task) -> architecture.Preprocessing:
  """Returns how the images of an evaluation are prepared."""
  data = task.validation_data
  if data.tf_resize_method not in _METHODS:
    raise errors.UserError(
        f'task.validation_data.tf_resize_method is {data.tf_resize_method}, '
        f'and only {", ".join(_METHODS)} can be exported.')
  differences = []
  if not preprocessing_settings.antialiases(data, task.train_data):
    differences.append('resize_antialias is false, and the library antialiases')
  if data.aug_crop and data.resize_mode == (
      preprocessing_settings.CROP_THEN_RESIZE):
    differences.append(
        'resize_mode is crop_then_resize, and the library resizes first')
  if differences:
    logging.warning(
        'the library will prepare images otherwise than '
        'task.validation_data: %s; its answers will differ a little',
        '; '.join(differences))
  normal = normalization.of_task(task)
  squashes = not data.aug_crop or (
      data.resize_mode == preprocessing_settings.SQUASH_THEN_CROP)
  return architecture.Preprocessing(
      tuple(value / _WHITE for value in normal.mean),
      tuple(value / _WHITE for value in normal.stddev),
      data.tf_resize_method,
      data.center_crop_fraction if data.aug_crop else 1.0, squashes)
