"""Fixtures of the tests of what compares trainings."""

import pytest
import short_runs

# Three logs of the training, two evaluations.
_SETTINGS = {
    'trainer.train_steps': 12,
    'trainer.steps_per_loop': 4,
    'trainer.summary_interval': 4,
    'trainer.checkpoint_interval': 12,
    'trainer.validation_interval': 8,
    'trainer.export.at_end': False,
    'task.evaluation.top_k': 3,
}


@pytest.fixture(scope='session')
def two_runs(digits_dir, make_once):
  """The folders of two trainings that were evaluated: ViT, Funnel-ViT."""
  def fill(folder):
    for name, layout in (('vit', 'B2'), ('funnel', 'B1-1')):
      short_runs.train(
          digits_dir, folder / name, mode='train_and_eval', **_SETTINGS, **{
              'task.model.backbone.funnel_vit.layout': layout})

  folder = make_once('two_runs', fill)
  return f'{folder}/vit', f'{folder}/funnel'
