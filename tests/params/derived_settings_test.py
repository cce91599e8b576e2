"""A training's own params.yaml, used again: as it is, extended and changed."""

from official.core import exp_factory
from official.core import train_utils
from official.modeling import hyperparams
import pytest
import yaml

from official_ext.configs import image_classification as configs
from official_ext.optimization import runnable
from official_ext.params import experiment

RATE = 'trainer.optimizer_config.learning_rate.cosine'
DIGITS = 'funnel_vit_digits'
SCALED = ('trainer.learning_rate_scaling=linear,'
          'trainer.reference_batch_size=128')
# What an experiment for any data leaves to be said.
NEEDED = {'funnel_vit_finetune': 'task.train_data.num_examples=6400'}


def save(folder, name, override='', files=()):
  """Leaves what a training leaves; returns its path."""
  train_utils.serialize_config(
      experiment.load(name, files, override), str(folder))
  return str(folder / experiment.SAVED_FILE)


def changed(name, override=''):
  """Overrides that double the epochs and take another batch."""
  params = experiment.load(name, params_override=override)
  return (f'trainer.train_epochs={2 * params.trainer.train_epochs},'
          'task.train_data.global_batch_size='
          f'{params.task.train_data.global_batch_size // 2}')


def check(path, name, before, after, files=()):
  """A run's file and an override are the experiment and both overrides."""
  settings = dict(one.split('=', 1) for one in
                  f'{before},{after}'.split(',') if one)
  both = ','.join(f'{key}={value}' for key, value in settings.items())
  assert experiment.load(name, [path], after).as_dict() == (
      experiment.load(name, files, both).as_dict())


@pytest.mark.parametrize('name', configs.EXPERIMENTS)
def test_every_experiment_is_extended_from_its_own_file(tmp_path, name):
  needed = NEEDED.get(name, '')
  path = save(tmp_path, name, needed)
  check(path, name, needed, changed(name, needed))


def test_all_scaled_learning_rates_are_derived_again(tmp_path):
  before = (f'{SCALED},trainer.optimizer_config.warmup.type=linear,'
            'trainer.optimizer_config.warmup.linear.warmup_learning_rate=1e-5')
  path = save(tmp_path, DIGITS, before)
  for batch_size in (64, 512):
    check(path, DIGITS, before,
          f'task.train_data.global_batch_size={batch_size}')


@pytest.mark.long
@pytest.mark.parametrize('name', configs.EXPERIMENTS)
@pytest.mark.parametrize('before', [
    '', SCALED, 'trainer.train_steps=7',
    'trainer.optimizer_config.optimizer.type=adamw_layerwise'])
def test_what_was_set_stays_in_every_change(tmp_path, name, before):
  before = ','.join(one for one in (before, NEEDED.get(name)) if one)
  path = save(tmp_path, name, before)
  for after in ('', changed(name, before), 'trainer.train_steps=100',
                'trainer.seed=9', f'{RATE}.initial_learning_rate=0.5',
                "task.data_dir='elsewhere'" if 'cifar' not in name else '',
                'trainer.interval_epochs=2'):
    check(path, name, before, after)


@pytest.mark.long
@pytest.mark.parametrize('file', experiment.shipped_config_files())
def test_every_shipped_file_is_extended(tmp_path, file):
  for name in ('funnel_vit_imagenet', 'funnel_vit_imagenet_finetune'):
    try:
      path = save(tmp_path, name, '', [file])
    except ValueError:
      continue  # An optimizer of the other line of TensorFlow.
    for after in ('', 'trainer.train_epochs=3'):
      check(path, name, '', after, [file])


def test_the_steps_follow_again(tmp_path):
  path = save(tmp_path, DIGITS)
  trainer = experiment.load(
      DIGITS, [path], 'trainer.train_epochs=120').trainer
  # 1,437 images are 22 batches of 64.
  assert trainer.train_steps == 120 * 22
  assert trainer.optimizer_config.learning_rate.get().decay_steps == 120 * 22
  trainer = experiment.load(
      DIGITS, [path], 'task.train_data.global_batch_size=100').trainer
  assert (trainer.train_steps, trainer.steps_per_loop) == (60 * 14, 10 * 14)


def test_the_learning_rate_is_scaled_once(tmp_path):
  path = save(tmp_path, DIGITS, SCALED)
  rates = {batch: experiment.load(
      DIGITS, [path], f'task.train_data.global_batch_size={batch}')
           .trainer.optimizer_config.learning_rate.get().initial_learning_rate
           for batch in (64, 128, 32)}
  assert rates == {64: 0.0005, 128: 0.001, 32: 0.00025}
  check(path, DIGITS, SCALED, f'{RATE}.initial_learning_rate=0.004')


def test_a_decay_that_was_set_stays_and_is_warned_of(tmp_path, caplog):
  path = save(tmp_path, DIGITS, f'{RATE}.decay_steps=1320,{RATE}.alpha=0.1')
  assert not caplog.text
  params = experiment.load(DIGITS, [path], 'trainer.train_steps=2000')
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.decay_steps == 1320
  assert caplog.messages == [
      'The learning rate decays until step 1320, and the training takes 2000: '
      'for the last 680 steps it stays at 0.0001. '
      f'{RATE}.decay_steps=null lets it decay to the end.']


@pytest.mark.parametrize('kind, settings, end', [
    ('cosine', '', ", and as learning_rate.type is 'cosine', which has decayed "
     'by then, goes to 0 alone'),
    ('polynomial', 'end_learning_rate=0.25', ', and as learning_rate.type is '
     "'polynomial', which has decayed by then, goes to 0.25 alone"),
    ('polynomial', 'cycle=true', ''),
    ('power', '', '')])
def test_a_warm_up_as_long_as_the_run(caplog, kind, settings, end):
  learning_rate = 'trainer.optimizer_config.learning_rate'
  experiment.load(DIGITS, params_override=','.join(
      [f'{learning_rate}.type={kind}', 'trainer.train_steps=100', *(
          f'{learning_rate}.{kind}.{one}' for one in (
              'initial_learning_rate=0.5', settings) if one)]))
  assert caplog.messages == [
      'The warm-up takes 100 steps, the run 100: the learning rate does not '
      f'get to its peak{end}. For a trial run that learns, set '
      'trainer.optimizer_config.warmup.linear.warmup_steps=10.']


def test_a_learning_rate_of_zero_in_the_whole_run(caplog):
  path = 'trainer.optimizer_config'
  warmup = f'{path}.warmup.linear.warmup_steps'

  def warnings(*settings):
    trainer = experiment.load(
        DIGITS, params_override=','.join(settings)).trainer
    caplog.clear()
    runnable.check_learning_rates(trainer.optimizer_config, trainer.train_steps)
    return caplog.messages

  # The warm-up ends where the decay has come to 0, and so leads there.
  assert warnings('trainer.train_steps=60') == [
      f'{path} makes the learning rate 0 at each of the 60 steps '
      '(trainer.train_steps): nothing will be learned. The warm-up takes '
      f'100: set {warmup}=6, for example, or train longer.']
  assert not warnings('trainer.train_steps=60', f'{warmup}=59')
  assert not warnings('trainer.train_steps=60', f'{RATE}.alpha=0.1')
  assert not warnings('trainer.train_steps=1')
  message, = warnings(f'{RATE}.initial_learning_rate=0.0')
  assert message.endswith(
      f'Change the settings of {path}.learning_rate.cosine.')


@pytest.mark.parametrize('kind, settings, warned', [
    ('polynomial', 'decay_steps=50,offset=49', 'stays at 0.0001'),
    ('polynomial', 'decay_steps=50,offset=50', ''),
    ('polynomial', 'decay_steps=50,cycle=true', ''),
    ('power_linear', 'total_decay_steps=99', 'total_decay_steps=null'),
    ('exponential', 'decay_steps=50,decay_rate=0.9', '')])
def test_which_decays_end_before_the_training(caplog, kind, settings, warned):
  path = 'trainer.optimizer_config.learning_rate'
  experiment.load(DIGITS, params_override=(
      'trainer.train_steps=100,trainer.optimizer_config.warmup.type=null,'
      f'{path}.type={kind},{path}.{kind}.initial_learning_rate=0.1,'
      + ','.join(f'{path}.{kind}.{one}' for one in settings.split(','))))
  # An offset without a warm-up is warned of as well.
  told = [text for text in caplog.messages if 'decays until' in text]
  assert bool(warned) == bool(told)
  assert all(warned in text for text in told)


def test_what_was_changed_in_the_file_stays(tmp_path):
  path = save(tmp_path, DIGITS, SCALED)
  with open(path, encoding='utf-8') as file:
    text = file.read()
  for old, new in (('train_steps: 1320', 'train_steps: 99'),
                   ('initial_learning_rate: 0.0005',
                    'initial_learning_rate: 3e-3')):
    assert old in text
    text = text.replace(old, new)
  with open(path, 'w', encoding='utf-8') as file:
    file.write(text)
  trainer = experiment.load(DIGITS, [path], 'trainer.train_epochs=1').trainer
  assert trainer.train_steps == 99
  schedule = trainer.optimizer_config.learning_rate.get()
  assert schedule.decay_steps == 99
  # It was the rate of the batch; scaled again it would be another.
  assert schedule.initial_learning_rate == 0.003


def test_a_file_of_a_former_version_stays_as_it_is(tmp_path, caplog):
  path = save(tmp_path, DIGITS)
  with open(path, encoding='utf-8') as file:
    saved = yaml.load(file, Loader=yaml.FullLoader)
  del saved['trainer']['derived']
  with open(path, 'w', encoding='utf-8') as file:
    yaml.dump(saved, file)
  params = experiment.load(DIGITS, [path])
  assert params.trainer.train_steps == 1320 and not params.trainer.derived
  assert not caplog.text
  experiment.load(DIGITS, [path], 'trainer.train_steps=2640')
  assert 'decays until step 1320, and the training takes 2640' in caplog.text
  assert experiment.load_saved(str(tmp_path)).trainer.derived == []


def test_model_gardens_reader_reads_it(tmp_path):
  path = save(tmp_path, DIGITS, SCALED)
  expected = experiment.load(DIGITS, params_override=SCALED).as_dict()
  params = exp_factory.get_exp_config(DIGITS)
  hyperparams.override_params_dict(params, path, is_strict=True)
  assert params.as_dict() == expected
  assert experiment.load_saved(str(tmp_path)).as_dict() == expected


def test_the_folder_of_a_training_is_enough(trained_dir):
  path = f'{trained_dir}/{experiment.SAVED_FILE}'
  assert experiment.load(DIGITS, [path]).as_dict() == (
      experiment.load_saved(trained_dir).as_dict())
  trainer = experiment.load(DIGITS, [path], 'trainer.train_steps=20').trainer
  assert trainer.optimizer_config.learning_rate.get().decay_steps == 20


@pytest.mark.parametrize('value', ['3', '[1]', '[{setting: a}]'])
def test_what_no_training_wrote(value):
  with pytest.raises(ValueError, match='^--params_override: trainer.deri'):
    experiment.load(DIGITS, params_override=f'trainer: {{derived: {value}}}')


def test_a_decay_ends_with_the_training_wherever_it_begins(caplog):
  params = experiment.load(DIGITS, params_override=(
      'trainer.optimizer_config.learning_rate.cosine.offset=500,'
      'trainer.optimizer_config.warmup.linear.warmup_steps=500'))
  schedule = params.trainer.optimizer_config.learning_rate.cosine
  assert schedule.decay_steps == params.trainer.train_steps - 500 == 820
  assert not caplog.text


def test_an_interval_of_less_than_a_step_is_one():
  params = experiment.load(
      DIGITS, params_override='trainer.interval_epochs=0.01')
  assert params.trainer.validation_interval == 1


def test_a_mark_of_no_setting_is_refused(tmp_path):
  path = tmp_path / 'mine.yaml'
  path.write_text('trainer: {derived: [{setting: 1, given: 2, value: 3}]}')
  with pytest.raises(ValueError, match='must be what a training wrote there'):
    experiment.load(DIGITS, [str(path)])
