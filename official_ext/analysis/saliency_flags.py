"""The flags of commands that compute saliency."""

from __future__ import annotations

from absl import flags

from official_ext.analysis import arguments

METHOD = flags.DEFINE_enum(
    'method', arguments.SALIENCY_METHODS[0], list(arguments.SALIENCY_METHODS),
    'How saliency is computed.')
SEED = flags.DEFINE_integer('seed', 0, 'Of the noise of smoothgrad.')
