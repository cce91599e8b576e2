"""One step of training and of evaluation on real ImageNet photographs.

Skips where the photographs are not: a folder per class, as in the training
archive, named by IMAGENET_SAMPLE_DIR.
"""

import os
import pathlib
import shutil

import conversions
import numpy as np
import pytest

from data_prep import verification
from official_ext.params import experiment
from official_ext.training import session

SAMPLE_DIR = pathlib.Path(os.environ.get(
    'IMAGENET_SAMPLE_DIR',
    pathlib.Path(__file__).parent.parent.parent
    / 'shared/data/imagenet-sample'))

pytestmark = pytest.mark.skipif(
    not (SAMPLE_DIR / 'train').is_dir(),
    reason=f'no photographs in {SAMPLE_DIR}; set IMAGENET_SAMPLE_DIR')


@pytest.fixture(scope='module')
def imagenet_dir(tmp_path_factory):
  """The photographs as TFRecords; they stand in for validation as well."""
  output_dir = tmp_path_factory.mktemp('imagenet')
  # A copy, as the same folder for both splits is refused.
  validation_dir = tmp_path_factory.mktemp('copy') / 'validation'
  shutil.copytree(SAMPLE_DIR / 'train', validation_dir)
  done = conversions.convert(
      [('train', SAMPLE_DIR / 'train'), ('validation', validation_dir)],
      output_dir, num_workers=2, exif_orientation='ignore')
  assert done.data_set.form == 'ImageNet (ILSVRC 2012)'
  return output_dir


def test_every_photograph_is_there_untouched(imagenet_dir):
  expected = {path.name: path for path in SAMPLE_DIR.glob('train/*/*.JPEG')}
  synsets = sorted(path.name for path in (SAMPLE_DIR / 'train').iterdir())
  found = list(conversions.read(imagenet_dir, 'train'))
  assert len(found) == len(expected) == 1000
  for record in found:
    path = expected[record['image/filename'].decode()]
    assert record['image/encoded'] == path.read_bytes()
    assert record['image/class/label'] == synsets.index(path.parent.name) + 1
  for name in ('quarantined.jsonl', 'reencoded.jsonl'):
    assert not conversions.listed(imagenet_dir, name)


@pytest.mark.long
def test_decoding_them_all_finds_nothing_either(imagenet_dir, tmp_path):
  conversions.convert(
      [('train', SAMPLE_DIR / 'train')], tmp_path, num_workers=2,
      check='decode', exif_orientation='ignore')
  train = {name: content for name, content in conversions.shards(
      imagenet_dir).items() if name.startswith('train')}
  assert conversions.shards(tmp_path) == train
  assert not list(verification.verify(str(tmp_path), lambda *_: None))


@pytest.mark.long
@pytest.mark.parametrize('layout', ['B12', 'B4-4-4'])
def test_one_step_of_training_and_evaluation(imagenet_dir, tmp_path, layout):
  params = experiment.load('funnel_vit_imagenet', params_override=(
      f"task.data_dir='{imagenet_dir}',"
      "task.model.backbone.funnel_vit.model_name='vit-ti16',"
      f"task.model.backbone.funnel_vit.layout='{layout}',"
      'task.train_data.global_batch_size=8,'
      'task.validation_data.global_batch_size=50,'
      'trainer.validation_steps=4,'
      'trainer.optimizer_config.warmup.linear.warmup_steps=0,'
      'trainer.train_steps=1'))
  trainer = session.prepare(params, 'train_and_eval', str(tmp_path)).execute(
      # A checkpoint's thread keeps its model to the end.
      enable_async_checkpointing=False)
  # The head starts at zero: every class is as likely as any other.
  assert trainer.train_logs['training_loss'] == pytest.approx(
      np.log(1001), abs=1e-4)
  assert np.isfinite(trainer.validation_logs['validation_loss'])
  assert trainer.model.backbone.spec.layout_with_tokens == {
      'B12': 'B12(197)', 'B4-4-4': 'B4(197)-4(99)-4(50)'}[layout]
