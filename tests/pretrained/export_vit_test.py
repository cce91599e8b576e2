"""What is exported is what was imported, bit by bit, and can be read again."""

import dataclasses
import json
import os
import pathlib

import commands
import numpy as np
import published_models
import pytest
import short_runs
import yaml

from official_ext.command_line import errors
from official_ext.pretrained import experiment_file
from official_ext.pretrained import exporting
from official_ext.pretrained import importing
from official_ext.pretrained import published
from official_ext.tasks import class_names
from official_ext.trained import trained_model

# Models that the library of the same name has a class for.
ROUND_TRIPS = {
    'hf_vit': 'hugging_face', 'hf_vit_pre_logits': 'hugging_face',
    'hf_deit_distilled': 'hugging_face', 'hf_dinov2': 'hugging_face',
    'hf_dinov2_registers': 'hugging_face', 'hf_clip': 'hugging_face',
    'hf_siglip': 'hugging_face', 'timm_vit': 'timm', 'timm_deit3': 'timm',
    'timm_deit_distilled': 'timm', 'timm_dinov2_registers': 'timm',
    'timm_clip_quickgelu': 'timm', 'timm_siglip': 'timm',
    'timm_registers_gap': 'timm'}
IN_SUITE = ('hf_vit',)
# Where `make parity` wants them, to be loaded by the libraries.
EXPORTS = pathlib.Path(os.environ['EXPORT_DIR']) if (
    'EXPORT_DIR' in os.environ) else None


def imported(name, layout=None):
  """A published model as a trained one of ours."""
  source = published.read(str(published_models.folder(name)))
  has_head = bool(source.model.num_classes)
  found = importing.load(source, importing.Options(
      num_classes=None if has_head else 1, layout=layout))
  return source, trained_model.TrainedModel(
      found.params, found.model, name, 0, False,
      {class_names.KEY: list(source.model.class_names)}), has_head


@pytest.mark.parametrize('name', [
    name if name in IN_SUITE else pytest.param(name, marks=pytest.mark.long)
    for name in ROUND_TRIPS])
def test_a_round_trip_is_bit_exact(tmp_path, name):
  source, trained, has_head = imported(name)
  folder = EXPORTS / name if EXPORTS else tmp_path / 'a'
  exporting.write(trained, ROUND_TRIPS[name], str(folder), has_head)
  expected = published_models.tensors(
      published_models.folder(name) / 'model.safetensors')
  found = published_models.tensors(folder / 'model.safetensors')
  left_out = set(source.left_out)
  assert set(found) - left_out == set(expected) - left_out
  for key in set(found) - left_out:
    value = found[key]
    if name in ('hf_deit_distilled', 'timm_deit_distilled') and (
        key.endswith('.bias') and ('classifier' in key or 'head' in key)):
      continue  # Of two heads the mean answers the same.
    np.testing.assert_array_equal(value, expected[key], key)
  again = published.read(str(folder))
  assert again.model.backbone == source.model.backbone
  assert again.model.image_size == source.model.image_size
  assert again.model.class_names == source.model.class_names
  ours, theirs = again.model.preprocessing, source.model.preprocessing
  assert ours.resize_method == theirs.resize_method
  assert ours.squashes == theirs.squashes
  np.testing.assert_allclose(ours.mean, theirs.mean, atol=1e-6)
  np.testing.assert_allclose(ours.stddev, theirs.stddev, atol=1e-6)
  assert ours.crop_fraction == pytest.approx(theirs.crop_fraction, abs=0.05)


@pytest.mark.long
def test_a_funnel_becomes_the_plain_vit_of_its_weights(
    repository, trained_dir, tmp_path):
  result = commands.run(
      '-m', 'official_ext.pretrained.export_vit', f'--model_dir={trained_dir}',
      f'--output={tmp_path / "a"}', cwd=repository)
  assert result.returncode == 0, result.stderr
  config = json.loads((tmp_path / 'a' / 'config.json').read_text())
  layers = sum(map(int, short_runs.LAYOUT.removeprefix('B').split('-')))
  assert config['num_hidden_layers'] == layers
  assert config['hidden_act'] == 'gelu_pytorch_tanh'
  trained = trained_model.find(trained_dir)
  kernel = next(variable for variable in trained.model.variables
                if variable.shape == (4, 4, 3, 64)).numpy()
  found = published_models.tensors(tmp_path / 'a' / 'model.safetensors')
  np.testing.assert_array_equal(
      found['vit.embeddings.patch_embeddings.projection.weight'],
      kernel.transpose(3, 2, 0, 1))
  images = json.loads(
      (tmp_path / 'a' / 'preprocessor_config.json').read_text())
  assert images['resample'] == 3
  assert images['crop_size'] == {'height': 16, 'width': 16}
  assert images['size'] == {'shortest_edge': 22}
  np.testing.assert_allclose(images['image_mean'], [0.485, 0.456, 0.406])


@pytest.mark.parametrize('name, kind, changed, words', [
    ('hf_vit', 'timm', {}, ['epsilon', '1e-12']),
    pytest.param(
        'hf_vit', 'hugging_face', {'layout': 'B1(h8, a2)-1(h16, a2)'},
        ['different hidden_size: 8, 16'], marks=pytest.mark.long),
    pytest.param(
        'hf_vit', 'hugging_face', {'layout': 'B1-1', 'pooling': 'conv'},
        ['-1(', 'pooling=conv', 'a plain ViT has no place for'],
        marks=pytest.mark.long),
    ('hf_vit', 'hugging_face', {'final_norm': 'none'}, ['final_norm']),
    ('hf_vit', 'hugging_face', {'representation_size': 8}, ['--nohead']),
    ('hf_clip', 'timm', {}, [
        'projection_size', 'Give --format=hugging_face.']),
    ('hf_clip_classifier', 'hugging_face', {}, ['Give --format=timm.']),
    ('hf_deit_one_head', 'hugging_face', {}, ['Give --nohead.']),
    ('hf_deit_one_head', 'timm', {}, ['Give --format=hugging_face --nohead.']),
    ('hf_mae', 'hugging_face', {}, ["'gap'", 'No other format']),
    ('hf_mae', 'timm', {}, ['1e-12', 'No other format']),
    ('hf_ijepa', 'hugging_face', {}, ['no head', 'No other format']),
    ('hf_ijepa', 'timm', {}, ['1e-12', 'No other format']),
])
def test_what_no_library_has(name, kind, changed, words):
  source = published.read(str(published_models.folder(name)))
  if 'layout' in changed:
    params = importing.load(source).params
    task = params.task.replace(
        model={'backbone': {'funnel_vit': changed}})
    trained = trained_model.TrainedModel(
        params.replace(task=task), None, name, 0, False)
    with pytest.raises(errors.UserError) as error:
      exporting.describe(trained)
  else:
    model = source.model
    backbone = model.backbone.replace(**changed)
    with pytest.raises(errors.UserError) as error:
      exporting.convert(
          type(model)(**{**vars(model), 'backbone': backbone}), kind)
  for word in words:
    assert word in str(error.value), error.value


@pytest.mark.slow
def test_an_imported_model_keeps_its_license_and_a_comment_its_line(
    tmp_path, monkeypatch):
  source = published_models.copy('hf_vit', tmp_path / 'source')
  (source / 'README.md').write_text('---\nlicense: apache-2.0\n---\n')
  found = published.read(str(source))
  importing.write(found, 'a\nb: c', str(tmp_path / 'ours'))
  text = (tmp_path / 'ours' / importing.EXPERIMENT_FILE).read_text()
  assert text.startswith(
      '# Fine-tunes Hugging Face vit from a b: c (license: apache-2.0).\n#\n')
  assert list(yaml.safe_load(text)) == ['task']
  warned = []
  monkeypatch.setattr(
      exporting.logging, 'warning', lambda text, *rest: warned.append(
          text % rest))
  trained = trained_model.find(str(tmp_path / 'ours'))
  exporting.write(trained, 'hugging_face', str(tmp_path / 'theirs'))
  again = published.read(str(tmp_path / 'theirs')).model
  assert again.license == 'apache-2.0'
  assert not warned
  # A training that began from it.
  task = trained.params.task.replace(init_checkpoint=str(tmp_path / 'ours'))
  task.train_data.resize_antialias = False
  task.validation_data.resize_antialias = None
  task.validation_data.resize_mode = 'crop_then_resize'
  tuned = exporting.describe(dataclasses.replace(
      trained, params=trained.params.replace(task=task), checkpoint='none'))
  assert tuned.license == 'apache-2.0'
  assert len(warned) == 1
  assert 'resize_antialias is false' in warned[0]
  assert 'resize_mode is crop_then_resize' in warned[0]


def test_a_license_of_several_lines(tmp_path):
  source = published.read(str(published_models.copy(
      'timm_vit', tmp_path / 'source', config=lambda config: (
          config['pretrained_cfg'].update(license='Own\nmodel: 7')))))
  text = experiment_file.text(
      {}, source.model, 'x', 'folder', 'folder/fine_tune.yaml')
  assert list(yaml.safe_load(text)) == ['task']
  assert '(license: Own model: 7)' in text


def test_licenses_in_a_list(tmp_path):
  theirs = published_models.copy('hf_vit', tmp_path / 'a')
  (theirs / 'README.md').write_text(
      '---\nlicense:\n- apache-2.0\n- mit\n---\n')
  source = published.read(str(theirs))
  assert source.model.license == 'apache-2.0, mit'
  timm = published_models.copy(
      'timm_vit', tmp_path / 'b', config=lambda config: (
          config['pretrained_cfg'].update(license=['apache-2.0', 'mit'])))
  assert published.read(str(timm)).model.license == 'apache-2.0, mit'
