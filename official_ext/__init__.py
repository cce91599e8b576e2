"""Funnel-ViT: a funnel-shaped Vision Transformer for TensorFlow Model Garden.

Paper: "Funnel Vision Transformer for image classification".

`official_ext.load` and `official_ext.create` are the ways in from Python; they
are imported when they are first used, since TensorFlow comes with them.
"""

import importlib

from official_ext import legacy_keras
from official_ext.command_line import former_names
from official_ext.command_line import quiet_import

__version__ = '0.1.0'

# Whatever is imported of this project comes after this.
legacy_keras.prefer()
former_names.install()

# What programs call, and where it is.
_IN_PYTHON = ('load', 'create')


def __getattr__(name: str):
  # By its name alone: all else of this project comes after this file.
  if name in _IN_PYTHON:
    with quiet_import.quiet():
      module = importlib.import_module(f'{__name__}.python_api.{name}')
    return getattr(module, name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  return sorted([*globals(), *_IN_PYTHON])
