"""Model Garden's input pipeline, put together with our parser."""

from __future__ import annotations

import functools

from official.common import dataset_fn
from official.vision.dataloaders import classification_input
from official.vision.dataloaders import input_reader
from official.vision.dataloaders import input_reader_factory
from official.vision.dataloaders import tfds_factory
from official.vision.ops import augment
import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.tasks import exact_evaluation
from official_ext.tasks import parsing


def read(task: configs.ImageClassificationTask, data: configs.DataConfig,
         input_context: tf.distribute.InputContext | None) -> tf.data.Dataset:
  """Reads a data set as its configuration says.

  Args:
    task: the task's configuration.
    data: the settings of the data set.
    input_context: which shard of the data this worker reads.

  Returns:
    Batches of images and labels; in evaluation with sample weights as well,
    which are 0 for what fills the last batch up.
  """
  if data.tfds_name:
    decoder = tfds_factory.get_classification_decoder(data.tfds_name)
  else:
    decoder = classification_input.Decoder(
        image_field_key=task.train_data.image_field_key,
        label_field_key=task.train_data.label_field_key,
        is_multilabel=task.train_data.is_multilabel)
  mixing = None
  if data.mixup_and_cutmix:
    mixing = augment.MixupAndCutmix(
        num_classes=task.model.num_classes,
        **{name: getattr(data.mixup_and_cutmix, name) for name in (
            'mixup_alpha', 'cutmix_alpha', 'prob', 'label_smoothing')})
  repeats = data.repeated_augment if data.is_training else None
  sample = _repeat(repeats) if repeats else None
  parse = parsing.build_parser(task, data).parse_fn(data.is_training)
  if not data.is_training:
    context = input_context or tf.distribute.InputContext()
    sample = functools.partial(
        exact_evaluation.shard, global_batch_size=data.global_batch_size,
        num_pipelines=context.num_input_pipelines,
        pipeline=context.input_pipeline_id)
    parse = exact_evaluation.parse_with_weight(parse)
    # The workers shard the records themselves, in an order that must be
    # the same on all of them.
    data = data.replace(deterministic=True, drop_remainder=True)
    if input_context:
      input_context = tf.distribute.InputContext(
          num_replicas_in_sync=input_context.num_replicas_in_sync)
  return input_reader_factory.input_reader_generator(
      data,
      dataset_fn=dataset_fn.pick_dataset_fn(data.file_type),
      decoder_fn=decoder.decode,
      combine_fn=input_reader.create_combine_fn(data),
      parser_fn=parse,
      postprocess_fn=mixing,
      sample_fn=sample,
  ).read(input_context=input_context)


def _repeat(times: int):
  """Draws from copies of a data set, each augmented on its own."""
  return lambda dataset: tf.data.Dataset.sample_from_datasets(
      [dataset] * times, [1 / times] * times, stop_on_empty_dataset=True)
