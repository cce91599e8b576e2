"""Damaged inputs of every kind: each is a good record or on a list."""

import collections
import os
import pathlib
import random

import conversions
import image_trees
from PIL import Image
import proofs
import pytest

from data_prep import images
from data_prep import verification

CLASSES = ('cats & dogs', '\u732b', 'n')
FORMS = ('PNG', 'GIF', 'BMP', 'WEBP', 'TIFF')


def truncated(generator, whole):
  return whole[:generator.randrange(len(whole))]


def flipped(generator, whole):
  damaged = bytearray(whole)
  for _ in range(generator.choice([1, 1, 1, 5, 50])):
    damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
  return bytes(damaged)


def flipped_headers(generator, whole):
  damaged = bytearray(whole)
  for _ in range(generator.choice([1, 1, 3])):
    damaged[generator.randrange(min(640, len(damaged)))] = (
        generator.randrange(256))
  return bytes(damaged)


def wrong_magic(generator, whole):
  return generator.choice([
      b'PK\x03\x04', b'%PDF-1.4', b'<!DOCTYPE html>', b'\0\0\0\0',
      b'\xff\xd8\xff', b'GIF89a', b'\x89PNG\r\n\x1a\n', b'BM']) + whole[4:]


def zero_length(generator, whole):
  del generator, whole
  return b''


def zeroed(generator, whole):
  start = generator.randrange(len(whole))
  end = min(len(whole), start + generator.randrange(1, 400))
  return whole[:start] + bytes(end - start) + whole[end:]


def spliced(generator, whole):
  """The beginning of one image and the end of another."""
  return whole[:generator.randrange(len(whole))] + image_trees.encode(
      generator.randrange(100))[generator.randrange(200):]


def huge(generator, whole):
  """Claims to be of any size up to the format's limit."""
  del whole
  encoded = bytearray(image_trees.encode(generator.randrange(100)))
  start = encoded.index(b'\xff\xc0')
  sides = generator.choice([(65500, 65500), (65535, 2), (1, 65500), (0, 0),
                            (20_000, 8_950), (3000, 2000)])
  for place, side in zip((start + 5, start + 7), sides):
    encoded[place:place + 2] = side.to_bytes(2, 'big')
  return bytes(encoded)


def untouched(generator, whole):
  del generator
  return whole


DAMAGES = (truncated, flipped, flipped_headers, wrong_magic, zero_length,
           zeroed, spliced, huge, untouched)
NAMES = ('{n}.JPEG', '{n} with space.jpg', '{n}-\u00fc\u732b.jpeg',
         "{n}'\"$(rm).jpg", '-{n}.jpg', '{n}\n.jpg', '{n}.png', '{n}')


def original(generator):
  """An image of some form, always or mostly a JPEG by its name."""
  seed = generator.randrange(1000)
  form = generator.choice(['JPEG', 'JPEG', 'JPEG', *FORMS])
  mode = generator.choice(['RGB', 'L', 'CMYK'] if form in ('JPEG', 'TIFF')
                          else ['RGB', 'L'])
  how = {}
  if form == 'JPEG' and generator.random() < 0.4:
    how = {'progressive': True}
  return image_trees.encode(seed, form, mode, width=40, height=30, **how)


def make_inputs(root, count, seed):
  """A folder and an archive; returns how many files of each damage."""
  generator = random.Random(seed)
  made = collections.Counter()
  archived = {}
  for number in range(count):
    damage = DAMAGES[number % len(DAMAGES)]
    content = damage(generator, original(generator))
    name = generator.choice(NAMES).format(n=number)
    class_name = generator.choice(CLASSES)
    if number % 4:
      image_trees.write(root / 'in/train' / class_name / name, content)
    else:
      archived[f'{class_name}/{name}'] = content
    made[damage.__name__] += 1
  for number in range(count // 50):
    archived[f'../../outside-{number}.jpg'] = image_trees.encode(number)
    archived[f'/tmp/../outside-{number}.jpg'] = image_trees.encode(number)
  folder = root / 'in/train/n'
  (folder / 'loop').symlink_to(root / 'in')
  (folder / 'loop.jpg').symlink_to(folder / 'loop.jpg')
  image_trees.write(
      folder / os.fsdecode(b'not-utf8-\xff.jpg'), image_trees.encode(1))
  image_trees.write(folder / '.DS_Store', b'x')
  image_trees.write(root / 'more.tar', image_trees.tar_bytes(archived))
  made['special'] = 2 * (count // 50) + 4
  return made


@pytest.mark.slow
@pytest.mark.parametrize('count', [
    540, pytest.param(proofs.choose(1_080, 5_400), marks=pytest.mark.long)])
@pytest.mark.parametrize('how', images.CHECKS)
def test_every_input_is_a_good_record_or_on_a_list(tmp_path, count, how):
  made = make_inputs(tmp_path, count, seed=count)
  before = {path: path.lstat().st_size for path in tmp_path.rglob('*')}
  out = tmp_path / 'out'
  done = conversions.convert(
      [('', tmp_path / 'in'), ('train', tmp_path / 'more.tar')], out,
      max_corrupt=count, check=how, shards={'train': 3})
  assert done.is_finished

  # Nothing undecodable: every record through the parser of training.
  faults = list(verification.verify(str(out), lambda *_: None))
  assert not faults, faults

  # Nothing lost: each input is in one place, each drop with its reason.
  good = list(conversions.read(out, 'train'))
  names = [record['image/filename'] for record in good]
  lost = [*conversions.listed(out, 'quarantined.jsonl'),
          *conversions.listed(out, 'left_out.jsonl')]
  assert len(set(names)) == len(names)
  assert len({row['file'] for row in lost}) == len(lost)
  assert not {os.fsencode(row['file']) for row in lost} & set(names)
  assert all(row['reason'] for row in lost)
  assert len(names) + len(lost) == sum(made.values())
  assert b'n/not-utf8-\xff.jpg' in names

  # Nothing outside of the output, and the inputs as they were.
  after = {path: path.lstat().st_size for path in tmp_path.rglob('*')
           if out not in [path, *path.parents]}
  assert after == before
  assert not list(pathlib.Path('/tmp').glob('outside-*'))

  # An undamaged image is among the good ones: as it came, if a JPEG.
  kept = done.manifest['splits']['train']['num_images']
  assert made['untouched'] <= kept < 0.9 * sum(made.values())


def test_the_fuzz_makes_what_it_says(tmp_path):
  made = make_inputs(tmp_path, 108, seed=0)
  assert {damage.__name__ for damage in DAMAGES} < set(made)
  assert min(made.values()) > 5
  with pytest.raises(OSError):
    Image.open(tmp_path / 'in/train/n/loop.jpg')
