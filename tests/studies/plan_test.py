"""Tests of resolving and checking the trainings of a study."""

import importlib.util
import os
import types

import pytest
import short_study
import yaml

from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.params import tree
from official_ext.studies import plan as plan_lib
from official_ext.studies import study_file

# The others are resolved by long proofs.
QUICK = ('paper_claims', 'from_vit')
OF_ADDONS = 'addons_optimizers'


@pytest.fixture(name='plan', scope='module')
def _plan(digits_dir, tmp_path_factory):
  folder = tmp_path_factory.mktemp('plan')
  return short_study.make(folder, digits_dir)


def test_all_rows_of_a_seed_come_before_the_next_seed(plan):
  assert [run.name for run in plan.runs] == [
      'ViT-1', 'funnel_max-1', 'untrained_funnel-2', 'ViT-2', 'funnel_max-2']
  assert [run.mode for run in plan.runs].count('eval') == 1


def test_a_training_has_the_settings_of_its_row_and_its_seed(plan, tmp_path):
  vit, funnel, untrained = plan.runs[:3]
  assert vit.folder == os.path.join(plan.folder, 'ViT-1')
  assert untrained.needs == ('ViT-2',)
  assert untrained.settings['task']['init_checkpoint'] == os.path.join(
      plan.folder, 'ViT-2')
  # As the driver reads it.
  path = tmp_path / 'settings.yaml'
  path.write_text(plan_lib.as_yaml(plan.runs[-1].settings))
  params = experiment.load('funnel_vit_digits', [str(path)])
  assert params.trainer.seed == 2
  assert params.trainer.deterministic and not params.trainer.export.at_end
  assert params.task.model.backbone.funnel_vit.pooling == 'max'
  assert params.trainer.train_steps == 2
  spec = specs.of_model(params.task.model)
  assert funnel.described == {
      'layout': 'B1(17)-1(9)', 'parameters': costs.count_parameters(spec, 10),
      'gmacs': costs.count_multiply_adds(spec, 10) / 1e9}
  assert plan.experiment_flags == ('--experiment=funnel_vit_digits',)


@pytest.fixture(name='unchecked')
def _unchecked(monkeypatch):
  """Data are not looked at again."""
  monkeypatch.setattr(plan_lib, '_check', lambda *_: None)


def fingerprints(plan):
  return {run.name: run.fingerprint for run in plan.runs}


@pytest.mark.usefixtures('unchecked')
def test_the_fingerprint_is_of_the_settings_alone(plan, digits_dir, tmp_path):
  before = fingerprints(plan)
  assert before['ViT-1'] == before['ViT-2']
  assert len(set(before.values())) == 3
  # Elsewhere, of other seeds and called otherwise.
  other = short_study.make(tmp_path, digits_dir, title='Else', seeds=[2, 4])
  assert fingerprints(other)['funnel_max-4'] == before['funnel_max-1']
  assert fingerprints(other)['untrained_funnel-2'] == (
      before['untrained_funnel-2'])
  changed = fingerprints(short_study.make(
      tmp_path, digits_dir,
      params_override='task.losses.label_smoothing=0.25'))
  assert not set(changed.values()) & set(before.values())


@pytest.mark.usefixtures('unchecked')
def test_a_setting_of_a_later_version_does_not_change_the_fingerprint(
    plan, digits_dir, tmp_path, monkeypatch):
  def later(params):
    yield from tree.walk(params)
    model = params.task.model.backbone.funnel_vit
    yield tree.Setting(
        'task.model.backbone.funnel_vit.attention_kind', model,
        'attention_kind', is_chosen=True, is_set=True)

  monkeypatch.setattr(backbones.FunnelViT, 'attention_kind', 'plain',
                      raising=False)
  monkeypatch.setattr(plan_lib, 'tree', types.SimpleNamespace(walk=later))
  assert fingerprints(short_study.make(tmp_path, digits_dir)) == (
      fingerprints(plan))


@pytest.mark.usefixtures('unchecked')
def test_what_the_machine_needs_is_under_the_rows(digits_dir, tmp_path):
  plan = short_study.make(
      tmp_path, digits_dir, params_override=(
          f'{short_study.LAYOUT}=B4,task.validation_data.cache=false'))
  params = plan.runs[0].params
  assert params.task.model.backbone.funnel_vit.layout == 'B2'
  assert not params.task.validation_data.cache


@pytest.mark.parametrize('row, message', [
    ({'params_override': {short_study.LAYOUT: 'B1-'}}, 'layout'),
    ({'params_override': {'task.modle.num_classes': 3}},
     'there is no key task.modle. Did you mean task.model'),
    ({'params_override': {'task.data_dir': '/nowhere'}}, 'matches no file'),
    ({'params_override': {'task.model.num_classes': 4}}, 'has label'),
    ({'mode': 'eval'}, 'task.init_checkpoint is empty'),
    ({'params_override': {'trainer.train_steps': 'many'}}, 'train_steps'),
])
def test_a_training_that_cannot_be_run_is_refused_with_its_row(
    digits_dir, tmp_path, row, message):
  with pytest.raises(ValueError, match=(
      f"study short, row 'wrong': .*{message}")):
    short_study.make(tmp_path, digits_dir, claims=[], rows={
        'wrong': row, 'ViT': {'params_override': {short_study.LAYOUT: 'B2'}}})
  assert not (tmp_path / 'study').exists()


def test_a_metric_that_evaluations_lack_is_refused(digits_dir, tmp_path):
  with pytest.raises(ValueError, match=(
      "row 'ViT': metric is 'mean_iuo', but must be one of accuracy, "
      'top_5_accuracy, mean_recall.$')):
    short_study.make(tmp_path, digits_dir, metric='mean_iuo')
  # A loss is better the lower it is.
  with pytest.raises(ValueError, match="metric is 'validation_loss', but must"):
    short_study.make(tmp_path, digits_dir, metric='validation_loss')
  with pytest.raises(ValueError, match=(
      'is_multilabel is true, but .* has no accuracy. Set metric')):
    short_study.make(tmp_path, digits_dir, params_override=(
        'task.train_data.mixup_and_cutmix=null,'
        'task.train_data.is_multilabel=true,'
        'task.validation_data.is_multilabel=true'))


@pytest.mark.usefixtures('unchecked')
def test_a_teacher_that_is_not_trained_yet_is_compared(digits_dir, tmp_path):
  def make(**backbone):
    return short_study.make(tmp_path, digits_dir, claims=[], rows={
        'ViT': {'params_override': {short_study.LAYOUT: 'B2'}},
        'distilled': {'params_override': {
            'task.distillation': {
                'teacher': {'run_of': 'ViT'}, 'representation_weight': 0.5},
            'task.model.backbone.funnel_vit': {
                'layout': 'B1-1', **backbone}}}})

  run = make().runs[1]
  assert (run.name, run.needs) == ('distilled-1', ('ViT-1',))
  with pytest.raises(ValueError, match=(
      "study short, row 'distilled': the teacher is row 'ViT': it cuts an "
      'image into 4 x 4 patches, and this model into 2 x 2')):
    make(patch_size=8)
  with pytest.raises(ValueError, match=(
      "the teacher is row 'ViT': its class token has width 64, and that of "
      'this model 32, so they cannot')):
    make(hidden_size=32)


@pytest.mark.usefixtures('unchecked')
def test_the_sizes_of_a_segmentation_are_those_of_its_backbone():
  run = plan_lib.make(study_file.read('digit_scenes'), 'runs/study').runs[0]
  spec = specs.of_model(run.params.task.model)
  assert run.described == {
      'layout': 'B6(65)', 'parameters': costs.count_parameters(spec),
      'gmacs': costs.count_multiply_adds(spec) / 1e9}


@pytest.mark.usefixtures('unchecked')
@pytest.mark.parametrize('name', [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
    for name in experiment.shipped_studies() if name != OF_ADDONS])
def test_the_studies_that_are_shipped_can_be_resolved(name):
  study = study_file.read(name)
  plan = plan_lib.make(study, 'runs/study')
  assert len(plan.runs) == sum(len(row.seeds) for row in study.rows.values())
  assert len({run.fingerprint for run in plan.runs}) == len(study.rows)
  text = experiment.shipped_studies()[name].read_text()
  assert text.startswith('#') and yaml.safe_load(text)['claims']


@pytest.mark.addons
@pytest.mark.usefixtures('unchecked')
def test_the_study_of_the_optimizers_of_addons_needs_their_line():
  study = study_file.read(OF_ADDONS)
  if not importlib.util.find_spec('tensorflow_addons'):
    with pytest.raises(ValueError, match="row 'NovoGrad': .*make addons"):
      plan_lib.make(study, 'runs/study')
    return
  plan = plan_lib.make(study, 'runs/study')
  assert [run.params.trainer.optimizer_config.optimizer.type
          for run in plan.runs if run.seed == 1] == [
              'adamw', 'novograd', 'radam', 'radam_lookahead', 'sgdw', 'yogi']
  assert len({run.fingerprint for run in plan.runs}) == len(study.rows)
