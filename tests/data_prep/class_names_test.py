"""Tests of the names of classes: refused, told, and given by a list."""

import sys
import unicodedata

import conversions
import image_trees
import pytest

from data_prep import class_names
from data_prep import verification
from official_ext.tasks import class_names as trained_names

# All that a text is split into lines at.
SEPARATORS = [chr(code) for code in range(sys.maxunicode + 1)
              if len(f'a{chr(code)}b'.splitlines()) == 2]
NFC = unicodedata.normalize('NFC', 'caf\u00e9')
NFD = unicodedata.normalize('NFD', NFC)


def make(root, *names):
  """A folder with an image of each class."""
  return image_trees.class_folders(root, dict.fromkeys(names, 1))


@pytest.mark.parametrize('name', [
    *(f'cat{separator}' for separator in SEPARATORS), 'a\u2028b', '\rcat',
    'cat\t', 'a\x1b[31m', '\ufeffcat', ' ', '\u3000\u00a0', '\u200b'])
def test_a_name_that_no_line_can_have_is_refused(tmp_path, name):
  make(tmp_path / 'in', name, 'dog')
  with pytest.raises(ValueError) as error:
    conversions.convert(tmp_path / 'in', tmp_path / 'out')
  message = str(error.value)
  assert ascii(name) in message and 'Rename' in message
  assert len(message.splitlines()) == 1
  assert not conversions.files(tmp_path / 'out')


def test_the_separators_are_many():
  assert set('\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029') == set(SEPARATORS)


def test_names_of_any_script_are_taken(tmp_path):
  names = ['\u03b3\u03ac\u03c4\u03b1', '\u732b', '\U0001f468\u200d\U0001f467',
           NFC, ' cat ', '-rf', '.NET', 'a, b; "c"', '#%{$?*[~']
  make(tmp_path / 'in', *names)
  conversions.convert(tmp_path / 'in', tmp_path / 'out')
  content = (tmp_path / 'out/class_names.txt').read_bytes()
  assert content == ''.join(f'{name}\n' for name in sorted(names)).encode()
  assert {record['image/class/text'].decode(): record['image/class/label']
          for record in conversions.read(tmp_path / 'out', 'train')} == {
              name: label for label, name in enumerate(sorted(names))}


def test_names_that_look_alike_are_told(tmp_path):
  make(tmp_path / 'in', NFC, NFD, 'dog', 'Dog', 'eel', 'el')
  notes = conversions.convert(tmp_path / 'in', tmp_path / 'out').data_set.notes
  assert [note.split(':')[0] for note in notes] == [
      "the classes 'cafe\\u0301' and 'caf\\xe9' differ in their Unicode form "
      'alone and look the same',
      "the classes 'Dog' and 'dog' differ in case or spaces alone"]


@pytest.mark.parametrize('ordered, notes', [
    (['0', '1', '2'], ['the class names are numbers: labels follow their '
                       'value']),
    (['1', '9', '10'], ['the class names are numbers: labels follow their '
                        'value', 'labels count from 0, so they are not the '
                        "numbers that the folders are called: '1' has label "
                        '0']),
    (['00', '01', '02'], ['the class names are numbers: labels follow their '
                          'value']),
    (['01', '1', '2'], ["the classes '01' and '1' are the same number: if one "
                        'is meant, merge their folders',
                        'the class names are numbers: labels follow their '
                        'value', 'labels count from 0, so they are not the '
                        "numbers that the folders are called: '01' has label "
                        '0']),
    # No number but for Python: as text.
    (['-1', '-2', '0'], ['the class names are sorted as text, not by value: '
                         "'-1' is not of the digits 0 to 9 alone"]),
    (['0.5', '10.0', '9.0'], ['the class names are sorted as text, not by '
                              "value: '0.5' is not of the digits 0 to 9 "
                              'alone']),
    (['10', '1_0', '9'], ['the class names are sorted as text, not by value: '
                          "'1_0' is not of the digits 0 to 9 alone"]),
    (['10', '9', '\u0661'], ['the class names are sorted as text, not by '
                             "value: '\\u0661' is not of the digits 0 to 9 "
                             'alone']),
    (['-1', '0', '1'], []), (['10', '9', 'cat'], []), (['10', '1__0'], []),
    (['10', '9', '\xb2'], []),
], ids=ascii)
def test_numbers_are_of_the_digits_0_to_9_alone(tmp_path, ordered, notes):
  make(tmp_path / 'in', *reversed(ordered))
  done = conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert (tmp_path / 'out/class_names.txt').read_text(
      'utf-8').splitlines() == ordered
  assert list(done.data_set.notes) == notes


def test_folders_that_begin_with_a_dot(tmp_path):
  make(tmp_path / 'in', '.NET', 'Java', 'Java/.ipynb_checkpoints',
       '.git', '.Trash-1000/files', 'Java/@eaDir')
  done = conversions.convert(tmp_path / 'in', tmp_path / 'out')
  assert done.data_set.notes == (
      "the folder '.NET' begins with a dot, and is taken for a class all the "
      'same',)
  assert conversions.labels(tmp_path / 'out', 'train') == {
      '.NET/000.jpg': 0, 'Java/000.jpg': 1}
  assert {row['file'] for row in conversions.listed(
      tmp_path / 'out', 'left_out.jsonl')} == {
          'in/.git/000.jpg', 'in/.Trash-1000/files/000.jpg',
          'in/Java/.ipynb_checkpoints/000.jpg', 'in/Java/@eaDir/000.jpg'}


def test_the_nearest_of_a_list_is_the_same_number(tmp_path):
  make(tmp_path / 'new', '1', '10')
  image_trees.write(tmp_path / 'list.txt', b'001\n10\n11\n')
  with pytest.raises(ValueError, match="'1' is none .* nearest is '001'"):
    conversions.convert([('validation', tmp_path / 'new')], tmp_path / 'out',
                        class_names=tmp_path / 'list.txt')


@pytest.mark.slow
def test_a_test_set_gets_the_trained_labels(tmp_path):
  make(tmp_path / 'train', 'cat', 'dog', 'eel', 'fox')
  conversions.convert(tmp_path / 'train', tmp_path / 'a')
  files = make(tmp_path / 'test', 'eel', 'dog')
  image_trees.write(tmp_path / 'test.tar', image_trees.tar_bytes({
      f'test/{name}': content for name, content in files.items()}))
  for path in ('test', 'test.tar'):
    out = tmp_path / f'{path} out'
    conversions.convert(tmp_path / path, out,
                        class_names=tmp_path / 'a/class_names.txt')
    assert conversions.labels(out, 'validation') == {
        'dog/000.jpg': 1, 'eel/000.jpg': 2}
    assert (out / 'class_names.txt').read_text() == 'cat\ndog\neel\nfox\n'
    assert not list(verification.verify(str(out), lambda *_: None))


def test_a_test_set_may_be_of_one_class(tmp_path):
  make(tmp_path / 'test', 'dog')
  # As an editor on Windows writes it.
  image_trees.write(
      tmp_path / 'names.txt', b'\xef\xbb\xbfcat\r\ndog\r\neel\r\n')
  conversions.convert(tmp_path / 'test', tmp_path / 'out',
                      class_names=tmp_path / 'names.txt')
  assert conversions.labels(
      tmp_path / 'out', 'validation') == {'dog/000.jpg': 1}
  assert (tmp_path / 'out/class_names.txt').read_bytes() == b'cat\ndog\neel\n'


def test_blank_lines_may_follow_the_names(tmp_path):
  path = image_trees.write(tmp_path / 'names.txt', b'cat\r\ndog\r\n\r\n\n')
  assert class_names.read(str(path)) == ['cat', 'dog']
  assert trained_names.read(str(path)) == ['cat', 'dog']


def test_a_name_that_is_there_twice_is_told(tmp_path):
  make(tmp_path / 'in', 'dog')
  names = image_trees.write(tmp_path / 'names.txt', b'cat\ndog\ncat\n')
  notes = conversions.convert(
      tmp_path / 'in', tmp_path / 'out', class_names=names).data_set.notes
  assert notes == ("the labels 0 and 2 are both called 'cat' by --class_names: "
                   'correct it if one is meant',)


def test_synsets_are_known_by_the_words_that_the_training_had(tmp_path):
  words = b'n00000001\tcrane\nn00000002\tcrane\nn00000003\tbus\n'
  make(tmp_path / 'train', 'n00000001', 'n00000002', 'n00000003')
  image_trees.write(tmp_path / 'train/words.txt', words)
  conversions.convert(tmp_path / 'train', tmp_path / 'a')
  names = tmp_path / 'a/class_names.txt'
  assert names.read_text() == 'crane\ncrane\nbus\n'
  make(tmp_path / 'test', 'n00000002', 'n00000003')
  conversions.convert(tmp_path / 'test', tmp_path / 'out', class_names=names)
  assert sorted(conversions.labels(
      tmp_path / 'out', 'validation').values()) == [1, 2]
  # Without the manifest, words alone tell.
  image_trees.write(tmp_path / 'alone.txt', names.read_bytes())
  make(tmp_path / 'test2', 'bus')
  conversions.convert(tmp_path / 'test2', tmp_path / 'out2',
                      class_names=tmp_path / 'alone.txt')
  assert conversions.labels(tmp_path / 'out2', 'train') == {'bus/000.jpg': 2}
  make(tmp_path / 'test3', 'crane')
  with pytest.raises(ValueError, match="'crane' may be label 0 or 1"):
    conversions.convert(tmp_path / 'test3', tmp_path / 'out3',
                        class_names=tmp_path / 'alone.txt')


@pytest.mark.parametrize('folder, listed, reason', [
    ('dgo', 'cat\ndog\n', "'dgo' is none of the 2 classes.*nearest is 'dog'"),
    ('Dog', 'cat\ndog\n', "nearest is 'dog'"),
    ('zebra', 'cat\nflower\n',
     '2 classes of --class_names. Rename the folder, or leave it out'),
    ('a', 'A\nbar\n', "nearest is 'A'"),
    (NFD, f'cat\n{NFC}\n', "'cafe\\\\u0301'.*'caf\\\\xe9'.*Unicode form"),
    ('cat', 'cat\n\ndog\n', 'line 2 is blank.*remove it'),
    ('cat', 'cat\n \ndog\n', "line 2 ' ' has no character.*Correct it"),
    ('cat', 'cat\ndog\u2028\n', 'line 2 .*line separator'),
    ('cat', '', 'names no class: it is empty'),
    ('cat', '\n \r\n', 'names no class: it is empty'),
])
def test_what_the_list_does_not_tell_is_refused(
    tmp_path, folder, listed, reason):
  make(tmp_path / 'in', folder)
  names = image_trees.write(tmp_path / 'names.txt', listed.encode())
  with pytest.raises(ValueError, match=reason):
    conversions.convert(
        tmp_path / 'in', tmp_path / 'out', class_names=names)
  assert not conversions.files(tmp_path / 'out')


@pytest.mark.parametrize('path, reason', [
    ('', 'is a folder. Give the class_names.txt'),
    ('none.txt', 'does not exist'), ('latin', 'is not UTF-8 text')])
def test_a_list_that_is_none(tmp_path, path, reason):
  (tmp_path / 'latin').write_bytes(b'caf\xe9\n')
  with pytest.raises(ValueError, match=f'--class_names=.*{reason}'):
    class_names.read(str(tmp_path / path))


def test_another_list_of_names_does_not_overwrite(tmp_path):
  make(tmp_path / 'in', 'cat', 'dog')
  for text in ('cat\ndog\n', 'cat\ndog\neel\n'):
    image_trees.write(tmp_path / 'names.txt', text.encode())
    how = dict(class_names=tmp_path / 'names.txt')
    if 'eel' not in text:
      conversions.convert(tmp_path / 'in', tmp_path / 'out', **how)
      continue
    with pytest.raises(ValueError, match='holds a finished conversion'):
      conversions.convert(tmp_path / 'in', tmp_path / 'out', **how)
  assert (tmp_path / 'out/class_names.txt').read_text() == 'cat\ndog\n'
