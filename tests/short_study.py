"""A study on the digits and the plan of it, for the tests of what runs one."""

import yaml

from official_ext.studies import plan
from official_ext.studies import study_file

LAYOUT = 'task.model.backbone.funnel_vit.layout'
RATE = 'trainer.optimizer_config.learning_rate.cosine.initial_learning_rate'


def rows():
  return {
      'ViT': {'params_override': {LAYOUT: 'B2'}},
      'funnel max': {'params_override': {
          'task.model.backbone.funnel_vit': {
              'layout': 'B1-1', 'pooling': 'max'}}},
      'untrained funnel': {
          'mode': 'eval', 'seeds': [2], 'params_override': {
              LAYOUT: 'B1-1', 'task.init_checkpoint': {'run_of': 'ViT'}}}}


def write(folder, digits_dir, **changes):
  """Writes a study of two steps; returns its path."""
  path = folder / 'short.yaml'
  path.write_text(yaml.safe_dump({
      'title': 'A short study', 'experiment': 'funnel_vit_digits',
      'params_override': {
          'task.data_dir': digits_dir, 'trainer': {
              'train_steps': 2, 'train_epochs': 0, 'interval_epochs': 0,
              'steps_per_loop': 1, 'summary_interval': 1,
              'checkpoint_interval': 1, 'validation_interval': 2,
              'optimizer_config': {'warmup': {'linear': {'warmup_steps': 1}}}}},
      'seeds': [1, 2], 'baseline': 'ViT', 'rows': rows(),
      'claims': [{'claim': 'It loses little.', 'row': 'funnel max',
                  'above': -1}], **changes}, sort_keys=False))
  return path


class Lines(list):
  """Takes what a scheduler tells."""

  def __call__(self, text):
    self.append(text)


def make(folder, digits_dir, params_override='', **changes):
  """Returns the plan of such a study in a folder."""
  return plan.make(
      study_file.read(str(write(folder, digits_dir, **changes))),
      str(folder / 'study'), params_override=params_override)
