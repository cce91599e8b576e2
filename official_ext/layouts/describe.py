"""Prints what layouts cost before anything is trained.

python -m official_ext.layouts.describe B12 B6-6 B4-4-4
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.command_line import tables
from official_ext.layouts import model_flags

# So that --help shows it.
flags.adopt_module_key_flags(model_flags)


def main(argv: Sequence[str]) -> None:
  if len(argv) < 2:
    raise app.UsageError("name at least one layout, such as 'B6(197)-6(99)'")
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.configs import backbones
  from official_ext.layouts import search
  from official_ext.modeling import costs
  from official_ext.modeling import specs
  # pylint: enable=g-import-not-at-top
  image_size = (model_flags.IMAGE_SIZE.value, model_flags.IMAGE_SIZE.value)
  with errors.reported():
    resolved = [
        specs.resolve(
            backbones.FunnelViT(
                model_name=model_flags.MODEL_NAME.value, layout=layout,
                pooling=model_flags.POOLING.value,
                pool_axes=model_flags.POOL_AXES.value), image_size)
        for layout in argv[1:]]
    specs.check_patches(image_size, resolved[0].patch_size, '--image_size')
  num_classes = model_flags.NUM_CLASSES.value
  first = costs.count_multiply_adds(resolved[0], num_classes)
  rows = []
  for spec in resolved:
    parameters = costs.count_parameters(spec, num_classes)
    multiply_adds = costs.count_multiply_adds(spec, num_classes)
    saved = costs.count_saved_activations(spec) * tf.float32.size / search.MIB
    rows.append([spec.layout_with_tokens, f'{parameters / 1e6:.1f}',
                 f'{multiply_adds / 1e9:.2f}',
                 f'{100 * multiply_adds / first:.0f} %', f'{saved:.1f}'])
  print(tables.aligned(
      ['layout', 'parameters, M', 'GMACs', 'of the first', 'saved, MiB'], rows))
  print('saved: activations for the backward pass, of one image in float32')


if __name__ == '__main__':
  library_logs.run(main)
