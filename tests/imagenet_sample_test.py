"""One step of training and of evaluation on real ImageNet photographs.

Skips where the photographs are not: a folder per class, as in the training
archive, named by IMAGENET_SAMPLE_DIR.
"""

import os
import pathlib

import numpy as np
from PIL import Image
import pytest

from data_prep import records
from official_ext.configs import experiment
from official_ext.training import driver

SAMPLE_DIR = pathlib.Path(os.environ.get(
    'IMAGENET_SAMPLE_DIR',
    pathlib.Path(__file__).parent.parent.parent
    / 'shared/data/imagenet-sample'))
NUM_IMAGES = 200

pytestmark = pytest.mark.skipif(
    not (SAMPLE_DIR / 'train').is_dir(),
    reason=f'no photographs in {SAMPLE_DIR}; set IMAGENET_SAMPLE_DIR')


@pytest.fixture(scope='module')
def imagenet_dir(tmp_path_factory):
  """TFRecords of 200 photographs, labelled by the ImageNet convention."""
  output_dir = tmp_path_factory.mktemp('imagenet')
  synsets = sorted(path.name for path in (SAMPLE_DIR / 'train').iterdir())
  images = []
  for label, synset in enumerate(synsets[::5], start=1):
    path = min((SAMPLE_DIR / 'train' / synset).glob('*.JPEG'))
    with Image.open(path) as image:
      width, height = image.size
    images.append(records.ImageRecord(
        encoded=path.read_bytes(), label=label, class_name=synset,
        file_name=path.name, height=height, width=width, synset=synset))
    if len(images) == NUM_IMAGES:
      break
  assert len(images) == NUM_IMAGES
  records.write_split(str(output_dir), 'train', images, 4)
  records.write_split(str(output_dir), 'validation', images, 2)
  return output_dir


@pytest.mark.parametrize('layout', ['B12', 'B4-4-4'])
def test_one_step_of_training_and_evaluation(imagenet_dir, tmp_path, layout):
  params = experiment.load('funnel_vit_imagenet', params_override=(
      f"task.data_dir='{imagenet_dir}',"
      "task.model.backbone.funnel_vit.model_name='vit-ti16',"
      f"task.model.backbone.funnel_vit.layout='{layout}',"
      'task.train_data.global_batch_size=8,'
      'task.validation_data.global_batch_size=50,'
      'trainer.optimizer_config.warmup.linear.warmup_steps=0,'
      'trainer.train_steps=1'))
  driver.check(params, 'train_and_eval', str(tmp_path))
  driver.check_records(params, 'train_and_eval')
  trainer = driver.run(params, 'train_and_eval', str(tmp_path),
                       driver.build_strategy(params))
  # The head starts at zero: every class is as likely as any other.
  assert trainer.train_logs['training_loss'] == pytest.approx(
      np.log(1001), abs=1e-4)
  assert np.isfinite(trainer.validation_logs['validation_loss'])
  assert trainer.model.backbone.spec.layout_with_tokens == {
      'B12': 'B12(197)', 'B4-4-4': 'B4(197)-4(99)-4(50)'}[layout]
