"""Tests of the names of classes."""

import pathlib

import pytest
import short_runs
import tensorflow_datasets as tfds

from data_prep import imagenet_labels
from official_ext.params import experiment
from official_ext.tasks import class_names
from official_ext.tasks import label_mapping


def task_of(name, **settings):
  return experiment.load(name, params_override=','.join(
      f'{key}={value!r}' for key, value in settings.items())).task


def test_every_class_of_imagenet_has_a_name_of_its_own():
  names = class_names.of_synsets()
  assert tuple(names) == imagenet_labels.SYNSETS
  assert len(set(names.values())) == 1_000
  assert (names['n01440764'], names['n01944390'], names['n02190166']) == (
      'tench', 'snail', 'fly')


def test_synsets_are_put_into_words():
  assert class_names.readable(['background', 'n01440764']) == [
      'background', 'tench']
  # One unexpected name, and they are names of another data set.
  assert class_names.readable(['n01440764', 'n00000000']) == [
      'n01440764', 'n00000000']
  assert class_names.readable(['tench', '7']) == ['tench', '7']


def test_imagenet_needs_no_file_of_names():
  names = class_names.of_task(task_of('funnel_vit_imagenet'))
  assert len(names) == 1_001
  assert names[:2] == ['background', 'tench']
  without_background = class_names.of_task(task_of('funnel_vit_imagenet', **{
      'task.model.num_classes': 1_000}))
  assert without_background == names[1:]
  # As many classes, but not its images.
  assert class_names.of_task(task_of('funnel_vit_imagenet', **{
      'task.train_data.num_examples': 5_000})) is None


def test_the_file_of_names_must_fit(digits_dir, tmp_path):
  task = short_runs.parameters(digits_dir).task
  assert class_names.of_task(task) == [str(digit) for digit in range(10)]
  path = tmp_path / 'names.txt'
  path.write_text('one\ntwo\n')
  with pytest.raises(ValueError, match='names 2 classes, .* the model has 10'):
    class_names.of_task(task.replace(class_names_path=str(path)))
  # Without it, none is looked for where no data lie.
  (tmp_path / 'class_names.txt').write_text('one\n' * 10)
  (tmp_path / 'train-0').touch()
  assert class_names.of_task(task.replace(
      data_dir=str(tmp_path))) == [str(digit) for digit in range(10)]
  (tmp_path / 'below').mkdir()
  (tmp_path / 'below' / 'train-0').touch()
  below = task.replace(train_data={'input_path': f'{tmp_path}/below/train*'})
  assert class_names.of_task(below) is None
  # But in the folder above, if the records lie below task.data_dir.
  assert class_names.of_task(below.replace(data_dir=str(tmp_path))) == (
      ['one'] * 10)
  with pytest.raises(ValueError, match="names_path: 'gone.txt' does not exist"):
    class_names.of_task(task.replace(class_names_path='gone.txt'))


@pytest.mark.parametrize('offset, lines, expected', [
    (0, 'cat dog eel', ['cat', 'dog', 'eel']),
    (1, 'cat dog eel', ['background', 'cat', 'dog', 'eel']),
    (-1, 'background cat dog eel', ['cat', 'dog', 'eel']),
    (2, 'cat dog eel', ['background', 'class 1', 'cat', 'dog', 'eel']),
    # Whoever names as many as the model has, names the model's.
    (1, 'none cat dog eel', ['none', 'cat', 'dog', 'eel']),
])
def test_names_move_with_the_labels(
    digits_dir, tmp_path, offset, lines, expected):
  path = tmp_path / 'names.txt'
  path.write_text('\n'.join(lines.split()) + '\n')
  task = short_runs.parameters(digits_dir, **{
      'task.class_names_path': str(path),
      'task.train_data.label_offset': offset,
      'task.model.num_classes': len(expected)}).task
  assert class_names.of_training_data(task) == expected


def test_a_name_of_two_classes_is_told(digits_dir, tmp_path, caplog):
  path = tmp_path / 'names.txt'
  path.write_text('cat\ndog\ncat\n')
  task = short_runs.parameters(digits_dir, **{
      'task.class_names_path': str(path), 'task.model.num_classes': 3}).task
  assert class_names.describe(task, trains=True)['class_names'] == [
      'cat', 'dog', 'cat']
  assert "classes 0 and 2 of the model are both called 'cat'" in caplog.text


def prepared_cifar(folder, names):
  """What TFDS keeps of CIFAR-10 once it is prepared, without its images."""
  builder = tfds.builder('cifar10', data_dir=folder)
  builder.info.features['label'].names = names
  builder.info.set_splits(tfds.core.splits.SplitDict([]))
  pathlib.Path(builder.data_dir).mkdir(parents=True)
  builder.info.write_to_directory(builder.data_dir)


def test_tfds_names_its_classes(tmp_path):
  names = 'plane car bird cat deer dog frog horse ship truck'.split()
  task = task_of('funnel_vit_cifar10_finetune', **{
      'task.train_data.tfds_data_dir': str(tmp_path),
      'task.validation_data.tfds_data_dir': str(tmp_path)})
  # Before it was prepared TFDS has numbers alone.
  assert class_names.describe(task, trains=True) == {}
  prepared_cifar(tmp_path, names)
  assert class_names.describe(task, trains=True) == {'class_names': names}
  # Names for a model of other sizes are none.
  assert class_names.of_task(task.replace(model={'num_classes': 12})) is None
  imagenet = task_of('funnel_vit_imagenet', **{
      'task.data_dir': '', 'task.train_data.num_examples': 5_000,
      'task.train_data.tfds_name': 'imagenet2012',
      'task.train_data.tfds_split': 'train'})
  assert class_names.of_training_data(imagenet) == [
      'background', *class_names.of_synsets()]
  # A model that numbers the classes otherwise gets the labels by their names.
  mapping = label_mapping.of_data_set(
      task, task.validation_data, {'class_names': names[::-1]}, 'HERE', 'FIX.')
  assert mapping.table == tuple(range(9, -1, -1))
  assert label_mapping.of_data_set(
      task, task.validation_data, {'class_names': names}, 'HERE', 'FIX.'
  ) is None


def test_a_class_is_found_by_name_or_number():
  names = ['background', 'Tench', 'snail', '7']
  assert [class_names.find(names, text)
          for text in ('tench', ' snail', '0', '7', '2')] == [1, 2, 0, 3, 2]
  with pytest.raises(ValueError, match="no class 'snai'.* Did you mean snail?"):
    class_names.find(names, 'snai')
  with pytest.raises(ValueError, match="no class '4': .* number, 0 to 3.$"):
    class_names.find(names, '4')


@pytest.mark.parametrize('content, expected', [
    (b'cat\ndog\n', ['cat', 'dog']), (b'cat\ndog', ['cat', 'dog']),
    (b'\xef\xbb\xbfcat\r\ndog\r\n', ['cat', 'dog']),
    (' -a\n\u03b1 \u732b\n'.encode(), [' -a', '\u03b1 \u732b'])])
def test_names_are_lines(tmp_path, content, expected):
  (tmp_path / 'names.txt').write_bytes(content)
  assert class_names.read(str(tmp_path / 'names.txt')) == expected


@pytest.mark.parametrize('content, reason', [
    (b'cat\n\ndog\n', "line 2 '' is blank"), (b'', 'names no class'),
    (b'\n\n', 'names no class'), (b'cat\n \n', "line 2 ' ' has no char"),
    ('cat\ndog\u2028\n'.encode(), 'line 2 .*holds U.2028'),
    (b'c\x0bat\ndog\n', 'line 1 .*holds U.000B'),
    ('cat\x85\n'.encode(), 'line 1 .*holds U.0085'),
    (b'caf\xe9\n', 'is not UTF-8 text')])
def test_lines_that_are_no_names(tmp_path, content, reason):
  (tmp_path / 'names.txt').write_bytes(content)
  with pytest.raises(ValueError, match=f'names.txt.* {reason}'):
    class_names.read(str(tmp_path / 'names.txt'))


def test_names_that_differ_in_case_alone():
  names = ['A', 'a', 'be', ' c']
  assert [class_names.find(names, text) for text in ('A', 'a', 'BE', ' c', '1')
          ] == [0, 1, 2, 3, 1]
  with pytest.raises(ValueError, match="any of the classes 'Ab', 'aB'"):
    class_names.find(['Ab', 'aB'], 'ab')
