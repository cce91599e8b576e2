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
def two_runs(digits_dir, tmp_path_factory):
  """The folders of two trainings that were evaluated: ViT, Funnel-ViT."""
  folder = tmp_path_factory.mktemp('runs')
  for name, layout in (('vit', 'B2'), ('funnel', 'B1-1')):
    short_runs.train(
        digits_dir, folder / name, mode='train_and_eval', **_SETTINGS, **{
            'task.model.backbone.funnel_vit.layout': layout})
  return str(folder / 'vit'), str(folder / 'funnel')
