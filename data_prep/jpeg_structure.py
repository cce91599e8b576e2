"""The structure of a JPEG file, read without decoding its pixels.

It follows libjpeg, which TensorFlow and Pillow decode with: what passes here
has every segment, table and scan that libjpeg asks for, up to the end marker.
That finds truncation and most damage at the speed of memory. Damage inside the
compressed pixels is not seen; libjpeg takes it with a warning.

Format: ITU-T T.81, annexes B (segments), C (Huffman tables), G (progressive).
"""

from __future__ import annotations

import dataclasses
import re
import struct

START = b'\xff\xd8\xff'

_SOF0_BASELINE, _SOF1_EXTENDED, _SOF2_PROGRESSIVE = 0xC0, 0xC1, 0xC2
# Lossless, hierarchical and arithmetic-coded frames: not every build decodes
# them.
_OTHER_FRAMES = frozenset(
    {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_DHT, _SOI, _EOI, _SOS, _DQT, _DNL, _DRI = (
    0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD)
_SKIPPED = frozenset({_DNL, 0xFE, *range(0xE0, 0xF0)})  # Also COM and APPn.
_APP1, _APP2 = 0xE1, 0xE2
_EXIF, _PROFILE = b'Exif\0\0', b'ICC_PROFILE\0'
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})

# In compressed pixels FF is followed by 00 or is a restart marker.
_MARKER_AFTER_SCAN = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')

# libjpeg's limits.
MAX_SIDE_PX = 65500
_MAX_BLOCKS_IN_MCU = 10
_MAX_SUCCESSIVE_LOW = 13
# libjpeg fills these in where a sequential file, such as a frame of Motion
# JPEG, has none.
_STANDARD_TABLES = frozenset({0, 1})


class InvalidJpegError(ValueError):
  """The bytes are no complete JPEG file; the message says why."""


@dataclasses.dataclass(frozen=True)
class Structure:
  """What the headers of a JPEG file say.

  Attributes:
    width: px.
    height: px.
    components: 1 gray, 3 color, 4 CMYK or YCCK.
    supported: whether every build of libjpeg decodes it: 8 bits, Huffman
      coded, baseline, extended or progressive, of 1, 3 or 4 components. The
      scans of others are not looked at.
    exif: the first EXIF data among the application data and comments that
      the file begins with, or b''.
    profile: the ICC profile, or b''.
  """
  width: int
  height: int
  components: int
  supported: bool
  exif: bytes = b''
  profile: bytes = b''


def parse(data: bytes) -> Structure:
  """Reads the structure of a JPEG file.

  Args:
    data: the whole file.

  Returns:
    Its structure.

  Raises:
    InvalidJpegError: if libjpeg would refuse it, or it is truncated.
  """
  if not data.startswith(START):
    raise InvalidJpegError('no start-of-image marker')
  return _Parser(data).parse()


@dataclasses.dataclass
class _Component:
  across: int
  down: int
  quantization_table: int


class _Parser:
  """Walks over the segments of one file."""

  def __init__(self, data: bytes):
    self._data = data
    self._structure = None
    self._progressive = False
    self._components = {}
    self._quantization_tables = set()
    # By class (0 DC, 1 AC) and index: what is wrong with it, or ''.
    self._huffman_tables = {}
    self._num_scans = 0
    self._is_complete = False
    self._exif = b''
    # By number: a profile of more than a segment comes in parts.
    self._profile_parts = {}

  def parse(self) -> Structure:
    position = len(START) - 1
    while True:
      marker, position = self._next_marker(position)
      if marker in _WITHOUT_LENGTH:
        continue
      if marker == _EOI:
        if not self._num_scans:
          raise InvalidJpegError('ends before any pixels')
        return self._described()
      start, end = self._segment(marker, position)
      if marker in _SKIPPED:
        self._read_application_data(marker, start, end)
      elif marker == _DQT:
        self._read_quantization_tables(start, end)
      elif marker == _DHT:
        self._read_huffman_tables(start, end)
      elif marker in (_SOF0_BASELINE, _SOF1_EXTENDED, _SOF2_PROGRESSIVE):
        self._read_frame(marker, start, end)
      elif marker in _OTHER_FRAMES:
        self._read_frame(marker, start, end)
      elif marker == _SOS:
        self._read_scan_header(start, end)
        end = self._end_of_scan(end)
      elif marker == _DRI:
        if end - start != 2:
          raise InvalidJpegError('restart interval of a wrong length')
      else:
        raise InvalidJpegError(f'unknown marker FF{marker:02X}')
      if self._structure and not self._structure.supported:
        return self._described()
      position = end

  def _described(self) -> Structure:
    profile = b''.join(
        part for _, part in sorted(self._profile_parts.items()))
    return dataclasses.replace(
        self._structure, exif=self._exif, profile=profile)

  def _read_application_data(self, marker: int, start: int, end: int) -> None:
    data = self._data
    is_at_start = not (self._structure or self._quantization_tables or
                       self._huffman_tables)
    if marker == _APP1 and is_at_start and not self._exif and (
        data.startswith(_EXIF, start)):
      self._exif = data[start:end]
    elif marker == _APP2 and data.startswith(_PROFILE, start):
      number = start + len(_PROFILE)
      self._profile_parts[data[number:number + 1]] = data[number + 2:end]

  def _next_marker(self, position: int) -> tuple[int, int]:
    """Returns the next marker and where it ends; libjpeg skips bytes too."""
    data = self._data
    while True:
      position = data.find(b'\xff', position) + 1
      if not position:
        raise InvalidJpegError('truncated: no end-of-image marker')
      while position < len(data) and data[position] == 0xff:
        position += 1
      if position == len(data):
        raise InvalidJpegError('truncated: no end-of-image marker')
      if data[position]:
        return data[position], position + 1

  def _segment(self, marker: int, position: int) -> tuple[int, int]:
    """Returns where the content of a segment begins and ends."""
    if marker == _SOI:
      raise InvalidJpegError('a second start-of-image marker')
    if position + 2 > len(self._data):
      raise InvalidJpegError('truncated in its headers')
    length = int.from_bytes(self._data[position:position + 2], 'big')
    if length < 2:
      raise InvalidJpegError(f'segment FF{marker:02X} of length {length}')
    if position + length > len(self._data):
      raise InvalidJpegError('truncated in its headers')
    return position + 2, position + length

  def _read_quantization_tables(self, position: int, end: int) -> None:
    while position < end:
      precision, index = divmod(self._data[position], 16)
      position += 1 + (128 if precision else 64)
      if index > 3 or position > end:
        raise InvalidJpegError('damaged quantization table')
      self._quantization_tables.add(index)

  def _read_huffman_tables(self, position: int, end: int) -> None:
    while position + 17 <= end:
      table = divmod(self._data[position], 16)
      counts = self._data[position + 1:position + 17]
      position += 17
      values = self._data[position:position + sum(counts)]
      position += sum(counts)
      if table[0] > 1 or table[1] > 3 or sum(counts) > 256 or position > end:
        raise InvalidJpegError('damaged Huffman table')
      self._huffman_tables[table] = _huffman_fault(table[0], counts, values)
    if position != end:
      raise InvalidJpegError('damaged Huffman table')

  def _read_frame(self, marker: int, start: int, end: int) -> None:
    if self._structure:
      raise InvalidJpegError('a second frame header')
    data = self._data
    if end - start < 6 or end - start != 6 + 3 * data[start + 5]:
      raise InvalidJpegError('damaged frame header')
    precision, height, width, count = struct.unpack_from('>BHHB', data, start)
    if not (height and width and count):
      raise InvalidJpegError(
          f'frame of {width} x {height} px and {count} components')
    if max(height, width) > MAX_SIDE_PX:
      raise InvalidJpegError(
          f'not supported: {width} x {height} px; libjpeg decodes sides of '
          f'at most {MAX_SIDE_PX} px')
    supported = (marker not in _OTHER_FRAMES and precision == 8 and
                 count in (1, 3, 4))
    self._structure = Structure(width, height, count, supported)
    self._progressive = marker == _SOF2_PROGRESSIVE
    for index in range(count):
      name, sampling, table = data[start + 6 + 3 * index:start + 9 + 3 * index]
      across, down = divmod(sampling, 16)
      if not (1 <= across <= 4 and 1 <= down <= 4) or (
          name in self._components):
        raise InvalidJpegError('damaged frame header')
      self._components[name] = _Component(across, down, table)
    max_across = max(item.across for item in self._components.values())
    max_down = max(item.down for item in self._components.values())
    for component in self._components.values():
      if max_across % component.across or max_down % component.down:
        raise InvalidJpegError(
            'not supported: fractional sampling, which libjpeg lacks')

  def _read_scan_header(self, start: int, end: int) -> None:
    if not self._structure:
      raise InvalidJpegError('a scan before the frame header')
    content = self._data[start:end]
    count = content[0] if content else 0
    if not 1 <= count <= 4 or len(content) != 4 + 2 * count:
      raise InvalidJpegError('damaged scan header')
    first, last, successive = content[-3:]
    names = content[1:-3:2]
    if len(set(names)) != count or any(
        name not in self._components for name in names):
      raise InvalidJpegError('a scan of components that are not there')
    if self._is_complete:
      raise InvalidJpegError('a second scan of everything')
    # Only a progressive file comes back to a component.
    self._is_complete = (
        not self._progressive and count == len(self._components))
    components = [self._components[name] for name in names]
    blocks = sum(component.across * component.down for component in components)
    if count > 1 and blocks > _MAX_BLOCKS_IN_MCU:
      raise InvalidJpegError('damaged sampling factors')
    if self._progressive:
      self._check_progression(first, last, *divmod(successive, 16), count)
    for component, selectors in zip(components, content[2:-3:2]):
      if component.quantization_table not in self._quantization_tables:
        raise InvalidJpegError('a quantization table is missing')
      dc_table, ac_table = divmod(selectors, 16)
      if not self._progressive:
        self._check_huffman_table((0, dc_table))
        self._check_huffman_table((1, ac_table))
      elif first:
        self._check_huffman_table((1, ac_table))
      elif not successive // 16:
        # Later passes over DC coefficients are not Huffman coded.
        self._check_huffman_table((0, dc_table))
    self._num_scans += 1

  def _check_progression(self, first: int, last: int, high: int, low: int,
                         count: int) -> None:
    band = last == 0 if first == 0 else first <= last < 64 and count == 1
    if not band or (high and low != high - 1) or low > _MAX_SUCCESSIVE_LOW:
      raise InvalidJpegError('damaged progression')

  def _check_huffman_table(self, table: tuple[int, int]) -> None:
    filled_in = not self._progressive and table[1] in _STANDARD_TABLES
    fault = self._huffman_tables.get(table, '' if filled_in else 'is missing')
    if fault:
      raise InvalidJpegError(f'a Huffman table {fault}')

  def _end_of_scan(self, position: int) -> int:
    """Returns where the marker after the compressed pixels begins."""
    match = _MARKER_AFTER_SCAN.search(self._data, position)
    if not match:
      raise InvalidJpegError('truncated: no end-of-image marker')
    return match.start()


def _huffman_fault(table_class: int, counts: bytes, values: bytes) -> str:
  """Returns what libjpeg would refuse a Huffman table for, if it is used."""
  if table_class == 0 and any(value > 15 for value in values):
    return 'holds impossible values'
  code = 0
  for length, count in enumerate(counts, start=1):
    code += count
    # No code may be all ones.
    if count and code >= 1 << length:
      return 'holds impossible codes'
    code <<= 1
  return ''
