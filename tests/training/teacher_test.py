"""The teacher of a training: compared with it, restored, not saved."""

import numpy as np
from official.core import task_factory
import pytest
import short_runs
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import choose
from official_ext.checkpoints import metadata
from official_ext.tasks import distillation
from official_ext.tasks import image_classification
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
     r'it takes images of 16 x 16 px, and this model 20 x 16 px. .* set '
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
  with pytest.raises(ValueError, match='the folder holds no checkpoint'):
    find(digits_dir, tmp_path)
  with pytest.raises(ValueError, match='of an export, the training that it '
                     'was exported from'):
    find(digits_dir, export_dir)


def shapes(folder):
  """What a checkpoint holds, by its keys."""
  return {name: shape for name, shape in tf.train.list_variables(
      choose.newest(str(folder))) if 'metadata' not in name}


@pytest.fixture(name='taught', scope='module')
def _taught(digits_dir, trained_dir, tmp_path_factory):
  """A training of two steps: its folder, its trainer, and the teacher's."""
  folder = tmp_path_factory.mktemp('taught')
  seen = []
  with pytest.MonkeyPatch.context() as patched:
    answer = distillation.Teacher.answer

    def spy(self, images):
      seen.append(self)
      return answer(self, images)

    patched.setattr(distillation.Teacher, 'answer', spy)
    trainer = short_runs.train(
        digits_dir, folder, **MATCHED, **{
            f'{SETTING}.teacher': str(trained_dir), 'trainer.train_steps': 2,
            'trainer.optimizer_config.ema.average_decay': 0.9})
  return folder, trainer, seen[0]


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


def test_the_checkpoint_holds_nothing_of_it(taught, digits_dir, tmp_path):
  folder, _, found = taught
  short_runs.train(digits_dir, tmp_path, **{
      'trainer.train_steps': 2,
      'trainer.optimizer_config.ema.average_decay': 0.9})
  assert shapes(folder) == shapes(tmp_path)
  checkpoint = choose.newest(str(folder))
  assert metadata.read_data(checkpoint)[distillation.KEY] == {
      'path': found.path, 'checkpoint': 'ckpt-10'}
  # Whoever takes the student needs no teacher.
  assert trained_model.find(str(folder)).step == 2


@pytest.mark.long
def test_in_the_precision_of_the_training(digits_dir, trained_dir):
  found = find(digits_dir, trained_dir)
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  task = task_factory.get_task(short_runs.parameters(digits_dir).task)
  assert isinstance(task, image_classification.ImageClassificationTask)
  student = task.build_model()
  found.begin(task.task_config.distillation, student)
  images = tf.random.stateless_normal([6, 16, 16, 3], [1, 2])
  logits, _ = found.answer(images)
  assert logits.dtype == tf.float32
  assert found._classify.layers[-1].compute_dtype == 'bfloat16'
  tf_keras.mixed_precision.set_global_policy('float32')
  alone = trained_model.find(str(trained_dir)).model(images, training=False)
  np.testing.assert_allclose(logits, alone, atol=0.05 * np.abs(alone).max())


@pytest.mark.long
def test_a_training_that_is_interrupted_goes_on_exactly(
    digits_dir, trained_dir, tmp_path):
  settings = MATCHED | {
      f'{SETTING}.teacher': str(trained_dir), 'trainer.seed': 3,
      'trainer.steps_per_loop': 2, 'trainer.checkpoint_interval': 2,
      'trainer.optimizer_config.learning_rate.cosine.decay_steps': 4}
  short_runs.train(
      digits_dir, tmp_path / 'whole', **settings, **{'trainer.train_steps': 4})
  for steps in (2, 4):
    tf_keras.backend.clear_session()
    short_runs.train(digits_dir, tmp_path / 'parts', **settings,
                     **{'trainer.train_steps': steps})
  models = [trained_model.find(str(tmp_path / name)).model
            for name in ('whole', 'parts')]
  for one, other in zip(*(model.variables for model in models), strict=True):
    np.testing.assert_array_equal(one, other)
