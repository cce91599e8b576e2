"""The teacher of a training: compared with it, restored, not saved."""

import shutil

import commands
import event_files
import forked_training
import numpy as np
import published_models
import pytest
import short_runs
import tensorflow as tf
import tolerances

from data_prep import digits_to_tfrecord
from official_ext.checkpoints import choose
from official_ext.checkpoints import metadata
from official_ext.tasks import distillation
from official_ext.tasks import taught_by
from official_ext.trained import trained_model
from official_ext.training import teacher

SETTING = 'task.distillation'
BACKBONE = 'task.model.backbone.funnel_vit'
MATCHED = {f'{SETTING}.representation_weight': 0.1}


def find(digits_dir, path, **settings):
  return teacher.find(short_runs.parameters(
      digits_dir, **{f'{SETTING}.teacher': str(path)}, **settings))


def test_no_teacher(digits_dir):
  assert teacher.find(short_runs.parameters(digits_dir)) is None


def test_what_names_a_teacher(digits_dir, trained_dir):
  newest = choose.newest(str(trained_dir))
  for path in (trained_dir, newest):
    found = find(digits_dir, path, **MATCHED)
    assert (found.path, found.checkpoint) == (str(path), newest)
    assert found.task.model.backbone.funnel_vit.layout == short_runs.LAYOUT


@pytest.mark.parametrize('settings, match', [
    ({'task.model.num_classes': 11},
     'it has 10 classes, and this model has 11. Take a teacher that'),
    ({'task.model.input_size': [20, 16, 3]},
     r'it takes images of 16 px high and 16 px wide, and this model 20 px '
     r'high and 16 px wide. .* set '
     r'task.model.input_size=\[16,16,3\].'),
    ({f'{BACKBONE}.patch_size': 8},
     'it cuts an image into 4 x 4 patches, and this model into 2 x 2. Take a '
     'teacher with patches of 8 px, or set .*patch_size=4.'),
    ({'task.train_data.mean_rgb': [99.0, 98.0, 97.0]},
     'it was trained on images normalised otherwise: task.train_data.mean_rgb '
     'is .* here and .* there. Set task.train_data.mean_rgb='),
    ({f'{BACKBONE}.pooler': 'gap', **MATCHED},
     'this model has no class token whose representation could be matched. '
     'Set task.distillation.representation_weight=0.'),
    ({f'{BACKBONE}.layout': 'B1-1(h128)', **MATCHED},
     'its class token has width 64, and that of this model 128, so they'),
])
def test_what_is_no_teacher(digits_dir, trained_dir, settings, match):
  with pytest.raises(
      ValueError, match=f'^{SETTING}.teacher={trained_dir}: {match}'):
    find(digits_dir, trained_dir, **settings)


def test_other_widths_without_their_class_tokens(digits_dir, trained_dir):
  assert find(digits_dir, trained_dir,
              **{f'{BACKBONE}.layout': 'B1-1(h128)'}) is not None


def test_nothing_there(digits_dir, tmp_path, export_dir):
  published = tmp_path / 'model.safetensors'
  published.write_bytes(b'weights')
  for path in (tmp_path, published):
    with pytest.raises(ValueError, match=(
        f'^{SETTING}.teacher={path}: it holds no checkpoint. Give the folder '
        'of a training or of an import, which official_ext.pretrained.import_v'
        'it makes of published weights')):
      find(digits_dir, path)
  with pytest.raises(ValueError, match=(
      'no such folder or checkpoint. Give the folder of a training or of an ')):
    find(digits_dir, tmp_path / 'missing')
  with pytest.raises(ValueError, match='of an export, the training that it '
                     'was exported from'):
    find(digits_dir, export_dir)


@pytest.mark.long
def test_an_imported_model_teaches(digits_dir, repository, tmp_path):
  folder = tmp_path / 'imported'
  result = commands.run(
      '-m', 'official_ext.pretrained.import_vit', f'--output={folder}',
      f'--source={published_models.folder("hf_vit")}', cwd=repository)
  assert result.returncode == 0, result.stderr
  same = {'task.model.num_classes': 3, 'task.model.input_size': [12, 12, 3],
          'task.train_data.mean_rgb': [127.5] * 3,
          'task.train_data.stddev_rgb': [127.5] * 3}
  found = find(digits_dir, folder, **same)
  found.begin(found.task.distillation, None)
  expected = published_models.answers('hf_vit')
  tolerances.assert_close(
      found.answer(expected['images'])[0], expected['output'], depth=2,
      length=64)
  found.check_classes(['ape', 'bee', 'cat'])
  with pytest.raises(ValueError, match='it has 3 classes, and this model'):
    find(digits_dir, folder)


@pytest.fixture(name='settings', scope='module')
def _settings(trained_dir, tmp_path_factory):
  """Four steps with a teacher, on images in an order that all readers share."""
  data_dir = tmp_path_factory.mktemp('one_shard')
  digits_to_tfrecord.convert(str(data_dir), num_train_shards=1, num_samples=1)
  return MATCHED | {
      'task.data_dir': str(data_dir), f'{SETTING}.teacher': str(trained_dir),
      'task.losses.one_hot': True, 'task.losses.soft_labels': False,
      'task.train_data.mixup_and_cutmix': None,
      'task.train_data.shuffle_buffer_size': 1, 'task.train_data.cache': False,
      'task.gradient_accumulation_steps': 2, 'trainer.train_steps': 4,
      'trainer.steps_per_loop': 2, 'trainer.checkpoint_interval': 2,
      'trainer.summary_interval': 2, 'trainer.seed': 3,
      'trainer.optimizer_config.ema.average_decay': 0.9}


@pytest.fixture(name='taught', scope='module')
def _taught(settings, tmp_path_factory):
  """Such a training: its folder, its trainer, and the teacher."""
  folder = tmp_path_factory.mktemp('taught') / 'whole'
  begun = []
  with pytest.MonkeyPatch.context() as patched:
    begin = distillation.Teacher.begin
    patched.setattr(
        distillation.Teacher, 'begin',
        lambda self, *args: (begun.append(self), begin(self, *args)))
    trainer = short_runs.train(settings['task.data_dir'], folder, **settings)
  return folder, trainer, begun[0]


@pytest.mark.long
def test_a_training_with_a_teacher(taught, trained_dir):
  _, trainer, found = taught
  logs = trainer.train_logs
  assert logs['training_loss'] == pytest.approx(
      0.5 * logs['label_loss'] + 0.5 * logs['teacher_loss'] +
      0.1 * logs['representation_loss'], rel=1e-5)
  assert logs['teacher_loss'] > 0 and logs['representation_loss'] > 0
  # As it is alone, after the training too.
  alone = trained_model.find(str(trained_dir)).model
  images = tf.random.stateless_normal([6, 16, 16, 3], [1, 2])
  # Its variables are those of the strategy.
  logits, _ = trainer.strategy.run(tf.function(found.answer), [images])
  logits, = trainer.strategy.experimental_local_results(logits)
  np.testing.assert_allclose(
      logits, alone(images, training=False), atol=1e-5)
  assert np.abs(logits).max() > 1e-3


@pytest.mark.long
def test_the_checkpoint_holds_nothing_of_it(taught, trained_dir):
  folder, _, found = taught
  checkpoint = choose.newest(str(folder))

  def weights(prefix):
    return {name: shape for name, shape in tf.train.list_variables(prefix)
            if not any(word in name for word in ('metadata', 'optimizer'))}

  found_weights = weights(checkpoint)
  assert found_weights == weights(choose.newest(str(trained_dir)))
  slots = [name.split('.OPTIMIZER_SLOT')[0] + '.ATTRIBUTES/VARIABLE_VALUE'
           for name, _ in tf.train.list_variables(checkpoint) if 'SLOT' in name]
  assert slots and set(slots) <= set(found_weights)
  assert metadata.read_data(checkpoint)[taught_by.KEY] == taught_by.noted(
      {}, found.path, choose.newest(str(trained_dir)))[taught_by.KEY]
  # Whoever takes the student needs no teacher.
  assert trained_model.find(str(folder)).step == 4


@pytest.mark.long
def test_a_training_that_is_interrupted_goes_on_exactly(
    taught, settings, tmp_path):
  for path in taught[0].glob('*'):
    if path.is_file() and 'ckpt-4' not in path.name:
      shutil.copy(path, tmp_path)
  (tmp_path / 'checkpoint').unlink()
  assert choose.newest(str(tmp_path)) == str(tmp_path / 'ckpt-2')
  short_runs.train(settings['task.data_dir'], tmp_path, **settings)
  for ema in (False, True):
    models = [trained_model.find(
        str(folder), trained_model.Selection(ema=ema)).model
              for folder in (taught[0], tmp_path)]
    for one, other in zip(*(model.variables for model in models), strict=True):
      np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_two_workers_learn_as_one_process(taught, settings, tmp_path):
  params = {name: 'null' if value is None else repr(value)
            for name, value in (short_runs.PREPROCESSING | settings).items()}
  job = forked_training.Job(tmp_path / 'run', tmp_path / 'logs', params | {
      'task.model.backbone.funnel_vit.layout': repr(short_runs.LAYOUT),
      'trainer.optimizer_config.warmup.linear.warmup_steps': 1,
      'trainer.logging.training_images': 0,
      'trainer.validation_interval': 4, 'trainer.export.at_end': False}, 2)
  codes = job.wait()
  job.kill()
  assert codes == [0, 0], job.text()
  found, expected = (event_files.scalars(folder / 'train')
                     for folder in (tmp_path / 'run', taught[0]))
  for name in ('training_loss', 'label_loss', 'teacher_loss',
               'representation_loss'):
    assert sorted(found[name]) == sorted(expected[name]) == [2, 4], name
    for step, value in expected[name].items():
      assert found[name][step] == pytest.approx(value, rel=2e-5), name
