"""Tests of the command that classifies image files."""

import commands
import pytest
import records_for_tests


def test_the_most_probable_classes(repository, export_dir, serve, tmp_path):
  image = tmp_path / 'image.png'
  image.write_bytes(records_for_tests.encode('PNG', (8, 8), (10, 200, 90)))
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      '--top_k=2', image, cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  outputs = serve['default']([image.read_bytes()])
  assert result.stdout.splitlines() == [str(image)] + [
      f'  {100 * probability:6.2f} %  {name.decode()}'
      for name, probability in zip(
          outputs['top_classes'][0].numpy()[:2],
          outputs['top_probs'][0].numpy(), strict=False)]


@pytest.mark.long
def test_it_needs_no_model_garden(repository, export_dir):
  result = commands.run_alone(
      '-c', 'import sys; from official_ext.serving.runtimes import classifier; '
      f'classifier.Classifier({export_dir!r}); '
      "print(sorted({'official', 'tf_keras', 'orbit'} & set(sys.modules)))",
      cwd=repository)
  assert result.stdout == '[]\n', result.stderr


def test_a_file_that_is_missing_is_named_once(repository, export_dir):
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      'nothing.jpg', cwd=repository)
  assert (result.returncode, result.stderr) == (
      1, 'error: nothing.jpg: No such file or directory\n')
