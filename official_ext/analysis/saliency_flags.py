"""The flags of commands that compute saliency."""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import arguments

METHOD = flags.DEFINE_enum(
    'method', arguments.SALIENCY_METHODS[0], list(arguments.SALIENCY_METHODS),
    'How saliency is computed.')
SEED = flags.DEFINE_integer('seed', 0, 'Of the noise of smoothgrad.')


def draw(models: Sequence, examples: Sequence, target: str = 'prediction',
         titles: Sequence[str] = ()):
  """Draws the saliency of images as the flags say.

  Args:
    models: at least one `models.NamedModel`.
    examples: at least one `examples.Example`.
    target: whose score, 'prediction' or 'label'.
    titles: above the images, one for each; or none.

  Returns:
    The figure.

  Raises:
    ValueError: if an image cannot be decoded.
  """
  # Only once the flags are parsed: it imports TensorFlow.
  from official_ext.analysis import saliency_grid  # pylint: disable=g-import-not-at-top
  return saliency_grid.explain_examples(
      models, examples, METHOD.value, target, SEED.value, titles)
