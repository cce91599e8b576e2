"""A bad file is one clear error, and nothing of it is loaded."""

import json
import random
import shutil
import struct
import zipfile

import numpy as np
import published_models
import pytest
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.pretrained import importing
from official_ext.pretrained import published

WEIGHTS = 'model.safetensors'


def read_all(path):
  """Reads everything, as an import does."""
  source = published.read(str(path))
  return {name: source.read(name) for name in source.shapes}


@pytest.fixture(name='vit')
def _vit(tmp_path):
  return published_models.copy('hf_vit', tmp_path / 'vit')


def refused(path, *words):
  with pytest.raises(errors.UserError) as error:
    read_all(path)
  text = str(error.value)
  assert '\n' not in text
  for word in words:
    assert word in text, text


def change(folder, make):
  found = published_models.tensors(folder / WEIGHTS)
  make(found)
  published_models.save(folder / WEIGHTS, found)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_half_precision_is_taken(vit, dtype):
  dtype = tf.as_dtype(dtype).as_numpy_dtype
  found = {name: value.astype(dtype) for name, value in
           published_models.tensors(vit / WEIGHTS).items()}
  published_models.save(vit / WEIGHTS, found)
  values = read_all(vit)
  expected = found['classifier.weight'].astype(np.float32).T
  assert values['head/kernel'].dtype == np.float32
  np.testing.assert_array_equal(values['head/kernel'], expected)


def shard(folder, at=12):
  """Splits the weights of a folder into two files with an index."""
  found = published_models.tensors(folder / WEIGHTS)
  names = sorted(found)
  parts = {'model-00001-of-00002.safetensors': names[:at],
           'model-00002-of-00002.safetensors': names[at:]}
  for file, held in parts.items():
    published_models.save(folder / file, {name: found[name] for name in held})
  (folder / WEIGHTS).unlink()
  index = folder / f'{WEIGHTS}.index.json'
  index.write_text(json.dumps({'metadata': {}, 'weight_map': {
      name: file for file, held in parts.items() for name in held}}))
  return index


def test_shards_are_one_model(vit):
  whole = read_all(vit)
  index = shard(vit)
  for path in (vit, index):
    values = read_all(path)
    assert values.keys() == whole.keys()
    assert all(np.array_equal(values[name], whole[name]) for name in whole)


@pytest.mark.parametrize('name, words', [
    ('../other.safetensors', ['../other.safetensors', 'do not trust']),
    ('/etc/passwd', ['/etc/passwd', 'do not trust']),
    ('model-00003-of-00002.safetensors', ['not beside it']),
    (5, ['weight_map']),
])
def test_a_wrong_shard_index(vit, name, words):
  index = shard(vit)

  def damage(content):
    content['weight_map']['vit.layernorm.bias'] = name

  published_models.change_json(index, damage)
  with pytest.raises(errors.UserError) as error:
    read_all(vit)
  for word in words:
    assert word in str(error.value).replace('Do not', 'do not')


def test_a_shard_that_is_not_what_the_index_says(vit):
  index = shard(vit)
  published_models.change_json(
      index, lambda content: content['weight_map'].pop('vit.layernorm.bias'))
  refused(vit, 'vit.layernorm.bias', 'does not list')


def test_two_files_side_by_side(vit):
  shutil.copy(vit / WEIGHTS, vit / 'other.safetensors')
  refused(vit, 'model.safetensors, other.safetensors', '--source=')
  assert read_all(vit / WEIGHTS)


@pytest.mark.parametrize('name', [
    'pytorch_model.bin', 'model.pth', 'model.pt', 'a.unknown'])
def test_a_pickle_is_not_opened(vit, name):
  (vit / WEIGHTS).unlink()
  # Opened, it would make a file.
  witness = vit / 'witness'
  code = f"cos\nsystem\n(S'touch {witness}'\ntR."
  (vit / name).write_bytes(b'\x80\x02' + code.encode())
  refused(vit / name, 'pickle', 'safetensors.torch')
  if not name.endswith('unknown'):
    refused(vit, 'pickle', 'safetensors.torch')
  assert not witness.exists()


def test_what_pytorch_saves_now_is_a_pickle_too(tmp_path):
  path = tmp_path / 'weights.npz'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('model/data.pkl', b'\x80\x02.')
  refused(path, 'pickle')


def test_a_git_lfs_pointer(vit):
  (vit / WEIGHTS).write_text(
      'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n')
  refused(vit, 'git-lfs', 'git lfs pull')


@pytest.mark.parametrize('cut', [0, 4, 100, -1])
def test_a_truncated_file(vit, cut):
  content = (vit / WEIGHTS).read_bytes()
  (vit / WEIGHTS).write_bytes(content[:cut])
  refused(vit, WEIGHTS, 'anew')


def test_a_header_of_two_gigabytes(vit):
  content = (vit / WEIGHTS).read_bytes()
  (vit / WEIGHTS).write_bytes(struct.pack('<Q', 2 ** 31) + content[8:])
  refused(vit, WEIGHTS, 'anew')


@pytest.mark.parametrize('make, words', [
    (lambda found: found.pop('vit.layernorm.bias'),
     ['it lacks vit.layernorm.bias']),
    (lambda found: found.update(surprise=np.zeros(2, np.float32)),
     ['nothing is known of surprise']),
    (lambda found: found.update({'vit.layernorm.bias': np.zeros(8, np.int32)}),
     ['vit.layernorm.bias', 'I32', 'float32']),
    (lambda found: found.update({'vit.layernorm.bias': np.full(
        8, np.nan, np.float32)}), ['vit.layernorm.bias', 'not finite']),
    (lambda found: found.update(
        {'vit.encoder.layer.0.attention.attention.query.weight': np.zeros(
            [7, 8], np.float32)}), ['query.weight', '(7, 8)']),
    (lambda found: found.pop('classifier.bias'),
     ['classifier.weight without classifier.bias']),
    (lambda found: found.update({
        'vit.encoder.layer.0.rope_frequencies': np.zeros(2, np.float32)}),
     ['rotary']),
])
def test_wrong_tensors(vit, make, words):
  change(vit, make)
  refused(vit, *words)


@pytest.mark.parametrize('key, value, words', [
    ('hidden_size', 16, ['hidden_size=16', 'have 8']),
    ('num_hidden_layers', 3, ['num_hidden_layers=3', 'have 2']),
    ('patch_size', 6, ['patch_size=6', 'have 4']),
    ('intermediate_size', 9, ['intermediate_size=9', 'have 12']),
    ('image_size', 16, ['image_size=[16, 16]', '17 positions']),
    ('num_attention_heads', 3, ['hidden_size 8', '3']),
    ('num_attention_heads', 'two', ['num_attention_heads', "'two'"]),
    ('layer_norm_eps', 10 ** 400, ['layer_norm_eps', 'above 0']),
    ('hidden_act', 'relu', ["'relu'", 'gelu']),
    ('model_type', 'dinov3_vit', ['rotary', 'keys have no bias']),
    ('model_type', 'swin', ['windows']),
    ('model_type', 'bert', ["'bert'", 'dinov2']),
    ('qkv_bias', False, ['qkv_bias']),
    ('id2label', {'0': 'one'}, ['id2label=1', 'have 3']),
    ('id2label', ['ape', 'bee', 'cat'], ['id2label', 'an object of names']),
    ('id2label', {'0': 'ape\nbig', '1': 'bee', '2': 'cat'},
     ['config.json', 'id2label', 'class 0', r"'ape\nbig'"]),
    ('id2label', {'0': 'ape', '1': 'bee\r', '2': 'cat'},
     ['class 1', r"'bee\r'"]),
    ('id2label', {'0': 'ape', '1': 'bee', '2': ''}, ["class 2 ''"]),
    ('id2label', {'0': 'ape', '1': 'bee', '2': 'c\u2028at'},
     [r"class 2 'c\u2028at'"]),
])
def test_a_config_that_disagrees_with_the_weights(vit, key, value, words):
  published_models.change_json(
      vit / 'config.json', lambda content: content.update({key: value}))
  refused(vit, *words)


@pytest.mark.parametrize('name, value', [
    ('image_mean', [127.5] * 3), ('image_mean', [0.5, -0.1, 0.5]),
    ('image_std', [127.5] * 3), ('image_std', [0.5, 0.0, 0.5]),
    ('image_std', [0.5, 1e-4, 0.5])])
def test_means_and_deviations_are_of_values_up_to_1(vit, name, value):
  path = vit / 'preprocessor_config.json'
  published_models.change_json(
      path, lambda content: content.update({name: value}))
  refused(vit, f'{path}: {name} is {value}', 'values in 0 to 1')


def test_a_tensor_of_another_shape_is_named_as_in_its_file(vit):
  name = 'vit.encoder.layer.1.output.dense.weight'
  change(vit, lambda found: found.update({name: np.zeros([8, 7], np.float32)}))
  with pytest.raises(errors.UserError) as error:
    importing.load(published.read(str(vit)))
  for words in (f'{vit / WEIGHTS}: {name} is (8, 7)', '(12, 8)'):
    assert words in str(error.value), error.value


def test_registers_that_the_config_denies(tmp_path):
  refused(published_models.copy(
      'hf_dinov2_registers', tmp_path / 'a',
      config=lambda config: config.update(num_register_tokens=2)),
          'config.json says num_register_tokens=2', 'have 4')


@pytest.mark.parametrize('old, words', [
    ({'hidden_size': 16}, ['vision_config.hidden_size is 8', '16']),
    # transformers takes the defaults of what it leaves out.
    ({}, ['vision_config.hidden_size is 8', '768'])])
def test_clips_two_configs_that_disagree(tmp_path, old, words):
  refused(published_models.copy(
      'hf_clip_classifier', tmp_path / 'a',
      config=lambda config: config.update(vision_config_dict=old)), *words)


def test_a_command_is_one_that_a_shell_takes(tmp_path):
  folder = published_models.copy('hf_vit', tmp_path / 'my vit')
  shutil.copy(folder / WEIGHTS, folder / 'other.safetensors')
  refused(folder, f"--source='{folder / WEIGHTS}'")


@pytest.mark.parametrize('name, content, words', [
    ('config.json', None, ['config.json is missing']),
    ('config.json', '{', ['not JSON']),
    ('config.json', '[]', ['a list']),
    ('config.json', '{}', ['model_type', 'architecture']),
    ('preprocessor_config.json', None, ['preprocessor_config.json is missing']),
    ('preprocessor_config.json', '{"image_mean": [0.5]}', ['image_mean']),
])
def test_what_stands_beside_the_weights(vit, name, content, words):
  (vit / name).unlink()
  if content is not None:
    (vit / name).write_text(content)
  refused(vit, *words)


def test_swiglu_is_refused(tmp_path):
  def gate(content):
    content['use_swiglu_ffn'] = True

  refused(published_models.copy('hf_dinov2', tmp_path / 'a', config=gate),
          'SwiGLU')


@pytest.mark.parametrize('change_config, words', [
    (lambda config: config.update(architecture='vit_base_patch16_xp_224'),
     ['queries and keys']),
    (lambda config: config.update(architecture='resnet50'), ['resnet50']),
    (lambda config: config['pretrained_cfg'].update(input_size=[3, 20, 20]),
     ['input_size', '25 patches']),
    (lambda config: config['pretrained_cfg'].update(input_size=[3, 'a', 12]),
     ['input_size', '3 numbers']),
    (lambda config: config['pretrained_cfg'].update(mean=[0.5, 10 ** 400, 1]),
     ['mean', '3 numbers']),
    (lambda config: config['pretrained_cfg'].update(std=[0.5, 0, 0.5]),
     ['config.json: std is [0.5, 0, 0.5]', 'values in 0 to 1']),
    (lambda config: config['pretrained_cfg'].update(mean=[127.5] * 3),
     ['config.json: mean is [127.5', 'values in 0 to 1']),
    (lambda config: config['pretrained_cfg'].update(crop_mode='border'),
     ['crop_mode']),
    (lambda config: config.update(num_classes=7), ['num_classes=7']),
    (lambda config: config['pretrained_cfg'].update(
        label_names=['a', 'b\nc', 'd']), ['label_names', r"class 1 'b\nc'"]),
    (lambda config: config.update(label_names=['a', 'b']),
     ['label_names=2', 'have 3']),
    (lambda config: config['pretrained_cfg'].update(label_names=['a', 'b']),
     ['label_names=2', 'have 3']),
    (lambda config: config.update(label_names={'0': 'a', '1': 'b', '3': 'c'}),
     ['label_names', 'all of 0 to 2']),
    (lambda config: config.update(label_names='a'), ['a list of names']),
    (lambda config: config.update(
        label_names=['a', 'b', 'c'], label_descriptions=['d']),
     ['label_descriptions', 'an object']),
    (lambda config: config.setdefault('model_args', {}).update(qk_norm=True),
     ['qk_norm']),
])
def test_timm_that_is_refused(tmp_path, change_config, words):
  refused(published_models.copy(
      'timm_dinov2_registers', tmp_path / 'a', config=change_config), *words)


@pytest.mark.parametrize('key, value, words', [
    ('depth', 5, ['depth=5', 'have 2']),
    ('embed_dim', 16, ['embed_dim=16', 'have 8']),
    ('patch_size', 8, ['patch_size=8', 'have 4']),
    ('mlp_ratio', 4, ['mlp_ratio=4', 'have 1.5']),
    ('img_size', [24, 24], ['img_size=(24, 24)', 'have (12, 12)']),
    ('img_size', 'a', ['img_size', 'one side in px']),
    ('num_classes', 9, ['num_classes=9', 'have 3']),
    ('reg_tokens', 2, ['reg_tokens=2', 'have 4']),
    ('class_token', False, ['class_token=False', 'have True']),
    ('in_chans', 1, ['in_chans=1', 'have 3']),
    ('global_pool', 'avg', ["global_pool is 'avg'", "'token'"]),
])
def test_arguments_of_timm_that_disagree_with_the_weights(
    tmp_path, key, value, words):
  refused(published_models.copy(
      'timm_dinov2_registers', tmp_path / 'a',
      config=lambda config: config['model_args'].update({key: value})), *words)


def mutated(content, generator):
  """One of the ways in which a file is damaged."""
  content = bytearray(content)
  kind = generator.randrange(5)
  at = generator.randrange(len(content))
  if kind == 0:
    return content[:at]
  if kind == 1:
    content[at] ^= 1 << generator.randrange(8)
    # Anywhere in the header, most of which is names.
    header = min(len(content), 2000)
    content[generator.randrange(header)] = generator.randrange(256)
  elif kind == 2:
    content[at:at] = generator.randbytes(generator.randrange(1, 40))
  elif kind == 3:
    del content[at:at + generator.randrange(1, 40)]
  else:
    end = min(at + 64, len(content))
    content[at:end] = generator.randbytes(end - at)
  return bytes(content)


def fuzz(folder, names, seed, count):
  """Damages files, and counts how many were refused."""
  whole = {name: (folder / name).read_bytes() for name in names}
  expected = read_all(folder)
  generator = random.Random(seed)
  num_refused = 0
  for _ in range(count):
    name = generator.choice(names)
    (folder / name).write_bytes(mutated(whole[name], generator))
    try:
      values = read_all(folder)
    except errors.UserError as error:
      num_refused += 1
      assert '\n' not in str(error)
    else:
      # What can be read is a whole model of the same shapes.
      assert {key: value.shape for key, value in values.items()} == {
          key: value.shape for key, value in expected.items()} or (
              name.endswith('.json'))
    (folder / name).write_bytes(whole[name])
  return num_refused


FUZZED = {'hf_vit': [WEIGHTS, 'config.json', 'preprocessor_config.json'],
          'timm_dinov2_registers': [WEIGHTS, 'config.json']}


@pytest.mark.parametrize('name', FUZZED)
def test_a_few_mutated_files(tmp_path, name):
  folder = published_models.copy(name, tmp_path / name)
  assert fuzz(folder, FUZZED[name], seed=0, count=6) >= 3


@pytest.mark.long
@pytest.mark.parametrize('name', FUZZED)
def test_hundreds_of_mutated_files(tmp_path, name):
  folder = published_models.copy(name, tmp_path / name)
  assert fuzz(folder, FUZZED[name], seed=1, count=200) >= 100
