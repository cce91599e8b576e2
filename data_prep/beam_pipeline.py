"""Converts shards on Apache Beam: on Dataflow, Flink, Spark or here.

It runs the same function on every shard as the process pool does.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging

from . import plan as plans
from . import shards


def convert(tasks: Sequence[plans.ShardTask], arguments: Sequence[str]
            ) -> None:
  """Converts shards.

  Args:
    tasks: the shards; inputs and outputs must be within reach of the workers.
    arguments: of Beam, such as ['--runner=DataflowRunner', ...].

  Raises:
    ValueError: if Apache Beam is not installed or does not know an argument.
  """
  # Only here: the extra is large, and few need it.
  try:
    # pylint: disable=g-import-not-at-top
    import apache_beam as beam
    from apache_beam.options import pipeline_options
    # pylint: enable=g-import-not-at-top
  except ImportError as error:
    raise ValueError(
        f'--beam needs Apache Beam ({error}): '
        "pip install -e '.[beam]'.") from error
  logging.getLogger('apache_beam').setLevel(logging.WARNING)
  options = pipeline_options.PipelineOptions(list(arguments))
  with beam.Pipeline(options=options) as pipeline:
    _ = (pipeline
         | 'Shards' >> beam.Create(list(tasks))
         | 'Spread' >> beam.Reshuffle()
         | 'Convert' >> beam.Map(_convert))


def _convert(task: plans.ShardTask) -> str:
  return shards.convert_shard(task).name
