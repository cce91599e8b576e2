"""Tests of what studies compare by."""

from official.core import task_factory
import pytest

from official_ext import registry_imports  # noqa: F401
from official_ext.params import experiment
from official_ext.studies import metrics


@pytest.mark.parametrize('name, label, column', [
    ('accuracy', 'top-1', 'top_1_percent'),
    ('top_5_accuracy', 'top-5', 'top_5_accuracy_percent'),
    ('mean_recall', 'mean recall', 'mean_recall_percent'),
    ('mean_iou', 'mean IoU', 'mean_iou_percent'),
    ('iou/10', 'IoU of class 10', 'iou/10_percent')])
def test_names(name, label, column):
  metric = metrics.Metric(name)
  assert (metric.label, metric.column) == (label, column)
  assert metrics.of_column(column) == metric


@pytest.mark.parametrize('name, count', [
    # Top-1, top-5 and the mean recall; the mean IoU and that of 21 classes.
    ('funnel_vit_imagenet', 3), ('funnel_vit_segmentation', 22)])
def test_they_are_what_the_tasks_show(name, count):
  task = task_factory.get_task(experiment.base(name).task)
  found = metrics.names(task.best_checkpoint_metrics())
  assert len(found) == count
  shown = {one: label for label, _, one in task.metrics()}
  del shown['validation_loss']
  assert set(shown) < set(found)
  assert {one: metrics.Metric(one).label for one in shown} == shown
