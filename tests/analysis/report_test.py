"""Tests of the report that compares trainings."""

import dataclasses
import math
import statistics

import event_files as independent_reader
import logged_runs
import pytest
import report_tables

from official_ext.analysis import command
from official_ext.analysis import report
from official_ext.analysis import runs as runs_lib
from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.training import goodput


def write(output_dir, **paths):
  """Writes a report; returns its page and its Markdown."""
  runs = runs_lib.load([command.ModelArgument(path, name)
                        for name, path in paths.items()])
  return [open(path, encoding='utf-8').read()
          for path in report.write(str(output_dir), runs)]


@pytest.fixture(name='texts', scope='module')
def _texts(two_runs, tmp_path_factory):
  """Page and Markdown of ViT and Funnel."""
  return write(tmp_path_factory.mktemp('report'), ViT=two_runs[0],
               Funnel=two_runs[1])


def significant(value):
  return f'{value:,.0f}' if value >= 99.95 else f'{value:#.3g}'


def wilson(share, total):
  """The interval of a proportion, in per cent, by its formula."""
  z = statistics.NormalDist().inv_cdf(0.975)
  middle, margin = share + z**2 / (2 * total), z * math.sqrt(
      share * (1 - share) / total + z**2 / (4 * total**2))
  return [100 * (middle + sign * margin) / (1 + z**2 / total)
          for sign in (-1, 1)]


def expected_row(name, layout, folder, first=None):
  """What a row must say, from the event files as another reader has them."""
  train, validation = (independent_reader.scalars(f'{folder}/{subdir}')
                       for subdir in ('train', 'validation'))
  row = {'Model': name, 'Steps': '12 of 12'}
  values = {}
  for group, logs in (('Train', train), ('Validation', validation)):
    for label, tag in (('top-1', 'accuracy'), ('top-3', 'top_3_accuracy')):
      values[f'{group} {label}, %'] = 100 * logs[tag][12]
  for heading, value in values.items():
    row[heading] = f'{value:.2f}'
  best = max(validation['accuracy'].values())
  values['best'] = 100 * best
  row['Validation best top-1, %'] = f'{100 * best:.2f}'
  step = min(step for step, value in validation['accuracy'].items()
             if value == best)
  speeds = {tag: statistics.median(train[f'throughput/{tag}'].values())
            for tag in ('steps_per_second', 'images_per_second')}
  memory = max(train['memory/peak_gib'].values())
  spec = specs.resolve(
      backbones.FunnelViT(model_name='vit-nano4', layout=layout), (16, 16))
  multiply_adds = costs.count_multiply_adds(spec, 10)
  row |= {
      'Layout': spec.layout_with_tokens,
      'Pooling': 'mean' if '-' in layout else '-',
      'Parameters, M': f'{costs.count_parameters(spec, 10) / 1e6:#.3g}',
      'GMACs': f'{multiply_adds / 1e9:#.3g}',
      'Memory, GiB': f'{memory:.2f}',
      'Steps/s': significant(speeds['steps_per_second']),
      'Images/s': significant(speeds['images_per_second'])}
  numbers = (values, speeds, memory, multiply_adds)
  if first:
    values_0, speeds_0, memory_0, multiply_adds_0 = first
    for heading in values:
      if heading in row:
        row[heading] += f' ({values[heading] - values_0[heading]:+.2f})'
    row['Validation best top-1, %'] += (
        f' ({values["best"] - values_0["best"]:+.2f})')
    row['Memory, GiB'] += f' ({100 * (memory / memory_0 - 1):+.1f} %)'
    row['GMACs'] += f' ({100 * (multiply_adds / multiply_adds_0 - 1):+.1f} %)'
    for heading, tag in (('Steps/s', 'steps_per_second'),
                         ('Images/s', 'images_per_second')):
      row[heading] += f' ({speeds[tag] / speeds_0[tag]:.2f}x)'
  row['Validation best top-1, %'] += f' at step {step}'
  for label in ('top-1', 'top-3'):
    low, high = wilson(values[f'Validation {label}, %'] / 100, 360)
    row[f'Validation {label}, %'] += f' 95 %: {low:.2f} to {high:.2f}'
  return {heading: cell.replace('-0.0', '+0.0') if cell.endswith(
      ('(-0.00)', '(-0.0 %)')) else cell for heading, cell in row.items()
          }, numbers


def test_the_numbers_are_those_of_the_event_files(two_runs, texts):
  page, markdown = texts
  vit, first = expected_row('ViT', 'B2', two_runs[0])
  funnel, _ = expected_row('Funnel', 'B1-1', two_runs[1], first)
  headings, rows = report_tables.markdown_rows(markdown)
  assert headings == [
      'Model', 'Layout', 'Pooling', 'Steps', 'Train top-1, %', 'Train top-3, %',
      'Validation top-1, %', 'Validation top-3, %', 'Validation best top-1, %',
      'Parameters, M', 'GMACs', 'Memory, GiB', 'Steps/s', 'Images/s', 'Time']
  for row, expected in zip(rows, (vit, funnel), strict=True):
    found = dict(zip(headings, row, strict=True))
    assert found.pop('Time').endswith(' s')
    assert found == expected
  # The page says the same, with the differences on lines of their own.
  assert report_tables.html_rows(page) == [
      [cell.replace(' (', ' ').replace(')', '') if index > 3 else cell
       for index, cell in enumerate(row)] for row in rows]


def test_the_page_is_well_formed(two_runs, texts):
  page, markdown = texts
  parsed = report_tables.Page(page)
  assert not parsed.open
  assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
  assert '<title>Comparison of trainings</title>' in page
  # Each but that of the settings once more, for narrow screens.
  results, *_, times, _, settings, sources, _ = parsed.scopes
  assert set(times) == {'col', 'colgroup', 'row'}
  assert set(results) == {'col', 'colgroup', 'row'}
  assert set(settings) == set(sources) == {'col', 'row'}
  image, = parsed.images
  assert image['alt'].endswith('of ViT, Funnel')
  assert image['src'].startswith('data:image/png;base64,')
  assert '://' not in page
  # Where the figures are from.
  assert [row[:6] for row in parsed.tables[5][1:]] == [
      ['ViT', two_runs[0], '12', '12', '360', '1'],
      ['Funnel', two_runs[1], '12', '12', '360', '1']]
  assert f'| Funnel | {two_runs[1]} | 12 | 12 | 360 | 1 |' in markdown


def test_narrow_screens_get_a_row_for_each_figure(texts):
  page, markdown = texts
  headings, _ = report_tables.markdown_rows(markdown)
  parsed = report_tables.Page(page)
  # Of two lines of headings, and of one.
  for wide, narrow, num_heads in ((0, 1, 2), (2, 3, 2), (5, 6, 1)):
    rows = parsed.tables[wide][num_heads:]
    first, *others = parsed.tables[narrow]
    assert first == ['Model', 'ViT', 'Funnel'] == [
        'Model', *(row[0] for row in rows)]
    assert [row[1:] for row in others] == [
        list(cells) for cells in list(zip(*rows, strict=True))[1:]]
    assert set(parsed.scopes[narrow]) == {'col', 'row'}
  assert [row[0] for row in parsed.tables[1]] == headings


def test_where_the_time_went(two_runs, tmp_path):
  run, = runs_lib.load([command.ModelArgument(two_runs[0])])
  assert run.time.num_starts == 1
  known = dataclasses.replace(run, name='Known', time=goodput.Totals(
      {'steps': 60.0, 'input': 5.0, 'compilation': 15.0, 'evaluation': 4.0,
       'checkpoints': 2.0, 'start-up': 3.0, 'other': 1.0,
       'lost to restarts': 10.0}, num_starts=3, lost_steps=40))
  unknown = dataclasses.replace(run, name='Unknown', time=None)
  report.write(str(tmp_path), [known, unknown])
  _, _, times, *_ = report_tables.Page(
      (tmp_path / report.HTML_FILE).read_text()).tables
  values = ['60.0', '5.0', '15.0', '4.0', '2.0', '3.0', '1.0', '10.0 40 steps']
  assert times[1:] == [
      ['steps', 'input', 'compilation', 'evaluation', 'checkpoints',
       'start-up', 'other', 'lost to restarts'],
      ['Known', '1 min 40 s', '3', *values],
      ['Unknown', *10 * ['-']]]
  assert f'| Known | 1 min 40 s | 3 | {" | ".join(values)} |' in (
      tmp_path / report.MARKDOWN_FILE).read_text()


def test_further_figures_are_sections(two_runs, tmp_path):
  runs = runs_lib.load([command.ModelArgument(two_runs[0])])
  png = b'\x89PNG not really'
  report.write(
      str(tmp_path), runs, figures=[('A <title>', 'Caption & so', png)])
  page = (tmp_path / report.HTML_FILE).read_text()
  assert '<h2 id="figure-1">A &lt;title&gt;</h2>' in page
  assert '<figcaption>Caption &amp; so</figcaption>' in page
  assert report_tables.Page(page).images[1]['alt'] == 'A <title>'
  assert 'nothing to compare it with' in page


def test_what_is_not_known_is_a_dash(digits_dir, two_runs, tmp_path):
  # Only a loss and an accuracy so far, of another backbone.
  folder = tmp_path / 'run'
  logged_runs.write_run(folder, digits_dir, [0.5], **{
      'trainer.train_steps': 20, 'task.model.backbone.type': 'vit',
      'task.model.backbone.vit.model_name': 'vit-ti16'})
  for path in (folder / 'validation').iterdir():
    path.unlink()
  page, markdown = write(tmp_path, A=two_runs[0], B=str(folder))
  headings, rows = report_tables.markdown_rows(markdown)
  found = dict(zip(headings, rows[1]))
  assert found.pop('Train top-1, %').startswith('50.00 (')
  assert found == {
      heading: '-' for heading in headings if heading != 'Train top-1, %'} | {
          'Model': 'B', 'Layout': 'vit', 'Steps': '10 of 20 not finished',
          'Time': '0.00 s'}
  assert 'not finished</span>' in page
  # Nothing at all yet, and as the first row.
  logged_runs.write_params(tmp_path / 'new', digits_dir)
  train = tmp_path / 'new' / 'train'
  train.mkdir()
  (train / 'events.out.tfevents.1.host.7.0.v2').touch()
  _, markdown = write(tmp_path, new=str(tmp_path / 'new'), A=two_runs[0])
  headings, (row, other) = report_tables.markdown_rows(markdown)
  assert dict(zip(headings, row))['Steps'] == '- of 10 not finished'
  assert dict(zip(headings, row))['Validation top-1, %'] == '-'
  assert not any('(' in cell for heading, cell in zip(headings, other)
                 if heading not in ('Layout', 'GMACs'))


@pytest.mark.slow
def test_the_best_is_the_first_of_the_best(digits_dir, tmp_path):
  path = logged_runs.write_run(
      tmp_path / 'run', digits_dir, [0.25, 0.75, 0.75, 0.5])
  _, markdown = write(tmp_path, A=path)
  headings, (row,) = report_tables.markdown_rows(markdown)
  found = dict(zip(headings, row))
  assert found['Validation top-1, %'] == '50.00'
  assert found['Validation best top-1, %'] == '75.00 at step 20'


@pytest.mark.slow
def test_every_top_k_has_its_column(digits_dir, tmp_path):
  paths = {}
  for name, k in (('A', 3), ('B', 5)):
    logged_runs.write_params(
        tmp_path / name, digits_dir, **{'task.evaluation.top_k': k})
    logged_runs.write_events(tmp_path / name / 'validation', [
        logged_runs.event(5, 10, **{f'top_{k}_accuracy': k / 10})])
    paths[name] = str(tmp_path / name)
  _, markdown = write(tmp_path, **paths)
  headings, rows = report_tables.markdown_rows(markdown)
  columns = [headings.index(f'Validation top-{k}, %') for k in (3, 5)]
  assert [[row[column] for column in columns] for row in rows] == [
      ['30.00', '-'], ['-', '50.00']]


@pytest.mark.slow
def test_names_are_escaped(digits_dir, tmp_path):
  path = logged_runs.write_run(tmp_path / 'run', digits_dir, [0.5])
  name = '<b>&"|`*_x_ $title'
  page, markdown = write(tmp_path, **{name: path})
  assert '<b>' not in page and '&lt;b&gt;&amp;&quot;' in page
  assert report_tables.html_rows(page)[0][0] == name
  _, rows = report_tables.markdown_rows(markdown)
  assert rows[0][0] == r'\<b\>\&"\|\`\*\_x\_ $title'


@pytest.mark.slow
def test_the_settings_that_differ(digits_dir, tmp_path):
  layout = 'task.model.backbone.funnel_vit.layout'
  paths = {
      name: logged_runs.write_run(
          tmp_path / name, digits_dir, [0.5], **settings)
      for name, settings in {
          'A': {layout: 'B2'}, 'B': {layout: 'B1-1', 'trainer.seed': 7},
          'C': {layout: 'B2'}}.items()}
  page, markdown = write(tmp_path, **paths)
  assert report_tables.Page(page).tables[4] == [
      ['Setting', 'A', 'B', 'C'],
      [layout, "'B2'", "'B1-1'", "'B2'"],
      ['trainer.seed', '1', '7', '1']]
  assert '| trainer.seed | 1 | 7 | 1 |' in markdown
  page, markdown = write(tmp_path, A=paths['A'], C=paths['C'])
  for text in (page, markdown):
    assert 'There are none.' in text
  assert len(report_tables.Page(page).tables) == 6
