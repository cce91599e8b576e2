"""Tests of conversions: same bytes again, going on, refusing, listing."""

import json
import os

import conversions
import image_trees
import pytest

from data_prep import conversion
from data_prep import plan as plans
from data_prep import storage


def test_every_image_is_there_once(folder, tmp_path):
  done = conversions.convert(folder, tmp_path / 'out')
  assert done.is_finished and not done.was_finished
  found = list(conversions.read(tmp_path / 'out', 'train'))
  expected = {str(path.relative_to(folder)): path.read_bytes()
              for path in folder.rglob('*.jpg')}
  assert len(found) == len(expected) == 40
  assert conversions.images(tmp_path / 'out', 'train') == expected
  for record in found:
    assert (record['image/height'], record['image/width']) == (16, 24)
  # 16 shards whose sizes differ by one at most, and no order of classes.
  sizes = [shard['num_images']
           for shard in done.manifest['splits']['train']['shards']]
  assert len(sizes) == 16 and set(sizes) == {2, 3}
  labels = [record['image/class/label'] for record in found]
  assert labels != sorted(labels)


@pytest.mark.parametrize('num_workers', [1, 2, 5])
def test_the_number_of_workers_does_not_matter(
    folder, tmp_path, expected, num_workers):
  conversions.convert(folder, tmp_path / 'out', num_workers=num_workers)
  assert conversions.files(tmp_path / 'out') == expected


@pytest.mark.slow
def test_the_seed_decides_the_order(folder, tmp_path, expected):
  conversions.convert(folder, tmp_path / 'out', seed=1)
  assert conversions.shards(tmp_path / 'out') != {
      name: expected[name] for name in conversions.shards(tmp_path / 'out')}
  assert conversions.images(tmp_path / 'out', 'train') == conversions.images(
      tmp_path / 'expected', 'train')


def test_where_the_images_lie_does_not_matter(folder, tmp_path, expected):
  files = {f'x/{path.relative_to(folder)}': path.read_bytes()
           for path in sorted(folder.rglob('*.jpg'), reverse=True)}
  image_trees.write(tmp_path / 'y.tar', image_trees.tar_bytes(files))
  conversions.convert(tmp_path / 'y.tar', tmp_path / 'out')
  assert conversions.shards(tmp_path / 'out') == {
      name: expected[name] for name in conversions.shards(tmp_path / 'out')}


def test_the_manifest(folder, tmp_path):
  done = conversions.convert(folder, tmp_path / 'out', shards={'train': 3})
  manifest = json.loads((tmp_path / 'out/manifest.json').read_text())
  assert manifest == done.manifest
  assert manifest['classes'] == [
      {'label': label, 'name': name, 'synset': '', 'num_images': {'train': n}}
      for label, (name, n) in enumerate((('a', 20), ('b', 15), ('c', 5)))]
  assert manifest['splits']['train']['num_images'] == 40
  assert manifest['options']['seed'] == 0
  assert manifest['inputs'] == [str(folder)]
  assert [shard['name'] for shard in manifest['splits']['train']['shards']] == [
      f'train-{index:05d}-of-00003' for index in range(3)]


class StoppedError(Exception):
  pass


def stopping_after(count):
  """A runner that dies when `count` images are converted."""
  def run(tasks):
    def report(num_images, num_bytes):
      del num_bytes
      if num_images == count:
        raise StoppedError
    return conversions.convert_here(tasks, report)
  return run


@pytest.mark.parametrize('count', [1, 2, 3, 17, 39, 40])
def test_an_interrupted_conversion_goes_on(folder, tmp_path, expected, count):
  with pytest.raises(StoppedError):
    conversions.convert(
        folder, tmp_path / 'out', runner=stopping_after(count))
  assert 'manifest.json' not in conversions.files(tmp_path / 'out')
  before = {name: os.stat(tmp_path / 'out' / name).st_mtime_ns
            for name in conversions.shards(tmp_path / 'out')}
  # An image that completes a shard interrupts before the shard is complete.
  assert len(before) <= count // 2
  conversions.convert(folder, tmp_path / 'out')
  assert conversions.files(tmp_path / 'out') == expected
  kept = [name for name, when in before.items()
          if os.stat(tmp_path / 'out' / name).st_mtime_ns == when]
  assert kept == list(before)


def test_a_shard_damaged_since_is_written_again(folder, tmp_path, expected):
  with pytest.raises(StoppedError):
    conversions.convert(folder, tmp_path / 'out', runner=stopping_after(20))
  first = tmp_path / 'out' / min(conversions.shards(tmp_path / 'out'))
  content = bytearray(first.read_bytes())
  content[100] ^= 1
  first.write_bytes(content)
  # As a power failure leaves a file.
  results = sorted((tmp_path / 'out' / plans.WORK_FOLDER).glob('*.result'))
  results[1].write_bytes(b'')
  conversions.convert(folder, tmp_path / 'out')
  assert conversions.files(tmp_path / 'out') == expected


def test_a_finished_conversion_is_left_alone(folder, tmp_path, expected):
  again = conversions.convert(folder, tmp_path / 'expected')
  assert again.is_finished and again.was_finished
  assert conversions.files(tmp_path / 'expected') == expected


def test_a_finished_conversion_that_was_damaged_is_fixed(
    folder, tmp_path, expected):
  names = sorted(conversions.shards(tmp_path / 'expected'))
  (tmp_path / 'expected' / names[0]).unlink()
  (tmp_path / 'expected' / names[1]).write_bytes(b'damaged')
  again = conversions.convert(folder, tmp_path / 'expected')
  assert again.is_finished and not again.was_finished
  assert conversions.files(tmp_path / 'expected') == expected


@pytest.mark.parametrize('how, differences, typed', [
    (dict(seed=1), '--seed was 0 and is 1', '--seed=0'),
    (dict(check='decode', jpeg_quality=90), '--check was header and is decode, '
     '--jpeg_quality was 95 and is 90', '--check=header --jpeg_quality=95'),
    # Which leaves another number of shards, too.
    (dict(validation_fraction=0.8), '--validation_fraction was 0.0 and is 0.8',
     '--validation_fraction=0.0'),
    (dict(shards={'train': 3}), '--num_train_shards was 16 and is 3',
     '--num_train_shards=16')])
def test_other_options_do_not_overwrite(
    folder, tmp_path, expected, how, differences, typed):
  with pytest.raises(ValueError) as caught:
    conversions.convert(folder, tmp_path / 'expected', **how)
  assert str(caught.value) == (
      f'{tmp_path}/expected holds a finished conversion with other options: '
      f'{differences}. Type {typed} for what is there, or choose another '
      '--output_dir, or remove it.')
  assert conversions.files(tmp_path / 'expected') == expected


def test_other_images_do_not_overwrite(folder, tmp_path, expected):
  (folder / 'a/000.jpg').unlink()
  with pytest.raises(ValueError, match='other images or with other options'):
    conversions.convert(folder, tmp_path / 'expected')
  assert conversions.files(tmp_path / 'expected') == expected


def test_an_image_may_be_removed_after_an_unfinished_run(tmp_path):
  for label, name in enumerate('ab'):
    for number in range(2):
      image_trees.write(tmp_path / f'in/{name}/{number}.jpg',
                        image_trees.encode(2 * label + number))
  image_trees.write(tmp_path / 'in/a/web.jpg', b'<html>')
  assert not conversions.convert(tmp_path / 'in', tmp_path / 'out').is_finished
  assert 'train-00000-of-00005' in conversions.shards(tmp_path / 'out')
  # What no plan names is not of the conversion.
  image_trees.write(tmp_path / 'out/train-00000-of-00009', b'')
  (tmp_path / 'in/a/web.jpg').unlink()
  with pytest.raises(ValueError, match='already holds train-00000-of-00009'):
    conversions.convert(tmp_path / 'in', tmp_path / 'out')
  (tmp_path / 'out/train-00000-of-00009').unlink()
  conversions.convert(tmp_path / 'in', tmp_path / 'out')
  conversions.convert(tmp_path / 'in', tmp_path / 'anew')
  assert conversions.files(tmp_path / 'out') == conversions.files(
      tmp_path / 'anew')


def test_shards_of_another_count_are_not_mixed_in(folder, tmp_path):
  image_trees.write(tmp_path / 'out/validation-00000-of-00002', b'')
  with pytest.raises(ValueError, match='already holds validation-00000-of'):
    conversions.convert(folder, tmp_path / 'out')


def test_a_second_run_at_once_is_refused(folder, tmp_path):
  def run(tasks):
    with pytest.raises(ValueError, match='another run is writing'):
      conversions.convert(folder, tmp_path / 'out')
    return conversions.convert_here(tasks)
  assert conversions.convert(folder, tmp_path / 'out', runner=run).is_finished


def test_two_images_of_one_name(tmp_path):
  for root in ('one/train', 'two/train'):
    image_trees.class_folders(tmp_path / root, {'a': 1, 'b': 1})
  with pytest.raises(ValueError, match='one/train/a/000.jpg and .*two/train/a'):
    conversions.convert(
        [('train', tmp_path / 'one/train'), ('train', tmp_path / 'two/train')],
        tmp_path / 'out')


def test_two_folders_of_one_class(tmp_path):
  for name in ('a/images', 'a', 'b'):
    image_trees.write(tmp_path / 'in' / name / '1.jpg', image_trees.encode(1))
  with pytest.raises(ValueError, match='in/a/1.jpg and in/a/images/1.jpg are'):
    conversions.convert(tmp_path / 'in', tmp_path / 'out')


def test_a_class_may_be_spread_over_two_inputs(tmp_path):
  image_trees.class_folders(tmp_path / 'one/train', {'a': 1, 'b': 1})
  image_trees.class_folders(tmp_path / 'two/train', {'a': 1}, suffix='.jpeg')
  conversions.convert(
      [('train', tmp_path / 'one'), ('train', tmp_path / 'two')],
      tmp_path / 'out')
  assert conversions.labels(tmp_path / 'out', 'train') == {
      'a/000.jpg': 0, 'b/000.jpg': 1, 'a/000.jpeg': 0}


def test_output_within_the_input_is_refused(folder):
  with pytest.raises(ValueError, match='lies in the input'):
    conversions.convert(folder, folder / 'out')


def test_a_full_disk_is_found_before_the_start(folder, tmp_path, monkeypatch):
  monkeypatch.setattr(storage, 'free_bytes', lambda path: 20_000)
  with pytest.raises(ValueError, match='needs 0.0 GB, but 0.0 GB are free'):
    conversions.convert(folder, tmp_path / 'out')
  assert not conversions.shards(tmp_path / 'out')


def test_on_a_remote_store(folder, tmp_path, expected):
  inputs = 'memory://conversion_test/in'
  for path in folder.rglob('*.jpg'):
    storage.write_bytes(
        f'{inputs}/{path.relative_to(folder)}', path.read_bytes())
  output_dir = 'memory://conversion_test/out'
  assert conversions.convert(inputs, output_dir).is_finished
  for name in conversions.shards(tmp_path / 'expected'):
    assert storage.read_bytes(f'{output_dir}/{name}') == expected[name]
  assert conversions.convert(inputs, output_dir).was_finished


def test_the_usual_number_of_shards():
  assert plans.num_shards('train', 1_281_167, 137_000_000_000) == 1024
  assert plans.num_shards('validation', 50_000, 6_300_000_000) == 128
  assert plans.num_shards('train', 14_000_000, 1_300_000_000_000) == 4843
  assert plans.num_shards('train', 50_000, 46_000_000) == 16
  assert plans.num_shards('train', 3, 10_000) == 3


def test_more_shards_than_images(folder, tmp_path):
  with pytest.raises(ValueError, match='--num_train_shards to at most 40'):
    conversions.convert(folder, tmp_path / 'out', shards={'train': 41})


def test_listeners_are_told(folder, tmp_path):
  told = []

  class Listener(conversion.Listener):
    def scanned(self, num_images):
      told.append(num_images)

    def recognised(self, data_set, totals):
      told.append((data_set.form, totals['train'][0]))

  conversion.convert(
      conversion.Inputs((('', str(folder)),)), str(tmp_path / 'out'),
      plans.Options(), {}, 0, conversions.convert_here, Listener())
  assert told == [40, ('a folder per class', 40)]
