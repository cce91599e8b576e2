"""Lists the layouts of a number of blocks that meet a budget.

python -m official_ext.layouts.plan --num_blocks=2 --max_gmacs=17.6
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs
from official_ext.command_line import tables
from official_ext.layouts import model_flags

_NUM_BLOCKS = flags.DEFINE_integer(
    'num_blocks', None, 'Blocks of each layout.', required=True,
    lower_bound=1)
_MAX_GMACS = flags.DEFINE_float(
    'max_gmacs', None, 'Budget: 1e9 multiply-adds of one image forward.')
_MAX_PARAMETERS = flags.DEFINE_float(
    'max_parameters_millions', None, 'Budget: parameters, 1e6.')
_MAX_ACTIVATIONS = flags.DEFINE_float(
    'max_activations_mib', None,
    'Budget: activations of a batch saved for the backward pass, MiB. An ideal '
    'count, without variables and gradients; a framework saves more.')
_BATCH_SIZE = flags.DEFINE_integer(
    'batch_size', 1, 'Images in the batch of --max_activations_mib.',
    lower_bound=1)
_DTYPE = flags.DEFINE_enum(
    'dtype', 'float32', ['float32', 'bfloat16', 'float16'],
    'Of the activations.')
_HIDDEN_SIZE = flags.DEFINE_integer(
    'hidden_size', None, "Width of every block; the preset's if not set.")
_MLP_DIM = flags.DEFINE_integer(
    'mlp_dim', None, "Width of the MLPs; the preset's if not set.")
_STRIDES = flag_types.define_positive_integers(
    'strides', [2], 'What a pool may shorten the tokens by, such as 2,4.')
_MAX_LAYERS = flags.DEFINE_integer(
    'max_layers', None,
    "The most layers in total; three times the preset's if not set.")
_MIN_LAYERS_PER_BLOCK = flags.DEFINE_integer(
    'min_layers_per_block', 1, 'The fewest layers of a block.',
    lower_bound=1)
_TOP = flags.DEFINE_integer('top', 20, 'How many to print.', lower_bound=1)
# So that --help shows it.
flags.adopt_module_key_flags(model_flags)


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv, 'everything is a flag, such as --num_blocks=2')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.layouts import search
  # pylint: enable=g-import-not-at-top
  bytes_per_value = tf.as_dtype(_DTYPE.value).size
  with errors.reported():
    budgets = search.Budgets(
        max_gmacs=_MAX_GMACS.value,
        max_parameters_millions=_MAX_PARAMETERS.value,
        max_activations_mib=_MAX_ACTIVATIONS.value,
        batch_size=_BATCH_SIZE.value,
        bytes_per_value=bytes_per_value)
    plans = search.find(
        budgets, _NUM_BLOCKS.value, model_name=model_flags.MODEL_NAME.value,
        image_size=(model_flags.IMAGE_SIZE.value, model_flags.IMAGE_SIZE.value),
        hidden_size=_HIDDEN_SIZE.value, mlp_dim=_MLP_DIM.value,
        pooling=model_flags.POOLING.value,
        pool_axes=model_flags.POOL_AXES.value, strides=_STRIDES.value,
        max_layers=_MAX_LAYERS.value,
        min_layers_per_block=_MIN_LAYERS_PER_BLOCK.value,
        num_classes=model_flags.NUM_CLASSES.value, top=_TOP.value)
  lines = [
      f'{model_flags.MODEL_NAME.value} at {model_flags.IMAGE_SIZE.value} px, '
      f'{_NUM_BLOCKS.value} blocks, at most {plans.max_layers} layers',
      f'budget: {budgets}',
      f'layouts within it: {plans.num_layouts}; nearest to it, the first '
      f'{len(plans.nearest)}:',
      tables.aligned(
          ['layout', 'parameters, M', 'GMACs', 'saved, MiB', 'of the budget'],
          [[plan.layout,
            search.four_digits(plan.num_parameters / 1e6),
            search.four_digits(plan.multiply_adds / 1e9),
            search.four_digits(plan.saved_activations * bytes_per_value
                               / search.MIB),
            f'{100 * plan.used:.1f} %'] for plan in plans.nearest]),
      'saved: activations for the backward pass, of one image in '
      f'{_DTYPE.value}',
      f'a budget may be exceeded by {search.TOLERANCE:.2%}']
  print('\n'.join(lines))


if __name__ == '__main__':
  library_logs.run(main)
