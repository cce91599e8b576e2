"""Measures rows: which process runs when, and what becomes of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import itertools
import sys
from typing import TextIO

from official.modeling import hyperparams
import tensorflow as tf
import tqdm

from official_ext import registry_imports  # noqa: F401
from official_ext.benchmarks import activations
from official_ext.benchmarks import report
from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process
from official_ext.modeling import costs
from official_ext.modeling import feature_levels
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.training import attention_kernel
from official_ext.training import memory

# Of the free memory, what a process may take in the search for a batch.
_FRACTION_OF_FREE_MEMORY = 0.9
_LARGEST_BATCH = 65_536
# The search ends when the largest batch is known to this part of itself.
_BATCH_PRECISION = 16


@dataclasses.dataclass(frozen=True)
class Plan:
  """How rows are measured.

  Attributes:
    rounds: times that each row has its turn.
    steps: timed steps of a turn.
    warmup_steps: steps that do not count, once for each process.
    activations: whether the activation memory is measured too.
    find_batch: whether the largest batch that fits is looked for.
    together: whether the processes of a group live on, or each ends its turn.
  """
  rounds: int
  steps: int
  warmup_steps: int
  activations: bool
  find_batch: bool
  together: bool


def may_live_together(choice: str | None, has_tpu: bool) -> bool:
  """Returns whether the processes of all layouts live at the same time.

  They then share the machine's memory: on an accelerator they would take it
  from each other, and a TPU belongs to one process.

  Args:
    choice: 'together', 'in_turn' or None for what suits the device.
    has_tpu: whether the steps run on a TPU.

  Returns:
    True for together.

  Raises:
    ValueError: if 'together' is asked for on a TPU.
  """
  if choice == 'together' and has_tpu:
    raise ValueError(
        '--processes=together: a TPU belongs to one process. Use in_turn.')
  if choice:
    return choice == 'together'
  return not has_tpu and not tf.config.list_physical_devices('GPU')


def begin(settings: Sequence[settings_lib.Settings]) -> list[report.Row]:
  """Returns rows with all that is known before anything runs.

  Args:
    settings: what to measure; the layouts follow their baseline.

  Returns:
    A row for each.

  Raises:
    ValueError: if a layout, size or override does not fit.
  """
  rows, baseline = [], None
  # Alone first, so that an error names what was typed.
  for name, override in {
      (settings_lib.experiment_name(one), one.params_override)
      for one in settings}:
    experiment.load(name, params_override=override)
  for one in settings:
    is_garden = one.layout == settings_lib.MODEL_GARDEN and not one.peer
    if one.model_name not in specs.vit_specs.VIT_SPECS:
      raise ValueError(
          f'--model_name={one.model_name}: must be a preset of the baseline, '
          f"Model Garden's vit: {', '.join(specs.vit_specs.VIT_SPECS)}.")
    params = settings_lib.load_experiment(one)
    if one.mode == 'train' and not one.peer:
      attention_kernel.check_step(params, one.xla, one.dtype)
    config = params.task.model.backbone.funnel_vit
    if one.layout == settings_lib.MODEL_GARDEN:
      # The same sizes as a layout of one block.
      config = type(config)(model_name=one.model_name)
    spec = specs.resolve(config, (one.image_size, one.image_size))
    # A head on a map is counted for itself.
    num_classes = 0 if one.has_maps else params.task.model.num_classes
    head = _count_head(params.task.model, spec) if one.has_maps else (0, 0)
    row = report.Row(
        settings=one,
        layout_with_tokens=spec.layout_with_tokens,
        parameters=costs.count_parameters(spec, num_classes) + head[0],
        multiply_adds=head[1] + costs.count_multiply_adds(
            spec, num_classes, one.layout != settings_lib.MODEL_GARDEN and
            config.fast_path.class_token_only),
        saved_activations=costs.count_saved_activations(spec),
        baseline=None if is_garden else baseline)
    if is_garden:
      baseline = row
    rows.append(row)
  return rows


def _count_head(model: hyperparams.Config,
                spec: specs.ModelSpec) -> tuple[int, int]:
  """Returns parameters and multiply-adds of a linear head on a map."""
  rows, columns = feature_levels.map_shape(
      model.head.level, spec.grid, spec.patch_size)
  channels = spec.feature_maps.pyramid_filters or spec.num_features
  weights = channels * model.num_classes
  return weights + model.num_classes, rows * columns * weights


def run(rows: Sequence[report.Row], plan: Plan, stream: TextIO,
        done: Callable[[Sequence[report.Row]], None]) -> None:
  """Measures rows, group by group; a group has the same circumstances.

  Args:
    rows: what `begin` returned; filled in.
    plan: how.
    stream: where to show the progress, if it is a terminal.
    done: told of each group that is measured.

  Raises:
    ValueError: if a model cannot be built.
    step_process.WorkerError: if a process fails, other than for want of memory.
  """
  groups = [list(group) for _, group in itertools.groupby(
      rows, lambda row: row.settings.circumstances)]
  num_turns = plan.rounds + plan.activations + plan.find_batch
  with tqdm.tqdm(total=len(rows) * num_turns, file=stream, leave=False,
                 disable=not stream.isatty(),
                 bar_format='{percentage:3.0f}%|{bar:20}| {elapsed} {desc}'
                 ) as bar:
    for group in groups:
      if plan.find_batch:
        for row in group:
          with _turn(row, bar):
            _find_batch(row, plan, bar)
      _time_group(group, plan, bar)
      if plan.activations:
        for row in group:
          with _turn(row, bar, 'compiled memory'):
            if row.settings.peer:
              continue  # XLA does not compile it.
            # The compiled program is the same, whether XLA is on or off.
            found = activations.measure(row.settings.replace(xla=True))
            row.activations_mib = found.mib
            row.activations_backend = found.backend
      bar.clear()
      done(group)


def _time_group(group: Sequence[report.Row], plan: Plan,
                bar: tqdm.tqdm) -> None:
  """Times rows in rounds, with one of their processes running at a time."""
  # The largest batch that fits needs the memory for itself.
  live_together = plan.together and not plan.find_batch
  with contextlib.ExitStack() as living:
    processes = {}
    for _ in range(plan.rounds):
      for index, row in enumerate(group):
        with _turn(row, bar):
          if row.status != 'ok':
            continue
          if index not in processes:
            processes[index] = living.enter_context(
                step_process.Worker(row.settings))
            processes[index].run_steps(plan.warmup_steps)
          _time(row, processes[index], plan)
          if not live_together:
            processes.pop(index).close()


def _time(row: report.Row, process: step_process.Worker, plan: Plan) -> None:
  """Runs the steps of a turn and notes what they took."""
  row.device = process.device_name
  row.times_ms += process.run_steps(plan.steps)
  answer = process.peak_memory()
  row.peak_of = answer['peak_of']
  if answer['peak_gib'] is not None:
    row.peak_gib = max(row.peak_gib or 0, answer['peak_gib'])


@contextlib.contextmanager
def _turn(row: report.Row, bar: tqdm.tqdm, what: str = '') -> Iterator[None]:
  """Shows whose turn it is; notes it if the memory does not suffice."""
  text = f'{row.name}, {row.settings.arithmetic} {what}'.rstrip()
  bar.set_description_str(text)
  if bar.disable:
    # No bar in a pipe, but a line, so that it does not seem to hang.
    print(text, file=sys.stderr, flush=True)
  try:
    yield
  except step_process.OutOfMemoryError:
    row.status = report.OUT_OF_MEMORY
    row.times_ms.clear()
  bar.update()


def _find_batch(row: report.Row, plan: Plan, bar: tqdm.tqdm) -> None:
  """Looks for the largest batch that trains, and sets it in the row.

  Args:
    row: the row; its batch is where the search begins.
    plan: how it is timed then.
    bar: told of each try.

  Raises:
    step_process.OutOfMemoryError: if not even one image fits.
  """
  settings = row.settings
  if not settings.memory_limit_gib and not settings.tpu and (
      not tf.config.list_physical_devices('GPU')):
    settings = settings.replace(
        memory_limit_gib=_FRACTION_OF_FREE_MEMORY * memory.proc_gib(
            '/proc/meminfo', 'MemAvailable'))

  def fits(batch_size):
    bar.set_description_str(f'{row.name}: does batch {batch_size} fit?')
    try:
      with step_process.Worker(
          settings.replace(batch_size=batch_size)) as process:
        # As many as a turn has: a later one may need a little more memory.
        process.run_steps(plan.warmup_steps + plan.steps)
    except step_process.OutOfMemoryError:
      return False
    return True

  row.settings = settings.replace(
      batch_size=largest_batch(settings.batch_size, fits))


def largest_batch(start: int, fits: Callable[[int], bool]) -> int:
  """Returns the largest batch that fits, to a sixteenth of itself.

  Args:
    start: where to begin.
    fits: whether a batch does; it is asked for each batch at most once.

  Returns:
    A batch that fits, such that one larger by a sixteenth does not.

  Raises:
    step_process.OutOfMemoryError: if not even one image fits.
  """
  if fits(start):
    largest, too_large = start, 2 * start
    while too_large <= _LARGEST_BATCH and fits(too_large):
      largest, too_large = too_large, 2 * too_large
    if too_large > _LARGEST_BATCH:
      return largest
  else:
    largest, too_large = 0, start
  while too_large - largest > max(1, largest // _BATCH_PRECISION):
    middle = (largest + too_large) // 2
    if fits(middle):
      largest = middle
    else:
      too_large = middle
  if not largest:
    raise step_process.OutOfMemoryError('not even one image fits')
  return largest
