"""Tests of the export and of the predictions from it."""

import os
import pathlib

import numpy as np
from official.core import task_factory
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.configs import experiment
from official_ext.serving import classifier as classifier_lib
from official_ext.serving import exporter
from official_ext.training import driver


@pytest.fixture(scope='module')
def trained(digits_dir, tmp_path_factory):
  """The folder of a short training."""
  model_dir = str(tmp_path_factory.mktemp('trained'))
  params = experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='{digits_dir}',trainer.train_steps=10,"
      'trainer.optimizer_config.warmup.linear.warmup_steps=1,'
      # The crop and the resizing that an export must repeat.
      'task.validation_data.aug_crop=True,'
      "task.validation_data.tf_resize_method='bicubic',"
      'task.validation_data.center_crop_fraction=0.7'))
  driver.run(params, 'train', model_dir, driver.build_strategy(params))
  return model_dir


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory):
  """The folder of versions and the first version."""
  base = tmp_path_factory.mktemp('exports') / 'digits'
  return base, exporter.export(trained, str(base))


def held_out_records(digits_dir):
  path, = pathlib.Path(digits_dir).glob('validation-*')
  for item in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
    feature = tf.train.Example.FromString(item).features.feature
    yield feature['image/encoded'].bytes_list.value[0]


def test_the_export_answers_as_the_evaluation_does(
    trained, exported, digits_dir):
  params = experiment.load_saved(trained)
  task = task_factory.get_task(params.task)
  model = task.build_model()
  tf.train.Checkpoint(model=model).read(
      tf.train.latest_checkpoint(trained)).expect_partial()
  images, _ = next(iter(task.build_inputs(params.task.validation_data)))
  expected = model(images, training=False).numpy()
  serve = tf.saved_model.load(exported[1]).signatures['serving_default']
  encoded = list(held_out_records(digits_dir))[:len(expected)]
  output = serve(image_bytes=tf.constant(encoded))
  np.testing.assert_allclose(output['logits'], expected, rtol=0, atol=1e-4)
  np.testing.assert_allclose(
      output['probs'], tf.nn.softmax(expected), rtol=0, atol=1e-5)


def test_the_export_knows_what_it_is(trained, exported):
  checkpoint = object_graph.find(str(exported[0]))
  assert metadata.read(checkpoint) == metadata.read(
      tf.train.latest_checkpoint(trained))


def test_versions_count_up_and_nothing_is_left_over(trained, exported):
  base, first = exported
  assert first == os.path.join(base, '1')
  assert exporter.export(trained, str(base)) == os.path.join(base, '2')
  assert sorted(os.listdir(base)) == ['1', '2']
  assert classifier_lib.find_version(str(base)) == os.path.join(base, '2')
  assert classifier_lib.find_version(first) == first


def test_a_failed_export_shows_no_version(trained, tmp_path, monkeypatch):
  def fail(*unused_args, **unused_kwargs):
    raise OSError('disk full')
  monkeypatch.setattr(tf.io.gfile, 'rename', fail)
  with pytest.raises(OSError, match='disk full'):
    exporter.export(trained, str(tmp_path))
  assert not [name for name in os.listdir(tmp_path) if name.isdigit()]
  with pytest.raises(ValueError, match='holds no SavedModel'):
    classifier_lib.find_version(str(tmp_path))


def test_no_checkpoint_no_export(trained, tmp_path):
  (tmp_path / 'params.yaml').write_bytes(
      pathlib.Path(trained, 'params.yaml').read_bytes())
  with pytest.raises(ValueError, match='untrained weights are not exported'):
    exporter.export(str(tmp_path), str(tmp_path / 'exports'))
  with pytest.raises(ValueError, match=r'there is no params\.yaml'):
    exporter.export(str(tmp_path / 'missing'), str(tmp_path / 'exports'))


def test_a_checkpoint_of_another_model_is_refused(trained, tmp_path):
  text = pathlib.Path(trained, 'params.yaml').read_text()
  assert 'layout: B2-2-2' in text
  (tmp_path / 'params.yaml').write_text(
      text.replace('layout: B2-2-2', 'layout: B6'))
  with pytest.raises(ValueError, match='belongs to another architecture'):
    exporter.export(str(tmp_path), str(tmp_path / 'exports'),
                    tf.train.latest_checkpoint(trained))


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG', 'BMP'])
@pytest.mark.parametrize('size', [(2, 2), (8, 8), (40, 9), (9, 400)])
def test_images_of_every_kind(exported, image_format, size):
  classifier = classifier_lib.Classifier(exported[1])
  classes = list(classifier.classify(
      records_for_tests.encode(image_format, size), top_k=10))
  assert sorted(name for name, _ in classes) == [str(i) for i in range(10)]
  probabilities = [probability for _, probability in classes]
  assert sum(probabilities) == pytest.approx(1, abs=1e-5)
  assert probabilities == sorted(probabilities, reverse=True)


@pytest.mark.parametrize('encoded', [
    b'', b'no image', records_for_tests.encode()[:100]])
def test_what_is_no_image(exported, encoded):
  classifier = classifier_lib.Classifier(exported[1])
  with pytest.raises(ValueError, match='not a JPEG, PNG or BMP image'):
    list(classifier.classify(encoded, top_k=1))
  # The next one is answered all the same.
  assert list(classifier.classify(records_for_tests.encode(), top_k=1))


def test_without_class_names(trained, tmp_path):
  params = pathlib.Path(trained, 'params.yaml').read_text()
  assert 'data_dir: ' in params
  lines = ['  data_dir: nowhere' if line.startswith('  data_dir: ') else line
           for line in params.splitlines()]
  (tmp_path / 'params.yaml').write_text('\n'.join(lines))
  version = exporter.export(str(tmp_path), str(tmp_path / 'exports'),
                            tf.train.latest_checkpoint(trained))
  (name, _), = classifier_lib.Classifier(version).classify(
      records_for_tests.encode(), top_k=1)
  assert name.startswith('class ')


def test_names_from_a_file_of_any_name(trained, tmp_path):
  names = tmp_path / 'names'
  names.write_text(''.join(f'digit {index}\n' for index in range(10)))
  text = pathlib.Path(trained, 'params.yaml').read_text()
  assert "class_names_path: ''" in text
  (tmp_path / 'params.yaml').write_text(
      text.replace("class_names_path: ''", f'class_names_path: {names}'))
  version = exporter.export(str(tmp_path), str(tmp_path / 'exports'),
                            tf.train.latest_checkpoint(trained))
  (name, _), = classifier_lib.Classifier(version).classify(
      records_for_tests.encode(), top_k=1)
  assert name.startswith('digit ')


def test_another_saved_model(tmp_path):
  class Doubler(tf.Module):

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def __call__(self, x):
      return 2 * x

  tf.saved_model.save(Doubler(), str(tmp_path / 'doubler'))
  with pytest.raises(ValueError, match="no signature 'serving_default'"):
    classifier_lib.Classifier(str(tmp_path / 'doubler'))
  with pytest.raises(ValueError, match='holds no SavedModel'):
    classifier_lib.Classifier(str(tmp_path))
