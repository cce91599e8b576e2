"""The flags of commands that read checkpoints."""

from __future__ import annotations

from absl import flags

from official_ext import library_logs

CHECKPOINT = flags.DEFINE_enum(
    'checkpoint', 'latest', ['latest', 'best'],
    'Which checkpoint of a model_dir.')
AVERAGED = flags.DEFINE_bool(
    'averaged', None,
    'Whether to take the moving averages of the weights; by default where the '
    'training keeps them.')
CONFIG_FILE = flags.DEFINE_string(
    'config_file', None,
    'A params.yaml, for checkpoints that have none beside them.')
# So that --help shows it.
flags.adopt_module_key_flags(library_logs)
