"""What was measured, as tables and as the columns of a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import statistics

from official_ext.benchmarks import settings as settings_lib
from official_ext.command_line import tables

OUT_OF_MEMORY = 'out of memory'


@dataclasses.dataclass
class Row:
  """What was measured of one model under one set of circumstances.

  Attributes:
    settings: the model and its circumstances.
    layout_with_tokens: the layout in the paper's notation, with token counts.
    parameters: of the model with its head.
    multiply_adds: of one image's forward pass, as the model computes it.
    times_ms: of every timed step.
    status: 'ok', or why there are no times.
    peak_gib: peak memory; None if it is not known.
    peak_of: whose peak memory it is.
    activations_mib: temporary memory of the compiled step; None if it was not
      measured.
    activations_backend: what that was compiled for.
    saved_activations: values that the backward pass of one image needs, if
      nothing is computed again.
    baseline: Model Garden's ViT under the same circumstances, but with the
      largest batch of its own where that was looked for; None if it is this.
    device: what the step ran on; empty if it did not.
  """
  settings: settings_lib.Settings
  layout_with_tokens: str
  parameters: int
  multiply_adds: int
  saved_activations: int
  times_ms: list[float] = dataclasses.field(default_factory=list)
  status: str = 'ok'
  peak_gib: float | None = None
  peak_of: str = ''
  activations_mib: float | None = None
  activations_backend: str = ''
  baseline: Row | None = dataclasses.field(
      default=None, repr=False, compare=False)
  device: str = ''

  @property
  def name(self) -> str:
    if self.settings.peer == settings_lib.TIMM:
      return "timm's ViT, PyTorch"
    if self.settings.peer:
      return f'timm with {self.settings.layout}, PyTorch'
    if self.settings.layout == settings_lib.MODEL_GARDEN:
      return "Model Garden's vit"
    names = [self.layout_with_tokens, self.settings.pooling]
    if self.settings.attention_bias != 'none':
      names.append(self.settings.attention_bias)
    return ', '.join(filter(None, names))

  @property
  def median_ms(self) -> float | None:
    return statistics.median(self.times_ms) if self.times_ms else None

  @property
  def images_per_second(self) -> float | None:
    if not self.times_ms:
      return None
    return 1e3 * self.settings.batch_size / self.median_ms


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A row beside Model Garden's ViT under the same circumstances.

  Attributes:
    speed_up: how many times as many images per second, by the medians.
    ceiling: how many times fewer multiply-adds.
    memory_saved: fraction of the activation memory, per image.
    ideal_memory_saved: fraction of the values saved for the backward pass, if
      both saved the same of every token.
  """
  speed_up: float | None
  ceiling: float
  memory_saved: float | None
  ideal_memory_saved: float

  @property
  def of_ceiling(self) -> float | None:
    return self.speed_up and self.speed_up / self.ceiling


def compare(row: Row, baseline: Row | None = None) -> Comparison:
  """Compares a row with another one, by default with its baseline."""
  baseline = baseline or row.baseline or row
  speed_up = memory_saved = None
  # By images, for where the batches differ.
  if row.times_ms and baseline.times_ms:
    speed_up = row.images_per_second / baseline.images_per_second
  if row.activations_mib and baseline.activations_mib:
    memory_saved = 1 - (
        row.activations_mib / row.settings.batch_size) / (
            baseline.activations_mib / baseline.settings.batch_size)
  return Comparison(
      speed_up, baseline.multiply_adds / row.multiply_adds, memory_saved,
      1 - row.saved_activations / baseline.saved_activations)


def columns(row: Row) -> Mapping[str, object]:
  """Returns all columns of a row, by name; None is "not known"."""
  comparison = compare(row)
  return {
      'layout': row.settings.layout,
      'peer': row.settings.peer,
      'pooling': row.settings.pooling,
      'attention_bias': row.settings.attention_bias,
      'feature_maps': row.settings.feature_maps,
      'tokens': row.layout_with_tokens,
      'model_name': row.settings.model_name,
      'image_size': row.settings.image_size,
      'batch_size': row.settings.batch_size,
      'dtype': row.settings.dtype,
      'xla': 'on' if row.settings.xla else 'off',
      'mode': row.settings.mode,
      'status': row.status,
      'parameters': row.parameters,
      'gmacs': row.multiply_adds / 1e9,
      'timed_steps': len(row.times_ms),
      'median_ms': row.median_ms,
      'min_ms': min(row.times_ms, default=None),
      'max_ms': max(row.times_ms, default=None),
      'images_per_second': row.images_per_second,
      'speed_up': comparison.speed_up,
      'ceiling': comparison.ceiling,
      'of_ceiling': comparison.of_ceiling,
      'peak_gib': row.peak_gib,
      'peak_of': row.peak_of,
      'activations_mib': row.activations_mib,
      'activations_compiled_for': row.activations_backend,
      'memory_saved': comparison.memory_saved,
      'ideal_memory_saved': comparison.ideal_memory_saved,
  }


def format_tables(rows: Sequence[Row]) -> str:
  """Formats speed and memory of rows under one set of circumstances."""
  # Each has its own where the largest that fits was looked for.
  differ = len({row.settings.batch_size for row in rows}) > 1
  backend = next((row.activations_backend for row in rows
                  if row.activations_backend), '')
  peak_of = next((row.peak_of for row in rows if row.peak_of), '')
  speed, memory = [], []
  for row in rows:
    comparison = compare(row)
    batch = [str(row.settings.batch_size)] * differ
    speed.append([row.name, *batch, _scaled(row.multiply_adds / 1e9, 2)])
    if row.times_ms:
      speed[-1] += [
          f'{_ms(row.median_ms)} ({_ms(min(row.times_ms))} to '
          f'{_ms(max(row.times_ms))})', f'{row.images_per_second:.4g}',
          _known(comparison.speed_up, '{:.2f}'), f'{comparison.ceiling:.2f}',
          _known(comparison.of_ceiling, '{:.0%}')]
    else:
      speed[-1].append(row.status)
    memory.append([
        row.name, _scaled(row.parameters / 1e6, 1),
        _known(row.peak_gib, '{:.2f}'),
        _known(row.activations_mib, '{:.0f}'),
        _known(comparison.memory_saved, '{:.1%}'),
        f'{comparison.ideal_memory_saved:.1%}'])
  title = f'activations, MiB ({backend})' if backend else 'activations, MiB'
  lines = [
      tables.aligned(['', *['batch'] * differ, 'GMACs', 'ms per step',
                      'images/s', 'speed-up', 'ceiling', 'of it'], speed), '',
      tables.aligned(
          ['', 'params, M', 'peak, GiB', title, 'saved', 'ideal'], memory)]
  if peak_of:
    lines.append(f'peak: {peak_of}')
  return '\n'.join([*lines, *_effect_of_pooling(rows)])


def _effect_of_pooling(rows: Sequence[Row]) -> list[str]:
  """Returns lines on layouts beside one of a single block, computed alike."""
  whole = next((row for row in rows if '-' not in row.settings.layout and (
      row.settings.layout != settings_lib.MODEL_GARDEN)), None)
  lines = []
  for row in rows:
    if whole is None or row.settings.peer or (
        '-' not in row.settings.layout) or not (
            whole.times_ms and row.times_ms):
      continue
    against = compare(row, whole)
    lines.append(
        f'pooling alone, {row.name} against {whole.name}: '
        f'{_known(against.speed_up, "{:.2f}")}x, '
        f'{_known(against.memory_saved, "{:.1%}")} saved')
  return lines


def format_fastest(rows: Sequence[Row]) -> str:
  """Formats each layout where it runs fastest beside the ViT where it does."""
  fastest = {}
  for row in rows:
    # Only of the same work is one the fastest.
    work = row.settings.replace(dtype='', xla=False)
    if row.times_ms and (
        work not in fastest or row.median_ms < fastest[work].median_ms):
      fastest[work] = row
  lines = ['each where it runs fastest:']
  for work, row in fastest.items():
    baseline = fastest.get(
        work.replace(layout=settings_lib.MODEL_GARDEN, peer=''))
    ratio = f', {baseline.median_ms / row.median_ms:.2f}x' if (
        baseline and baseline is not row) else ''
    lines.append(f'  {row.name}: {_ms(row.median_ms)} ms '
                 f'({row.settings.circumstances}){ratio}')
  return '\n'.join(lines)


def _known(value: float | None, form: str) -> str:
  return '-' if value is None else form.format(value)


def _scaled(value: float, decimals: int) -> str:
  # Of a model of CIFAR-10's size, two decimals would say 0.01 of each.
  return f'{value:.{decimals}f}' if value >= 1 else f'{value:.3g}'


def _ms(value: float) -> str:
  return f'{value:.0f}' if value >= 100 else f'{value:.3g}'
