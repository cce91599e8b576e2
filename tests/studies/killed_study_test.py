"""A study whose machine is lost in the middle of a training."""

import pathlib
import time

import killed_study
import pytest
import yaml

from official_ext.params import experiment
from official_ext.studies import results as results_lib
from official_ext.training import session


@pytest.mark.long
def test_a_study_that_is_killed_ends_as_the_training_alone(
    digits_dir, tmp_path):
  text = yaml.safe_load(killed_study.STUDY)
  text['rows'] = {'ViT': text['rows']['ViT']}
  text['seeds'] = [3]
  study = killed_study.write_study(
      tmp_path, digits_dir, yaml.safe_dump(text))
  folder = tmp_path / 'study'
  process = killed_study.start(study, folder)
  while not list(folder.glob('ViT-3/ckpt-10.index')):
    assert process.poll() is None, pathlib.Path(f'{folder}.log').read_text()
    time.sleep(0.02)
  killed_study.kill(process, 'the machine')
  path = folder / 'results.csv'
  assert not results_lib.read(str(path)).lines
  assert killed_study.start(study, folder).wait() == 0
  line, = results_lib.read(str(path)).lines
  # The driver's settings, in this process and undisturbed.
  params = experiment.load(
      'funnel_vit_digits', [str(folder / 'ViT-3.yaml')])
  trainer = session.prepare(
      params, 'train_and_eval', str(tmp_path / 'alone')).execute()
  assert line['top_1_percent'] == (
      f'{100 * trainer.validation_logs["accuracy"]:.7g}')
  assert line['loss'] == f'{trainer.validation_logs["validation_loss"]:.7g}'
  assert (line['starts'], line['step']) == ('2', str(killed_study.STEPS))
  assert not line['cpu_seconds']
