"""Why a file is not taken as an image: the words of every reason.

What is to be done depends on the kind of the fault, so each reason names one:
the file is empty, not an image, not supported, truncated or damaged. The
conversion, its verification and prediction say the same of the same file.
"""

from __future__ import annotations

import re

EMPTY = 'empty: zero bytes'
NOT_AN_IMAGE, NOT_SUPPORTED = 'not an image', 'not supported'
TRUNCATED, DAMAGED = 'truncated', 'damaged'
_KINDS = (NOT_SUPPORTED, TRUNCATED, DAMAGED)

# What often stands in the place of an image, by position and signature.
_OTHER_FORMS = (
    (4, b'ftyp', 'HEIC, AVIF or a video'),
    (4, b'JXL ', 'JPEG XL'),
    (0, b'\xff\x0a', 'JPEG XL'),
    (4, b'jP  ', 'JPEG 2000'),
    (0, b'8BPS', 'Photoshop'),
    (0, b'\0\0\1\0', 'ICO'),
    (0, b'<svg', 'SVG'),
    (0, b'%PDF', 'PDF'),
)
_NO_IMAGES = (
    (0, b'<!DOCTYPE html', 'a web page, such as the error of a download'),
    (0, b'<html', 'a web page, such as the error of a download'),
    (0, b'<?xml', 'XML'),
    (0, b'version https://git-lfs', 'a pointer of Git LFS; fetch the file by '
     'git lfs pull'),
)
_LONGEST_SIGNATURE = 64  # With what blanks may stand before it.
# Pillow's words, of a file that ends within its pixels, and of one that it has
# no decoder for.
_PILLOW_TRUNCATED = re.compile('image file is truncated|truncated file read')
_PILLOW_NOT_SUPPORTED = re.compile(
    'unsupported|unknown pixel mode|decoder .* not available')


class NotSupportedError(ValueError):
  """It is not known what the pixels of a file mean; the message says why."""


def of_no_form(start: bytes) -> str:
  """Says of a file of no form that is read what it is.

  Args:
    start: the first 64 bytes or more.

  Returns:
    A few words, with what to do where that is known.
  """
  if not start:
    return EMPTY
  for kind, found in ((NOT_SUPPORTED, _named(start, _OTHER_FORMS)),
                      (NOT_AN_IMAGE, _named(start, _NO_IMAGES))):
    if found:
      return f'{kind}: {found}' + (
          '; save it as JPEG or PNG' if kind == NOT_SUPPORTED else '')
  return f'{NOT_AN_IMAGE}: begins with {start[:4].hex(" ")}'


def of_form(form: str, reason: str, is_cut: bool = False) -> str:
  """Puts the reason why a file cannot be decoded into words.

  Args:
    form: of the file, such as 'GIF'.
    reason: what its reader says.
    is_cut: whether the file is shorter than its header says.

  Returns:
    Form, kind of the fault and the reason.
  """
  if is_cut or _PILLOW_TRUNCATED.match(reason.lower()):
    reason = f'{TRUNCATED}: it ends before its pixels do'
  if not reason.startswith(_KINDS):
    kind = (NOT_SUPPORTED if _PILLOW_NOT_SUPPORTED.match(reason.lower()) else
            DAMAGED)
    reason = f'{kind}: {reason}'
  return f'{form}: {reason}'


def is_cut(form: str, data: bytes) -> bool:
  """Says whether a file is shorter than its own header says.

  Args:
    form: 'BMP', 'GIF', 'TIFF' or 'WebP'; of others nothing is said.
    data: the whole file.

  Returns:
    Whether it is; False where the header does not tell.
  """
  if form == 'WebP':
    return len(data) < 8 + int.from_bytes(data[4:8], 'little')
  if form == 'BMP':
    return len(data) < max(26, int.from_bytes(data[2:6], 'little'))
  if form == 'TIFF':
    order = 'little' if data.startswith(b'II') else 'big'
    start = 2 + int.from_bytes(data[4:8], order)
    # Of its directory, every entry is of 12 bytes, and 4 come after them.
    count = int.from_bytes(data[start - 2:start], order)
    return len(data) < start + 12 * count + 4
  if form == 'GIF':
    # After 13 bytes a palette, if there is one.
    flags = data[10] if len(data) > 10 else 0
    return len(data) < 14 + (3 << (flags % 8 + 1) if flags & 0x80 else 0)
  return False


def _named(start: bytes, forms: tuple[tuple[int, bytes, str], ...]) -> str:
  """Returns the name of the form that a file begins as, or ''."""
  stripped = start[:_LONGEST_SIGNATURE].lstrip().lower()
  return next((name for position, signature, name in forms
               if stripped.startswith(signature.lower(), position)), '')
