"""Tests of what a conversion lists: corrupt, re-encoded, left out, changed."""

import json
import os

import conversions
import handmade_images
import image_trees
import pytest

from data_prep import conversion_report
from data_prep import verification


@pytest.mark.slow
def test_corrupt_images_are_listed_and_counted(folder, tmp_path):
  (folder / 'a/000.jpg').write_bytes(b'')
  (folder / 'b/001.jpg').write_bytes(b'no image')
  (folder / 'c/link.jpg').symlink_to('nowhere')
  out = tmp_path / 'out'
  done = conversions.convert(folder, out)
  assert not done.is_finished and not (out / 'manifest.json').exists()
  expected = {
      'in/c/link.jpg': 'cannot be read: No such file or directory',
      'a/000.jpg': 'empty: zero bytes',
      'b/001.jpg': 'not an image: begins with 6e 6f 20 69'}
  assert {row['file']: row['reason'] for row in conversions.listed(
      out, 'quarantined.jsonl')} == expected
  assert not conversions.convert(folder, out, max_corrupt=2).is_finished
  done = conversions.convert(folder, out, max_corrupt=3)
  assert done.is_finished
  assert done.manifest['quarantined']['count'] == 3
  assert len(conversions.images(out, 'train')) == 38
  assert not {'a/000.jpg', 'b/001.jpg'} & set(conversions.images(out, 'train'))


def test_an_image_fixed_after_a_first_run_is_taken(
    folder, tmp_path, expected):
  whole = (folder / 'a/000.jpg').read_bytes()
  # Of the same size, so that nothing but reading it again can tell.
  (folder / 'a/000.jpg').write_bytes(bytes(len(whole)))
  assert not conversions.convert(folder, tmp_path / 'out').is_finished
  (folder / 'a/000.jpg').write_bytes(whole)
  assert conversions.convert(folder, tmp_path / 'out').is_finished
  assert conversions.files(tmp_path / 'out') == expected


def test_an_image_changed_meanwhile_is_taken_again(folder, tmp_path):
  """Of the same size: when it was modified tells."""
  (folder / 'b/000.jpg').write_bytes(b'')
  assert not conversions.convert(folder, tmp_path / 'out').is_finished
  whole = (folder / 'a/000.jpg').read_bytes()
  changed = whole[:-3] + b'\0' + whole[-2:]
  (folder / 'a/000.jpg').write_bytes(changed)
  os.utime(folder / 'a/000.jpg', (1, 1))
  done = conversions.convert(folder, tmp_path / 'out', max_corrupt=1)
  assert done.is_finished
  assert conversions.images(tmp_path / 'out', 'train')['a/000.jpg'] == changed


def test_changes_after_the_end_are_said(folder, tmp_path):
  assert not conversions.convert(folder, tmp_path / 'out').has_changed
  assert not conversions.convert(folder, tmp_path / 'out').has_changed
  os.utime(folder / 'a/000.jpg', (1, 1))
  assert conversions.convert(folder, tmp_path / 'out').has_changed


def test_accepting_fewer_corrupt_images_than_there_are(folder, tmp_path):
  (folder / 'b/000.jpg').write_bytes(b'')
  for max_corrupt, is_finished in ((0, False), (1, True), (0, False)):
    assert conversions.convert(
        folder, tmp_path / 'out', max_corrupt=max_corrupt
    ).is_finished == is_finished


@pytest.mark.parametrize('name', ['left_out.jsonl', 'quarantined.jsonl'])
def test_a_list_that_is_missing_can_be_made_again(
    folder, tmp_path, expected, name):
  (tmp_path / 'expected' / name).unlink()
  (tmp_path / 'expected/class_names.txt').unlink()
  with pytest.raises(ValueError, match=f'{name} is missing or has changed'):
    conversions.convert(folder, tmp_path / 'expected')
  (tmp_path / 'expected/manifest.json').unlink()
  conversions.convert(folder, tmp_path / 'expected')
  assert conversions.files(tmp_path / 'expected') == expected


def test_images_of_forms_that_are_not_read_are_missed(folder, tmp_path):
  image_trees.write(folder / 'a/photo.HEIC', b'\0\0\0\x18ftypheic')
  assert not conversions.convert(folder, tmp_path / 'out').is_finished
  (row,) = conversions.listed(tmp_path / 'out', 'quarantined.jsonl')
  assert row['file'] == 'a/photo.HEIC'


def test_folders_that_lead_to_no_image_are_named(folder, tmp_path):
  (folder / 'nothing').mkdir()
  image_trees.class_folders(folder, {'license': 2})
  conversions.convert(folder, tmp_path / 'out')
  assert conversions.listed(tmp_path / 'out', 'left_out.jsonl') == [
      {'split': '', 'file': 'in/nothing', 'reason': 'an empty folder'}]
  assert 'license/000.jpg' in conversions.labels(tmp_path / 'out', 'train')


def test_a_class_folder_that_is_a_link_to_another_is_refused(folder, tmp_path):
  (tmp_path / 'elsewhere').mkdir()
  image_trees.write(tmp_path / 'elsewhere/1.jpg', image_trees.encode(900))
  (folder / 'linked').symlink_to(tmp_path / 'elsewhere')
  # A link is as good as a folder.
  conversions.convert(folder, tmp_path / 'out')
  assert conversions.labels(tmp_path / 'out', 'train')['linked/1.jpg'] == 3
  (folder / 'zebra').symlink_to('a')
  with pytest.raises(ValueError, match=(
      f'{folder}/a and {folder}/zebra are the same, by a symbolic link')):
    conversions.convert(folder, tmp_path / 'again')
  (folder / 'zebra').unlink()
  (folder / 'zebra').symlink_to(tmp_path / 'elsewhere')
  with pytest.raises(ValueError, match='linked and .*zebra are the same'):
    conversions.convert(folder, tmp_path / 'again')
  assert not conversions.files(tmp_path / 'again')


def test_images_that_are_taken_more_than_once_by_links_are_told(tmp_path):
  files = image_trees.class_folders(
      tmp_path / 'in/train', {'a': 4, 'b': 2}, width=8, height=8)
  image_trees.class_folders(tmp_path / 'in/val', {'a': 1, 'b': 1})
  (tmp_path / 'in/train/a/again.jpg').symlink_to('000.jpg')
  (tmp_path / 'in/train/b/sym.jpg').symlink_to('../a/001.jpg')
  os.link(tmp_path / 'in/train/a/002.jpg', tmp_path / 'in/train/b/hard.jpg')
  (tmp_path / 'in/val/b/seen.jpg').symlink_to('../../train/b/001.jpg')
  # A link to what is in no class or split is as good as a file.
  image_trees.write(tmp_path / 'pool.jpg', image_trees.encode(900))
  (tmp_path / 'in/val/a/pool.jpg').symlink_to(tmp_path / 'pool.jpg')
  done = conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert done.data_set.notes == (
      'by links 1 file is in several splits, so a model is tested on what it '
      "has learned, such as 'in/train/b/001.jpg' and 'in/val/b/seen.jpg'",
      'by links 2 files are in several classes, and get the label of each, '
      "such as 'in/train/a/001.jpg' and 'in/train/b/sym.jpg'",
      'by links 1 file is in one class more than once, such as '
      "'in/train/a/000.jpg' and 'in/train/a/again.jpg'")
  assert conversions.labels(tmp_path / 'out', 'train')['b/sym.jpg'] == 1
  assert conversions.images(tmp_path / 'out', 'train')['b/sym.jpg'] == files[
      'a/001.jpg']


def test_an_input_given_twice(folder, tmp_path):
  with pytest.raises(ValueError, match='are the same input'):
    conversions.convert(
        [('', folder), ('train', f'{folder}/')], tmp_path / 'out')


def test_an_output_that_is_a_file(folder, tmp_path):
  (tmp_path / 'out').write_text('')
  with pytest.raises(ValueError, match='is a file'):
    conversions.convert(folder, tmp_path / 'out')


def test_nothing_but_corrupt_images(tmp_path):
  for name in 'ab':
    image_trees.write(tmp_path / f'in/{name}/1.jpg', b'')
  with pytest.raises(ValueError, match='not one of the images is whole'):
    conversions.convert(tmp_path / 'in', tmp_path / 'out', max_corrupt=9)


def test_stray_files_are_named_and_left_out(folder, tmp_path):
  for name in ('.DS_Store', 'a/Thumbs.db', 'a/._000.jpg', 'list.txt',
               '__MACOSX/a/000.jpg', 'a/notes', 'archive.zip'):
    image_trees.write(folder / name, b'x')
  for name in ('a/000.jpg~', 'a/000.jpg.bak'):
    image_trees.write(folder / name, image_trees.encode(899))
  # Not by their names, but by what they are, images.
  image_trees.write(folder / 'a/no_suffix', image_trees.encode(900))
  image_trees.write(folder / 'a/odd.suffix', image_trees.encode(901))
  done = conversions.convert(folder, tmp_path / 'out')
  assert done.is_finished
  assert {row['file'] for row in conversions.listed(
      tmp_path / 'out', 'left_out.jsonl')} == {
          'in/.DS_Store', 'in/a/Thumbs.db', 'in/a/._000.jpg', 'in/list.txt',
          'in/__MACOSX/a/000.jpg', 'in/a/notes', 'in/archive.zip',
          'in/a/000.jpg~', 'in/a/000.jpg.bak'}
  assert {'a/no_suffix', 'a/odd.suffix'} < set(
      conversions.images(tmp_path / 'out', 'train'))


def test_what_is_reencoded_is_listed(folder, tmp_path):
  image_trees.write(folder / 'a/png.JPEG', image_trees.encode(900, 'PNG'))
  image_trees.write(folder / 'a/cmyk.jpg', image_trees.encode(9, mode='CMYK'))
  done = conversions.convert(folder, tmp_path / 'out')
  assert done.manifest['reencoded']['count'] == 1
  assert conversions.listed(tmp_path / 'out', 'reencoded.jsonl') == [
      {'split': 'train', 'file': 'a/png.JPEG', 'was': 'PNG'}]
  images = conversions.images(tmp_path / 'out', 'train')
  assert images['a/png.JPEG'][:3] == b'\xff\xd8\xff'
  assert images['a/cmyk.jpg'] == (folder / 'a/cmyk.jpg').read_bytes()


def photographs(root, *classes):
  """Files in class folders: one upright, one to be turned, in each."""
  for seed, name in enumerate(classes):
    upright = image_trees.encode(seed)
    for stem, exif in (('upright', handmade_images.exif(1)),
                       ('lying', handmade_images.exif(6))):
      image_trees.write(root / name / f'{stem}.jpg',
                        handmade_images.with_exif(upright, exif))
  return {str(path.relative_to(root)): path.read_bytes()
          for path in root.rglob('*.jpg')}


def test_what_is_turned_is_listed_and_counted(tmp_path):
  files = photographs(tmp_path / 'in', 'a', 'b')
  out = tmp_path / 'out'
  done = conversions.convert(tmp_path / 'in', out)
  assert done.manifest['num_turned'] == 2
  assert done.manifest['options']['exif_orientation'] == 'apply'
  assert {row['file']: row['was'] for row in conversions.listed(
      out, 'reencoded.jsonl')} == {
          f'{name}/lying.jpg': 'JPEG, turned by EXIF orientation 6'
          for name in 'ab'}
  found = conversions.images(out, 'train')
  assert {name for name in found if found[name] == files[name]} == {
      'a/upright.jpg', 'b/upright.jpg'}
  sizes = {record['image/filename'].decode():
           (record['image/width'], record['image/height'])
           for record in conversions.read(out, 'train')}
  assert sizes['a/lying.jpg'] == sizes['a/upright.jpg'][::-1] == (16, 24)
  said = conversion_report.summary(done, str(out), 1)
  assert '2 turned by their EXIF orientation' in said.splitlines()
  assert list(verification.verify(str(out), lambda done, total: None)) == []
  # Another choice is another conversion; the same one repairs.
  with pytest.raises(ValueError, match=(
      '--exif_orientation was apply and is ignore. Type --exif_orientation=appl'
      'y for')):
    conversions.convert(tmp_path / 'in', out, exif_orientation='ignore')
  before = conversions.shards(out)
  next(out.glob('train-*')).unlink()
  assert conversions.convert(tmp_path / 'in', out).is_finished
  assert conversions.shards(out) == before


@pytest.mark.parametrize('classes, form, by_default', [
    (('a', 'b'), 'auto', 'apply'),
    (('n01440764', 'n01443537'), 'imagenet', 'ignore')])
def test_imagenet_stays_as_it_is_stored(tmp_path, classes, form, by_default):
  files = photographs(tmp_path / 'in', *classes)
  done = conversions.convert(
      tmp_path / 'in', tmp_path / 'out', form, exif_orientation='')
  assert done.manifest['options']['exif_orientation'] == by_default
  kept = set(conversions.images(tmp_path / 'out', 'train').values())
  assert (kept == set(files.values())) == (by_default == 'ignore')
  assert done.manifest['num_turned'] == (2 if by_default == 'apply' else 0)


def test_other_color_profiles_are_counted(tmp_path):
  linear = handmade_images.color_profile((
      (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708),
      (0.14307, 0.06061, 0.71410)), 1.0)
  for name, profile in (('a', linear), ('b', None)):
    image_trees.write(tmp_path / 'in' / name / '1.jpg',
                      image_trees.encode(1, icc_profile=profile))
  done = conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert done.manifest['num_other_profiles'] == 1
  assert '1 with a color profile that is not sRGB' in (
      conversion_report.summary(done, str(tmp_path / 'out'), 1))


def test_a_conversion_of_the_version_before_is_told(folder, tmp_path):
  conversions.convert(folder, tmp_path / 'out')
  path = tmp_path / 'out/manifest.json'
  manifest = json.loads(path.read_text())
  del manifest['options']['exif_orientation']
  path.write_text(json.dumps({**manifest, 'identity': 'of then'}))
  with pytest.raises(ValueError, match='a version that knew no --exif_orie'):
    conversions.convert(folder, tmp_path / 'out')
