"""Writes docs/figures/crosses_digits.csv: the crosses of the paper's table 1.

  make crosses

A ViT and a Funnel-ViT are trained on the digits at 16 px and exported for
Hugging Face; what was exported is imported again for 24 px and fine-tuned as
both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import datetime
import itertools
import pathlib
import statistics
import tempfile
from typing import Any

import tf_keras
import yaml

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import machine
from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.configs import image_classification as configs
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.pretrained import experiment_file
from official_ext.pretrained import exporting
from official_ext.pretrained import importing
from official_ext.pretrained import published
from official_ext.trained import trained_model
from official_ext.training import session

FIGURE = pathlib.Path(__file__).parent / 'figures' / 'crosses_digits.csv'
DATA = 'data/digits'
LAYOUTS = {'ViT': 'B6', 'Funnel-ViT': 'B3-3'}
SEEDS = (1, 2, 3)
# Of fine-tuning, px.
IMAGE_SIZE = 24
PRETRAINING_STEPS = 440
# A quarter of them ended 7 to 11 points below the pretraining: the head is new.
FINE_TUNING_STEPS = 440
# Of SGD. The recipe's 0.003 is for ImageNet's 20,000 steps.
LEARNING_RATE = 0.03


def pretrain(layout: str, seed: int, model_dir: str,
             steps: int = PRETRAINING_STEPS, data_dir: str = DATA) -> float:
  """Trains on the digits from nothing, on images that are not mixed.

  Mixed ones would take three times the steps.

  Args:
    layout: of the model.
    seed: of the training.
    model_dir: an empty folder.
    steps: of the training.
    data_dir: where the digits are.

  Returns:
    The top-1 accuracy on the held-out images, per cent.
  """
  return _train(experiment.load('funnel_vit_digits', params_override=_yaml({
      'task': {'data_dir': data_dir,
               'losses': {'one_hot': True, 'soft_labels': False},
               'model': {'backbone': {'funnel_vit': {'layout': layout}}},
               'train_data': {'mixup_and_cutmix': None}},
      'trainer': _trainer(steps, seed) | {'optimizer_config': {
          'learning_rate': {'cosine': {'initial_learning_rate': 0.002}},
          'warmup': {'linear': {'warmup_steps': steps // 4}}}}})), model_dir)


def exchange(model_dir: str, folder: str) -> str:
  """Exports a training for Hugging Face and imports what came out.

  Args:
    model_dir: of the training.
    folder: an empty one, for both.

  Returns:
    The experiment that fine-tunes what was imported.
  """
  theirs, ours = f'{folder}/exported', f'{folder}/imported'
  exporting.write(trained_model.find(model_dir), 'hugging_face', theirs)
  importing.write(published.read(theirs), theirs, ours,
                  importing.Options(image_size=[IMAGE_SIZE] * 2))
  return f'{ours}/{importing.EXPERIMENT_FILE}'


def fine_tuning(config_file: str, layout: str, seed: int,
                steps: int = FINE_TUNING_STEPS, data_dir: str = DATA):
  """Returns the experiment that fine-tunes an import on the digits.

  Args:
    config_file: what `exchange` returned.
    layout: of the model that is fine-tuned.
    seed: of the training.
    steps: of the training.
    data_dir: where the digits are.
  """
  return experiment.load(
      experiment_file.BASE, [config_file], _yaml({
          'task': {
              'data_dir': data_dir,
              'model': {'backbone': {'funnel_vit': {'layout': layout}}},
              'train_data': {
                  'num_examples': configs.DIGITS_TRAIN_EXAMPLES,
                  'shuffle_buffer_size': configs.DIGITS_TRAIN_EXAMPLES,
                  'global_batch_size': 64, 'cache': True,
                  # A flipped or cropped digit may be another one.
                  'aug_rand_hflip': False, 'aug_crop': False},
              'validation_data': {
                  'num_examples': configs.DIGITS_VALIDATION_EXAMPLES,
                  'global_batch_size': 120, 'cache': True}},
          'trainer': _trainer(steps, seed) | {
              'optimizer_config': {'learning_rate': {'cosine': {
                  'initial_learning_rate': LEARNING_RATE}}}}}))


def _trainer(steps: int, seed: int) -> dict[str, Any]:
  """Returns the settings of a training that is evaluated at its end."""
  return {'train_steps': steps, 'train_epochs': 0, 'interval_epochs': 0,
          'steps_per_loop': steps, 'summary_interval': steps,
          'checkpoint_interval': steps, 'validation_interval': steps,
          'seed': seed, 'export': {'at_end': False}}


def _yaml(settings: Mapping[str, Any]) -> str:
  return yaml.safe_dump(dict(settings))


def _train(params, model_dir: str) -> float:
  """Trains; returns the top-1 accuracy of the last evaluation, per cent."""
  tf_keras.backend.clear_session()
  with library_logs.without_prints():
    trainer = session.prepare(params, 'train_and_eval', model_dir).execute()
  return 100 * trainer.validation_logs['accuracy']


def crosses(seed: int) -> list[dict[str, Any]]:
  """Pretrains both models and fine-tunes each as both.

  Args:
    seed: of all trainings.

  Returns:
    For each cross what was pretrained and fine-tuned, and the accuracies.
  """
  found = []
  with tempfile.TemporaryDirectory() as folder:
    for name, layout in LAYOUTS.items():
      before = pretrain(layout, seed, f'{folder}/{layout}')
      config_file = exchange(f'{folder}/{layout}', f'{folder}/of_{layout}')
      for other, other_layout in LAYOUTS.items():
        params = fine_tuning(config_file, other_layout, seed)
        after = _train(params, f'{folder}/{layout}_as_{other_layout}')
        spec = specs.of_model(params.task.model)
        found.append({
            'pretrained': name, 'fine_tuned': other,
            'layout': spec.layout_with_tokens,
            'gmacs': costs.count_multiply_adds(
                spec, params.task.model.num_classes) / 1e9,
            'before': before, 'after': after})
  return found


def rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """Returns the lines of the table.

  Args:
    results: of `crosses`, of one or several seeds.

  Returns:
    A line for each cross: means over the seeds of both accuracies, and the
    sample standard deviation of the second, per cent.
  """
  lines = []
  for cross in itertools.product(LAYOUTS, repeat=2):
    own = [one for one in results
           if (one['pretrained'], one['fine_tuned']) == cross]
    after = [one['after'] for one in own]
    lines.append({
        'pretrained': cross[0], 'fine-tuned': cross[1],
        'layout': own[0]['layout'], 'GMACs': f'{own[0]["gmacs"]:.4f}',
        'trainings': len(own),
        'top-1 pretrained, %':
            f'{statistics.mean(one["before"] for one in own):.2f}',
        'top-1 fine-tuned, %': f'{statistics.mean(after):.2f}',
        'standard deviation': (
            f'{statistics.stdev(after):.2f}' if len(after) > 1 else '')})
  return lines


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  library_logs.silence()
  measured = []
  for seed in SEEDS:
    measured += crosses(seed)
    csv_file.write(str(FIGURE), rows(measured), {
        'command': 'make crosses',
        'date': datetime.date.today().isoformat(),
        'machine': machine.cpu(), 'versions': machine.versions()})
    print(f'wrote {FIGURE}: {len(measured)} fine-tunings', flush=True)


if __name__ == '__main__':
  library_logs.run(main)
