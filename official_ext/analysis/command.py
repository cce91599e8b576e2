"""What the commands share: how models are named, and the skeleton of a command.

It hushes the libraries, works, or fails in one line. Imports no TensorFlow, so
that a typo is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import os
from typing import Any

from absl import app

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.command_line import output_files
from official_ext.command_line import paths

# How saliency is computed; `saliency_maps` explains them.
SALIENCY_METHODS = ('gradient', 'smoothgrad', 'integrated_gradients')
# Whose score saliency explains.
PREDICTION = 'prediction'
LABEL = 'label'


@dataclasses.dataclass(frozen=True)
class ModelArgument:
  """A model as it was typed: [NAME=]PATH.

  Attributes:
    path: a model_dir, or the prefix of a checkpoint.
    name: what to call it; None: by its layout.
  """
  path: str
  name: str | None = None


def parse_models(argv: Sequence[str], least: int = 1,
                 most: int | None = None) -> list[ModelArgument]:
  """Reads the models of a command line.

  Args:
    argv: the command and its positional arguments.
    least: how many are needed.
    most: how many are allowed; None: any number.

  Returns:
    The models, in order.

  Raises:
    app.UsageError: if there are fewer or more.
  """
  count = len(argv) - 1
  if count < least or (most is not None and count > most):
    number = {(1, None): 'at least one model', (1, 1): 'one model',
              (2, 2): 'two models'}[least, most]
    raise app.UsageError(
        f'name {number}: a model_dir or the prefix of a checkpoint, with its '
        'name in the figure if you like, as in ViT=runs/vit '
        f'(given: {count or "none"})')
  return [_parse_model(text) for text in argv[1:]]


def _parse_model(text: str) -> ModelArgument:
  name, equals, path = text.partition('=')
  # A path may hold the character itself.
  if not equals or os.sep in name:
    return ModelArgument(text)
  if not name or not path:
    raise app.UsageError(f'{text!r} is not [NAME=]PATH')
  return ModelArgument(paths.expand_home(path), name)


@contextlib.contextmanager
def work(output: Sequence[str] = ()) -> Iterator[None]:
  """Runs what a command does, once its flags have been checked.

  The block imports what needs TensorFlow. What goes wrong in it ends the
  command with a line for the person who typed it.

  Args:
    output: files that the command will write; their folders are made first.

  Yields:
    Once: the libraries are silent.
  """
  library_logs.silence()
  with errors.reported():
    output_files.make_folders(output)
    yield


def save(figure: Any, output: Sequence[str]) -> None:
  """Writes a figure, closes it, and says where it is."""
  from official_ext import figures  # pylint: disable=g-import-not-at-top
  figures.save(figure, output)
  tell_written(output)


def tell_written(paths: Sequence[str]) -> None:
  """Says which files a command has written."""
  print(f'wrote {", ".join(paths)}')
