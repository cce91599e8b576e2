"""What several seeds of a row say, and the difference between two rows.

The seeds of two rows are paired: trainings of one seed see the same images in
the same order, which takes a part of the scatter out of their difference. Its
interval is that of Student's t distribution. No interval is given where there
is nothing to estimate the scatter from: of one seed, and where all differences
are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import statistics

from scipy import stats

from official_ext.studies import results as results_lib
from official_ext.studies import study_file

CONFIDENCE = 0.95
# Of shares in the results, relative to what they are.
_ROUNDING = 1e-9

BETTER, WORSE, UNDECIDED = 'better', 'worse', 'undecided'
CONFIRMED, NOT_CONFIRMED = 'confirmed', 'not confirmed'
# Of two rows, of one of which no training has ended.
NOT_RUN = 'not run'
# Of two that were run, but of other seeds: nothing can be paired.
NO_SEED = 'no seed in common'


@dataclasses.dataclass(frozen=True)
class Row:
  """What there is of a row.

  Attributes:
    name: of the row.
    values: the study's metric by seed, per cent, of trainings that are
      finished.
    diverged: why trainings diverged, by seed.
    lines: of the results, of all that have ended.
    seeds: those that the study names, one training each.
  """
  name: str
  values: Mapping[int, float]
  diverged: Mapping[int, str]
  lines: Sequence[Mapping[str, str]]
  seeds: Sequence[int] = ()

  @property
  def mean(self) -> float | None:
    """The mean over the seeds; None: no training is finished."""
    return statistics.fmean(self.values.values()) if self.values else None

  @property
  def deviation(self) -> float | None:
    """The sample standard deviation over the seeds; None: fewer than two."""
    if len(self.values) < 2:
      return None
    return statistics.stdev(self.values.values())

  def of(self, column: str) -> dict[int, float]:
    """Returns what trainings have in a column, by their seeds."""
    return {int(line['seed']): float(line[column]) for line in self.lines
            if line[column]}

  def median(self, column: str) -> float | None:
    """Returns the median of a column; None: no training has it."""
    known = self.of(column).values()
    return statistics.median(known) if known else None


@dataclasses.dataclass(frozen=True)
class Medians:
  """The medians of a column, which compare where they are of the same seeds.

  Attributes:
    values: by the row, of those that have any.
    seeds_of: the seeds that each is of, by the row.
    seeds: of those that compare; empty: there are none.
  """
  values: Mapping[str, float]
  seeds_of: Mapping[str, Sequence[int]]
  seeds: Sequence[int]

  @property
  def apart(self) -> list[str]:
    """The rows whose medians are of other seeds, and do not compare."""
    return [name for name, seeds in self.seeds_of.items()
            if seeds != self.seeds]


@dataclasses.dataclass(frozen=True)
class Difference:
  """How many points a row is above another.

  Attributes:
    mean: over the seeds that both have; None: there is none.
    low: the lower end of the 95 % interval; None: there is no interval.
    high: the upper end.
    num_seeds: how many both have.
    num_diverged: how many are left out because one of the two diverged.
    is_run: whether trainings of both have ended.
  """
  mean: float | None = None
  low: float | None = None
  high: float | None = None
  num_seeds: int = 0
  num_diverged: int = 0
  is_run: bool = False


def rows(study: study_file.Study,
         results: results_lib.Results) -> dict[str, Row]:
  """Returns what there is of every row of a study, by its name."""
  found = {}
  for name, row in study.rows.items():
    lines = [line for seed in row.seeds
             if (line := results.find(name, seed)) is not None]
    found[name] = Row(
        name,
        {int(line['seed']): float(line[study.metric.column]) for line in lines
         if line['status'] == results_lib.FINISHED},
        {int(line['seed']): line['reason'] for line in lines
         if line['status'] == results_lib.DIVERGED},
        lines, row.seeds)
  return found


def medians(found: Mapping[str, Row], column: str) -> Medians:
  """Returns the medians of a column over the seeds that rows share.

  What a training takes depends on what else the machine did, and unless a study
  was interrupted, trainings of one seed ran one after the other.

  Args:
    found: the rows, by their names.
    column: of the results.

  Returns:
    Medians over the seeds that all rows have that have any. If there is no such
    seed, over those that the rows have whose trainings have all ended; and of a
    row that lacks any of these, over its own.
  """
  known = {name: row.of(column) for name, row in found.items()}
  known = {name: values for name, values in known.items() if values}
  ended = [name for name in known
           if len(found[name].lines) == len(found[name].seeds)]
  shared = _shared(known.values()) or _shared([known[name] for name in ended])
  seeds_of = {
      name: shared if shared and set(shared) <= set(values) else sorted(values)
      for name, values in known.items()}
  return Medians(
      {name: statistics.median(known[name][seed] for seed in seeds)
       for name, seeds in seeds_of.items()}, seeds_of, shared)


def _shared(rows_of_seeds: Iterable[Iterable[int]]) -> list[int]:
  sets = [set(seeds) for seeds in rows_of_seeds]
  return sorted(set.intersection(*sets)) if sets else []


def difference(row: Row, other: Row) -> Difference:
  """Returns by how much a row is above another, seed by seed.

  Args:
    row: whose metric.
    other: less whose.

  Returns:
    The mean difference with its interval.
    Student (1908), Biometrika 6, 1.
  """
  seeds = [seed for seed in row.values if seed in other.values]
  num_diverged = len({*row.diverged, *other.diverged})
  if not seeds:
    return Difference(
        num_diverged=num_diverged,
        is_run=all(one.values or one.diverged for one in (row, other)))
  differences = [row.values[seed] - other.values[seed] for seed in seeds]
  mean = statistics.fmean(differences)
  without_interval = Difference(
      mean, num_seeds=len(seeds), num_diverged=num_diverged, is_run=True)
  if len(seeds) < 2:
    return without_interval
  error = statistics.stdev(differences) / len(seeds) ** 0.5
  # They are equal, but for how they were rounded.
  if error <= _ROUNDING * max(map(abs, differences)):
    return without_interval
  half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(seeds) - 1)) * error
  return dataclasses.replace(
      without_interval, low=mean - half, high=mean + half)


def compared(found: Difference) -> str:
  """Says whether a row is better than another.

  Args:
    found: the difference.

  Returns:
    'better' or 'worse' where the interval says so, and no training of the two
    diverged; else 'undecided', 'not run' or 'no seed in common'.
  """
  verdict = _decided(found, 0.0)
  if verdict is None:
    return _why_not(found)
  return {1: BETTER, -1: WORSE, 0: UNDECIDED}[verdict]


def claimed(claim: study_file.Claim, found: Difference) -> str:
  """Says what came of a claim.

  Args:
    claim: what is said of the difference.
    found: the difference.

  Returns:
    'confirmed' where the whole interval is beyond the bound, 'not confirmed'
    where it is wholly on the other side, and no training of the two rows
    diverged; else 'undecided', or 'not run'.
  """
  is_above = claim.above is not None
  verdict = _decided(found, claim.above if is_above else claim.below)
  if not verdict:
    return _why_not(found) if verdict is None else UNDECIDED
  return CONFIRMED if (verdict > 0) == is_above else NOT_CONFIRMED


def _why_not(found: Difference) -> str:
  """Says why there is no difference at all."""
  return NO_SEED if found.is_run else NOT_RUN


def _decided(found: Difference, bound: float) -> int | None:
  """Returns on which side of a bound an interval is.

  Returns:
    1 above, -1 below, 0 not decided; None: there is no difference.
  """
  if found.mean is None and not found.num_diverged:
    return None
  # Those that did not diverge are no fair choice of the seeds.
  if found.low is None or found.num_diverged:
    return 0
  return (found.low > bound) - (found.high < bound)
