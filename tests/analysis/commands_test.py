"""The commands that draw what a model looks at, each as a user runs it."""

import commands
import numpy as np
from PIL import Image
import pytest


def run(repository, command, *arguments):
  return commands.run(
      '-m', f'official_ext.analysis.{command}', *arguments, cwd=repository)


def check_picture(path, num_columns, num_rows):
  """A picture of about the size of its grid, with something to see."""
  with Image.open(path) as image:
    assert image.width > 200 * num_columns and image.height > 200 * num_rows
    pixels = np.asarray(image.convert('RGB'))
  assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
  # Nothing is cut off: the outermost pixels are paper.
  for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
    assert (edge == 255).all()


def test_saliency(repository, trained_dir, digits_dir, tmp_path):
  png, pdf = tmp_path / 'new/saliency.png', tmp_path / 'new/saliency.pdf'
  result = run(
      repository, 'saliency', f'ViT={trained_dir}', f'Funnel={trained_dir}',
      f'--images={digits_dir}/samples', '--num_images=3',
      '--method=integrated_gradients', '--target=label',
      f'--output={png},{pdf}')
  assert (result.returncode, result.stdout, result.stderr) == (
      0, f'wrote {png}, {pdf}\n', '')
  check_picture(png, 3, 3)
  assert pdf.read_bytes().startswith(b'%PDF')


@pytest.mark.long
def test_activation_maximization(repository, trained_dir, tmp_path):
  path = tmp_path / 'classes.png'
  result = run(
      repository, 'activation_maximization', trained_dir, '--classes=3,8',
      '--steps=3', f'--output={path}')
  assert (result.returncode, result.stdout) == (0, f'wrote {path}\n')
  check_picture(path, 2, 1)


@pytest.mark.long
def test_disagreement(repository, trained_dir, tmp_path):
  path = tmp_path / 'disagreement.png'
  result = run(
      repository, 'disagreement', f'A={trained_dir}', f'B={trained_dir}',
      '--num_images=10', f'--output={path}')
  assert result.returncode == 0
  assert result.stdout.endswith(
      'nothing to draw: the models are right about the same images\n')
  assert not path.exists()


@pytest.mark.long
def test_salient_area(repository, trained_dir):
  result = run(repository, 'salient_area', f'A={trained_dir}',
               f'B={trained_dir}', '--num_images=4')
  assert result.returncode == 0
  assert result.stdout.startswith('4 images\n\n|  | 50 % of the saliency')
  assert result.stdout.splitlines()[-1].endswith(
      '| +0.00 ± 0.00 | +0.00 ± 0.00 |')


@pytest.mark.long
@pytest.mark.parametrize('command, arguments, message', [
    ('saliency', ['{model}', '--images=README.md'],
     'README.md is neither an image that can be decoded'),
    ('saliency', ['{model}', '--images=nowhere*'], "no file matches 'nowhere"),
    ('saliency', ['nowhere', '--images={digits}/samples'],
     'nowhere: there is no such folder or checkpoint'),
    ('saliency', ['{model}', '--images={digits}/samples',
                  '--output=setup.py/x.png'], 'setup.py'),
    ('activation_maximization', ['{model}', '--classes=ten'],
     "there is no class 'ten': name one of the 10, such as '0'"),
    ('disagreement', ['{model}', 'A={model}', '--data=README.md'],
     'corrupted record'),
    ('salient_area', ['{model}', '--data=nowhere'], "no file matches 'nowhere"),
])
def test_errors(repository, trained_dir, digits_dir, command, arguments,
                message):
  result = run(repository, command, *(
      argument.format(model=trained_dir, digits=digits_dir)
      for argument in arguments))
  assert result.returncode == 1
  assert result.stderr.startswith('error: ')
  assert message in result.stderr
  assert 'Traceback' not in result.stderr
