"""The names of classes through every command, in a locale of ASCII alone."""

import json
import unicodedata

import commands
import image_trees
import pytest
import short_runs
import tensorflow as tf

from official_ext.checkpoints import metadata

NFC = unicodedata.normalize('NFC', 'caf\u00e9')
NAMES = sorted([
    '\u03b3\u03ac\u03c4\u03b1', '\u732b', '\U0001f431',
    '\U0001f468\u200d\U0001f467', NFC, unicodedata.normalize('NFD', NFC),
    'a cat', '-dash', '.dot'])
# The second is what Python makes of the first unless it is kept from it.
ASCII = {'LANG': 'C', 'LC_ALL': 'C', 'PYTHONUTF8': '0',
         'PYTHONCOERCECLOCALE': '0'}
PLAIN = {'LANG': 'C', 'LC_ALL': 'C'}


def run(repository, *arguments, **environment):
  result = commands.run_alone(*arguments, cwd=repository, **environment)
  assert result.returncode == 0, result.stderr
  assert 'Traceback' not in result.stderr
  return result.stdout


def convert(repository, root, output_dir, **environment):
  image_trees.class_folders(root / 'train', dict.fromkeys(NAMES, 2))
  image_trees.class_folders(root / 'val', dict.fromkeys(NAMES, 1))
  run(repository, '-m', 'data_prep.imagenet_to_tfrecord', f'--input={root}',
      f'--output_dir={output_dir}', '--num_train_shards=1', '--num_workers=1',
      **environment)
  return (output_dir / 'class_names.txt').read_bytes()


@pytest.mark.slow
def test_the_conversion(repository, tmp_path):
  expected = ''.join(f'{name}\n' for name in NAMES).encode()
  for number, environment in enumerate((ASCII, PLAIN)):
    out = tmp_path / f'\u03b4 {number}'
    assert convert(
        repository, tmp_path / '\u732b', out, **environment) == expected
    manifest = json.loads((out / 'manifest.json').read_text())
    assert manifest['inputs'] == [str(tmp_path / '\u732b')]
    assert [item['name'] for item in manifest['classes']] == NAMES
  shard, = {(tmp_path / f'\u03b4 {number}/train-00000-of-00001').read_bytes()
            for number in range(2)}
  assert shard


@pytest.mark.long
def test_every_command(repository, tmp_path):
  data, model_dir = tmp_path / '\u03b4, 1', tmp_path / '\u03c4 2'
  names = convert(repository, tmp_path / 'in', data, **ASCII)
  exports = model_dir / 'export/last'
  train = ('-m', 'official_ext.train', '--experiment=funnel_vit_digits',
           f'--model_dir={model_dir}', f'--config_file={data}/experiment.yaml',
           '--params_override='
           f'task.model.backbone.funnel_vit.layout={short_runs.LAYOUT},'
           'trainer.train_steps=2,task.train_data.global_batch_size=8,'
           'trainer.optimizer_config.warmup.linear.warmup_steps=1')
  # The export is the second: a training ends with its own.
  done = commands.run_in_turn(
      ('-m', 'data_prep.verify_tfrecords', data),
      (*train, '--mode=train_and_eval'),
      ('-m', 'official_ext.serving.export', f'--model_dir={model_dir}',
       f'--export_dir={exports}'),
      ('-m', 'official_ext.serving.verify', exports, '--batch_sizes='),
      cwd=repository, **ASCII)
  assert done.returncode == 0, done.stderr
  assert 'Traceback' not in done.stderr
  assert (model_dir / 'class_names.txt').read_bytes() == names
  checkpoint = tf.train.latest_checkpoint(str(model_dir))
  assert metadata.read_data(checkpoint)['class_names'] == NAMES
  assert (exports / '1/assets/class_names.txt').read_bytes() == names
  assert (exports / '2/assets/class_names.txt').read_bytes() == names
  image = tmp_path / 'in/val' / NAMES[-1] / '000.jpg'
  for environment in (ASCII, ASCII | {'PYTHONIOENCODING': 'ascii'}):
    printed = run(repository, '-m', 'official_ext.serving.predict',
                  f'--model={exports}', f'--top_k={len(NAMES)}', image,
                  **environment).splitlines()
    shown = [*NAMES, str(image)]
    if 'PYTHONIOENCODING' in environment:
      shown = [text.encode('ascii', 'backslashreplace').decode()
               for text in shown]
    assert printed[0] == shown.pop()
    assert sorted(line.split(' %  ')[1] for line in printed[1:]) == sorted(
        shown)
