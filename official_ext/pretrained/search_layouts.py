"""Evaluates a trained ViT as funnels of many layouts, without training.

  python -m official_ext.pretrained.search_layouts --checkpoint=runs/vit \
    --data='data/digits/validation-*' --max_gmacs=0.005 --output_dir=layouts

Prints the best layout at each budget, and writes a table of all and a figure.
Interrupted, it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None,
    'A model_dir, or the prefix of a checkpoint with its params.yaml.',
    required=True)
_DATA = flags.DEFINE_string(
    'data', None,
    "Pattern of TFRecords; by default the experiment's validation data.")
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', 1_000,
    'How many images to evaluate on; they are kept in memory.', lower_bound=1)
_MAX_GMACS = flags.DEFINE_float(
    'max_gmacs', None,
    'Of the layouts: 1e9 multiply-adds of one image forward; by default any.')
_BLOCKS = flag_types.define_positive_integers(
    'blocks', [2, 3],
    'How many blocks the layouts have, such as 2,3. Of the default, what the '
    'model has too few layers or patches for is left out.')
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', 'layouts', 'Folder of layouts.csv and layouts.png.')


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  if _MAX_GMACS.value is not None and not _MAX_GMACS.value > 0:
    raise app.UsageError(
        f'--max_gmacs={_MAX_GMACS.value} must be above 0, such as 8.5')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tqdm

  from official_ext.analysis import command
  from official_ext.analysis import models
  from official_ext.benchmarks import csv_file
  from official_ext.pretrained import layout_report
  from official_ext.pretrained import layout_search
  from official_ext.trained import validation_data
  # pylint: enable=g-import-not-at-top
  path = os.path.join(_OUTPUT_DIR.value, layout_report.FILE)
  with errors.reported():
    csv_file.check_writable(path, '--output_dir')
    with library_logs.without_prints():
      model, = models.load([command.ModelArgument(_CHECKPOINT.value)])
      trained = model.trained
      wanted = layout_search.candidates(
          trained, _BLOCKS.value if _BLOCKS.present else None,
          _MAX_GMACS.value)
      batches = list(validation_data.read_records(
          trained, _DATA.value, _NUM_IMAGES.value))
    head = csv_file.describe_run('official_ext.pretrained.search_layouts') | {
        'checkpoint': os.path.abspath(trained.checkpoint),
        'step': str(trained.step), 'ema': str(trained.is_ema),
        'data': _DATA.value or str(
            trained.params.task.validation_data.input_path),
        'images': str(sum(len(batch.labels) for batch in batches))}
    rows = layout_report.read(path, head)
    known = {(row['layout'], row['pool_axes'], row['pooling']) for row in rows}
    missing = [one for one in wanted if one.key not in known]
    with tqdm.tqdm(total=len(wanted), initial=len(wanted) - len(missing),
                   unit='layout', file=sys.stderr, disable=None) as bar:
      for row in layout_search.evaluate(trained, missing, batches):
        rows.append(row)
        layout_report.write(path, rows, head)
        bar.update()
    keys = {one.key for one in wanted}
    rows = [row for row in rows
            if (row['layout'], row['pool_axes'], row['pooling']) in keys]
    figure = os.path.join(_OUTPUT_DIR.value, layout_report.FIGURE)
    layout_report.save(layout_report.draw(rows), figure)
  print(f'{layout_report.table(rows)}\nwrote {path} and {figure}')


if __name__ == '__main__':
  library_logs.run(main)
