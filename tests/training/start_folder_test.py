"""The folder of a training before it starts."""

import json

import damaged_checkpoints
import pytest

from official_ext.configs import image_classification
from official_ext.training import start_folder

CONFIG = image_classification.TrainerConfig(
    best_checkpoint_export_subdir='best',
    best_checkpoint_eval_metric='accuracy')


@pytest.fixture(name='best')
def _best(tmp_path):
  """The folder of the best checkpoint, of step 20."""
  damaged_checkpoints.save(
      tmp_path / 'best', [20], 1, checkpoint_name='best_ckpt')
  (tmp_path / 'best/info.json').write_text(
      json.dumps({'accuracy': 0.5, 'best_ckpt_global_step': 20.0}))
  return tmp_path / 'best'


def test_a_best_checkpoint_and_its_evaluation_stay(tmp_path, best):
  before = sorted(tmp_path.rglob('*'))
  start_folder.prepare(CONFIG, str(tmp_path))
  assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('evaluation', [
    '', '{"accuracy": 0.5', 'null', '{"accuracy": 0.5}',
    # Written before a checkpoint that was never finished.
    '{"accuracy": 0.6, "best_ckpt_global_step": 30.0}'])
def test_an_evaluation_of_another_checkpoint(
    tmp_path, best, caplog, evaluation):
  (best / 'info.json').write_text(evaluation)
  start_folder.prepare(CONFIG, str(tmp_path))
  assert not (best / 'info.json').exists()
  assert (best / 'damaged-info.json').read_text() == evaluation
  assert 'the best one is looked for anew' in caplog.text
  assert (best / 'best_ckpt-20.index').exists()


def test_a_best_checkpoint_of_a_metric_that_was_not_measured_then(
    tmp_path, best, caplog):
  evaluation = (best / 'info.json').read_text()
  start_folder.prepare(
      CONFIG.replace(best_checkpoint_eval_metric='mean_recall'), str(tmp_path))
  assert not (best / 'info.json').exists()
  assert (best / 'of_another_metric-info.json').read_text() == evaluation
  assert 'has no mean_recall: the best one is looked for anew' in caplog.text


def test_a_best_checkpoint_that_is_damaged(tmp_path, best):
  (best / 'best_ckpt-20.index').write_bytes(b'broken')
  (best / 'checkpoint').write_bytes(b'')
  start_folder.prepare(CONFIG, str(tmp_path))
  assert sorted(path.name for path in best.iterdir()) == [
      f'damaged-best_ckpt-20.{damaged_checkpoints.DATA}',
      'damaged-best_ckpt-20.index', 'damaged-info.json']


def test_averages(tmp_path):
  averages = tmp_path / 'ema_checkpoints'
  damaged_checkpoints.save(
      averages, [10, 20], checkpoint_name='average_weights')
  (averages / 'average_weights-20.index').write_bytes(b'broken')
  start_folder.prepare(CONFIG, str(tmp_path))
  assert 'damaged-average_weights-20.index' in [
      path.name for path in averages.iterdir()]


@pytest.mark.parametrize('subdir, link', [
    ('best', '.'), ('best', 'ema_checkpoints'), ('ema_checkpoints', None)])
def test_the_best_checkpoint_lies_with_no_others(tmp_path, subdir, link):
  config = image_classification.TrainerConfig(
      best_checkpoint_export_subdir=subdir)
  start_folder.check(CONFIG, str(tmp_path))
  (tmp_path / 'ema_checkpoints').mkdir()
  if link:
    (tmp_path / subdir).symlink_to(tmp_path / link)
  with pytest.raises(ValueError, match=(
      f"best_checkpoint_export_subdir is '{subdir}', which is the folder "
      f'{tmp_path}.* of other checkpoints')):
    start_folder.check(config, str(tmp_path))


@pytest.mark.parametrize('name', ['train', 'validation', 'best'])
def test_a_file_where_a_folder_belongs(tmp_path, name):
  (tmp_path / name).write_text('')
  with pytest.raises(ValueError, match=f'^{tmp_path}/{name} is a file, but a'):
    start_folder.check(CONFIG, str(tmp_path))


@pytest.mark.parametrize('name', ['checkpoint', 'params.yaml', 'history.jsonl'])
def test_a_folder_where_a_file_belongs(tmp_path, name):
  (tmp_path / name).mkdir()
  with pytest.raises(ValueError, match=(
      f'^{tmp_path}/{name} is a folder, but a training writes a file of that '
      'name. Move it away, or choose another --model_dir.$')):
    start_folder.check(CONFIG, str(tmp_path))
