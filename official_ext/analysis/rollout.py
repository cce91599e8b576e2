r"""Draws what the class token is made of: attention rollout through the pools.

  python -m official_ext.analysis.rollout ViT=runs/vit Funnel=runs/funnel \
    --images=photos --output=rollout.png

The images are on top, then a row for each model: how large a fraction of what
the head reads is from each patch, as a multiple of the mean patch's, and below
it the prediction, in green where it is right. `attention_rollout` says what is
computed.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_MODELS = shared_flags.Models()
_IMAGES = shared_flags.Images()
_RESIDUAL = flags.DEFINE_float(
    'residual', 0.5,
    'How much of a token passes a layer by; the rest is what its attention '
    'gathers.', lower_bound=0, upper_bound=1)
_OUTPUT = flag_types.define_figures('output', 'rollout.png')


def main(argv: Sequence[str]) -> None:
  model_arguments = command.parse_models(argv)
  _IMAGES.require()
  if _RESIDUAL.value == 1:
    raise app.UsageError(
        '--residual=1 leaves nothing to the attention. Name a number below 1')
  with command.work(_OUTPUT.value):
    # pylint: disable=g-import-not-at-top
    from official_ext.analysis import attention_rollout
    from official_ext.analysis import rollout_figure
    # pylint: enable=g-import-not-at-top
    models = _MODELS.load(model_arguments)
    for model in models:
      attention_rollout.traceable(model)
    examples = _IMAGES.read(models[0])
    rows = [rollout_figure.make_row(model, examples, _RESIDUAL.value)
            for model in models]
    command.save(rollout_figure.draw(
        rows, [example.label for example in examples],
        models[0].class_names), _OUTPUT.value)


if __name__ == '__main__':
  library_logs.run(main)
