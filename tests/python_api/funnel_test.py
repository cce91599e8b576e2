"""Tests of trained models and exports that answer in Python."""

import commands
import numpy as np
from PIL import Image
import pytest
import records_for_tests
import short_runs
import tensorflow as tf
import tolerances

import official_ext
from official_ext.command_line import errors
from official_ext.trained import trained_model
from official_ext.trained import validation_data

# The depth of the model, and its longest sum.
ROUNDINGS = {'depth': 4, 'length': 256}


@pytest.fixture(name='files', scope='module')
def _files(digits_dir):
  return short_runs.held_out_images(digits_dir)[:5]


@pytest.mark.slow
def test_it_answers_as_the_evaluation_does(funnel, files, trained_dir):
  trained = trained_model.find(trained_dir)
  batch = next(validation_data.read_records(trained, None, 5))
  tolerances.assert_close(funnel.preprocess(files), batch.images, length=16)
  expected = trained.model(batch.images, training=False).numpy()
  tolerances.assert_close(funnel.logits(files), expected, **ROUNDINGS)
  tolerances.assert_close(
      funnel.predict(files), tf.nn.softmax(expected), **ROUNDINGS)
  np.testing.assert_array_equal(
      funnel.model(batch.images, training=False), expected)
  # What the head reads, and what it makes of it.
  features = funnel.features(files, batch_size=2)
  kernel, bias = (weight.numpy() for weight in funnel.model.weights[-2:])
  assert features.shape == (5, kernel.shape[0])
  tolerances.assert_close(features @ kernel + bias, expected, **ROUNDINGS)


@pytest.mark.long
def test_it_answers_as_the_command_does(
    funnel, exported, export_dir, files, repository, tmp_path):
  paths = []
  for index, encoded in enumerate(files):
    paths.append(tmp_path / f'{index}.png')
    paths[-1].write_bytes(encoded)
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      '--top_k=3', *paths, cwd=repository)
  assert result.returncode == 0, result.stderr
  for one in (exported, funnel):
    printed = []
    for path, classes in zip(paths, one.classify(paths, top_k=3)):
      printed += [str(path)] + [
          f'  {100 * probability:6.2f} %  {name}'
          for name, probability in classes]
    assert result.stdout.splitlines() == printed
  assert exported.class_names == funnel.class_names == [
      str(digit) for digit in range(10)]
  tolerances.assert_close(
      exported.logits(paths), funnel.logits(paths), **ROUNDINGS)
  probs = exported.predict(paths)
  assert probs.dtype == np.float32 and probs.shape == (5, 10)
  assert exported.class_names[probs[0].argmax()] == (
      exported.classify(paths[0])[0][0][0])


@pytest.mark.slow
def test_arrays_of_any_size_are_what_their_files_are(
    funnel, exported, files, tmp_path):
  sizes = [(8, 8), (30, 17), (8, 8)]
  arrays = [records_for_tests.pixels(seed, (*size, 3))
            for seed, size in enumerate(sizes)]
  encoded, paths = [], []
  for index, pixels in enumerate(arrays):
    paths.append(tmp_path / f'{index}.webp')
    Image.fromarray(pixels).save(paths[-1], lossless=True)
    Image.fromarray(pixels).save(tmp_path / f'{index}.png')
    encoded.append((tmp_path / f'{index}.png').read_bytes())
  expected = funnel.logits(encoded)
  assert len({row.tobytes() for row in expected}) == 3
  for one in (funnel, exported):
    for images, max_value in (
        (arrays, None), (paths, None), (list(map(str, paths)), None),
        ([pixels / 255 for pixels in arrays], 1)):
      tolerances.assert_close(
          one.logits(images, max_value=max_value, batch_size=2), expected,
          **ROUNDINGS)
    # A batch is a list of its images, and an image is a batch of one.
    tolerances.assert_close(
        one.logits(np.stack(arrays[::2])), expected[::2], **ROUNDINGS)
    assert one.logits(arrays[0]).shape == (1, 10)
  np.testing.assert_array_equal(
      funnel.preprocess(arrays), funnel.preprocess(encoded))
  assert len(funnel.predict(files * 2, batch_size=3)) == 10


@pytest.mark.slow
def test_an_image_that_is_refused_is_named(funnel, exported, files):
  for one in (funnel, exported):
    for method in ('logits', 'features') if one is funnel else ('logits',):
      with pytest.raises(errors.UserError, match='^image 1: .*that can be dec'):
        getattr(one, method)([files[0], files[1][:60]])


@pytest.mark.slow
def test_what_counts_nothing_is_refused(funnel, exported, files):
  for one in (funnel, exported):
    assert len(one.classify(files[0], top_k=np.int64(2))[0]) == 2
    for top_k in (-1, 0, 1.5):
      with pytest.raises(errors.UserError, match=f'^top_k is {top_k}, but'):
        one.classify(files[0], top_k=top_k)
    for batch_size in (0, None, 1.5):
      with pytest.raises(errors.UserError, match='^batch_size is .* at least'):
        one.logits(files[0], batch_size=batch_size)


def test_it_is_asked_outside_of_a_graph(funnel):
  ask = tf.function(funnel.predict)
  with pytest.raises(ValueError, match='inside of a tf.function'):
    ask(tf.zeros([8, 8, 3]))


def test_an_export_has_logits_alone(exported, files):
  for ask in (lambda: exported.features(files),
              lambda: exported.preprocess(files), lambda: exported.model):
    with pytest.raises(errors.UserError, match='Load the training'):
      ask()


@pytest.mark.long
def test_another_size_and_the_averages_are_chosen(trained_dir, files):
  larger = official_ext.load(trained_dir, image_size=24)
  assert larger.preprocess(files[:1]).shape == (1, 24, 24, 3)
  assert larger.logits(files[:1]).shape == (1, 10)
  with pytest.raises(ValueError, match='kept no moving averages'):
    official_ext.load(trained_dir, ema=True)
