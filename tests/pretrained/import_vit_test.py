"""From a published model to a checkpoint and an experiment that begins so."""

import importlib.resources
import json
import pathlib
import re

import commands
import numpy as np
from official.core import task_factory
from PIL import Image
import published_models
import pytest
import tensorflow as tf
import yaml

from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore
from official_ext.command_line import errors
from official_ext.params import experiment
from official_ext.pretrained import experiment_file
from official_ext.pretrained import importing
from official_ext.pretrained import published
from official_ext.tasks import class_names
from official_ext.tasks import image_parser
from official_ext.tasks import parsing
from official_ext.trained import trained_model

COMMAND = 'official_ext.pretrained.import_vit'


def run(repository, *arguments):
  return commands.run('-m', COMMAND, *arguments, cwd=repository)


@pytest.fixture(name='imported_dir', scope='module')
def _imported_dir(repository, make_once):
  """The command's output for Hugging Face's ViT."""
  def fill(folder):
    result = run(repository, f'--source={published_models.folder("hf_vit")}',
                 f'--output={folder}')
    assert result.returncode == 0, result.stderr
    (folder / 'printed.txt').write_text(result.stdout)

  return pathlib.Path(make_once('imported_vit', fill))


@pytest.mark.slow
def test_the_folder_answers_as_the_library(imported_dir):
  expected = published_models.answers('hf_vit')
  trained = trained_model.find(str(imported_dir))
  found = trained.model(expected['images'], training=False).numpy()
  assert np.abs(found - expected['output']).max() < 1e-4 * np.abs(
      expected['output']).max()
  assert trained.class_names == ['ape', 'bee', 'cat']
  assert (imported_dir / class_names.FILE).read_text() == 'ape\nbee\ncat\n'


def test_the_metadata_say_where_the_weights_are_from(imported_dir):
  found = metadata.read(str(imported_dir / 'ckpt-0'))
  assert found['grid'] == [3, 3]
  assert found['activation'] == 'gelu_erf'
  assert found['norm_epsilon'] == 1e-12
  assert found['data'][class_names.KEY] == ['ape', 'bee', 'cat']
  assert found[importing.METADATA_KEY] == {
      'source': str(published_models.folder('hf_vit')),
      'kind': 'Hugging Face vit', 'license': '', 'image_size': [12, 12],
      'num_classes': 3, 'preprocessing': {
          'mean': [0.5] * 3, 'stddev': [0.5] * 3, 'resize_method': 'bilinear',
          'crop_fraction': 1.0, 'squashes': True}}


@pytest.mark.parametrize(
    'layout', ['B1-1', pytest.param('B2', marks=pytest.mark.long)])
def test_the_experiment_begins_from_it_in_any_layout(imported_dir, layout):
  path = imported_dir / importing.EXPERIMENT_FILE
  settings = yaml.safe_load(path.read_text())['task']
  params = experiment.load(
      'funnel_vit_imagenet_finetune', [str(path)],
      f'task.model.backbone.funnel_vit.layout={layout},'
      'task.model.num_classes=7')
  task = params.task
  # The folder's name says the same, wherever the folder is.
  of_folder = experiment.load(
      'funnel_vit_imagenet_finetune', [str(imported_dir)],
      f'task.model.backbone.funnel_vit.layout={layout},'
      'task.model.num_classes=7').task.replace(
          init_checkpoint=task.init_checkpoint)
  assert of_folder.as_dict() == task.as_dict()
  assert task.train_data.mean_rgb == [127.5] * 3
  assert task.validation_data.mean_rgb == [127.5] * 3
  assert task.validation_data.resize_mode == 'squash_then_crop'
  assert task.validation_data.resize_antialias
  assert task.model.input_size == [12, 12, 3]
  assert task.init_checkpoint_modules == 'backbone'
  assert settings['init_checkpoint'].startswith(str(imported_dir.parent))
  model = task_factory.get_task(task).build_model()
  plan = restore.load(model, str(imported_dir), 'backbone')
  assert [name.split('/')[0] for name in plan.initial] == [
      model.layers[-1].name] * 2
  source = published.read(str(published_models.folder('hf_vit')))
  values = {variable.name: variable.numpy() for variable in model.variables}
  np.testing.assert_array_equal(
      next(value for name, value in values.items() if 'pos_embedding' in name),
      source.read('position_embedding'))


@pytest.mark.long
def test_another_size_and_other_classes(tmp_path):
  source = published.read(str(published_models.folder('timm_vit')))
  imported = importing.write(
      source, 'timm_vit', str(tmp_path / 'out'),
      importing.Options(image_size=(16, 20), num_classes=5, layout='B1-1'))
  assert imported.model.output_shape == (None, 5)
  assert '3 x 3 -> 4 x 5 patches' in str(imported.plan)
  found = metadata.read(str(tmp_path / 'out' / 'ckpt-0'))
  assert (found['grid'], found['num_classes']) == ([4, 5], 5)
  assert 'data' not in found
  assert not (tmp_path / 'out' / class_names.FILE).exists()


def test_sides_that_patches_do_not_fill_are_cropped_as_by_the_library(tmp_path):
  source = published.read(str(published_models.copy(
      'hf_vit', tmp_path / 'a',
      config=lambda config: config.update(image_size=13))))
  imported = importing.load(source)
  expected = published_models.answers('hf_vit')
  images = np.pad(expected['images'], [(0, 0), (0, 1), (0, 1), (0, 0)],
                  constant_values=9)
  assert imported.params.task.model.input_size == [13, 13, 3]
  np.testing.assert_allclose(
      imported.model(images, training=False), expected['output'],
      atol=1e-4 * np.abs(expected['output']).max())


PREPARED = [name for name in published_models.names()
            if 'pixels' in published_models.answers(name)]
PHOTOGRAPHS = ('china.jpg', 'flower.jpg')


def _begin(image, rows, columns):
  """An image without its first rows and columns."""
  return image[rows:, columns:]


def _end(image, rows, columns):
  """An image without its last rows and columns."""
  return image[:image.shape[0] - rows, :image.shape[1] - columns]


@pytest.mark.long
@pytest.mark.parametrize('name', PREPARED)
def test_photographs_are_prepared_as_by_the_library(name):
  source = published.read(str(published_models.folder(name)))
  task = importing.load(source, importing.Options(num_classes=1)).params.task
  parser = parsing.build_parser(task, task.validation_data)
  images = importlib.resources.files('sklearn.datasets.images')
  for file, expected in zip(
      PHOTOGRAPHS, published_models.answers(name)['pixels']):
    pixels = np.asarray(Image.open(images / file).convert('RGB'))
    found = image_parser.evaluation_image(parser, {
        task.train_data.image_field_key: tf.constant(pixels),
        task.train_data.label_field_key: tf.constant(0)})
    stddev = np.array(source.model.preprocessing.stddev)
    # Where an odd rest is cropped, torchvision begins at the even pixel.
    shifts = [(0, 0), (0, 1), (1, 0), (1, 1)] if 'timm' in name else [(0, 0)]
    differences = [np.abs((_begin(found, rows, columns) - _end(
        expected, rows, columns)) * stddev).max() for rows, columns in shifts]
    # As whole values of 0 to 255, by one at most.
    assert min(differences) < 1.01 / 255, (file, differences)


def test_a_headless_model_needs_classes(repository, tmp_path):
  source = published_models.folder('hf_dinov2')
  result = run(repository, f'--source={source}', f'--output={tmp_path / "a"}')
  assert result.returncode == 1
  assert '--num_classes=N' in result.stderr
  assert not any(tmp_path.iterdir())


@pytest.mark.parametrize('flags, words', [
    (['--source=no/such/place/here'], ['does not exist']),
    (['--source=.'], ['holds no weights']),
    pytest.param(['--layout=B3'], ['2 layers', 'B3'], marks=pytest.mark.long),
    (['--image_size=14'], ['--image_size is 14 x 14 px', '12 or 16.']),
    (['--revision=main'], ['--revision']),
])
def test_what_cannot_be_imported(repository, tmp_path, flags, words):
  source = f'--source={published_models.folder("hf_vit")}'
  result = run(repository, source, f'--output={tmp_path / "a"}', *flags)
  assert result.returncode == 1
  for word in words:
    assert word in result.stderr, result.stderr
  assert 'Traceback' not in result.stderr
  assert not any(tmp_path.iterdir())


def test_a_folder_in_use_is_left_alone(repository, tmp_path):
  (tmp_path / 'mine').write_text('mine')
  result = run(repository, f'--source={published_models.folder("hf_vit")}',
               f'--output={tmp_path}')
  assert result.returncode == 1 and 'is not empty' in result.stderr
  assert [path.name for path in tmp_path.iterdir()] == ['mine']


def test_outputs_that_are_refused_before_the_import(tmp_path):
  (tmp_path / 'empty').mkdir()
  (tmp_path / 'link').symlink_to(tmp_path / 'empty')
  (tmp_path / 'file').write_text('mine')
  for output, words in (
      ('', '--output is empty'), (tmp_path / 'link', str(tmp_path / 'empty')),
      (f'{tmp_path}/link/', 'is a link'), (tmp_path / 'a[1]', 'holds ['),
      (tmp_path / 'file', 'is not empty'),
      (tmp_path / 'file' / 'below' / 'it',
       f'{tmp_path / "file"} is no folder')):
    with pytest.raises(ValueError) as error:
      importing.check_output(str(output))
    assert words in str(error.value) and '\n' not in str(error.value)
  importing.check_output(str(tmp_path / 'a[1]'), holds_checkpoint=False)
  importing.check_output(str(tmp_path / 'empty'))


def test_two_imports_to_one_folder_at_once(tmp_path, monkeypatch):
  source = published.read(str(published_models.folder('hf_vit')))
  load = importing.load

  def another_is_faster(*arguments):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'its').write_text('its')
    return load(*arguments)

  monkeypatch.setattr(importing, 'load', another_is_faster)
  with pytest.raises(errors.UserError, match='another command'):
    importing.write(source, 'hf_vit', str(tmp_path / 'a'))
  assert [path.name for path in tmp_path.iterdir()] == ['a']
  assert (tmp_path / 'a' / 'its').read_text() == 'its'


def test_the_command_in_an_experiment_is_one_that_a_shell_takes():
  model = published.read(str(published_models.folder('hf_vit'))).model
  text = experiment_file.text({}, model, 'a', 'b', 'my runs/fine_tune.yaml')
  assert " --config_file='my runs/fine_tune.yaml' --config_file=" in text


@pytest.mark.long
def test_what_is_left_out_is_named(imported_dir, repository, tmp_path):
  result = run(
      repository, f'--source={published_models.folder("hf_clip_both_towers")}',
      f'--output={tmp_path / "a"}', '--num_classes=2')
  assert result.returncode == 0, result.stderr
  assert 'left out  logit_scale: of the text tower' in result.stdout
  printed = (imported_dir / 'printed.txt').read_text()
  assert 'loaded' in printed and 'left out' not in printed
  described = json.dumps(metadata.read(str(tmp_path / 'a' / 'ckpt-0')))
  assert 'gelu_quick' in described


# Runs the command and says the most memory that it had, kB.
_PEAK = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
  runpy.run_module(sys.argv[0], run_name='__main__')
finally:
  with open('/proc/self/status') as file:
    print(*[line for line in file if line.startswith('VmHWM')])
"""


@pytest.mark.long
def test_an_import_needs_less_than_twice_the_size_of_the_model(
    repository, tmp_path):
  wider = {8: 1024, 12: 4096}

  def widen(tensors):
    generator = np.random.default_rng(0)
    tensors |= {
        name: generator.normal(size=[wider.get(side, side) for side in
                                     value.shape]).astype(np.float32)
        for name, value in tensors.items()}

  large = published_models.copy(
      'hf_vit', tmp_path / 'large', widen, lambda config: config.update(
          hidden_size=1024, intermediate_size=4096, num_attention_heads=16))
  size = (large / 'model.safetensors').stat().st_size
  assert size > 100e6
  peaks = []
  for source in (published_models.folder('hf_vit'), large):
    result = commands.run_alone(
        '-c', _PEAK, COMMAND, f'--source={source}',
        f'--output={tmp_path / "out" / source.name}', cwd=repository)
    assert result.returncode == 0, result.stderr
    peaks.append(1024 * int(re.search(r'VmHWM:\s+(\d+)', result.stdout)[1]))
  assert peaks[1] - peaks[0] < 2 * size
