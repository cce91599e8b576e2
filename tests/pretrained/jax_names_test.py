"""The same numbers as .npz and as Hugging Face's are the same model."""

import random

import models
import numpy as np
import published_models
import pytest

from official_ext.command_line import errors
from official_ext.modeling import sin_cos_positions
from official_ext.pretrained import importing
from official_ext.pretrained import published

HEADS = 2


def save(path, naming='flax', prefix='', **more):
  found = published_models.tensors(
      published_models.folder('hf_vit') / 'model.safetensors')
  arrays = published_models.jax_arrays(found, HEADS, naming, prefix)
  np.savez(path, **(arrays | more))
  return published.read(str(path))


def values(source):
  return {name: source.read(name) for name in source.shapes}


@pytest.mark.parametrize('prefix', ['', 'opt/target/', 'params/',
                                    'params/img/'])
@pytest.mark.parametrize('naming', ['flax', 'big_vision', 'stacked'])
def test_the_values_are_those_of_the_other_route(tmp_path, naming, prefix):
  expected = values(published.read(str(published_models.folder('hf_vit'))))
  source = save(tmp_path / 'a.npz', naming, prefix)
  found = values(source)
  if naming != 'flax':
    # big_vision adds the positions before the class token comes.
    position = expected['position_embedding']
    expected['class_token'] = expected['class_token'] + position[:, :1]
    expected['position_embedding'] = position[:, 1:]
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, name)
  settings = source.model.backbone
  assert source.model.image_size == (12, 12)
  assert settings.class_token_position == (naming == 'flax')
  assert settings.transformer.activation == 'gelu_tanh'
  assert settings.transformer.norm_epsilon == 1e-6
  assert source.model.preprocessing.mean == (0.5, 0.5, 0.5)


def test_pre_logits_and_what_is_of_no_image_tower(tmp_path):
  kernel, bias = np.ones([8, 8], np.float32), np.ones(8, np.float32)
  source = save(tmp_path / 'a.npz', **{
      'pre_logits/kernel': kernel, 'pre_logits/bias': bias})
  assert source.model.backbone.representation_size == 8
  np.testing.assert_array_equal(source.read('pre_logits/kernel'), kernel)
  source = save(tmp_path / 'b.npz', prefix='params/img/', **{
      'params/t': bias, 'params/txt/head/kernel': kernel})
  assert source.left_out == {
      name: 'of the text tower'
      for name in ('params/t', 'params/txt/head/kernel')}


def test_gap_has_as_many_positions_as_patches(tmp_path):
  path = tmp_path / 'a.npz'
  found = published_models.tensors(
      published_models.folder('hf_vit') / 'model.safetensors')
  arrays = published_models.jax_arrays(found, HEADS, 'big_vision')
  del arrays['cls']
  np.savez(path, **arrays)
  settings = published.read(str(path)).model.backbone
  assert (settings.pooler, settings.class_token) == ('gap', False)


@pytest.mark.slow
def test_positions_that_are_computed(tmp_path):
  found = published_models.tensors(
      published_models.folder('hf_vit') / 'model.safetensors')
  arrays = published_models.jax_arrays(found, HEADS, 'big_vision')
  del arrays['cls'], arrays['pos_embedding']
  np.savez(tmp_path / 'computed.npz', **arrays)
  arrays['pos_embedding'] = sin_cos_positions.of_grid((2, 2), 8)[None]
  np.savez(tmp_path / 'stored.npz', **arrays)
  source = published.read(str(tmp_path / 'computed.npz'))
  assert source.model.backbone.position_embedding == 'sin_cos'
  assert source.model.image_size == (224, 224)
  # Another size has other positions, and they are no weights to be resampled.
  patch_size = source.model.backbone.patch_size
  options = importing.Options(image_size=(2 * patch_size,) * 2)
  computed = importing.load(source, options)
  assert not computed.plan.resampled
  stored = importing.load(
      published.read(str(tmp_path / 'stored.npz')), options)
  assert stored.model.backbone.spec.position_embedding == 'learned'
  images = models.random_images(2, options.image_size)
  np.testing.assert_array_equal(
      computed.model(images), stored.model(images))


def test_bfloat16_as_numpy_saves_it(tmp_path):
  import ml_dtypes  # pylint: disable=g-import-not-at-top
  path = tmp_path / 'a.npz'
  found = published_models.tensors(
      published_models.folder('hf_vit') / 'model.safetensors')
  arrays = {name: value.astype(ml_dtypes.bfloat16) for name, value in
            published_models.jax_arrays(found, HEADS).items()}
  np.savez(path, **arrays)
  np.testing.assert_array_equal(
      published.read(str(path)).read('head/kernel'),
      arrays['head/kernel'].astype(np.float32))


@pytest.mark.parametrize('change, words', [
    (lambda arrays: arrays.pop('head/bias'), ['head/bias']),
    (lambda arrays: arrays.update(other=np.zeros(1)), ['other']),
    (lambda arrays: arrays.pop('embedding/kernel'), ['embedding/kernel']),
    (lambda arrays: arrays.pop('Transformer/posembed_input/pos_embedding'),
     ['pos_embedding', 'Get the file again']),
    (lambda arrays: arrays.update({
        'Transformer/posembed_input/pos_embedding': np.zeros([1, 9, 8])}),
     ['(1, 9, 8)', '8 patches']),
    (lambda arrays: arrays.update(cls=np.array([object()])), ['cls']),
])
def test_arrays_that_are_no_vit(tmp_path, change, words):
  path = tmp_path / 'a.npz'
  found = published_models.tensors(
      published_models.folder('hf_vit') / 'model.safetensors')
  arrays = published_models.jax_arrays(found, HEADS)
  change(arrays)
  np.savez(path, **arrays)
  with pytest.raises(errors.UserError) as error:
    values(published.read(str(path)))
  for word in words:
    assert word in str(error.value), error.value


def damage(path, seed, count):
  """Damages an .npz file, and counts how many times it was refused."""
  content = path.read_bytes()
  expected = values(published.read(str(path)))
  generator = random.Random(seed)
  num_refused = 0
  for _ in range(count):
    at = generator.randrange(len(content))
    damaged = bytearray(content)
    if generator.randrange(2):
      damaged = damaged[:at]
    else:
      damaged[at] ^= 1 << generator.randrange(8)
    path.write_bytes(damaged)
    try:
      found = values(published.read(str(path)))
    except errors.UserError as error:
      num_refused += 1
      assert '\n' not in str(error)
    else:
      # The archive has sums: what can be read is as it was.
      assert all(np.array_equal(found[name], value)
                 for name, value in expected.items())
  path.write_bytes(content)
  return num_refused


def test_a_few_mutated_archives(tmp_path):
  save(tmp_path / 'a.npz')
  assert damage(tmp_path / 'a.npz', seed=0, count=8) >= 4


@pytest.mark.long
def test_a_hundred_mutated_archives(tmp_path):
  save(tmp_path / 'a.npz')
  assert damage(tmp_path / 'a.npz', seed=1, count=100) >= 60
