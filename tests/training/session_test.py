"""Tests of whole runs on the digits, in this process."""

import shutil

import event_files
import models
import numpy as np
from official.common import distribute_utils
from official.core import task_factory
from official.core import train_utils
import pytest
import tensorflow as tf
from tensorflow.python.framework import config
import tf_keras

from official_ext.checkpoints import choose
from official_ext.checkpoints import metadata
from official_ext.command_line import errors
from official_ext.params import experiment
from official_ext.tasks import image_classification
from official_ext.training import data_position
from official_ext.training import event_tags
from official_ext.training import goodput
from official_ext.training import session

SMALL = ("task.model.backbone.funnel_vit.layout='B1-1',"
         'task.train_data.global_batch_size=32,'
         'task.validation_data.global_batch_size=180')
BEST = (",trainer.best_checkpoint_export_subdir='best',"
        "trainer.best_checkpoint_eval_metric='accuracy'")
# Where it does not matter that tokens are pooled.
ONE_BLOCK = SMALL.replace('B1-1', 'B1')


def load(digits_dir, steps=20, interval=10, extra='', small=SMALL):
  return experiment.load('funnel_vit_digits', params_override=(
      f"{small},task.data_dir='{digits_dir}',trainer.train_steps={steps},"
      f'trainer.steps_per_loop={interval},'
      f'trainer.checkpoint_interval={interval},'
      f'trainer.validation_interval={interval},'
      f'trainer.optimizer_config.warmup.linear.warmup_steps=5{extra}'))


def run(params, mode, model_dir):
  return session.prepare(params, mode, str(model_dir)).execute(
      enable_async_checkpointing=False)


@pytest.fixture(scope='module')
def finished(digits_dir, tmp_path_factory):
  """A finished run of 20 steps: its folder and its trainer."""
  tf_keras.backend.clear_session()
  model_dir = tmp_path_factory.mktemp('finished')
  return model_dir, run(load(digits_dir), 'train_and_eval', model_dir)


def test_the_summaries(finished):
  model_dir, trainer = finished
  train = event_files.scalars(model_dir / 'train')
  for name in ('training_loss', 'accuracy', 'top_5_accuracy', 'learning_rate',
               event_tags.STEPS_PER_SECOND, event_tags.IMAGES_PER_SECOND,
               event_tags.PEAK_MEMORY):
    assert sorted(train[name]) == [10, 20], name
  for step in (10, 20):
    ratio = (train[event_tags.IMAGES_PER_SECOND][step]
             / train[event_tags.STEPS_PER_SECOND][step])
    assert ratio == pytest.approx(32)
    assert 0.1 < train[event_tags.PEAK_MEMORY][step] < 24
  # Where the time went, which only grows.
  for phase in goodput.PHASES:
    seconds = train[event_tags.seconds_in(phase)]
    assert sorted(seconds) == [10, 20] and 0 <= seconds[10] <= seconds[20]
  totals = goodput.read(str(model_dir))
  assert totals.num_starts == 1 and totals.lost_steps == 0
  for phase in (goodput.STEPS, goodput.INPUT, goodput.COMPILATION,
                goodput.EVALUATION, goodput.CHECKPOINTS, goodput.START_UP):
    assert totals.seconds[phase] > 0
  # Orbit's figure, which counts compilation in, is not there.
  assert 'steps_per_second' not in train
  validation = event_files.scalars(model_dir / 'validation')
  for log, name in ((train, 'training_loss'), (validation, 'validation_loss')):
    assert log[event_tags.LOSS] == log[name] and 20 in log[name]
  assert validation['accuracy'][20] == pytest.approx(
      trainer.validation_logs['accuracy'])
  assert trainer.train_logs['training_loss'] == pytest.approx(
      train['training_loss'][20])


def test_the_checkpoint_carries_its_metadata(finished, digits_dir):
  model_dir, _ = finished
  checkpoint = tf.train.latest_checkpoint(model_dir)
  assert checkpoint.endswith('ckpt-20')
  found = metadata.read(checkpoint)
  assert found['layout'] == 'B1(17)-1(9)'
  assert found['num_classes'] == 10
  data = {'class_names': [str(digit) for digit in range(10)]}
  assert found.pop(data_position.KEY)['batch_size'] == 32
  assert found == metadata.describe(load(digits_dir), data)
  assert metadata.read_data(checkpoint) == data


def test_evaluation_repeats_the_result(finished, digits_dir, capfd):
  model_dir, trained = finished
  before = {path.name: path.stat().st_mtime_ns for path in model_dir.iterdir()
            if path.is_file()}
  evaluated = run(load(digits_dir), 'eval', model_dir)
  assert evaluated.validation_logs == pytest.approx(
      trained.validation_logs, abs=1e-6)
  assert not evaluated.train_logs
  after = {path.name: path.stat().st_mtime_ns for path in model_dir.iterdir()
           if path.is_file()}
  assert before == after
  shown = capfd.readouterr().out
  assert 'step 20  validation: loss' in shown
  assert 'steps/s' not in shown


def test_evaluation_agrees_with_a_plain_loop(finished, digits_dir):
  model_dir, trained = finished
  params = load(digits_dir)
  task = task_factory.get_task(params.task)
  model = task.build_model()
  tf.train.Checkpoint(model=model).read(
      tf.train.latest_checkpoint(model_dir)).expect_partial()
  right, total = 0, 0
  for images, (labels, _) in task.build_inputs(params.task.validation_data):
    predictions = model(images, training=False).numpy().argmax(axis=-1)
    right += int((predictions == labels.numpy()).sum())
    total += len(labels)
  assert total == 360
  assert trained.validation_logs['accuracy'] == pytest.approx(right / total)


# In make test, the evaluation that was begun before the training does.
@pytest.mark.long
def test_continuous_evaluation_ends_with_the_training(finished, digits_dir):
  model_dir, trained = finished
  params = load(digits_dir, extra=',trainer.continuous_eval_timeout=1')
  evaluated = run(params, 'continuous_eval', model_dir)
  assert evaluated.validation_logs == pytest.approx(
      trained.validation_logs, abs=1e-6)


def test_another_architecture_in_the_folder(finished, digits_dir):
  model_dir, _ = finished
  params = load(digits_dir, small=SMALL.replace('B1-1', 'B2'))
  with pytest.raises(ValueError, match='belongs to another architecture.*'
                     r'layout is B1\(17\)-1\(9\) there and B2\(17\) here'):
    session.prepare(params, 'train', str(model_dir))


def test_evaluation_without_a_checkpoint(digits_dir, tmp_path):
  with pytest.raises(ValueError, match='there is no checkpoint in'):
    session.prepare(load(digits_dir), 'eval', str(tmp_path))


def test_another_task_is_not_ours(tmp_path):
  params = experiment.load('retinanet_resnetfpn_coco')
  with pytest.raises(ValueError, match='runs image classification'):
    session.prepare(params, 'train', str(tmp_path))


@pytest.mark.long
def test_a_damaged_list_of_checkpoints_is_written_anew(digits_dir, tmp_path):
  run(load(digits_dir, steps=10), 'train', tmp_path)
  (tmp_path / 'checkpoint').write_text('')
  evaluated = run(load(digits_dir), 'eval', tmp_path)
  assert int(evaluated.global_step.numpy()) == 10
  assert (tmp_path / 'checkpoint').read_text() == ''
  trainer = run(load(digits_dir, steps=12), 'train', tmp_path)
  assert int(trainer.global_step.numpy()) == 12
  assert tf.train.latest_checkpoint(tmp_path) == f'{tmp_path}/ckpt-12'


def test_folders_that_cannot_be_used(digits_dir, tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(ValueError, match='file is not a folder'):
    session.prepare(load(digits_dir), 'train', str(tmp_path / 'file'))
  with pytest.raises(ValueError, match='sub cannot be made'):
    session.prepare(load(digits_dir), 'train', str(tmp_path / 'file' / 'sub'))
  export_dir = tmp_path / 'file' / 'export'
  params = load(digits_dir, extra=f",trainer.export.export_dir='{export_dir}'")
  with pytest.raises(ValueError, match=(
      'trainer.export.export_dir=.*export cannot be made')):
    session.prepare(params, 'train', str(tmp_path / 'run'))


def test_a_folder_whose_checkpoints_would_not_be_found_again(
    digits_dir, tmp_path):
  with pytest.raises(ValueError, match='takes .* for a pattern'):
    session.prepare(load(digits_dir), 'train', str(tmp_path / 'run [1]'))


def test_a_best_checkpoint_needs_evaluations(digits_dir, tmp_path, caplog):
  best = f'{BEST},trainer.validation_steps=1'
  said = "subdir is 'best', but has no effect: --mode=train does not evaluate"
  for mode in ('train_and_eval', 'train'):
    assert said not in caplog.text and 'validation_steps' not in caplog.text
    session.prepare(load(digits_dir, extra=best), mode, str(tmp_path / mode))
  assert said in caplog.text
  assert ('trainer.validation_steps is 1, but has no effect: --mode=train does '
          'not evaluate. Use train_and_eval.') in caplog.messages


def test_an_unknown_mode(digits_dir, tmp_path):
  with pytest.raises(ValueError, match="is 'train_and_validate', but must"):
    session.prepare(load(digits_dir), 'train_and_validate', str(tmp_path))


def test_training_goes_on_where_it_stopped(
    digits_dir, tmp_path, capfd, monkeypatch):
  task = image_classification.ImageClassificationTask
  step, traced = task.train_step, []
  monkeypatch.setattr(task, 'train_step', lambda self, *args, **kwargs: (
      traced.append(self), step(self, *args, **kwargs))[1])
  # A constant learning rate is a variable, of which the strategy has copies.
  constant = (',trainer.optimizer_config.warmup.type=null,'
              'trainer.optimizer_config.learning_rate.type=constant,'
              'trainer.optimizer_config.learning_rate.constant.'
              'learning_rate=0.003')
  run(load(digits_dir, steps=10, extra=constant, small=ONE_BLOCK), 'train',
      tmp_path)
  assert len(traced) == 1
  assert 'training from step 0 to 10' in capfd.readouterr().out
  # What is damaged is no reason to stop, or to begin again.
  for part, cut in (('index', None), ('data-00000-of-00001', -1)):
    (tmp_path / f'ckpt-15.{part}').write_bytes(
        (tmp_path / f'ckpt-10.{part}').read_bytes()[:cut])
  (tmp_path / 'checkpoint').write_text('')
  trainer = run(
      load(digits_dir, steps=20, extra=constant, small=ONE_BLOCK), 'train',
      tmp_path)
  shown = capfd.readouterr().out
  assert 'training from step 10 to 20' in shown
  assert 'step 20/20  train: loss' in shown
  assert event_files.scalars(tmp_path / 'train')['learning_rate'] == {
      10: pytest.approx(0.003), 20: pytest.approx(0.003)}
  assert int(trainer.global_step.numpy()) == 20
  assert tf.train.latest_checkpoint(tmp_path).endswith('ckpt-20')
  assert [path.name for path in sorted(tmp_path.glob('*.index'))] == [
      'ckpt-10.index', 'ckpt-20.index', 'damaged-ckpt-15.index']


@pytest.mark.long
def test_a_finished_training_is_evaluated(finished, digits_dir, capfd):
  model_dir, trained = finished
  # Of a start that was killed before it exported it.
  best = tf.train.Checkpoint(global_step=tf.Variable(20, dtype=tf.int64)).save(
      f'{model_dir}/best/best_ckpt')
  (model_dir / 'best' / 'info.json').write_text(
      '{"accuracy": 1.0, "best_ckpt_global_step": 20}')
  exported = []
  again = session.prepare(
      load(digits_dir, extra=BEST), 'train_and_eval', str(model_dir)).execute(
          lambda: exported.append(choose.newest(str(model_dir / 'best'))))
  assert {name: again.validation_logs[name] for name in trained.validation_logs
          } == pytest.approx(trained.validation_logs, abs=1e-6)
  assert exported == [best]
  assert 'step 20  the model_dir is trained already' in capfd.readouterr().out
  again = run(load(digits_dir), 'train', model_dir)
  assert not again.train_logs and not again.validation_logs


@pytest.mark.long
def test_one_seed_gives_one_result(digits_dir, tmp_path):
  def losses(name, seed):
    params = load(digits_dir, steps=6, interval=3, extra=(
        f',trainer.seed={seed},trainer.deterministic=true'))
    run(params, 'train', tmp_path / name)
    found = event_files.scalars(tmp_path / name / 'train')['training_loss']
    return [found[step] for step in sorted(found)]

  try:
    first = losses('first', 3)
    assert len(first) == 2
    assert losses('second', 3) == first
    assert losses('third', 4) != first
  finally:
    config.disable_op_determinism()


@pytest.mark.long
def test_mixed_precision_trains(digits_dir, tmp_path):
  params = load(digits_dir, steps=40, interval=20, extra=(
      ',runtime.mixed_precision_dtype=bfloat16,'
      'task.train_data.dtype=bfloat16,task.validation_data.dtype=bfloat16'))
  trainer = run(params, 'train_and_eval', tmp_path)
  losses = event_files.scalars(tmp_path / 'train')['training_loss']
  assert np.isfinite(list(losses.values())).all()
  assert losses[40] < losses[20]
  assert trainer.model.backbone.get_layer('encoder').compute_dtype == 'bfloat16'


@pytest.fixture
def two_replicas(monkeypatch):
  """Makes every run mirrored over two logical CPU devices."""
  strategy = models.mirrored(2)
  monkeypatch.setattr(
      distribute_utils, 'get_distribution_strategy', lambda **_: strategy)


@pytest.mark.long
def test_two_replicas(digits_dir, tmp_path, two_replicas):
  trainer = run(load(digits_dir), 'train_and_eval', tmp_path)
  assert trainer.strategy.num_replicas_in_sync == 2
  assert int(trainer.global_step.numpy()) == 20
  train = event_files.scalars(tmp_path / 'train')
  ratio = (train[event_tags.IMAGES_PER_SECOND][20]
           / train[event_tags.STEPS_PER_SECOND][20])
  assert ratio == pytest.approx(32)


def test_a_batch_that_the_replicas_do_not_divide(
    digits_dir, tmp_path, two_replicas):
  params = load(digits_dir, small=SMALL.replace('size=32', 'size=33'))
  with pytest.raises(ValueError, match=(
      'train_data.global_batch_size is 33, which the 2 replicas do not')):
    run(params, 'train', tmp_path)


def test_more_gpus_than_there_are(digits_dir, tmp_path):
  params = load(digits_dir, extra=',runtime.num_gpus=99')
  with pytest.raises(ValueError, match='num_gpus is 99, but TensorFlow sees'):
    run(params, 'train', tmp_path)


@pytest.mark.slow
def test_model_gardens_checkpoint_in_the_folder(digits_dir, tmp_path):
  params = load(digits_dir, small=ONE_BLOCK)
  model = tf_keras.Sequential([tf_keras.layers.Dense(3)])
  model.build([None, 2])
  checkpoint = tf.train.Checkpoint(model=model)
  manager = tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=1)
  manager.save(7)
  with pytest.raises(ValueError, match='carries no metadata, and its'):
    run(params, 'train', tmp_path)


@pytest.mark.parametrize('error, message', [
    (tf.errors.DataLossError(None, None, 'checksum'),
     'a file is damaged, most likely the checkpoint in .*: checksum$'),
    (tf.errors.UnavailableError(None, None, 'Connection reset by peer'),
     'another worker was lost. Start all workers again with the same command: '
     'they resume from the newest checkpoint in '),
    (tf.errors.InvalidArgumentError(
        None, None, 'JPEG is cut\n [[{{node DecodeJpeg}}]]'),
     'an image cannot be decoded: JPEG is cut'),
])
def test_an_error_whose_cause_is_known_ends_in_a_line(
    digits_dir, tmp_path, monkeypatch, error, message):
  def fail(*_, **__):
    raise error
  monkeypatch.setattr(train_utils, 'create_trainer', fail)
  with pytest.raises(errors.UserError, match=message):
    run(load(digits_dir), 'train', tmp_path)


def test_another_error_keeps_its_traceback(digits_dir, tmp_path, monkeypatch):
  def fail(*_, **__):
    raise tf.errors.InternalError(None, None, 'a bug')
  monkeypatch.setattr(train_utils, 'create_trainer', fail)
  with pytest.raises(tf.errors.InternalError):
    run(load(digits_dir), 'train', tmp_path)


@pytest.mark.parametrize('layout, error', [('B1-1', None), ('B2', (
    'belongs to another architecture'))])
def test_an_evaluation_that_was_begun_before_the_training(
    finished, digits_dir, tmp_path, layout, error):
  model_dir, trained = finished
  params = load(digits_dir, small=SMALL.replace('B1-1', layout),
                extra=',trainer.continuous_eval_timeout=1')
  waiting = session.prepare(params, 'continuous_eval', str(tmp_path / 'run'))
  shutil.copytree(model_dir, tmp_path / 'run')
  if error:
    with pytest.raises(errors.UserError, match=error):
      waiting.execute()
  else:
    assert waiting.task.data_description == {}
    assert waiting.execute().validation_logs == pytest.approx(
        trained.validation_logs, abs=1e-6)
    assert waiting.task.data_description['class_names'] == list('0123456789')


@pytest.mark.long
def test_steps_are_logged_once_without_a_checkpoint_and_when_evaluated_again(
    finished, digits_dir, tmp_path):
  model_dir, _ = finished
  # As a kill before the first checkpoint leaves it.
  for part in ('train', 'validation'):
    shutil.copytree(model_dir / part, tmp_path / part)
  for _ in range(2):
    run(load(digits_dir), 'train_and_eval', tmp_path)
    for part, name in (('train', 'training_loss'),
                       ('validation', 'validation_loss')):
      steps = [
          event.step for path in sorted((tmp_path / part).glob('events*'))
          for event in tf.compat.v1.train.summary_iterator(str(path))
          for value in event.summary.value if value.tag == name]
      assert sorted(steps) == [10, 20], part
