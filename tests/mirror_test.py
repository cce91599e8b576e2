"""The tests mirror the code: where the test of a module is, its name says.

`official_ext/ROOM/NAME.py` is tested by `tests/ROOM/NAME_test.py`, and
`data_prep/NAME.py` by `tests/data_prep/NAME_test.py`. The exceptions are named
here, and only here.
"""

import functools
import pathlib
import re

import pytest

from scripts import structure

# Modules without a file of their own, under the test of what they are part of.
THROUGH = {
    'training/early_stopping_test.py': ['official_ext.configs.small_data'],
    'tasks/distillation_test.py': ['official_ext.configs.distillation'],
    'tasks/detection_test.py': [
        'official_ext.configs.detection', 'official_ext.tasks.dense_backbone'],
    'tasks/semantic_segmentation_test.py': [
        'official_ext.configs.semantic_segmentation',
        'official_ext.tasks.segmentation_input'],
    'training/tracking_test.py': [
        'official_ext.configs.outputs', 'official_ext.training.trackers'],
    'commands_test.py': [
        'official_ext.checkpoints.describe', 'official_ext.train'],
    'evaluation/summary_test.py': ['official_ext.evaluation.results'],
    'imports_test.py': ['official_ext.registry_imports'],
    'analysis/compare_test.py': ['official_ext.analysis.comparison'],
    'analysis/report_test.py': ['official_ext.analysis.settings_table'],
    'analysis/segmentation_test.py': [
        'official_ext.analysis.mask_grid', 'official_ext.analysis.segmenters'],
    'analysis/saliency_test.py': [
        'official_ext.analysis.saliency_grid',
        'official_ext.analysis.shared_flags'],
    'benchmarks/csv_file_test.py': ['official_ext.benchmarks.machine'],
    'benchmarks/safety_cost_test.py': ['official_ext.benchmarks.safety_rows'],
    'benchmarks/torch_peers_test.py': ['official_ext.benchmarks.peer_step'],
    'benchmarks/serving_test.py': ['official_ext.benchmarks.serving_rows'],
    'command_line/commands_test.py': ['official_ext.__main__'],
    'command_line/streams_test.py': ['data_prep.command_process'],
    'data_prep/conversion_test.py': [
        'data_prep.manifest', 'data_prep.plan', 'data_prep.process_pool',
        'data_prep.scan', 'data_prep.shards'],
    'data_prep/digits_to_tfrecord_test.py': ['data_prep.digits'],
    'data_prep/drawn_scenes_test.py': ['data_prep.digit_scenes'],
    'data_prep/imagenet_to_tfrecord_test.py': [
        'data_prep.conversion_command', 'data_prep.verify_tfrecords'],
    'data_prep/masks_to_tfrecord_test.py': ['data_prep.mask_report'],
    'data_prep/verification_test.py': ['data_prep.record_errors'],
    'tasks/exif_orientation_test.py': ['official_ext.tasks.image_parts'],
    'data_prep/rgb_pixels_test.py': ['data_prep.tiff_kinds'],
    'data_prep/sources_test.py': ['data_prep.image_index'],
    'layouts/plan_test.py': ['official_ext.layouts.model_flags'],
    'modeling/classifier_test.py': ['official_ext.modeling.keras_config'],
    'modeling/costs_test.py': ['official_ext.modeling.layer_costs'],
    'params/experiment_test.py': [
        'official_ext.configs.backbones', 'official_ext.configs.preprocessing',
        'official_ext.params.classification', 'official_ext.params.derive',
        'official_ext.params.overrides'],
    'params/fields/table_test.py': [
        f'official_ext.params.fields.{name}' for name in (
            'backbones', 'optimization', 'rules', 'segmentation', 'task',
            'trainer')],
    'params/without_effect_test.py': [
        f'official_ext.params.unread.{name}' for name in (
            'data', 'optimization', 'reasons', 'trainer')],
    'params/segmentation_test.py': [
        'official_ext.params.unread.segmentation'],
    'pretrained/export_vit_test.py': [
        f'official_ext.pretrained.{name}' for name in (
            'exporting', 'hugging_face_export', 'timm_export')],
    'pretrained/hub_test.py': ['official_ext.pretrained.find_source'],
    'pretrained/import_vit_test.py': [
        f'official_ext.pretrained.{name}' for name in (
            'experiment_file', 'importing')],
    'pretrained/published_test.py': [
        f'official_ext.pretrained.{name}' for name in (
            'architecture', 'config_settings', 'conversions', 'hugging_face',
            'hugging_face_images', 'hugging_face_names', 'key_map',
            'timm_models', 'torch_names')],
    'pretrained/search_layouts_test.py': [
        'official_ext.pretrained.layout_report'],
    'pretrained/weight_files_test.py': [
        f'official_ext.pretrained.{name}' for name in (
            'arrays', 'npz_files', 'safetensors_files')],
    'serving/formats/write_test.py': [
        'official_ext.serving.formats.names',
        'official_ext.serving.formats.single_file',
        'official_ext.serving.formats.weights_tree',
        'official_ext.serving.runtimes.runners'],
    'studies/page_test.py': [
        'official_ext.studies.figure', 'official_ext.studies.tables'],
    'tasks/image_classification_test.py': [
        'official_ext.tasks.label_offset', 'official_ext.tasks.parsing',
        'official_ext.tasks.protocol'],
    'training/progress_test.py': ['official_ext.training.memory'],
    'training/session_test.py': [
        'official_ext.training.checks', 'official_ext.training.event_tags',
        'official_ext.training.modes', 'official_ext.training.runner',
        'official_ext.training.trainer'],
}

# Tests of what several modules of a room do together.
TOGETHER = {
    'analysis/commands_test.py', 'analysis/report_page_test.py',
    'checkpoints/learned_pools_test.py',
    'data_prep/conversion_faults_test.py',
    'data_prep/conversion_fuzz_test.py', 'data_prep/conversion_lists_test.py',
    'modeling/fast_path_test.py', 'modeling/published_parts_test.py',
    'modeling/trace_test.py',
    'params/configuration_fuzz_test.py',
    'params/every_setting_test.py', 'published_preprocessing_test.py',
    'scripts/measure_gpu_test.py', 'scripts/tpu_vm_test.py',
    'serving/formats/refused_requests_test.py',
    'soak_test.py', 'studies/killed_study_test.py', 'tasks/tpu_step_test.py',
    'tasks/train_step_test.py',
    'training/data_service_test.py', 'training/exact_resumption_test.py',
    'training/lost_worker_test.py', 'training/same_steps_test.py',
    'training/supervisor_test.py',
}

TESTS = pathlib.Path(__file__).resolve().parent
_PATHS = {name: path for path, name in structure.modules(TESTS.parent)
          if path.name != '__init__.py'}
_HELPER = re.compile(r'^import (\w+)$', re.MULTILINE)
# A command that a test runs, such as 'official_ext.serving.predict'.
_COMMAND = re.compile(rf'\b(?:{"|".join(structure.PACKAGES)})(?:\.\w+)+')


def mirrored_by(module):
  """Returns where the test of a module is, relative to the tests."""
  *folders, name = module.removeprefix('official_ext.').split('.')
  return '/'.join([*folders, f'{name}_test.py'])


@functools.cache
def named_in(path):
  """Returns what a file imports, and what a test runs and takes for help."""
  names = set(structure.imported(path))
  if TESTS in path.parents:
    text = path.read_text(encoding='utf-8')
    names.update(_COMMAND.findall(text))
    names.update(str(TESTS / f'{helper}.py') for helper in
                 _HELPER.findall(text))
    if "'train.py'" in text:
      names.add('official_ext.train')
  return names


def reached(test):
  """Returns the modules that a test imports or runs, and what these import."""
  waiting, found = {str(test)}, set()
  while waiting:
    name = waiting.pop()
    # What is imported may be a name in a module.
    module = name if name in _PATHS else name.rpartition('.')[0]
    path = _PATHS.get(module, pathlib.Path(name))
    if path in found or not path.is_file():
      continue
    found.add(path)
    waiting.update(named_in(path))
  return found


@pytest.mark.parametrize('module', _PATHS)
def test_a_module_has_its_test(module):
  own = TESTS / mirrored_by(module)
  named = [test for test, modules in THROUGH.items() if module in modules]
  assert own.exists() + len(named) == 1, (
      f'write tests/{mirrored_by(module)}, or name the test of {module} in '
      'THROUGH of tests/mirror_test.py')
  assert not named or _PATHS[module] in reached(TESTS / named[0])


def test_nothing_is_named_that_is_not_there():
  named = {module for modules in THROUGH.values() for module in modules}
  assert named <= set(_PATHS)
  assert all((TESTS / name).exists() for name in {*THROUGH, *TOGETHER})


def test_a_test_has_its_module():
  mirrored = {mirrored_by(module) for module in _PATHS} | {
      f'{path.parent.name}/{path.stem}_test.py'
      for folder in ('docs', 'scripts')
      for path in (TESTS.parent / folder).glob('*.py')}
  # Tests outside the folders are of the project as a whole.
  found = {str(path.relative_to(TESTS))
           for path in TESTS.glob('*/**/*_test.py')}
  assert found - mirrored - TOGETHER == set()
