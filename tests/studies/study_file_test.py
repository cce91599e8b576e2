"""Tests of reading what a study is."""

import pytest
import yaml

from official_ext.params import experiment
from official_ext.studies import metrics
from official_ext.studies import row_settings
from official_ext.studies import study_file

LAYOUT = 'task.model.backbone.funnel_vit.layout'
WHOLE = {
    'title': 'Short', 'experiment': 'funnel_vit_digits', 'seeds': [1, 2],
    'baseline': 'ViT',
    'params_override': {'trainer.train_steps': 8, 'trainer': {'seed_': 1}},
    'rows': {
        'ViT': {'params_override': f'{LAYOUT}=B2'},
        'max, stride 4': {
            'params_override': {'task.model': {'backbone': {
                'funnel_vit': {'layout': 'B1-1(s4)', 'pooling': 'max'}}}},
            'seeds': [2], 'note': 'of one seed'},
        'tuned': {'params_override': {
            'task.init_checkpoint': {'run_of': 'ViT'}}}},
    'claims': [{'claim': 'It loses\n  little.', 'row': 'tuned', 'above': -1}],
}


def read(tmp_path, **changes):
  path = tmp_path / 'short.yaml'
  path.write_text(yaml.safe_dump(
      {key: value for key, value in {**WHOLE, **changes}.items()
       if value is not None}, sort_keys=False))
  return study_file.read(str(path))


def test_settings_by_path_nested_and_as_text_are_the_same(tmp_path):
  study = read(tmp_path)
  assert study.name == 'short'
  assert study.settings == {'trainer': {'train_steps': 8, 'seed_': 1}}
  vit, pooled, tuned = study.rows.values()
  assert vit == study_file.Row('ViT', {'task': {'model': {'backbone': {
      'funnel_vit': {'layout': 'B2'}}}}}, (1, 2))
  assert pooled.settings == {'task': {'model': {'backbone': {
      'funnel_vit': {'layout': 'B1-1(s4)', 'pooling': 'max'}}}}}
  assert (pooled.seeds, pooled.note) == ((2,), 'of one seed')
  assert pooled.folder(2) == 'max_stride_4-2'
  assert tuned.needs == ['ViT'] and not vit.needs
  assert row_settings.resolved(tuned.settings, {'ViT': '/there/ViT-1'}) == {
      'task': {'init_checkpoint': '/there/ViT-1'}}
  assert study.claims == (
      study_file.Claim('It loses little.', 'tuned', 'ViT', above=-1.0),)


def test_the_config_files_of_a_row_are_under_its_settings(tmp_path):
  first, second = tmp_path / 'first.yaml', tmp_path / 'second.yaml'
  first.write_text('trainer: {train_steps: 1, summary_interval: 1}')
  second.write_text('trainer: {train_steps: 2, validation_interval: 2}')
  row = read(tmp_path, **with_rows(one={
      'config_files': [str(first), str(second)],
      'params_override': {'trainer.validation_interval': 3}})).rows['one']
  assert row.settings == {'trainer': {
      'train_steps': 2, 'summary_interval': 1, 'validation_interval': 3}}
  with pytest.raises(ValueError, match='first.yaml: trainer.seed is set'):
    first.write_text('trainer: {seed: 1}')
    read(tmp_path, **with_rows(one={'config_files': [str(first)]}))


def test_the_metric(tmp_path):
  assert read(tmp_path).metric == metrics.ACCURACY
  assert read(tmp_path, metric='mean_recall').metric.name == 'mean_recall'


def with_rows(**rows):
  return {'rows': {**WHOLE['rows'], **rows}}


@pytest.mark.parametrize('changes, message', [
    ({'sedes': [1]}, 'a study has no field sedes. Did you mean seeds[?]'),
    ({'title': None}, 'lacks title, which a study needs'),
    ({'seeds': [1, 1]}, 'seeds is .*, but names a seed twice'),
    ({'seeds': [1.5]}, 'seeds must be a list of whole numbers'),
    ({'seeds': [2**31]}, 'whole numbers from 0 to 2147483647'),
    ({'rows': ['ViT']}, 'rows must hold rows by their names'),
    ({'baseline': 'vit'}, "baseline is 'vit', but there is no such row. The "
     "rows are 'ViT', 'max, stride 4', 'tuned'"),
    (with_rows(one={'overrides': 1}), 'rows.one: a row has no field overrides'),
    (with_rows(one={'mode': 'train'}), "rows.one: mode is 'train', but must"),
    (with_rows(one={'params_override': {'trainer.seed': 4}}),
     'rows.one: trainer.seed is set, but is that of each training'),
    (with_rows(one={'params_override': {
        'task.data_dir': 'a', 'task': {'data_dir': 'b'}}}),
     'rows.one: params_override sets data_dir twice'),
    (with_rows(one={'params_override': {'task.x': {'run_of': 'two'}}}),
     "rows.one: run_of is 'two', but there is no such row"),
    (with_rows(one={'params_override': {'task.x': {'run_of': 'one'}}}),
     "row 'one' begins from its own training: one of one"),
    (with_rows(one={'seeds': [1, 7], 'params_override': {
        'task.x': {'run_of': 'ViT'}}}),
     "row 'ViT', which it begins from, lacks .7."),
    (with_rows(**{'max_stride 4': {}}), 'would have one folder'),
    (with_rows(**{'': {}}), "has 1 to 100 characters, but '' has 0"),
    (with_rows(**{'a' * 101: {}}), 'has 1 to 100 characters, but .* has 101'),
    (with_rows(**{'日' * 67: {}}), 'at most 200 bytes as UTF-8, .* has 201'),
    (with_rows(**{'two  spaces': {}}), "has others. Name it 'two spaces'"),
    (with_rows(**{' first': {}}), "has others. Name it 'first'"),
    (with_rows(**{'a\tb': {}}), "has others. Name it 'a b'"),
    (with_rows(**{'a\u00a0b': {}}), "has others. Name it 'a b'"),
    (with_rows(**{'a\x1bb': {}}), "has others. Name it 'a b'"),
    (with_rows(one={'mode': 'eval'}, two={'params_override': {
        'task.init_checkpoint': {'run_of': 'one'}}}),
     "rows.two: run_of is 'one', which is evaluated only"),
    ({'params_override': {'task.init_checkpoint': {'run_of': 'ViT'}}},
     'params_override has {run_of: ViT}, but is of all rows'),
    ({'title': {'a': 1}}, 'title must be text'),
    ({'claims': [{'claim': 'A.', 'row': 'tuned', 'above': float('nan')}]},
     'claim 1 needs one bound'),
    ({'claims': [{'claim': 'A.', 'row': 'tuned', 'above': True}]},
     'claim 1 needs one bound'),
    (with_rows(one={'config_files': 'optimizers/radam'}),
     'rows.one: config_files must be a list of files'),
    (with_rows(one={'config_files': ['radm']}),
     'rows.one: config_files: --config_file=radm'),
    ({'claims': [{'claim': 'A.', 'row': 'tuned'}]}, 'claim 1 needs one bound'),
    ({'claims': [{'claim': 'A.', 'row': 'tuned', 'above': 0, 'below': 1}]},
     'claim 1 needs one bound'),
    ({'claims': [{'claim': 'A.', 'row': 'ViT', 'above': 0}]},
     "claim 1 compares row 'ViT' with itself"),
    ({'claims': [{'claim': 'A.', 'row': 'two', 'above': 0}]},
     "claim 1: row is 'two', but there is no such row"),
])
def test_what_is_no_study_is_refused(tmp_path, changes, message):
  with pytest.raises(ValueError, match=message):
    read(tmp_path, **changes)


def test_a_row_twice_is_refused_with_its_lines(tmp_path):
  path = tmp_path / 'twice.yaml'
  path.write_text('rows:\n  ViT:\n  ViT:\n')
  with pytest.raises(ValueError, match=(
      'twice.yaml: rows.ViT is given twice in lines 2 and 3')):
    study_file.read(str(path))


def test_studies_are_found_by_name():
  assert study_file.read('paper_claims').baseline == 'ViT'
  with pytest.raises(ValueError, match=(
      '--study=paper is neither a file nor the name of a study that is '
      'shipped: .*paper_claims')):
    study_file.read('paper')
  # They are no --config_file.
  assert not [name for name in experiment.shipped_config_files()
              if 'paper_claims' in name]
