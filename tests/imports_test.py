"""Imports follow the data: nothing earlier on the way imports what is later."""

import pathlib
import re

import pytest

from scripts import structure

# The one order of the project. A module may import what stands above it: the
# packages before its own, and the modules before it in its package. A package
# without a list is a plain module.
ORDER = {
    'data_prep': [
        'command_process', 'storage', 'tfrecord_file', 'png_structure',
        'records', 'wording', 'class_names', 'digits', 'digits_to_tfrecord',
        'drawn_scenes', 'digit_scenes',
        'jpeg_structure', 'exif_orientation', 'color_profile', 'image_faults',
        'tiff_kinds', 'rgb_pixels', 'images', 'label_map', 'masks',
        'mask_pairs', 'cifar', 'containers', 'image_index', 'hold_out', 'scan',
        'imagenet_labels', 'folder_tree', 'mask_folders', 'sources',
        'pair_names', 'pairing', 'plan', 'shards', 'process_pool',
        'beam_pipeline', 'manifest', 'conversion', 'conversion_report',
        'mask_report', 'conversion_command', 'imagenet_to_tfrecord',
        'masks_to_tfrecord', 'benchmark_conversion', 'record_errors',
        'mask_verification', 'verification', 'verify_tfrecords',
    ],
    'official_ext.legacy_keras': [],
    'official_ext.command_line': [
        'former_names', 'quiet_import', 'flag_types', 'tables', 'commands',
        'errors', 'extras', 'paths', 'output_files', 'streams', 'flag_errors',
        'library_logs',
    ],
    'official_ext': [],  # Its __init__.
    'official_ext.__main__': [],
    'official_ext.figures': [],
    'official_ext.optimization': [
        'addons_optimizers', 'layerwise', 'addons', 'runnable',
        'decay_patterns', 'moving_average', 'frozen_backbone',
    ],
    'official_ext.configs': [
        'backbones', 'preprocessing', 'small_data', 'outputs',
        'distillation', 'image_classification',
        'fine_tuning', 'recipes', 'imagenet21k', 'semantic_segmentation',
        'detection',
    ],
    'official_ext.modeling': [
        'layout', 'gelu', 'feature_levels', 'specs', 'layer_costs',
        'feature_costs', 'costs', 'token_ops', 'token_windows', 'hardware',
        'custom_gradients', 'fused_attention', 'rematerialization',
        'attention', 'options', 'random_masks', 'transformer_layer',
        'learned_pooling', 'sin_cos_positions', 'funnel_encoder',
        'attention_pooling', 'recovery', 'feature_pyramid', 'feature_maps',
        'keras_config', 'funnel_vit', 'classifier',
    ],
    'official_ext.params.tree': [],
    'official_ext.params.fields': [
        'rules', 'task', 'segmentation', 'backbones', 'optimization', 'trainer',
        'table',
    ],
    'official_ext.params.unread': [
        'reasons', 'data', 'task', 'segmentation', 'optimization', 'trainer',
    ],
    'official_ext.params': [
        'change_kinds', 'inexact_resumption', 'input_files', 'yaml_settings',
        'uneven_classes', 'distillation', 'classification', 'read_maps',
        'segmentation', 'frozen_backbone', 'derive', 'derived_settings',
        'likely_mistakes', 'consistency', 'overrides', 'without_effect',
        'differences', 'former_settings', 'origins', 'trained_folder',
        'experiment',
    ],
    'official_ext.layouts': [
        'model_flags', 'search', 'describe', 'plan',
    ],
    'official_ext.checkpoints': [
        'integrity', 'choose', 'tidy', 'object_graph', 'variable_names',
        'position_embedding', 'preprocessing', 'metadata', 'sources',
        'model_kind', 'describe', 'verify', 'restore', 'resume',
    ],
    'official_ext.tasks': [
        'class_names', 'image_parts', 'image_header', 'image_files',
        'file_forms', 'exif_orientation', 'label_mapping', 'normalization',
        'resizing',
        'augmentation', 'image_parser', 'accumulation',
        'ranking', 'mean_recall', 'exact_evaluation', 'guessing',
        'stateless_random',
        'shard_counts',
        'record_counts', 'record_order', 'class_weights', 'taught_by',
        'distillation', 'training_records',
        'label_offset', 'parsing', 'tfds_data', 'preflight', 'bad_records',
        'corrupt_records',
        'dense_backbone', 'protocol', 'image_classification', 'mask_records',
        'segmentation_input', 'segmentation_output', 'semantic_segmentation',
        'detection',
    ],
    'official_ext.registry_imports': [],
    'official_ext.trained': [
        'trained_model', 'validation_data',
    ],
    # What evaluations of a training draw as well.
    'official_ext.evaluation.confusion': [],
    'official_ext.evaluation.confusion_figure': [],
    'official_ext.training': [
        'attention_kernel', 'modes', 'slow_folder', 'goodput', 'event_tags',
        'log_folder', 'input_waiting', 'evaluations', 'early_stopping',
        'restarts', 'memory', 'memory_need',
        'preemption', 'profiling', 'throughput', 'progress', 'strategies',
        'start_folder', 'checkpoint_folder', 'worker_folder', 'folder_lock',
        'settings_history', 'changed_settings', 'new_folders', 'trackers',
        'weights_and_biases', 'mlflow_runs', 'tracking', 'new_files',
        'training_images', 'confusion_counts', 'teacher', 'checks',
        'data_position',
        'step_numbers', 'weight_numbers', 'divergence', 'recovery',
        'new_checkpoints', 'summaries',
        'controller', 'trainer', 'runner', 'session', 'dry_run',
    ],
    'official_ext.serving.formats': [
        'names', 'versions', 'weights_tree',
        'description',
        'signatures', 'segmentation', 'saved_model', 'calibration',
        'single_file', 'write',
    ],
    'official_ext.serving.runtimes': [
        'classifier', 'runners', 'loading',
    ],
    'official_ext.serving': [
        'comparison', 'export_during_training', 'export', 'verify',
        'image_paths', 'predictions', 'prediction_files', 'predict', 'client',
    ],
    'official_ext.evaluation': [
        'intervals', 'outcomes', 'mistakes', 'per_class', 'calibration',
        'paired', 'evaluated_model', 'run', 'results', 'summary',
        'pictures', 'files', 'multilabel',
    ],
    'official_ext.evaluate': [],
    'official_ext.train': [],
    'official_ext.benchmarks': [
        'machine', 'csv_file', 'settings', 'torch_peers', 'peer_step',
        'input_rows', 'serving_rows', 'report', 'step_process',
        'input_report', 'serving', 'figure', 'activations', 'input_pipeline',
        'measure', 'train_step', 'frozen_steps', 'frozen_attention',
        'freeze_step',
        'resident_memory', 'training_process', 'memory_report', 'memory_figure',
        'long_training', 'safety_rows', 'safety_cost',
    ],
    'official_ext.analysis': [
        # What commands share.
        'command',
        # What is computed.
        'event_files', 'models', 'runs', 'pixels', 'examples',
        'attention_rollout', 'saliency_maps', 'validation', 'comparison',
        'settings_table', 'segmenters',
        # Figures and the report.
        'gradient_ascent', 'curves', 'footprints_figure', 'rollout_figure',
        'saliency_grid', 'mask_grid', 'report',
        # Commands, and the flags that they share.
        'shared_flags',
        'activation_maximization', 'compare', 'disagreement', 'footprints',
        'rollout', 'saliency', 'salient_area', 'segmentation',
        'training_curves',
    ],
    'official_ext.pretrained': [
        # Files, and what moves between them and us.
        'arrays', 'safetensors_files', 'npz_files', 'weight_files',
        'conversions', 'key_map', 'architecture', 'config_settings',
        'model_card',
        # What each library has.
        'torch_names', 'hugging_face_names', 'hugging_face_images',
        'hugging_face', 'timm_models', 'jax_names', 'garden_models',
        'published', 'hub', 'find_source',
        # In, and out again.
        'experiment_file', 'importing', 'hugging_face_export', 'timm_export',
        'exporting', 'import_vit', 'export_vit',
        # One set of weights as many layouts.
        'pareto_front', 'layout_search', 'layout_report', 'search_layouts',
    ],
    'official_ext.studies': [
        # What is to be run, and what there is of it.
        'metrics', 'row_settings', 'study_file', 'row_warnings', 'plan',
        'results', 'measured', 'processes', 'changed_rows',
        'reused', 'preview', 'run',
        # What it says.
        'comparisons', 'tables', 'figure', 'page', 'report',
    ],
    # What `official_ext` hands out, by name alone.
    'official_ext.python_api': [
        'arguments', 'image_inputs', 'funnel', 'load', 'create',
    ],
}
# What reads images that nobody converted takes the forms, and of a folder the
# files, that the conversion takes.
KNOW_DATA_PREP = {
    'official_ext.tasks.file_forms': [
        'data_prep.image_faults', 'data_prep.images'],
    'official_ext.serving.image_paths': [
        'data_prep.containers', 'data_prep.scan'],
}
MAX_LINES = 400


def places():
  """The place of every module of ORDER by its name."""
  names = []
  for package, inside in ORDER.items():
    names += [package, *(f'{package}.{name}' for name in inside)]
  return {name: index for index, name in enumerate(names)}


def place(module, known):
  """Where a module stands; of `package.module.name`, where the module does."""
  while module not in known:
    module, _, _ = module.rpartition('.')
    assert module, f'{module} has no place in ORDER'
  return known[module]


def wrong_imports(root):
  """The imports of a checkout that do not follow ORDER."""
  known = places()
  return [
      f'{module} imports {name}'
      for path, module in structure.modules(root)
      for name in structure.imported(path)
      if place(name, known) > place(module, known)]


def test_every_module_has_one_place(repository):
  names = [name for package, inside in ORDER.items()
           for name in [package, *(f'{package}.{name}' for name in inside)]]
  assert len(set(names)) == len(names)
  assert sorted(names) == sorted(
      module for _, module in structure.modules(repository))


def test_imports_run_one_way(repository):
  assert wrong_imports(repository) == []
  assert not structure.climbs(repository)


@pytest.mark.parametrize('module, name', [
    # Between packages, inside one, and inside a function.
    ('official_ext/configs/backbones.py',
     'from official_ext.modeling import specs'),
    ('official_ext/modeling/layout.py',
     'from official_ext.modeling import funnel_vit'),
    ('official_ext/tasks/parsing.py',
     'def climb():\n  from official_ext.training import trainer'),
    ('data_prep/storage.py', 'from . import images'),
    ('data_prep/storage.py', 'from .images import check'),
])
def test_a_climb_is_found(tmp_path, module, name):
  path = tmp_path / module
  path.parent.mkdir(parents=True)
  path.write_text(f'{name}\n')
  assert len(wrong_imports(tmp_path)) == 1


def test_data_prep_is_one_package_under_either_name(repository):
  assert (repository / 'official_ext/data_prep').samefile(
      repository / 'data_prep')
  # By a name, a module would get what it imports a second time.
  for path in (repository / 'data_prep').glob('*.py'):
    assert not re.search(r'^ *(from|import) (official_ext\.)?data_prep\b',
                         path.read_text(), re.MULTILINE), path
  # Where it is installed, it has its full name alone.
  for path in (repository / 'official_ext').rglob('*.py'):
    assert not re.search(r'^ *(from|import) data_prep\b', path.read_text(),
                         re.MULTILINE), path


def test_data_prep_and_the_project_do_not_know_each_other(repository):
  for path, module in structure.modules(repository):
    for name in structure.imported(path):
      assert name.split('.')[0] == module.split('.')[0] or (
          name in KNOW_DATA_PREP.get(module, ())), f'{module} imports {name}'


@pytest.mark.parametrize(
    'folder', ['data_prep', 'docs', 'official_ext', 'scripts', 'tests'])
def test_files_are_short(repository, folder):
  for path in pathlib.Path(repository, folder).rglob('*.py'):
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f'{path} has {lines} lines'
