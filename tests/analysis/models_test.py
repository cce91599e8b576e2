"""Tests of the models that a command is given."""

import shutil

from absl import app
import pytest
import tensorflow as tf

from official_ext.analysis import command
from official_ext.analysis import models as models_lib
from official_ext.params import experiment

Argument = command.ModelArgument


def copy(trained_dir, folder, **replaced):
  """A training moved, with another word here and there."""
  shutil.copytree(trained_dir, folder)
  path = folder / 'params.yaml'
  text = path.read_text()
  for old, new in replaced.items():
    assert old in text
    text = text.replace(f'{old}: ', f'{old}: {new} #')
  path.write_text(text)
  return str(folder)


def test_what_is_typed():
  assert command.parse_models(['', 'runs/a', 'ViT=runs/b=c', './a=b']) == [
      Argument('runs/a'), Argument('runs/b=c', 'ViT'), Argument('./a=b')]
  for argv, message in (
      ([''], 'at least one model: .* none'), (['', '=runs/a'], 'not .NAME=.'),
      (['', 'A='], 'not .NAME=.')):
    with pytest.raises(app.UsageError, match=message):
      command.parse_models(argv)
  with pytest.raises(app.UsageError, match='two models: .*given: 3'):
    command.parse_models(['', 'a', 'b', 'c'], least=2, most=2)


def test_names(trained_dir):
  params = [experiment.load_saved(trained_dir)] * 2

  def names(*typed):
    return models_lib.unique_names(typed, params[:len(typed)])

  assert names(Argument('runs/a')) == ['B1(17)-1(9)']
  assert names(Argument('runs/a'), Argument('runs/b', 'B')) == [
      'B1(17)-1(9)', 'B']
  assert names(Argument('runs/a'), Argument('runs/b/')) == [
      'B1(17)-1(9) a', 'B1(17)-1(9) b']
  assert names(Argument('1/a'), Argument('2/a')) == ['1/a', '2/a']
  for twice in (('a', 'X'), ('b', 'X')), (('a', None), ('a', None)):
    with pytest.raises(ValueError, match='two models are called'):
      names(*(Argument(*item) for item in twice))


@pytest.mark.slow
def test_a_model_dir_and_its_checkpoints(trained_dir, tmp_path):
  prefix = tf.train.latest_checkpoint(trained_dir)
  by_dir, by_prefix = models_lib.load(
      [Argument(trained_dir, 'A'), Argument(prefix, 'B')])
  assert by_dir.trained.checkpoint == by_prefix.trained.checkpoint == prefix
  assert by_dir.class_names == [str(digit) for digit in range(10)]
  assert by_dir.image_size == (16, 16)
  assert by_dir.logits(tf.zeros([3, 16, 16, 3])).shape == (3, 10)
  for suffix in ('index', 'data-00000-of-00001'):
    shutil.copy(f'{prefix}.{suffix}', tmp_path / f'weights.{suffix}')
  alone = str(tmp_path / 'weights')
  with pytest.raises(ValueError, match='no params.yaml beside .*--config_file'):
    models_lib.load([Argument(alone)])
  model, = models_lib.load(
      [Argument(alone)], config_file=f'{trained_dir}/params.yaml')
  assert model.trained.step == 10


def test_what_cannot_be_loaded(trained_dir, tmp_path):
  untrained = tmp_path / 'untrained'
  untrained.mkdir()
  with pytest.raises(ValueError, match='there is no params.yaml in .*untrain'):
    models_lib.load([Argument(str(untrained))])
  shutil.copy(f'{trained_dir}/params.yaml', untrained)
  with pytest.raises(ValueError, match='there is no checkpoint in .*untrain'):
    models_lib.load([Argument(str(untrained))])
  with pytest.raises(ValueError, match='no such folder or checkpoint'):
    models_lib.load([Argument('nowhere')])


def test_models_of_different_classes(trained_dir):
  mine, = models_lib.load([Argument(trained_dir, 'A')])
  other = models_lib.NamedModel('B', mine.trained, [*'abcdefghij'])
  with pytest.raises(ValueError, match="class 0 is '0' of A and 'a' of B"):
    models_lib.check_same_classes([mine, other])
  more = models_lib.NamedModel('B', mine.trained, [*'abcdefghijkl'])
  with pytest.raises(ValueError, match='A has 10 classes and B 12'):
    models_lib.check_same_classes([mine, more])
