"""Opens the report of a comparison in a browser."""

import os
import shutil

import matplotlib.figure
import pytest

from official_ext import figures
from official_ext.analysis import command
from official_ext.analysis import report
from official_ext.analysis import runs as runs_lib

sync_api = pytest.importorskip('playwright.sync_api')

_BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
# A test asks nobody for updates.
_ARGUMENTS = [
    '--headless', '--no-sandbox', '--disable-gpu',
    '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--no-first-run']
_PHONE = {'width': 390, 'height': 844}
_DESKTOP = {'width': 1200, 'height': 900}
_SMALLEST_FONT_PX = 12
# The smallest font of any element that holds text itself.
_FONT_SIZE = """() => Math.min(...[...document.body.querySelectorAll('*')]
  .filter(element => [...element.childNodes].some(
    node => node.nodeType === Node.TEXT_NODE && node.textContent.trim()))
  .map(element => parseFloat(getComputedStyle(element).fontSize)))"""
_IMAGES = """() => [...document.images].map(
  image => image.complete ? image.naturalWidth : 0)"""
# Cells of a visible table whose text is wider than they are, or which are
# beyond the right edge of the screen.
_CLIPPED = """() => [...document.querySelectorAll('.narrow th, .narrow td')]
  .filter(cell => cell.offsetParent && (
    cell.scrollWidth > cell.clientWidth + 1 ||
    cell.getBoundingClientRect().right > window.innerWidth))
  .map(cell => cell.textContent)"""
# Luminance of the page and of its text, from 0 to 255.
_LIGHTNESS = """() => ['backgroundColor', 'color'].map(property =>
  getComputedStyle(document.body)[property].match(/\\d+/g).slice(0, 3)
    .map(Number).reduce((sum, value) => sum + value) / 3)"""


@pytest.fixture(name='browser', scope='module')
def _browser():
  path = next(filter(None, map(shutil.which, _BROWSERS)), None)
  if not path:
    missing = f'there is no browser: {", ".join(_BROWSERS)}'
    # What CI leaves out nobody sees.
    (pytest.fail if os.environ.get('CI') else pytest.skip)(missing)
  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(name='path', scope='module')
def _path(two_runs, tmp_path_factory):
  folder = tmp_path_factory.mktemp('report')
  runs = runs_lib.load([
      command.ModelArgument(two_runs[0], '<b>&' + 'name' * 20),
      command.ModelArgument(two_runs[1])])
  picture = figures.png(matplotlib.figure.Figure(figsize=(6, 2)))
  page, _ = report.write(
      str(folder), runs, 0.6, [('Saliency', 'A caption', picture)])
  return page


@pytest.mark.slow
@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('size', [_DESKTOP, _PHONE],
                         ids=['desktop', 'phone'])
def test_the_page(browser, path, size, scheme):
  page = browser.new_page(viewport=size, color_scheme=scheme)
  said, requested = [], []
  page.on('console', lambda message: said.append(message.text))
  page.on('pageerror', lambda error: said.append(str(error)))
  page.on('requestfailed', lambda request: said.append(request.url[:80]))
  page.on('request', lambda request: requested.append(request.url[:80]))
  page.goto(f'file://{path}')
  assert said == []
  assert all(url.startswith(('file:', 'data:')) for url in requested)
  assert page.locator('table').first.locator('tbody tr').count() == 2
  assert page.locator('tbody th').first.inner_text().startswith('<b>&name')
  assert page.evaluate(_FONT_SIZE) >= _SMALLEST_FONT_PX
  # The table scrolls in its box; the page does not.
  assert page.evaluate(
      'document.documentElement.scrollWidth') <= size['width']
  widths = page.evaluate(_IMAGES)
  assert len(widths) == 2 and all(widths)
  background, text = page.evaluate(_LIGHTNESS)
  assert (background > 200 and text < 80 if scheme == 'light'
          else background < 60 and text > 180)
  page.close()


@pytest.mark.slow
@pytest.mark.parametrize('size', [_DESKTOP, _PHONE], ids=['desktop', 'phone'])
def test_all_figures_of_two_trainings_are_on_the_screen(browser, path, size):
  page = browser.new_page(viewport=size)
  page.goto(f'file://{path}')
  tables = page.locator('[aria-labelledby=results] table:visible')
  assert tables.count() == 1
  # A row for each training, or, where it is narrow, a column.
  rows = [row.inner_text().split('\t') for row in tables.locator('tr').all()]
  if size is _PHONE:
    assert all(len(row) == 3 for row in rows)
    assert [row[0] for row in rows][-3:] == ['Steps/s', 'Images/s', 'Time']
    assert not page.evaluate(_CLIPPED)
  else:
    assert [row[0].startswith(('<b>&', 'funnel')) or 'B1' in row[0]
            for row in rows] == [False, False, True, True]
  widths = [box['width'] for box in (
      cell.bounding_box() for cell in tables.locator('td').all())]
  assert min(widths) > 30
  page.close()


@pytest.mark.slow
def test_narrow_screens_get_figures_of_one_column(browser, path):
  shapes = []
  for size in (_DESKTOP, _PHONE):
    page = browser.new_page(viewport=size)
    page.goto(f'file://{path}')
    shapes.append(page.evaluate(
        'document.images[0].naturalHeight / document.images[0].naturalWidth'))
    page.close()
  wide, narrow = shapes
  assert wide < 1 < 2 < narrow
