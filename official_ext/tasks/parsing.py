"""From records to batches of images and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import functools
import types
from typing import Any

from official.common import dataset_fn
from official.core import input_reader as core_input_reader
from official.vision.dataloaders import classification_input
from official.vision.dataloaders import input_reader
from official.vision.dataloaders import tfds_factory
from official.vision.ops import augment
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.configs import image_classification as configs
from official_ext.params import input_files
from official_ext.tasks import augmentation
from official_ext.tasks import exact_evaluation
from official_ext.tasks import image_parser
from official_ext.tasks import label_mapping
from official_ext.tasks import label_offset
from official_ext.tasks import normalization
from official_ext.tasks import resizing
from official_ext.tasks import stateless_random
from official_ext.tasks import training_records


class InputReader(core_input_reader.InputReader):
  """Model Garden's reader, of folders of any name."""

  def get_files(self, input_path):
    try:
      return input_files.match(input_path)
    except ValueError as error:
      # Commands look for the files before: what was typed is right.
      raise errors.UserError(
          f'{errors.reason(error)}. If it did before, its files were moved or '
          'removed since: once they are back, the same command goes on from '
          'the newest checkpoint.') from error


def build_parser(task: configs.ImageClassificationTask,
                 data: configs.DataConfig, **overrides) -> image_parser.Parser:
  """Builds the parser of a data set.

  Args:
    task: the task's configuration.
    data: the settings of the data set.
    **overrides: settings of the parser other than the configuration's.

  Returns:
    The parser.
  """
  settings = dict(
      normalization=normalization.of_task(task),
      resizing=resizing.of_data(
          data, task.train_data, task.model.input_size[:2]),
      num_classes=task.model.num_classes,
      image_field_key=task.train_data.image_field_key,
      label_field_key=task.train_data.label_field_key,
      is_multilabel=task.train_data.is_multilabel)
  settings |= {name: getattr(data, name) for name in (
      'decode_jpeg_only', 'aug_rand_hflip', 'aug_crop', 'crop_area_range',
      'aug_type',
      'color_jitter', 'random_erasing', 'dtype', 'three_augment')}
  return image_parser.Parser(**{**settings, **overrides})


def read(task: configs.ImageClassificationTask, data: configs.DataConfig,
         input_context: tf.distribute.InputContext | None,
         mapping: label_mapping.LabelMapping | None = None,
         start: training_records.Start | None = None,
         copies: Mapping[str, str] = types.MappingProxyType({}),
         ) -> tf.data.Dataset:
  """Reads a data set as its configuration says.

  Args:
    task: the task's configuration.
    data: the settings of the data set.
    input_context: which shard of the data this worker reads.
    mapping: how to bring the labels to the classes of the model; None: they
      are right as they are.
    start: where a training begins in its data; None: at their beginning, in an
      order of the seed in `data`.
    copies: which files a training reads in the place of others.

  Returns:
    Batches of images and labels, mixed ones of classes, others of the data set;
    in evaluation with sample weights as well,
    which are 0 for what fills the last batch up.
  """
  if data.tfds_name:
    decoder = tfds_factory.get_classification_decoder(data.tfds_name)
  else:
    decoder = classification_input.Decoder(
        image_field_key=task.train_data.image_field_key,
        label_field_key=task.train_data.label_field_key,
        is_multilabel=task.train_data.is_multilabel)
  decode = _decode(decoder.decode, task.train_data.label_field_key, mapping)
  parse = build_parser(task, data).parse_fn(data.is_training)
  context = input_context or tf.distribute.InputContext()
  if data.is_training:
    start = start or training_records.enter(
        data, num_workers=context.num_input_pipelines)
    reading = training_records.read(data, decode, start, context, copies)
    parse = stateless_random.function(parse, start.seed, 'augment')
    mix = mixing(task, data)
    if mix:
      mix = after_offset(
          stateless_random.function(mix, start.seed, 'mix'), task, data)
    return InputReader(
        reading.data,
        dataset_fn=dataset_fn.pick_dataset_fn(data.file_type),
        decoder_fn=reading.decode,
        combine_fn=input_reader.create_combine_fn(data),
        sample_fn=reading.sample,
        parser_fn=training_records.parse_numbered(parse),
        transform_and_batch_fn=reading.transform_and_batch,
        postprocess_fn=training_records.postprocess_numbered(mix),
    ).read(input_context=input_context, dataset=reading.dataset)
  # The workers shard the records themselves, in an order that must be the same
  # on all of them.
  if input_context:
    input_context = tf.distribute.InputContext(
        num_replicas_in_sync=input_context.num_replicas_in_sync)
  return InputReader(
      data.replace(deterministic=True, drop_remainder=True),
      dataset_fn=dataset_fn.pick_dataset_fn(data.file_type),
      decoder_fn=decode,
      combine_fn=input_reader.create_combine_fn(data),
      sample_fn=functools.partial(
          exact_evaluation.shard, global_batch_size=data.global_batch_size,
          num_pipelines=context.num_input_pipelines,
          pipeline=context.input_pipeline_id),
      parser_fn=exact_evaluation.parse_with_weight(parse),
  ).read(input_context=input_context)


def mixing(task: configs.ImageClassificationTask,
           data: configs.DataConfig) -> augment.MixupAndCutmix | None:
  """Builds what mixes the images of a batch, if something does."""
  config = data.mixup_and_cutmix
  if not config:
    return None
  mixing_class = (augmentation.MixupAndCutmix if config.exact_labels
                  else augment.MixupAndCutmix)
  return mixing_class(
      num_classes=task.model.num_classes,
      **{name: getattr(config, name) for name in (
          'mixup_alpha', 'cutmix_alpha', 'prob', 'switch_prob',
          'label_smoothing')})


def after_offset(mix: Callable[..., tuple[tf.Tensor, tf.Tensor]],
                 task: configs.ImageClassificationTask,
                 data: configs.DataConfig
                 ) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
  """Checks labels and adds their offset before they are mixed.

  Args:
    mix: takes the number of the first image, images, and labels of classes.
    task: the task's configuration.
    data: the settings of the data set.

  Returns:
    What takes labels of the data set instead.
  """
  def mix_classes(number, images, labels):
    return mix(number, images, label_offset.add(
        labels, data.label_offset or 0, task.model.num_classes,
        task.train_data.label_field_key))

  return mix_classes


def _decode(decode: Callable[[tf.Tensor], dict[str, Any]], label_key: str,
            mapping: label_mapping.LabelMapping | None
            ) -> Callable[[tf.Tensor], dict[str, Any]]:
  """Decodes records and maps their labels, before any are mixed."""
  if mapping is None:
    return decode

  def decode_mapped(record):
    features = decode(record)
    return {**features, label_key: mapping(features[label_key])}

  return decode_mapped
