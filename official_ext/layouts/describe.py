"""Prints what layouts cost before anything is trained.

python -m official_ext.layouts.describe B12 B6-6 B4-4-4
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs

_FLOAT32_BYTES = 4
_MIB = 2 ** 20

_MODEL_NAME = flags.DEFINE_string('model_name', 'vit-b16', 'The preset.')
_IMAGE_SIZE = flags.DEFINE_integer(
    'image_size', 224, 'Side of the images, px.', lower_bound=1)
_POOL_AXES = flags.DEFINE_string('pool_axes', 'sequence', 'sequence or grid.')
_NUM_CLASSES = flags.DEFINE_integer(
    'num_classes', 1000, 'Outputs of the head.', lower_bound=0)
# So that --help shows it.
flags.adopt_module_key_flags(library_logs)


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError("name at least one layout, such as 'B6(197)-6(99)'")
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.configs import backbones
  from official_ext.modeling import costs
  from official_ext.modeling import specs
  # pylint: enable=g-import-not-at-top
  image_size = (_IMAGE_SIZE.value, _IMAGE_SIZE.value)
  try:
    resolved = [
        specs.resolve(
            backbones.FunnelViT(
                model_name=_MODEL_NAME.value, layout=layout,
                pool_axes=_POOL_AXES.value), image_size)
        for layout in argv[1:]]
  except ValueError as error:
    errors.fail(error)
  width = max(len(spec.layout_with_tokens) for spec in resolved)
  print(f'{"layout":{width}}{"parameters, M":>14}{"GMACs":>8}'
        f'{"of the first":>14}{"kept, MiB":>11}')
  first = costs.count_multiply_adds(resolved[0], _NUM_CLASSES.value)
  for spec in resolved:
    parameters = costs.count_parameters(spec, _NUM_CLASSES.value)
    multiply_adds = costs.count_multiply_adds(spec, _NUM_CLASSES.value)
    kept = costs.count_kept_activations(spec) * _FLOAT32_BYTES / _MIB
    print(f'{spec.layout_with_tokens:{width}}{parameters / 1e6:14.1f}'
          f'{multiply_adds / 1e9:8.2f}{100 * multiply_adds / first:12.0f} %'
          f'{kept:11.1f}')
  print('kept: activations for the backward pass, of one image in float32')


if __name__ == '__main__':
  library_logs.run(main)
