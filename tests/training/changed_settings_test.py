"""Tests of what is told and refused when a training goes on otherwise."""

from official.modeling import performance
import proofs
import pytest
import short_runs
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.params import experiment
from official_ext.training import changed_settings
from official_ext.training import progress
from official_ext.training import session
from official_ext.training import settings_history

Kind = changed_settings.Kind
OPTIMIZATION = 'trainer.optimizer_config'
ADAMW = f'{OPTIMIZATION}.optimizer.adamw'
EMA = f'{OPTIMIZATION}.ema'
COSINE = f'{OPTIMIZATION}.learning_rate.cosine'
TRAIN = 'task.train_data'
BACKBONE = 'task.model.backbone.funnel_vit'
NANO = f'{BACKBONE}.model_name=vit-nano4'
RESNET = ('task.model.backbone.type=resnet,'
          'task.model.backbone.resnet.model_id=18')
STEP = 660


def load(override=''):
  return experiment.load('funnel_vit_digits', params_override=override)


@pytest.fixture(name='checkpoint')
def _checkpoint(tmp_path):
  """A checkpoint of step 660 in a folder; what it was trained with is not."""
  root = tf.train.Checkpoint(global_step=tf.Variable(STEP, dtype=tf.int64))
  return root.write(str(tmp_path / f'ckpt-{STEP}'))


def changes(tmp_path, checkpoint, before, now):
  """What differs between two overrides, by setting: values and kind."""
  settings_history.save(load(before), str(tmp_path), 0)
  found = changed_settings.find(load(now), str(tmp_path), checkpoint)
  return {one.setting: (one.before, one.now, one.kind)
          for one in found.changes}


@pytest.mark.slow
@pytest.mark.parametrize('before, now, expected', [
    ('', '', {}),
    ('', f'{COSINE}.initial_learning_rate=0.002',
     {f'{COSINE}.initial_learning_rate': ('0.001', '0.002', Kind.TRAINING)}),
    ('', f'{OPTIMIZATION}.optimizer.type=sgd',
     {f'{OPTIMIZATION}.optimizer.type': (
         "'adamw'", "'sgd'", Kind.TRAINING)}),
    ('', f'{ADAMW}.weight_decay_rate=0.1',
     {f'{ADAMW}.weight_decay_rate': ('0.05', '0.1', Kind.TRAINING)}),
    (f'{EMA}.average_decay=0.99', f'{EMA}.average_decay=0.9',
     {f'{EMA}.average_decay': ('0.99', '0.9', Kind.TRAINING)}),
    ('', 'trainer.seed=2', {
        'trainer.seed': ('1', '2', Kind.TRAINING)}),
    ('', 'task.model.dropout_rate=0.1',
     {'task.model.dropout_rate': ('0.0', '0.1', Kind.TRAINING)}),
    ('', f'{BACKBONE}.layer_scale_init_value=0.1',
     {f'{BACKBONE}.layer_scale_init_value': (
         '0.0', '0.1', Kind.ARCHITECTURE)}),
    (f'{BACKBONE}.layer_scale_init_value=0.2',
     f'{BACKBONE}.layer_scale_init_value=0.1',
     {f'{BACKBONE}.layer_scale_init_value': ('0.2', '0.1', Kind.HARMLESS)}),
    # Images of another size with the same patches.
    (f'{BACKBONE}.crop_to_patches=true',
     f'{BACKBONE}.crop_to_patches=true,task.model.input_size=[18,18,3]',
     {'task.model.input_size': (
         '[16, 16, 3]', '[18, 18, 3]', Kind.TRAINING)}),
    # And with other patches.
    ('', 'task.model.input_size=[20,20,3]',
     {'task.model.input_size': (
         '[16, 16, 3]', '[20, 20, 3]', Kind.ARCHITECTURE)}),
    ('task.model.input_size=[20,20,3]',
     f'task.model.input_size=[22,22,3],{BACKBONE}.crop_to_patches=true', {
         'task.model.input_size': (
             '[20, 20, 3]', '[22, 22, 3]', Kind.TRAINING),
         f'{BACKBONE}.crop_to_patches': ('false', 'true', Kind.TRAINING)}),
    (RESNET, RESNET.replace('18', '34'),
     {'task.model.backbone.resnet.model_id': ('18', '34', Kind.VARIABLES)}),
    (RESNET, f'{RESNET},task.model.input_size=[20,20,3]',
     {'task.model.input_size': (
         '[16, 16, 3]', '[20, 20, 3]', Kind.TRAINING)}),
    ('', 'task.model.output_softmax=true',
     {'task.model.output_softmax': ('false', 'true', Kind.TRAINING)}),
    ('', f'{TRAIN}.aug_rand_hflip=true',
     {f'{TRAIN}.aug_rand_hflip': ('false', 'true', Kind.TRAINING)}),
    # What follows from it is not told once more.
    ('', f'{TRAIN}.global_batch_size=32',
     {f'{TRAIN}.global_batch_size': ('64', '32', Kind.TRAINING)}),
    ('trainer.learning_rate_scaling=linear,trainer.reference_batch_size=64',
     'trainer.learning_rate_scaling=linear,trainer.reference_batch_size=64,'
     f'{TRAIN}.global_batch_size=128',
     {f'{TRAIN}.global_batch_size': ('64', '128', Kind.TRAINING)}),
    ('', 'task.data_dir=elsewhere,trainer.checkpoint_interval=7,'
     f'{TRAIN}.prefetch_buffer_size=3,runtime.num_gpus=1',
     {'task.data_dir': ("'data/digits'", "'elsewhere'", Kind.HARMLESS),
      'trainer.checkpoint_interval': ('220', '7', Kind.HARMLESS),
      f'{TRAIN}.prefetch_buffer_size': ('null', '3', Kind.HARMLESS),
      'runtime.num_gpus': ('0', '1', Kind.HARMLESS)}),
    # The same layout, spelt otherwise; and another.
    (f'{BACKBONE}.layout=B2-2-2', f'{BACKBONE}.layout=B2(17)-2(9)-2(5)',
     {f'{BACKBONE}.layout': (
         "'B2-2-2'", "'B2(17)-2(9)-2(5)'", Kind.HARMLESS)}),
    (f'{BACKBONE}.layout=B2-2-2', f'{BACKBONE}.layout=B3-3',
     {f'{BACKBONE}.layout': ("'B2-2-2'", "'B3-3'", Kind.ARCHITECTURE)}),
    ('', 'task.model.add_head_batch_norm=true', {
        'task.model.add_head_batch_norm': (
            'false', 'true', Kind.VARIABLES)}),
    # No run reads it as long as the momentum is 0.
    (f'{OPTIMIZATION}.optimizer.type=sgd',
     f'{OPTIMIZATION}.optimizer.type=sgd,'
     f'{OPTIMIZATION}.optimizer.sgd.nesterov=true',
     {f'{OPTIMIZATION}.optimizer.sgd.nesterov': (
         'false', 'true', Kind.HARMLESS)}),
    # A training that is extended.
    ('', 'trainer.train_epochs=120',
     {'trainer.train_epochs': ('60.0', '120.0', Kind.LENGTH)}),
    ('', 'trainer.train_steps=2000',
     {'trainer.train_steps': ('1320', '2000', Kind.LENGTH)}),
    ('', 'trainer.train_steps=1000',
     {'trainer.train_steps': ('1320', '1000', Kind.TRAINING)}),
    (f'{COSINE}.decay_steps=900',
     f'{COSINE}.decay_steps=900,trainer.train_epochs=120',
     {'trainer.train_epochs': ('60.0', '120.0', Kind.HARMLESS)}),
])
def test_every_difference_is_told_once(
    tmp_path, checkpoint, before, now, expected):
  assert changes(tmp_path, checkpoint, before, now) == expected


def test_moving_averages_put_on_and_taken_off(tmp_path, checkpoint):
  put_on = changes(tmp_path, checkpoint, '', f'{EMA}.average_decay=0.9')
  (setting, (before, now, kind)), = put_on.items()
  assert (setting, before, kind) == (EMA, 'null', Kind.TRAINING)
  assert 'average_decay: 0.9' in now
  taken_off = changes(tmp_path, checkpoint, f'{EMA}.average_decay=0.9', '')
  assert taken_off == {EMA: (now, 'null', Kind.TRAINING)}


def test_the_table_and_the_refusal(tmp_path, checkpoint):
  settings_history.save(load(), str(tmp_path), 0)
  found = changed_settings.find(
      load('task.data_dir=there,trainer.seed=2,task.model.dropout_rate=0.1,'
           'trainer.train_epochs=90'), str(tmp_path), checkpoint)
  lines = found.table().splitlines()
  assert lines[0] == f'{tmp_path} goes on at step 660 with other settings:'
  assert [line.split() for line in lines[1:]] == [
      ['setting', 'before', 'now', 'what', 'that', 'is'],
      ['task.model.dropout_rate', '0.0', '0.1', 'changes', 'the', 'training'],
      ['trainer.seed', '1', '2', 'changes', 'the', 'training'],
      ['trainer.train_epochs', '60.0', '90.0', 'extends', 'the', 'training'],
      ['task.data_dir', "'data/digits'", "'there'", 'harmless']]
  found.check(allows_changes=True)
  with pytest.raises(ValueError) as refused:
    found.check(allows_changes=False)
  assert str(refused.value) == (
      f'{tmp_path} was trained to step 660 with other settings: '
      'task.model.dropout_rate was 0.0 and is 0.1; trainer.seed was 1 and is '
      '2. To go on with those of now, add --allow_changes; or choose another '
      '--model_dir.')
  assert found.refuses(False) and not found.refuses(True)


def test_the_learning_rate_of_an_extended_training_is_told(
    tmp_path, checkpoint):
  settings_history.save(load(), str(tmp_path), 0)
  found = changed_settings.find(
      load('trainer.train_steps=2640'), str(tmp_path), checkpoint)
  found.check(allows_changes=False)
  # Half a cosine of 1,320 steps, and a quarter of one of 2,640.
  assert found.lines()[1] == (
      'learning rate of the next step: 0.0005 before, 0.000853553 now')


def test_other_variables_are_refused_whatever_is_allowed(tmp_path, checkpoint):
  settings_history.save(load(), str(tmp_path), 0)
  found = changed_settings.find(
      load('task.model.add_head_batch_norm=true'), str(tmp_path), checkpoint)
  with pytest.raises(ValueError, match=(
      'holds another model: task.model.add_head_batch_norm was false and is '
      'true. Choose another --model_dir; task.init_checkpoint=')):
    found.check(allows_changes=True)


def test_what_an_earlier_version_did_not_write_is_not_compared(
    tmp_path, checkpoint):
  path = tmp_path / experiment.SAVED_FILE
  path.write_text("""
task: {model: {dropout_rate: 0.2}}
trainer:
  train_steps: 1320
  optimizer_config:
    learning_rate: {type: cosine, cosine: {decay_steps: 1320}}
""")
  found = changed_settings.find(
      load('trainer.train_epochs=120,trainer.seed=7'), str(tmp_path),
      checkpoint)
  assert [str(one) for one in found.changes] == [
      'task.model.dropout_rate was 0.2 and is 0.0',
      'trainer.train_steps was 1320 and is 2640']
  path.write_text('[')
  with pytest.raises(ValueError, match=(
      '^.*/params.yaml cannot be read, so .* Delete the file, .*$')):
    changed_settings.find(load(), str(tmp_path), checkpoint)
  path.unlink()
  assert not changed_settings.find(load(), str(tmp_path), checkpoint).changes
  assert not changed_settings.find(load(), str(tmp_path), None).changes


@pytest.mark.slow
@pytest.mark.usefixtures('checkpoint')
def test_a_training_is_refused_and_an_evaluation_is_not(
    digits_dir, tmp_path, capfd):
  (tmp_path / 'checkpoint').write_text(
      f'model_checkpoint_path: "ckpt-{STEP}"')
  settings_history.save(
      short_runs.parameters(digits_dir), str(tmp_path), 0)
  other = short_runs.parameters(digits_dir, **{'trainer.seed': 5})
  with pytest.raises(ValueError, match=(
      'trained to step 660 with other settings: trainer.seed was 1 and is 5. '
      'To go on with those of now, add --allow_changes')):
    session.prepare(other, 'train', str(tmp_path))
  assert 'changes the training' in capfd.readouterr().err
  session.prepare(other, 'eval', str(tmp_path))
  session.prepare(other, 'train', str(tmp_path), allow_changes=True)
  assert 'changes the training' not in capfd.readouterr().err


@pytest.mark.long
def test_a_run_goes_on_with_what_was_accepted(
    digits_dir, tmp_path, capfd, caplog):
  model_dir = tmp_path / 'run'
  short_runs.train(digits_dir, model_dir, **{'trainer.train_steps': 2})
  saved = (model_dir / 'params.yaml').read_text()
  other = short_runs.parameters(digits_dir, **{
      'trainer.train_steps': 3, f'{EMA}.average_decay': 0.5})
  with pytest.raises(ValueError, match='add --allow_changes'):
    session.prepare(other, 'train', str(model_dir))
  assert (model_dir / 'params.yaml').read_text() == saved
  capfd.readouterr()
  trainer = session.prepare(
      other, 'train', str(model_dir), allow_changes=True).execute(
          enable_async_checkpointing=False)
  assert 'goes on at step 2 with other settings:' in capfd.readouterr().out
  assert 'moving averages of the weights begin at the weights' in caplog.text
  assert int(trainer.optimizer.iterations.numpy()) == 3
  history = model_dir / settings_history.FOLDER
  assert sorted(path.name for path in history.iterdir()) == [
      'from_step_0.yaml', 'from_step_2.yaml']
  assert (history / 'from_step_0.yaml').read_text() == saved
  assert (model_dir / 'params.yaml').read_text() == (
      history / 'from_step_2.yaml').read_text()
  # What was accepted is what is compared with from now on.
  assert not session.prepare(other, 'train', str(model_dir)).changes.changes
  # Averages that are not there are not evaluated; those that are, are.
  session.prepare(other, 'eval', str(model_dir)).execute()
  without = tmp_path / 'without'
  short_runs.train(digits_dir, without, **{'trainer.train_steps': 2})
  with pytest.raises(errors.UserError, match='has no moving averages of the'):
    session.prepare(other, 'eval', str(without)).execute()


# What a training is begun with.
BACKBONES = {
    'funnel_vit': {f'{BACKBONE}.layout': short_runs.LAYOUT},
    'resnet': {'task.model.backbone.type': 'resnet',
               'task.model.backbone.resnet.model_id': 18},
    'vit': {'task.model.backbone.type': 'vit',
            'task.model.backbone.vit.model_name': 'vit-ti16',
            'task.model.input_size': [32, 32, 3]},
}
# By the backbone, settings and another value of each.
CHANGES = {
    'funnel_vit': [
        {'task.model.input_size': [20, 20, 3]},
        {'task.model.input_size': [18, 18, 3],
         f'{BACKBONE}.crop_to_patches': True},
        {'task.model.add_head_batch_norm': True},
        {'task.freeze_backbone': True},
        {f'{OPTIMIZATION}.optimizer.type': 'sgd'},
        {'runtime.mixed_precision_dtype': 'float16'},
        {f'{EMA}.average_decay': 0.9}, {'task.model.dropout_rate': 0.1}],
    'resnet': [
        {'task.model.backbone.resnet.model_id': 34},
        {'task.model.backbone.resnet.se_ratio': 0.25},
        {'task.model.backbone.resnet.stem_type': 'v1'},
        {'task.model.backbone.resnet.replace_stem_max_pool': True},
        {'task.model.backbone.resnet.depth_multiplier': 0.5},
        {'task.model.backbone.resnet.resnetd_shortcut': True},
        {'task.model.backbone.resnet.stochastic_depth_drop_rate': 0.1},
        {'task.model.input_size': [20, 20, 3]}],
    'vit': [
        {'task.model.input_size': [48, 48, 3]},
        {'task.model.backbone.vit.model_name': 'vit-s16'},
        {'task.model.backbone.vit.pooler': 'gap'},
        {'task.model.backbone.vit.representation_size': 7},
        {'task.model.backbone.vit.transformer.dropout_rate': 0.1}],
}


@pytest.mark.long
@pytest.mark.parametrize('backbone', proofs.choose(
    ['funnel_vit'], list(CHANGES)))
def test_what_is_impossible_fails_and_what_changes_goes_on(
    digits_dir, tmp_path, monkeypatch, backbone):
  base = BACKBONES[backbone] | {'trainer.train_steps': 1}
  short_runs.train(digits_dir, tmp_path, **base)
  # What refuses would hide what fails.
  monkeypatch.setattr(changed_settings.Changes, 'check', lambda *_: None)
  monkeypatch.setattr(
      session.checks.metadata, 'check_same_architecture', lambda *_: None)
  wrong = []
  for settings in CHANGES[backbone]:
    params = short_runs.parameters(
        digits_dir, **base | settings | {'trainer.train_steps': 2})
    run = session.prepare(params, 'train', str(tmp_path), allow_changes=True)
    kinds = {one.kind for one in run.changes.changes}
    is_possible = not kinds & {Kind.ARCHITECTURE, Kind.VARIABLES}
    session._seed(params)
    performance.set_mixed_precision_policy(
        params.runtime.mixed_precision_dtype or 'float32')
    trainer = run._build_trainer(
        str(tmp_path), progress.Progress(), None, None, None)
    try:
      with run.strategy.scope():
        trainer.initialize()
      goes_on = True
    except (ValueError, tf.errors.OpError):
      goes_on = False
    if goes_on is not is_possible:
      wrong.append((settings, kinds, goes_on))
  assert wrong == []
