"""The figure of a long training: resident memory over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from official_ext.benchmarks import resident_memory


def draw(path: str,
         samples: Mapping[str, Sequence[resident_memory.Sample]],
         title: str) -> None:
  """Draws a PNG, one line for each training.

  Args:
    path: of the PNG.
    samples: of each training by its name, in the order of their steps.
    title: under the figure: the machine and the versions.
  """
  import matplotlib  # pylint: disable=g-import-not-at-top
  matplotlib.use('Agg')
  from matplotlib import pyplot  # pylint: disable=g-import-not-at-top

  figure, axis = pyplot.subplots(figsize=(8, 4), layout='constrained')
  for name, found in samples.items():
    growth = resident_memory.growth(found)
    axis.plot([sample.step for sample in found],
              [sample.resident_mib for sample in found], marker='.',
              label=f'{name}: {growth.mib_per_1000_steps:+.1f} MiB per 1,000 '
              'steps')
  axis.set_xlabel('training step')
  axis.set_ylabel('resident memory, MiB')
  # From 0: growth is to be seen in proportion.
  axis.set_ylim(0, 1.1 * max(
      sample.resident_mib for found in samples.values() for sample in found))
  axis.set_xlim(left=0)
  axis.spines[['top', 'right']].set_visible(False)
  axis.legend(loc='lower right', frameon=False)
  figure.supxlabel(title, fontsize=8, color='0.4')
  figure.savefig(path, dpi=100)
  pyplot.close(figure)
