"""Tests of images with masks as records, and of the command."""

import json
import os
import pathlib
import signal
import sys

import commands
import conversions
import image_trees
import mask_trees
import numpy as np
import pytest
import yaml

from data_prep import conversion_report
from data_prep import mask_report
from official_ext.configs import semantic_segmentation

COMMAND = ('-m', 'data_prep.masks_to_tfrecord')


def test_every_pair_is_in_one_record(tmp_path):
  pairs = mask_trees.write(tmp_path / 'in', {'train': 9, 'val': 2})
  done = mask_trees.convert(tmp_path / 'in', tmp_path / 'out', num_classes=3,
                            shards={'train': 4})
  found = mask_trees.records(tmp_path / 'out')
  assert len(found) == 9
  for name, record in found.items():
    image, mask = pairs['train', name.removesuffix('.jpg')]
    assert record == {
        'image/encoded': image, 'image/filename': name.encode(),
        'image/format': b'JPEG', 'image/height': 16, 'image/width': 24,
        'image/source_id': name.encode(),
        'image/segmentation/class/encoded': mask,
        'image/segmentation/class/format': b'PNG'}
  assert [shard['num_images'] for shard in
          done.manifest['splits']['train']['shards']] == [2, 2, 2, 3]
  assert len(mask_trees.records(tmp_path / 'out', 'validation')) == 2
  # By hand, of the masks as they were made.
  values = np.concatenate([
      mask_trees.values_of(content).ravel() for (split, _), (_, content)
      in pairs.items() if split == 'train'])
  tally = done.manifest['masks']['train']
  assert tally['pixels'] == {
      str(value): int((values == value).sum()) for value in (0, 1, 2, 255)}
  assert tally['largest'] == [16, 24] and tally['images']['255'] == 9
  assert done.manifest['classes'][1] == {
      'label': 1, 'name': '1', 'synset': '',
      'num_images': {split: done.manifest['masks'][split]['images']['1']
                     for split in ('train', 'validation')}}


def broken(root):
  """One pair that is well, and one of every fault."""
  def pair(name, image, mask):
    for kind, suffix, content in (('images', '.jpg', image),
                                  ('masks', '.png', mask)):
      if content is not None:
        image_trees.write(root / kind / f'{name}{suffix}', content)
  pixels = mask_trees.indices(0)
  image, mask = image_trees.encode(1), mask_trees.png(pixels)
  pair('good', image, mask)
  pair('no_mask', image, None)
  pair('no_image', None, mask)
  pair('Case', image, None)
  pair('case', None, mask)
  pair('other_size', image, mask_trees.png(pixels[:8]))
  pair('rgb', image, mask_trees.png(np.dstack([pixels, pixels, pixels * 0])))
  pair('deep', image, mask_trees.png(pixels.astype(np.uint16)))
  pair('outside', image, mask_trees.png(np.where(pixels == 1, 7, pixels)
                                        .astype(np.uint8)))
  pair('cut_mask', image, mask[:-20])
  pair('cut_image', image[:-40], mask)
  pair('web', image, b'<html>')


REASONS = {
    'broken/images/no_mask.jpg': 'no mask broken/masks/no_mask.png',
    'broken/masks/no_image.png': 'a mask without an image no_image',
    'broken/images/Case.jpg': 'case.png differs in case',
    'broken/masks/case.png': 'Case.jpg differs in case',
    'other_size.jpg': ('mask other_size.png: it is 24 x 8 px, but the image is '
                       '24 x 16 px'),
    'rgb.jpg': 'mask rgb.png: not supported: RGB, whose colors are no numbers',
    'deep.jpg': 'mask deep.png: not supported: 16 bits a pixel',
    'outside.jpg': 'mask outside.png: the value 7 in ',
    'cut_mask.jpg': 'mask cut_mask.png: PNG: truncated: no IEND chunk',
    'cut_image.jpg': 'JPEG: truncated',
    'web.jpg': 'mask web.png: not an image: a web page',
}


@pytest.mark.slow
def test_nothing_is_dropped_without_a_word(tmp_path, repository):
  broken(tmp_path / 'broken')
  arguments = [*COMMAND, f'--input={tmp_path}/broken', '--num_classes=3',
               f'--output_dir={tmp_path}/out', '--num_workers=1']
  result = commands.run(*arguments, cwd=repository)
  assert result.returncode == 1
  found = mask_trees.reasons(tmp_path / 'out')
  assert set(found) == set(REASONS)
  for name, reason in REASONS.items():
    assert reason in found[name]
  assert ('error: 11 files are corrupt or in no pair, and --max_corrupt is 0. '
          'Fix what is listed') in result.stderr
  assert 'note: 4 files are in no pair, such as broken/' in result.stderr
  assert '  train: rgb.jpg: mask rgb.png: not supported' in result.stdout
  assert '1 more on the list' in result.stdout
  result = commands.run(*arguments, '--max_corrupt=11', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert '11 in no record: ' in result.stdout
  assert list(mask_trees.records(tmp_path / 'out')) == ['good.jpg']


def test_the_command_says_what_to_train_with(tmp_path, repository):
  mask_trees.write(tmp_path / 'in', {'train': 3, 'val': 2})
  image_trees.write(tmp_path / 'names.txt', b'background\nsky\nsea\n')
  result = commands.run(
      *COMMAND, f'--input={tmp_path}/in', f'--output_dir={tmp_path}/out',
      f'--class_names={tmp_path}/names.txt', '--num_workers=1', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert ('images with masks (images and masks), 3 classes: 3 train images'
          in result.stderr)
  out = tmp_path / 'out'
  assert (out / 'class_names.txt').read_text() == 'background\nsky\nsea\n'
  assert yaml.safe_load((out / 'experiment.yaml').read_text()) == {'task': {
      'data_dir': str(out), 'model': {'num_classes': 3},
      'losses': {'ignore_label': 255}, 'train_data': {'num_examples': 3},
      'validation_data': {'num_examples': 2,
                          'groundtruth_padded_size': [16, 24]}}}
  # Settings that the experiment has.
  experiment = semantic_segmentation.funnel_vit_segmentation()
  experiment.override(yaml.safe_load((out / 'experiment.yaml').read_text()))
  assert experiment.task.validation_data.groundtruth_padded_size == [16, 24]
  assert (f'--experiment=funnel_vit_segmentation --mode=train_and_eval '
          f'--model_dir=runs/out --config_file={out}/experiment.yaml'
          ) in result.stdout
  assert '  255           3     6.25%           2     6.25%  ignored' in (
      result.stdout)


@pytest.mark.parametrize('flags, reason', [
    ([], '--input must be given: a folder or a .tar archive of images and mas'),
    (['--images=in'], '--images is given without --masks. Give both; of'),
    (['--masks=in', '--mask_suffix=_mask'],
     '--masks is given without --images. Give both; of masks that lie beside '
     'their images --images alone, and what their names end on: --mask_suffix'),
    (['--images=in', '--mask_suffix=_a', '--image_suffix=_a'],
     '--image_suffix and --mask_suffix are both _a, which does not tell masks'),
    (['--input=in', '--label_map=0=1'], "'0=1' is not VALUE:CLASS"),
    (['--input=in', '--label_map=0:2', '--num_classes=2'],
     '--label_map writes the class 2, but there are 2, 0 to 1, and 255 is ign'),
    (['--input=in', '--label_map=0:0', '--reduce_zero_label'],
     'both say what is written. Leave out --reduce_zero_label'),
    (['--input=in', '--images=in', '--masks=in'], '--input and --images both'),
    (['--images=in', '--masks=in'], '--images and --masks are both in. Lea'),
    (['--input=in', '--class_names=names.txt', '--num_classes=3'],
     '--num_classes=3, but names.txt names 2. Correct one'),
    (['--input=in', '--num_classes=12', '--ignore_label=11'],
     '--ignore_label=11 is one of the 12 classes, 0 to 11. Choose one from 12'),
    (['--input=in', '--ignore_label=0'], 'ignore_label'),
])
def test_wrong_flags(tmp_path, repository, flags, reason):
  image_trees.write(tmp_path / 'names.txt', b'a\nb\n')
  result = commands.run(*COMMAND, *flags, '--output_dir=o', cwd=tmp_path,
                        PYTHONPATH=str(repository))
  assert result.returncode == 1
  assert reason in result.stderr and 'Traceback' not in result.stderr


def test_held_out_by_content(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 20},
                   layout='{kind}/{name}')
  sides = []
  for seed in (0, 1):
    out = tmp_path / f'out{seed}'
    done = mask_trees.convert(tmp_path / 'in', out, seed=seed, num_classes=3,
                              validation_fraction=0.25)
    assert {split: content['num_images'] for split, content
            in done.manifest['splits'].items()} == {
                'train': 15, 'validation': 5}
    sides.append(set(mask_trees.records(out, 'validation')))
  assert sides[0] == sides[1]


def test_classes_that_nobody_counted(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 4})
  done = mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  assert [item['name'] for item in done.manifest['classes']] == ['0', '1', '2']
  said = mask_report.summary(done, str(tmp_path / 'out'), 1.0)
  assert ('--num_classes was not given: the largest class in a mask is 2, so '
          'there are 3') in said
  again = mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  assert again.was_finished and not again.has_changed
  with pytest.raises(ValueError, match='--num_classes was 0 and is 3'):
    mask_trees.convert(tmp_path / 'in', tmp_path / 'out', num_classes=3)


def test_what_is_told_of_odd_masks(tmp_path):
  for name, value in (('a', 255), ('b', 0)):
    image_trees.write(tmp_path / f'in/images/{name}.jpg', image_trees.encode(1))
    image_trees.write(tmp_path / f'in/masks/{name}.png', mask_trees.palette_png(
        np.full((16, 24), value), [(0, 0, 0)]))
  done = mask_trees.convert(tmp_path / 'in', tmp_path / 'out', num_classes=2)
  said = mask_report.summary(done, str(tmp_path / 'out'), 1.0)
  for words in (
      '2 masks are palette PNGs: their indices are the classes',
      '1 train image has no class at all in the mask, but the label to ignore '
      'everywhere: a.jpg', '1 class is in no train mask: 1',
      'no mask has a class but 0: if 255 stands for a class, as in masks of 0 '
      'and 255, say --label_map=0:0,255:1'):
    assert words in said


def test_classes_that_count_from_1(tmp_path):
  pairs = mask_trees.write(tmp_path / 'in', {'train': 3})
  done = mask_trees.convert(tmp_path / 'in', tmp_path / 'out', num_classes=2,
                            reduce_zero_label=True)
  for name, record in mask_trees.records(tmp_path / 'out').items():
    stored = mask_trees.values_of(
        pairs['train', name.removesuffix('.jpg')][1])
    expected = {0: 255, 1: 0, 2: 1, 255: 255}
    assert mask_trees.mask_of(record).tolist() == [
        [expected[value] for value in row] for row in stored.tolist()]
  said = mask_report.summary(done, str(tmp_path / 'out'), 1.0)
  assert ('--reduce_zero_label: 0 is written as 255, which is ignored, and 1 '
          'to 2 as 0 to 1') in said


class StoppedError(Exception):
  pass


@pytest.mark.parametrize('count', [1, 7, 20])
def test_an_interrupted_conversion_goes_on(tmp_path, count):
  mask_trees.write(tmp_path / 'in', {'train': 20})
  mask_trees.convert(tmp_path / 'in', tmp_path / 'expected')

  def run(tasks):
    def report(num_images, num_bytes):
      del num_bytes
      if num_images == count:
        raise StoppedError
    conversions.convert_here(tasks, report)
  out = tmp_path / 'out'
  with pytest.raises(StoppedError):
    mask_trees.convert(tmp_path / 'in', out, runner=run)
  before = {name: os.stat(out / name).st_mtime_ns
            for name in conversions.shards(out)}
  mask_trees.convert(tmp_path / 'in', out)
  assert conversions.files(out) == conversions.files(tmp_path / 'expected')
  assert all(os.stat(out / name).st_mtime_ns == when
             for name, when in before.items())


def test_what_is_missing_may_be_added(tmp_path, capsys):
  mask_trees.write(tmp_path / 'in', {'train': 6})
  masks = [tmp_path / f'in/masks/train/train0{number}.png'
           for number in range(2)]
  contents = [mask.read_bytes() for mask in masks]
  for mask in masks:
    mask.unlink()
  first = mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  assert not first.is_finished
  assert len(first.manifest['splits']['train']['shards']) == 4
  for mask, content in zip(masks, contents):
    mask.write_bytes(content)
  listener = conversion_report.Reporter(sys.stderr)
  done = mask_trees.convert(
      tmp_path / 'in', tmp_path / 'out', listener=listener)
  assert done.is_finished
  assert ('removed 4 shards of an unfinished run, which had another number of '
          'them\n') in capsys.readouterr().err
  mask_trees.convert(tmp_path / 'in', tmp_path / 'anew')
  assert conversions.files(tmp_path / 'out') == conversions.files(
      tmp_path / 'anew')


def test_what_is_kept_is_told(tmp_path, capsys):
  mask_trees.write(tmp_path / 'in', {'train': 20})
  def stop(tasks):
    conversions.convert_here(tasks[:3])
    raise StoppedError
  listener = conversion_report.Reporter(sys.stderr)
  with pytest.raises(StoppedError):
    mask_trees.convert(tmp_path / 'in', tmp_path / 'out', runner=stop,
                       listener=listener)
  assert 'resuming' not in capsys.readouterr().err
  mask_trees.convert(tmp_path / 'in', tmp_path / 'out', listener=listener)
  assert ('resuming: 3 of 16 shards are there already, and kept if still as '
          'written\n') in capsys.readouterr().err


def test_a_mask_that_was_changed_is_written_anew_on_resuming(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 2})
  def stop(tasks):
    conversions.convert_here(tasks)
    raise StoppedError
  with pytest.raises(StoppedError):
    mask_trees.convert(tmp_path / 'in', tmp_path / 'out', runner=stop)
  path = tmp_path / 'in/masks/train/train00.png'
  other = mask_trees.indices(0)
  other[-1] = 2
  content = mask_trees.png(other)
  # Of the same length, so that the time alone tells.
  path.write_bytes(content)
  mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  record = mask_trees.records(tmp_path / 'out')['train00.jpg']
  assert np.array_equal(mask_trees.mask_of(record), other)
  path.write_bytes(content)
  again = mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  assert again.was_finished and again.has_changed


@pytest.mark.long
def test_two_processes_and_an_archive_give_the_same_bytes(tmp_path, repository):
  mask_trees.write(tmp_path / 'in', {'train': 6})
  mask_trees.convert(tmp_path / 'in', tmp_path / 'expected', num_classes=3)
  files = {str(path.relative_to(tmp_path / 'in')): path.read_bytes()
           for path in (tmp_path / 'in').rglob('*.*')}
  image_trees.write(tmp_path / 'in.tar', image_trees.tar_bytes(files))
  result = commands.run(
      *COMMAND, f'--input={tmp_path}/in.tar', f'--output_dir={tmp_path}/out',
      '--num_classes=3', '--num_workers=2', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert conversions.shards(tmp_path / 'out') == conversions.shards(
      tmp_path / 'expected')


@pytest.mark.long
def test_killed_after_a_pair(repository, tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 30})
  mask_trees.convert(tmp_path / 'in', tmp_path / 'expected')
  for last_pair in (3, 11):
    result = commands.run_alone(
        repository / 'tests/killed_conversion.py', tmp_path / 'in',
        tmp_path / 'out', last_pair, 'masks', cwd=repository,
        PYTHONPATH=str(repository))
    assert result.returncode == -signal.SIGKILL
    assert not (tmp_path / 'out/manifest.json').exists()
  mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  assert conversions.files(tmp_path / 'out') == conversions.files(
      tmp_path / 'expected')


def test_the_disk_is_too_full(tmp_path, monkeypatch):
  pairs = mask_trees.write(tmp_path / 'in', {'train': 2})
  size = sum(len(image) + len(mask) for image, mask in pairs.values())
  monkeypatch.setattr('data_prep.storage.free_bytes', lambda folder: size)
  with pytest.raises(ValueError, match='are free there'):
    mask_trees.convert(tmp_path / 'in', tmp_path / 'out')
  assert json.loads(next((tmp_path / 'out/.conversion').glob(
      '*.plan')).read_text())['masks']['ignore_label'] == 255


def test_a_folder_in_the_output_is_refused(tmp_path):
  mask_trees.write(tmp_path / 'in', {'train': 1})
  with pytest.raises(ValueError, match='lies in the input'):
    mask_trees.convert(tmp_path / 'in', pathlib.Path(tmp_path / 'in/out'))
