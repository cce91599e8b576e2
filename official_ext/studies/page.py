"""The report of a study, from its results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import shlex

from official_ext.command_line import tables as tables_lib
from official_ext.studies import comparisons
from official_ext.studies import figure as figure_lib
from official_ext.studies import results as results_lib
from official_ext.studies import study_file
from official_ext.studies import tables

_READING = (
    'Means and sample standard deviations over the seeds; differences are '
    "paired by seed, with 95 % intervals of Student's t distribution. A row "
    'is called better or worse only where its interval does not hold zero, and '
    'a claim is decided only where the whole interval is on one side of its '
    'bound; no row or claim is of which a training diverged. Each interval '
    'stands alone: of twenty, one misses by chance. In figures, points that '
    'would cover one another stand side by side.')


def text(study: study_file.Study, results: results_lib.Results,
         figure: str | None) -> str:
  """Returns the report of a study.

  Args:
    study: the study.
    results: what there is of it.
    figure: the path of its figure, as the report links it; None: there is none.

  Returns:
    Markdown that begins with a heading of the second level. The same results
    give the same text.
  """
  found = comparisons.rows(study, results)
  num_runs = sum(len(row.seeds) for row in study.rows.values())
  lines = _lines(study, results)
  parts = [f'## {study.title}']
  if study.note:
    parts.append(study.note)
  if not lines:
    parts.append(
        f'Not run: {tables_lib.counted(len(study.rows), "row")}, '
        f'{tables_lib.counted(num_runs, "training")} '
        f'(`{study.name}.yaml`).')
    return '\n\n'.join(parts) + '\n'
  parts.append(_of(study, lines, num_runs))
  if study.claims:
    parts += ['### Claims', tables.claims(study, found)]
  parts += ['### Rows', tables.rows(study, found)]
  if figure:
    parts.append(f'![{study.title}]({figure})')
  diverged = tables.diverged(found)
  if diverged:
    parts.append('Diverged:\n' + '\n'.join(f'- {one}' for one in diverged))
  parts.append(_measured_on(study, lines, found))
  return '\n\n'.join(parts) + '\n'


def reading() -> str:
  """Returns how the figures of all reports are to be read."""
  return _READING


def can_be_drawn(study: study_file.Study,
                 results: results_lib.Results) -> bool:
  """Returns whether a study has anything to draw."""
  found = comparisons.rows(study, results)
  return found[study.baseline].mean is not None and any(
      row.mean is not None for name, row in found.items()
      if name != study.baseline)


def draw(study: study_file.Study, results: results_lib.Results):
  """Returns the figure of a study that can be drawn."""
  return figure_lib.draw(study, comparisons.rows(study, results))


def check(study: study_file.Study, results: results_lib.Results,
          path: str) -> None:
  """Refuses results of another study.

  Args:
    study: the study.
    results: what was read.
    path: where it was read from.

  Raises:
    ValueError: if they are not of this study, or of another metric.
  """
  name = results.head.get('study')
  if name != study.name:
    what = f'of the study {name}' if name else 'not there'
    raise ValueError(
        f'{path} is {what}, but --study={study.name} was asked for. Run '
        f'official_ext.studies.run --study={shlex.quote(study.name)}, or name '
        'its --results.')
  results_lib.check_metric(results, study.metric, path, '--results')


def _lines(study: study_file.Study, results: results_lib.Results
           ) -> list[Mapping[str, str]]:
  """Returns the lines of the rows that the study has."""
  return [line for line in results.lines if line['row'] in study.rows and
          int(line['seed']) in study.rows[line['row']].seeds]


def _of(study: study_file.Study, lines: Sequence[Mapping[str, str]],
        num_runs: int) -> str:
  """Returns how much of a study has been run."""
  done = f'{len(lines)} of {tables_lib.counted(num_runs, "training")}'
  if len(lines) == num_runs:
    done = f'All {num_runs} trainings' if num_runs > 1 else 'The one training'
  done += ' has ended.' if num_runs == 1 else ' have ended.'
  return (f'{done} `{study.name}.yaml` says what each of '
          f'them is; rows are compared with {study.baseline}.')


def _measured_on(study: study_file.Study, lines: Sequence[Mapping[str, str]],
                 found: Mapping[str, comparisons.Row]) -> str:
  """Returns where and with what the trainings ran."""
  kinds = dict.fromkeys(
      f'{line["machine"]}, {line["threads"]} '
      f'thread{"" if line["threads"] == "1" else "s"}; {line["versions"]}'
      for line in lines)
  ended = sorted(line['ended'] for line in lines)
  restarted = sum(int(line['starts'] or 1) > 1 for line in lines)
  parts = [*kinds, f'{ended[0][:10]} to {ended[-1][:10]}'
           if ended[0][:10] != ended[-1][:10] else ended[0][:10]]
  if restarted:
    parts.append(
        f'{tables_lib.counted(restarted, "training")} interrupted and resumed')
  return (f'({"; ".join(parts)}. Times and memory are medians over the seeds '
          'that the rows share, on a machine that may have done other work.'
          f'{_cpu_seeds(lines, found)}{_cpu_range(found)}{_of_others(study)})')


def _cpu_seeds(lines: Sequence[Mapping[str, str]],
               found: Mapping[str, comparisons.Row]) -> str:
  """Says which seeds the CPU minutes are of, and whether they compare."""
  medians = comparisons.medians(found, 'cpu_seconds')
  if not medians.values:
    return ''
  if not medians.seeds:
    each = '; '.join(f'{name}: {_listed(seeds)}'
                     for name, seeds in medians.seeds_of.items())
    return (' CPU minutes are of different seeds, and do not compare '
            f'({each}).')
  text = f' CPU minutes are of {_seeds(medians.seeds)}'
  left_out, interrupted = set(), set()
  for line in lines:
    seed = int(line['seed'])
    if line['row'] in medians.values and seed not in medians.seeds:
      left_out.add(seed)
      if not line['cpu_seconds'] and int(line['starts'] or 1) > 1:
        interrupted.add(seed)
  if left_out:
    text += (', in which no row was interrupted' if left_out == interrupted
             else ', which the rows share')
  if medians.apart:
    each = '; '.join(f'{name}: {_listed(medians.seeds_of[name])}'
                     for name in medians.apart)
    text += f'; those of other seeds do not compare ({each})'
  return f'{text}.'


def _cpu_range(found: Mapping[str, comparisons.Row]) -> str:
  """Says how far the CPU minutes of equal trainings are apart."""
  apart = {name: max(values) / min(values) - 1 for name, row in found.items()
           if len(values := list(row.of('cpu_seconds').values())) > 1
           and min(values) > 0}
  if not apart:
    return ''
  widest = max(apart, key=apart.get)
  return (f' Of one row they differ between seeds by up to '
          f'{apart[widest]:.0%} ({widest}).'.replace('%', ' %'))


def _of_others(study: study_file.Study) -> str:
  """Says what times are without, where rows begin or learn from others."""
  if not any(row.needs for row in study.rows.values()):
    return ''
  return (' Times are of a training alone, without the training that it begins '
          'from and that of its teacher.')


def _seeds(seeds: Sequence[int]) -> str:
  return f'seed{"s" if len(seeds) > 1 else ""} {_listed(seeds)}'


def _listed(seeds: Sequence[int]) -> str:
  """Returns seeds as in '1, 2 and 3'."""
  *others, last = map(str, seeds)
  return f'{", ".join(others)} and {last}' if others else last


def figure_name(study: study_file.Study) -> str:
  """Returns the name of the file of a study's figure."""
  return f'{study.name}.png'


def results_path(folder: str) -> str:
  """Returns the path of the results in the folder of a study."""
  return os.path.join(folder, results_lib.FILE)
