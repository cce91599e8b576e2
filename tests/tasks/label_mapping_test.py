"""Tests of labels that are brought to the classes of a model by their names."""

import logging
import pathlib
import shutil

import animals
import commands
import pytest
import records_for_tests
import short_runs
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.tasks import label_mapping
from official_ext.trained import trained_model
from official_ext.trained import validation_data
from official_ext.training import session
from official_ext.training import settings_history

ANIMALS = ['cat', 'dog', 'eel']


def mapped(names, classes, offset=0):
  """The class of each label, after the offset; None where nothing is mapped."""
  mapping = label_mapping.between(names, classes, offset, 'HERE', 'FIX.')
  if mapping is None:
    return None
  labels = mapping(tf.range(-1, len(names) + 1, dtype=tf.int64)) + offset
  # A record without a label, and a label without a name, are of no class.
  assert labels[0] < 0 and labels[-1] < 0
  return labels[1:-1].numpy().tolist()


@pytest.mark.parametrize('names, classes, offset, expected', [
    (['dog', 'eel'], ANIMALS, 0, [1, 2]),
    (['eel', 'cat', 'dog'], ANIMALS, 0, [2, 0, 1]),
    (ANIMALS, ANIMALS, 0, None),
    # The classes begin with the names: as always.
    (['cat', 'dog'], ANIMALS, 0, None),
    # The background of ImageNet, with and without an offset.
    (ANIMALS, ['background', *ANIMALS], 1, None),
    (ANIMALS, ['background', *ANIMALS], 0, [1, 2, 3]),
    (['dog', 'eel'], ['background', *ANIMALS], 1, [2, 3]),
    (['background', 'eel', 'cat'], ANIMALS, 0, [-1, 2, 0]),
    (['background', *ANIMALS], ANIMALS, -1, None),
    # Synsets and words are the same classes; so are both Unicode forms.
    (['n01443537', 'n01440764'], ['background', 'tench', 'goldfish'], 0,
     [2, 1]),
    (['tench', 'goldfish'], ['background', 'n01440764', 'n01443537'], 1, None),
    (['cafe\u0301', 'a'], ['a', 'caf\xe9'], 0, [1, 0]),
    # A name that two classes share, each in its place.
    (['crane', 'dog', 'crane'], ['crane', 'dog', 'crane', 'eel'], 0, None),
])
def test_labels_go_by_their_names(names, classes, offset, expected):
  assert mapped(names, classes, offset) == expected


def test_what_is_mapped_is_said():
  mapping = label_mapping.between(
      ['f', 'e', 'd', 'c', 'b', 'a'], [*'abcdef'], 0, 'HERE', 'FIX.')
  assert mapping.text == (
      'HERE numbers the classes otherwise than the model: labels are mapped by '
      "name, 0 ('f') to 5, 1 ('e') to 4, 2 ('d') to 3 and 3 more")


@pytest.mark.parametrize('names, classes, message', [
    (['dog', 'Eel'], ANIMALS,
     r"HERE: label 1 is 'Eel', but no class of the model is called so; its "
     r"class 1 is 'dog'. FIX.$"),
    (['ape', 'bee', 'cow', 'dog'], ANIMALS, "label 0 is 'ape', but no class"),
    (['eel', 'crane'], ['crane', 'dog', 'crane', 'eel'],
     "label 1 is 'crane', but classes 0 and 2 of the model are called so"),
    (['dog', 'dog'], ANIMALS, "label 0 is 'dog', but so is another label"),
    ([*ANIMALS, 'fox'], ANIMALS, "HERE: label 3 is 'fox', but no class of the "
     'model is called so; it has the classes 0 to 2. FIX.$'),
    ([*'abcd'], ['b'], "label 0 is 'a', .*; its class 0 is 'b'"),
])
def test_labels_of_other_classes_are_refused(names, classes, message):
  with pytest.raises(ValueError, match=message):
    label_mapping.between(names, classes, 0, 'HERE', 'FIX.')


def test_several_labels_of_an_image_are_mapped():
  mapping = label_mapping.between(['dog', 'eel'], ANIMALS, 0, 'HERE', 'FIX.')
  labels = tf.sparse.from_dense(tf.constant([2, 1], tf.int64))  # 2 is no label.
  assert mapping(labels).values.numpy().tolist() == [-1, 2]


def settings(folder, **more):
  return {'task.data_dir': folder, 'task.model.num_classes': 3,
          'task.train_data.global_batch_size': 12,
          'task.train_data.decode_jpeg_only': False,
          'task.validation_data.global_batch_size': 8, **more}


@pytest.fixture(name='animals_dir', scope='module')
def _animals_dir(make_once):
  return make_once('animals', lambda folder: [
      animals.write(folder, ANIMALS, split) for split in
      ('train', 'validation')])


@pytest.fixture(name='run_dir')
def _run_dir(animals_dir, tmp_path):
  """The folder of a training, as far as the start of a run looks at it."""
  described = metadata.describe(
      short_runs.parameters(animals_dir, **settings(animals_dir)),
      {'class_names': ANIMALS})
  folder = tmp_path / 'trained'
  tf.train.CheckpointManager(tf.train.Checkpoint(**{
      metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata(described)}),
      folder, max_to_keep=1).save(10)
  return str(folder)


def of_run(run_dir, data_dir):
  """The model of the training, which is not looked at."""
  return trained_model.TrainedModel(
      short_runs.parameters(data_dir, **settings(data_dir)), None, '', 10,
      False, metadata.read_data(tf.train.latest_checkpoint(run_dir)))


def prepare(data_dir, model_dir, mode, **more):
  return session.prepare(short_runs.parameters(
      data_dir, **settings(data_dir, **more)), mode, str(model_dir))


def labels_of(session_, name):
  data = getattr(session_.params.task, name)
  labels = []
  for _, batch in session_.task.build_inputs(data).take(1):
    labels = batch[0][batch[1] > 0] if name == 'validation_data' else batch
  return labels.numpy().tolist()


@pytest.mark.long
def test_trained_evaluated_and_verified_by_name(
    animals_dir, tmp_path, repository, monkeypatch):
  run_dir = tmp_path / 'run'
  monkeypatch.chdir(tmp_path)
  # Relative, and gone when the model is asked.
  shutil.copytree(animals_dir, 'data')
  short_runs.train('data', run_dir, **settings(
      'data', **{'trainer.train_steps': 30}))
  assert (run_dir / 'class_names.txt').read_text() == 'cat\ndog\neel\n'
  assert metadata.read_data(tf.train.latest_checkpoint(run_dir)) == {
      'class_names': ANIMALS}
  shutil.rmtree('data')
  folder = animals.write(tmp_path / 'test', ['dog', 'eel'])
  evaluated = short_runs.train(folder, run_dir, 'eval', **settings(folder))
  assert evaluated.validation_logs['accuracy'] == 1
  image = tmp_path / 'eel.png'
  image.write_bytes(records_for_tests.encode(
      'PNG', color=animals.COLORS['eel']))
  shown = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={run_dir}', '--top_k=1',
      image, cwd=repository)
  assert shown.stdout.split()[-1] == 'eel'
  exported = commands.run(
      '-m', 'official_ext.serving.export', f'--model_dir={run_dir}',
      f'--export_dir={tmp_path}/export', cwd=repository)
  assert exported.returncode == 0, exported.stderr
  names = tmp_path / 'export' / '1' / 'assets' / 'class_names.txt'
  assert names.read_text() == 'cat\ndog\neel\n'
  verified = commands.run(
      '-m', 'official_ext.serving.verify', tmp_path / 'export',
      f'--data={folder}/valid*', '--batch_sizes=', cwd=repository)
  # Of three classes top-1 alone.
  assert verified.stdout.count(' | 100.00 % |') == 2
  assert "labels are mapped by name, 0 ('dog') to 1" in verified.stderr


@pytest.mark.slow
def test_a_test_set_of_some_of_the_classes(run_dir, tmp_path, caplog):
  folder = animals.write(tmp_path / 'test', ['dog', 'eel'])
  with caplog.at_level(logging.INFO, 'absl'):
    session_ = prepare(folder, run_dir, 'eval')
  assert "labels are mapped by name, 0 ('dog') to 1, 1 ('eel') to 2" in (
      caplog.text)
  assert labels_of(session_, 'validation_data') == [1] * 4 + [2] * 4
  batch, = validation_data.read_records(
      of_run(run_dir, folder), f'{folder}/valid*', None)
  assert batch.labels.tolist() == [1] * 4 + [2] * 4


def test_other_classes_are_refused(run_dir, tmp_path):
  folder = animals.write(tmp_path / 'test', ['dog', 'fox', 'cat'])
  animals.write(folder, ['dog', 'fox', 'cat'], 'train')
  message = (r"_data: .*/test/class_names.txt: label 1 is 'fox', but no class "
             r"of the model is called so; its class 1 is 'dog'. Take data of "
             r'its classes, converted with --class_names=')
  for mode in ('eval', 'train', 'continuous_eval'):
    with pytest.raises(ValueError, match=message):
      prepare(folder, run_dir, mode, **{'trainer.train_steps': 40})
  with pytest.raises(ValueError, match="--data: .* label 1 is 'fox'"):
    next(validation_data.read_records(
        of_run(run_dir, folder), f'{folder}/valid*', None))


@pytest.mark.slow
def test_a_head_belongs_to_its_classes(run_dir, tmp_path):
  folder = animals.write(tmp_path / 'data', ['eel', 'dog', 'cat'], 'train')
  def settings_of(modules):
    return {'task.init_checkpoint': run_dir,
            'task.init_checkpoint_modules': modules}
  # The labels of the data are brought to the head that is loaded.
  session_ = prepare(folder, tmp_path / 'new', 'train', **settings_of('all'))
  assert session_.task.data_description == {'class_names': ANIMALS}
  others = animals.write(tmp_path / 'others', ['ape', 'bee', 'cow'], 'train')
  with pytest.raises(ValueError, match=(
      '--class_names=FILE, the names of its classes in their order, or another '
      'task.init_checkpoint. ')):
    prepare(others, tmp_path / 'new', 'train', **settings_of('all'))
  # The new folder has no names, that of the checkpoint has.
  pathlib.Path(run_dir, 'class_names.txt').write_text('cat\ndog\neel\n')
  with pytest.raises(ValueError, match=(
      f"label 0 is 'ape'.* --class_names={run_dir}/class_names.txt, or another "
      'task.init_checkpoint. .*init_checkpoint_modules=all_but_head')):
    prepare(others, tmp_path / 'new', 'train', **settings_of('all'))
  for modules in ('backbone', 'all_but_head'):
    session_ = prepare(
        others, tmp_path / 'new', 'train', **settings_of(modules))
    assert session_.task.data_description == {
        'class_names': ['ape', 'bee', 'cow']}


def test_other_classes_are_refused_before_other_numbers(
    run_dir, tmp_path, monkeypatch):
  monkeypatch.setattr(metadata, 'read_step', lambda _: 10)
  folder = animals.write(tmp_path / 'test', ['dog', 'fox', 'cat'])
  animals.write(folder, ['dog', 'fox', 'cat'], 'train')
  settings_history.save(
      short_runs.parameters(folder, **settings(folder)), run_dir, 0)
  with pytest.raises(ValueError, match="class_names.txt: label 1 is 'fox'"):
    prepare(folder, run_dir, 'train', **{
        'trainer.train_steps': 40, 'task.train_data.num_examples': 99})


def test_validation_data_of_their_own(animals_dir, tmp_path):
  folder = animals.write(tmp_path / 'test', ['eel', 'cat'])
  session_ = prepare(animals_dir, tmp_path / 'run', 'train_and_eval', **{
      'task.validation_data.input_path': f'{folder}/valid*'})
  assert labels_of(session_, 'validation_data') == [2] * 4 + [0] * 4


@pytest.mark.slow
def test_training_labels_are_mapped_before_they_are_mixed(run_dir, tmp_path):
  folder = animals.write(tmp_path / 'data', ['eel', 'dog'], 'train')
  session_ = prepare(folder, run_dir, 'train', **{
      'trainer.train_steps': 40, 'task.train_data.global_batch_size': 8})
  labels = labels_of(session_, 'train_data')
  # Of a cat there is only the mass that smoothing gives to every class.
  assert all(label[0] < 0.05 for label in labels)
  assert sum(label[1] + label[2] for label in labels) > 7


def test_an_evaluation_beside_a_training_without_a_checkpoint(
    animals_dir, tmp_path):
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / 'class_names.txt').write_text('cat\ndog\neel\n')
  folder = animals.write(tmp_path / 'test', ['dog', 'eel'])
  session_ = prepare(folder, tmp_path / 'run', 'continuous_eval')
  assert labels_of(session_, 'validation_data') == [1] * 4 + [2] * 4


@pytest.mark.slow
def test_names_are_unknown_on_one_side(run_dir, animals_dir, tmp_path):
  # Records by others.
  folder = animals.write(tmp_path / 'test', ['dog', 'eel'])
  (tmp_path / 'test' / 'class_names.txt').unlink()
  assert labels_of(prepare(folder, run_dir, 'eval'), 'validation_data') == (
      [0] * 4 + [1] * 4)
  # Only class_names_path names them.
  names = tmp_path / 'names.txt'
  names.write_text('a\nb\nc\n')
  animals.write(tmp_path / 'unnamed', ANIMALS, 'train')
  (tmp_path / 'unnamed' / 'class_names.txt').unlink()
  session_ = prepare(str(tmp_path / 'unnamed'), tmp_path / 'new', 'train', **{
      'task.class_names_path': str(names)})
  assert session_.task.data_description == {'class_names': ['a', 'b', 'c']}


@pytest.mark.slow
def test_classes_that_class_names_path_renames(animals_dir, tmp_path):
  names = tmp_path / 'names.txt'
  names.write_text('Katze\ndog\nAal\n')
  session_ = prepare(animals_dir, tmp_path / 'new', 'train_and_eval', **{
      'task.class_names_path': str(names)})
  assert session_.task.data_description == {
      'class_names': ['Katze', 'dog', 'Aal'], 'class_names_in_data': ANIMALS}
  assert labels_of(session_, 'validation_data') == (
      [0] * 4 + [1] * 4)  # The first batch of 8.
  # In another order they are no other names.
  names.write_text('dog\ncat\neel\n')
  session_ = prepare(animals_dir, tmp_path / 'new', 'train_and_eval', **{
      'task.class_names_path': str(names)})
  assert session_.task.data_description == {
      'class_names': ['dog', 'cat', 'eel']}
  assert labels_of(session_, 'validation_data') == [1] * 4 + [0] * 4


def test_two_folders_of_one_data_set(animals_dir, tmp_path):
  other = animals.write(tmp_path / 'more', ['dog', 'cat'], 'train')
  with pytest.raises(ValueError, match=(
      "of one data set, but label 0 is 'cat' in the one and 'dog' in the")):
    prepare(animals_dir, tmp_path / 'run', 'train', **{
        'task.train_data.input_path': [
            f'{animals_dir}/train*', f'{other}/train*']})


@pytest.mark.parametrize('names, classes, expected', [
    # NFC and NFD of one word, which are two classes.
    (['\xe9', 'z'], ['e\u0301', 'z', '\xe9'], (2, 1)),
    (['\xe9', 'e\u0301'], ['e\u0301', '\xe9'], (1, 0)),
    (['e\u0301', 'z'], ['z', '\xe9'], (1, 0)),
])
def test_the_very_name_comes_before_another_unicode_form(
    names, classes, expected):
  mapping = label_mapping.between(names, classes, 0, 'data', 'Fix it.')
  assert mapping.table == expected
