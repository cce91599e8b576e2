"""Reads the tables of a report, of its page and of its Markdown."""

from html import parser as html_parser
import re

# Elements that have no end.
_VOID = ('br', 'img', 'link', 'meta', 'source', 'wbr')


class Page(html_parser.HTMLParser):
  """A page: its tables as rows of cells, and whether its elements close.

  Attributes:
    tables: the text of every cell, by table and row.
    scopes: of the headings of every table.
    images: the attributes of every image.
    open: elements that are not closed.
  """

  def __init__(self, text):
    super().__init__()
    self.tables, self.scopes, self.images, self.open = [], [], [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag not in _VOID:
      self.open.append(tag)
    if tag == 'table':
      self.tables.append([])
      self.scopes.append([])
    elif tag == 'tr':
      self.tables[-1].append([])
    elif tag in ('th', 'td'):
      self.tables[-1][-1].append('')
      if tag == 'th':
        self.scopes[-1].append(attrs['scope'])
    elif tag == 'img':
      self.images.append(attrs)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if set(self.open) & {'th', 'td'}:
      self.tables[-1][-1][-1] += data


def html_rows(text):
  """The first table's rows of values: a list of cells each."""
  page = Page(text)
  assert not page.open
  return [[' '.join(cell.split()) for cell in row]
          for row in page.tables[0][2:]]


def markdown_rows(text):
  """The first table: its headings, and its rows of values."""
  lines = [line for line in text.split('\n\n')[2].splitlines()]
  headings, _, *rows = [
      [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
      for line in lines]
  return headings, rows
