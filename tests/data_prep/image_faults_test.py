"""Tests of the words for why a file is no image that is taken."""

import io

from PIL import Image
import pytest

from data_prep import image_faults


@pytest.mark.parametrize('start, reason', [
    (b'', 'empty: zero bytes'),
    (b'text', 'not an image: begins with 74 65 78 74'),
    (b'\n<HTML>not found</html>',
     'not an image: a web page, such as the error of a download'),
    (b'version https://git-lfs.github.com/spec/v1',
     'not an image: a pointer of Git LFS; fetch the file by git lfs pull'),
    (b'\0\0\0\x18ftypavif',
     'not supported: HEIC, AVIF or a video; save it as JPEG or PNG'),
    (b'\0\0\0\x0cjP  \r\n',
     'not supported: JPEG 2000; save it as JPEG or PNG'),
    (b'\0\0\1\0\1\0', 'not supported: ICO; save it as JPEG or PNG'),
    (b'  <svg xmlns=', 'not supported: SVG; save it as JPEG or PNG')])
def test_a_file_of_no_form_that_is_read(start, reason):
  assert image_faults.of_no_form(start) == reason


@pytest.mark.parametrize('reason, is_cut, words', [
    ('truncated: no IEND chunk', False, 'PNG: truncated: no IEND chunk'),
    ('image file is truncated (10 bytes not processed)', False,
     'PNG: truncated: it ends before its pixels do'),
    ('broken data stream', True,
     'PNG: truncated: it ends before its pixels do'),
    ('broken data stream', False, 'PNG: damaged: broken data stream'),
    ('unknown pixel mode', False, 'PNG: not supported: unknown pixel mode'),
    ('Unsupported BMP compression (9)', False,
     'PNG: not supported: Unsupported BMP compression (9)'),
    ('decoder webp not available', False,
     'PNG: not supported: decoder webp not available'),
    ('damaged frame header', False, 'PNG: damaged frame header'),
    ('not supported: ink', False, 'PNG: not supported: ink')])
def test_every_reason_names_its_kind(reason, is_cut, words):
  assert image_faults.of_form('PNG', reason, is_cut) == words


@pytest.mark.parametrize('form, options', [
    ('BMP', {}), ('WebP', {}), ('TIFF', {}),
    ('TIFF', {'compression': 'tiff_lzw'}), ('TIFF', {'big_endian': True})])
def test_a_file_shorter_than_its_header_says(form, options):
  encoded = io.BytesIO()
  Image.new('RGB', (40, 30), 'red').save(encoded, form, **options)
  whole = encoded.getvalue()
  assert not image_faults.is_cut(form, whole)
  # A TIFF file's header says no length; its directory does.
  for length in (12, 20, 40 if form == 'TIFF' else len(whole) - 1):
    assert image_faults.is_cut(form, whole[:length])


def test_a_gif_that_ends_in_its_palette():
  encoded = io.BytesIO()
  Image.new('P', (40, 30)).save(encoded, 'GIF')
  whole = encoded.getvalue()
  palette = 3 << (whole[10] % 8 + 1)
  assert not image_faults.is_cut('GIF', whole)
  assert not image_faults.is_cut('GIF', whole[:14 + palette])
  assert image_faults.is_cut('GIF', whole[:13 + palette])


def test_of_other_forms_nothing_is_said():
  assert not image_faults.is_cut('JPEG', b'\xff\xd8\xff')
