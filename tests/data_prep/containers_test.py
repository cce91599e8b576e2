"""Tests of folders and archives as one tree."""

import gzip
import io
import os
import tarfile

import image_trees
import pytest

from data_prep import containers


def walk(path):
  """Bytes of the files, and reasons of what is none, by path."""
  files, left_out = {}, {}
  for found in containers.walk(str(path)):
    if isinstance(found, containers.Member):
      files[found.path] = found.read()
      assert len(files[found.path]) == found.size
    else:
      left_out[found.path] = (found.reason, found.is_lost)
  return files, left_out


def test_archives_read_like_what_they_extract_to(tmp_path):
  content = {'n1.tar': {'a.JPEG': b'a', 'b.JPEG': b'bb'},
             'n2.tar': {'c.JPEG': b'ccc'}, 'list.txt': b'd'}
  expected = {'n1/a.JPEG': b'a', 'n1/b.JPEG': b'bb', 'n2/c.JPEG': b'ccc',
              'list.txt': b'd'}
  image_trees.write(tmp_path / 'all.tar', image_trees.tar_bytes(content))
  assert walk(tmp_path / 'all.tar') == (expected, {})
  assert walk(tmp_path) == (
      {f'all/{path}': data for path, data in expected.items()}, {})
  for path, data in expected.items():
    image_trees.write(tmp_path / 'tree' / path, data)
  assert walk(tmp_path / 'tree') == (expected, {})


def test_names_of_all_kinds(tmp_path):
  names = ['with space.jpg', '\u732b.jpg', "quote'.jpg", 'new\nline.jpg',
           os.fsdecode(b'not-utf8-\xff.jpg')]
  for name in names:
    image_trees.write(tmp_path / 'tree' / name, name.encode(
        errors='surrogateescape'))
  files, left_out = walk(tmp_path / 'tree')
  assert set(files) == set(names) and not left_out
  image_trees.write(tmp_path / 'all.tar', image_trees.tar_bytes(files))
  assert walk(tmp_path / 'all.tar') == (files, {})


def test_paths_out_of_an_archive_are_not_followed(tmp_path):
  image_trees.write(tmp_path / 'a.tar', image_trees.tar_bytes({
      '../out.jpg': b'1', '/etc/out.jpg': b'2', 'a/../../out.jpg': b'3',
      'a/../in.jpg': b'4', './b/in.jpg': b'5'}))
  files, left_out = walk(tmp_path / 'a.tar')
  assert files == {'in.jpg': b'4', 'b/in.jpg': b'5'}
  assert left_out == {name: ('its path leads out of the archive', True)
                      for name in (
                          '../out.jpg', '/etc/out.jpg', 'a/../../out.jpg')}
  assert [path.name for path in tmp_path.iterdir()] == ['a.tar']


def test_links_and_devices_in_an_archive(tmp_path):
  with tarfile.open(tmp_path / 'a.tar', 'w') as archive:
    for name, kind in (('soft.jpg', tarfile.SYMTYPE),
                       ('hard.jpg', tarfile.LNKTYPE),
                       ('pipe', tarfile.FIFOTYPE), ('folder', tarfile.DIRTYPE)):
      entry = tarfile.TarInfo(name)
      entry.type = kind
      entry.linkname = 'elsewhere'
      archive.addfile(entry)
  assert walk(tmp_path / 'a.tar') == ({}, {
      'soft.jpg': ('a link to elsewhere', True),
      'hard.jpg': ('a link to elsewhere', True),
      'pipe': ('not a regular file', False)})


def test_symbolic_links_in_a_folder(tmp_path):
  image_trees.write(tmp_path / 'elsewhere/a.jpg', b'a')
  tree = tmp_path / 'tree'
  image_trees.write(tree / 'sub/b.jpg', b'b')
  (tree / 'linked').symlink_to(tmp_path / 'elsewhere')
  (tree / 'sub/c.jpg').symlink_to(tmp_path / 'elsewhere/a.jpg')
  (tree / 'sub/loop').symlink_to(tree)
  (tree / 'broken.jpg').symlink_to(tmp_path / 'nowhere')
  (tree / 'itself.jpg').symlink_to(tree / 'itself.jpg')
  os.mkfifo(tree / 'pipe')
  files, left_out = walk(tree)
  assert files == {'linked/a.jpg': b'a', 'sub/b.jpg': b'b', 'sub/c.jpg': b'a'}
  assert left_out['sub/loop'] == (
      'a symbolic link to a folder that it lies in', False)
  assert left_out['pipe'] == ('not a regular file', False)
  assert 'No such file' in left_out['broken.jpg'][0]
  assert left_out['broken.jpg'][1]
  assert 'symbolic links' in left_out['itself.jpg'][0]


def nested():
  return image_trees.tar_bytes({
      'n1.tar': {'a.jpg': b'a' * 3000, 'b.jpg': b'b' * 3000},
      'n2.tar': {'c.jpg': b'c' * 3000}})


def test_every_truncation_of_an_archive_is_found(tmp_path):
  content = nested()
  whole = len(content.rstrip(b'\0'))
  path = tmp_path / 'a.tar'
  for length in [0, 1, 511, *range(512, whole, 512), whole - 1]:
    path.write_bytes(content[:length])
    with pytest.raises(ValueError, match='a.tar.*[Dd]ownload it again'):
      walk(path)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
  content = bytearray(image_trees.tar_bytes(
      {f'{number}.jpg': b'x' * 700 for number in range(5)}))
  # The third of five headers, each before two blocks of data.
  content[2 * 3 * 512 + 5] ^= 0xff
  (tmp_path / 'a.tar').write_bytes(content)
  with pytest.raises(ValueError, match='neither a file nor the end'):
    walk(tmp_path / 'a.tar')


def test_damage_within_an_archive_is_located(tmp_path):
  inner = bytearray(image_trees.tar_bytes({'a.jpg': b'a' * 3000}))
  inner[0] ^= 0xff
  (tmp_path / 'a.tar').write_bytes(
      image_trees.tar_bytes({'n1.tar': bytes(inner)}))
  with pytest.raises(ValueError, match='n1.tar in .*a.tar'):
    walk(tmp_path / 'a.tar')


@pytest.mark.parametrize('name, fix', [
    ('a.tar.gz', 'Extract it'), ('a.zip', 'Extract it'),
    ('a.jpg', 'folder that it lies in')])
def test_other_files_are_no_trees(tmp_path, name, fix):
  image_trees.write(tmp_path / name, b'?')
  with pytest.raises(ValueError, match=fix):
    walk(tmp_path / name)
  with pytest.raises(ValueError, match='does not exist'):
    walk(tmp_path / 'missing')


def test_a_compressed_archive_of_another_name(tmp_path):
  path = image_trees.write(tmp_path / 'a.tar', gzip.compress(nested()))
  with pytest.raises(ValueError, match='is compressed with gzip. Extract it'):
    walk(path)


def test_pax_and_old_archives(tmp_path):
  long_name = 'd/' * 60 + 'x' * 120 + '.jpg'
  for number, how in enumerate(
      (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)):
    name = 'short.jpg' if how == tarfile.USTAR_FORMAT else long_name
    encoded = io.BytesIO()
    with tarfile.open(fileobj=encoded, mode='w', format=how) as archive:
      image_trees.add_to_tar(archive, name, b'content')
    path = image_trees.write(tmp_path / f'{number}.tar', encoded.getvalue())
    assert walk(path) == ({name: b'content'}, {})
