"""Tests of the images that a command line means."""

import io
import os
import tarfile

import pytest
import records_for_tests

from official_ext.command_line import errors
from official_ext.serving import image_paths

IMAGE = records_for_tests.encode('PNG')


@pytest.fixture(name='folder')
def _folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for path in ('photos/b.png', 'photos/a/2.PNG', 'photos/a/10.png',
               'photos/without_suffix', 'photos/.hidden.png',
               'photos/._b.png', 'photos/[1].png', 'other.png'):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_bytes(IMAGE)
  (tmp_path / 'photos/notes.txt').write_text('other.png')
  (tmp_path / 'photos/README').write_text('no image')
  # Meant to be an image: it is missed, not left out.
  (tmp_path / 'photos/empty.jpg').touch()
  (tmp_path / 'photos/photo.heic').write_bytes(b'\0\0\0\x1cftypheic')
  return tmp_path


def names(*arguments):
  return [image.name for image in image_paths.collect(arguments)]


def test_a_folder_has_the_images_that_the_conversion_finds(folder):
  del folder
  assert names('photos') == [
      'photos/[1].png', 'photos/a/10.png', 'photos/a/2.PNG', 'photos/b.png',
      'photos/empty.jpg', 'photos/photo.heic', 'photos/without_suffix']
  images = image_paths.collect(['photos/a/', 'photos/empty.jpg'])
  assert [image.read() for image in images] == [IMAGE, IMAGE, b'']


def test_an_archive_in_a_folder(folder):
  with tarfile.open(folder / 'photos/a/more.tar', 'w') as archive:
    member = tarfile.TarInfo('c.png')
    member.size = len(IMAGE)
    archive.addfile(member, io.BytesIO(IMAGE))
  images = image_paths.collect(['photos/a'])
  assert [image.name for image in images] == [
      'photos/a/10.png', 'photos/a/2.PNG', 'photos/a/more/c.png']
  assert images[2].read() == IMAGE


def test_patterns_and_files_that_look_like_one(folder):
  del folder
  assert names('photos/*/*.png', 'photos/[1].png', 'other.png') == [
      'photos/a/10.png', 'photos/[1].png', 'other.png']
  with pytest.raises(errors.UserError, match=r"no file matches '\*.webp'"):
    names('*.webp')


def test_lists(folder, monkeypatch):
  lines = 'photos/[1].png\r\n\nphotos/a\nnot there.png\n'
  expected = ['photos/[1].png', 'photos/a/10.png', 'photos/a/2.PNG',
              'not there.png']
  (folder / 'list.txt').write_bytes(lines.encode())
  assert names('list.txt', 'other.png') == [*expected, 'other.png']
  monkeypatch.setattr('sys.stdin', io.StringIO(lines))
  assert names('-') == expected


def test_what_names_no_image(folder, monkeypatch):
  (folder / 'empty').mkdir()
  (folder / 'empty.txt').write_text('\n\n')
  monkeypatch.setattr('sys.stdin', io.StringIO(''))
  for argument, message in (
      ('empty', 'there is no image in the folder empty'),
      ('empty.txt', 'empty.txt names no image'),
      ('-', 'standard input names no image'),
      ('no.txt', 'no.txt does not exist')):
    with pytest.raises(errors.UserError, match=message):
      names(argument)
  # A file that is missing fails when its turn comes.
  missing, = image_paths.collect(['missing.png'])
  with pytest.raises(Exception, match='No such file'):
    missing.read()


def test_a_name_that_is_not_utf8(folder, monkeypatch):
  del folder
  path = os.fsdecode(b'a\xff.png')
  with open(path, 'wb') as file:
    file.write(IMAGE)
  monkeypatch.setattr('sys.stdin', io.StringIO(path))
  image, = image_paths.collect(['-'])
  assert image.name == 'a\\udcff.png'
  with pytest.raises(ValueError, match='is not UTF-8'):
    image.read()
  # In a folder it is read as the conversion does.
  of_folder = image_paths.collect(['.'])[0]
  assert of_folder.name == './a\\udcff.png' and of_folder.read() == IMAGE
