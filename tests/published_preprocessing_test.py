"""A training with the preprocessing of a published ViT, to every export."""

import io

import commands
import numpy as np
from official.core import task_factory
from PIL import Image
import pytest
import short_runs
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.serving.runtimes import loading
from official_ext.trained import trained_model

pytestmark = pytest.mark.long

MEAN, STDDEV = [122.5, 116.5, 104.5], [68.5, 66.5, 70.5]
SETTINGS = {
    'task.train_data.mean_rgb': MEAN, 'task.train_data.stddev_rgb': STDDEV,
    'task.train_data.resize_antialias': True,
    'task.validation_data.resize_mode': 'resize_then_crop',
    'task.validation_data.center_crop_fraction': 0.8,
    'task.validation_data.tf_resize_method': 'bicubic'}


def seen(encoded):
  """The digit of 8 x 8 px as Pillow makes it the input of 16 x 16 px."""
  whole = Image.open(io.BytesIO(encoded)).convert('RGB')
  resized = whole.resize((20, 20), Image.Resampling.BICUBIC)
  return np.asarray(resized.crop((2, 2, 18, 18)), np.float32)


def test_from_a_training_to_every_export(digits_dir, repository, tmp_path):
  model_dir, export_dir = tmp_path / 'run', tmp_path / 'export'
  short_runs.train(digits_dir, model_dir, **SETTINGS)
  trained = trained_model.find(str(model_dir))
  known = metadata.read(trained.checkpoint)['preprocessing']
  assert known == {
      'center_crop_fraction': 0.8, 'resize_mode': 'resize_then_crop',
      'resize_method': 'bicubic', 'resize_antialias': True,
      'mean': MEAN, 'stddev': STDDEV}
  encoded = short_runs.held_out_images(digits_dir)[:8]
  resized = np.stack([seen(image) for image in encoded])
  # What an evaluation gives to the model.
  images, _ = next(iter(task_factory.get_task(trained.params.task).build_inputs(
      trained.params.task.validation_data)))
  assert np.abs(images[:8] * STDDEV + MEAN - resized).max() < 1.001
  expected = trained.model(images[:8], training=False).numpy()

  for export_format in names.FORMATS:
    write.export(trained, export_format, str(export_dir))
  saved_model, *files = loading.load_all(str(export_dir), num_threads=2)
  assert len(files) == 2
  for runner in (saved_model, *files):
    preprocessing = runner.description['preprocessing']
    assert {name: preprocessing[name] for name in known} == known
    batch = encoded if runner.takes_bytes else np.float32(
        images[:8] * STDDEV + MEAN)
    np.testing.assert_allclose(runner.logits(batch), expected, atol=1e-4)
  signatures = tf.saved_model.load(saved_model.path).signatures
  pixels = np.stack([np.asarray(Image.open(io.BytesIO(image)).convert('RGB'))
                     for image in encoded])
  np.testing.assert_allclose(
      signatures['image_tensor'](image_tensor=pixels)['logits'], expected,
      atol=1e-4)

  verified = commands.run(
      '-m', 'official_ext.serving.verify', export_dir, '--batch_sizes=',
      cwd=repository)
  assert verified.returncode == 0, verified.stderr
  image = tmp_path / 'digit.png'
  Image.open(io.BytesIO(encoded[0])).save(image)
  predicted = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={model_dir}', image,
      '--top_k=1', cwd=repository)
  assert f'  {expected[0].argmax()}\n' in predicted.stdout

  # Somebody edits the file of the training.
  path = model_dir / 'params.yaml'
  path.write_text(path.read_text().replace('122.5', '127.5'))
  predicted = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={model_dir}', image,
      cwd=repository)
  assert predicted.returncode == 1
  assert ('was trained on images normalised otherwise: task.train_data.mean_rgb'
          ' is [127.5, 116.5, 104.5] here') in predicted.stderr
