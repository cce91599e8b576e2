"""Writes docs/figures/image_kinds.csv and color_profiles.csv.

  make image-kinds

Every kind of image file (docs/image_kinds.py) is converted, served by an export
and given to what `predict` runs. The export's model gives back the pixels that
it gets, so that all three are compared with what is to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
import io
import pathlib
import tempfile

import handmade_images
import image_kinds
import numpy as np
from PIL import Image
import tensorflow as tf
import tf_keras

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import machine
from official_ext.data_prep import color_profile
from official_ext.data_prep import images
from official_ext.params import experiment
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.serving.runtimes import classifier
from official_ext.tasks import exif_orientation
from official_ext.tasks import file_forms
from official_ext.tasks import image_header
from official_ext.tasks import normalization
from official_ext.trained import trained_model

FIGURES = pathlib.Path(__file__).parent / 'figures'
# Of 255: what the best quality of a JPEG changes in a flat color.
TOLERANCE = 4
_SIDE = 16
_CENTERS = slice(4, None, 8)


class PixelServer:
  """An export whose answer is the image that its model was given."""

  def __init__(self, folder: str):
    """Writes and loads the export.

    Args:
      folder: where to.
    """
    num_values = _SIDE * _SIDE * 3
    params = experiment.load('funnel_vit_digits', params_override=','.join([
        f'task.model.input_size=[{_SIDE},{_SIDE},3]',
        f'task.model.num_classes={num_values}',
        'task.validation_data.aug_crop=False']))
    model = tf_keras.Sequential([
        tf_keras.layers.Flatten(input_shape=(_SIDE, _SIDE, 3))])
    trained = trained_model.TrainedModel(
        params, model, checkpoint='none', step=None, is_ema=False,
        data={exif_orientation.KEY: exif_orientation.APPLY})
    path = write.export(trained, names.SAVED_MODEL, folder)
    self._loaded = tf.saved_model.load(path)
    self._predict = classifier.Classifier(path)

  def pixels(self, encoded: bytes) -> np.ndarray:
    """Returns what a request's model gets, RGB [16, 16, 3].

    Raises:
      tf.errors.InvalidArgumentError: if the request is refused.
    """
    logits = self._loaded.signatures[names.DEFAULT_SIGNATURE](
        image_bytes=tf.constant([encoded]))[names.LOGITS].numpy()
    return normalization.IMAGENET.denormalize(logits.reshape(_SIDE, _SIDE, 3))

  def predicted(self, encoded: bytes) -> float:
    """Returns the largest probability that `predict` prints.

    Raises:
      ValueError: if it refuses the file.
    """
    return next(self._predict.classify(encoded, 1))[1]


def row(kind: image_kinds.Kind, server: PixelServer) -> dict[str, str]:
  """Returns what becomes of a kind, as a row of the table.

  Args:
    kind: the kind.
    server: which serves it.

  Raises:
    ValueError: if pixels are not those that are to be seen, or what `predict`
      runs answers otherwise than the server.
  """
  return {
      'form': kind.form, 'channels': kind.channels, 'bits': str(kind.bits),
      'other': kind.other, 'conversion': converted(kind),
      'serving': _served(kind, server), 'predict': _predicted(kind, server)}


def rows(kinds: Sequence[image_kinds.Kind]) -> list[dict[str, str]]:
  """Returns the rows of kinds."""
  with tempfile.TemporaryDirectory() as folder:
    server = PixelServer(folder)
    return [row(kind, server) for kind in kinds]


def converted(kind: image_kinds.Kind) -> str:
  """Returns what the conversion makes of a kind.

  Raises:
    ValueError: if the pixels are not those that are to be seen.
  """
  try:
    checked = images.check(kind.data)
  except images.CorruptImageError as error:
    return f'quarantined: {error}'
  check_seen(kind, 'the conversion', np.asarray(
      Image.open(io.BytesIO(checked.encoded)).convert('RGB')) if (
          checked.was) else tf.io.decode_jpeg(
              checked.encoded, channels=3).numpy())
  words = ['encoded again' if checked.was else 'the same bytes']
  if checked.orientation != exif_orientation.UPRIGHT:
    words.append('turned')
  if checked.has_other_profile:
    words.append('profile ignored')
  return ', '.join(words)


def _served(kind: image_kinds.Kind, server: PixelServer) -> str:
  try:
    pixels = server.pixels(kind.data)
  except tf.errors.InvalidArgumentError:
    return _refused(kind, server)
  check_seen(kind, 'serving', pixels)
  # The softmax of the logits, which are normalised pixels.
  largest = tf.nn.softmax(
      normalization.IMAGENET.normalize(pixels).numpy().reshape(-1)).numpy().max()
  if not np.isclose(server.predicted(kind.data), largest, rtol=1e-3):
    raise ValueError(f'{kind.name}: predict answers otherwise than the server.')
  return 'the same pixels'


def _predicted(kind: image_kinds.Kind, server: PixelServer) -> str:
  try:
    encoded = file_forms.as_served(kind.data)
  except ValueError as error:
    return f'refused: {error}'
  try:
    server.pixels(encoded)
  except tf.errors.InvalidArgumentError:
    # It then says what the conversion says, where that has a reason.
    fault = file_forms.fault(encoded)
    return f'refused: {fault}' if fault else _refused(kind, server)
  return _served(dataclasses.replace(kind, data=encoded), server)


def _refused(kind: image_kinds.Kind, server: PixelServer) -> str:
  try:
    server.predicted(kind.data)
  except ValueError as error:
    start = f'{image_header.NOT_AN_IMAGE}: '
    return f'refused: {str(error).removeprefix(start)}'
  raise ValueError(f'{kind.name}: predict answers what the server refuses.')


def check_seen(kind: image_kinds.Kind, who: str, pixels: np.ndarray) -> None:
  """Compares an image with what is to be seen of a kind.

  Args:
    kind: the kind.
    who: made the image.
    pixels: RGB of 0 to 255, [16, 16, 3].

  Raises:
    ValueError: if they differ, or nobody can know what is to be seen.
  """
  if kind.seen is None:
    raise ValueError(f'{kind.name}: {who} takes what nobody can know.')
  difference = np.abs(
      pixels[_CENTERS, _CENTERS].astype(float) - kind.seen).max()
  if difference > TOLERANCE:
    raise ValueError(f'{kind.name}: {who} is {difference:.0f} of 255 off.')


def profile_rows() -> list[dict[str, str]]:
  """Returns how far colors are off where profiles are ignored."""
  distances = {
      name: color_profile.distance(handmade_images.color_profile(*space))
      for name, space in image_kinds.PROFILES.items()}
  return [{'profile': name, 'largest difference, of 255': f'{distance:.0f}'}
          for name, distance in distances.items()]


if __name__ == '__main__':
  head = {'command': 'make image-kinds',
          'date': datetime.date.today().isoformat(),
          'machine': 'computed, the same on any',
          'versions': machine.versions()}
  for file_name, computed in (
      ('image_kinds.csv', rows(image_kinds.every())),
      ('color_profiles.csv', profile_rows())):
    csv_file.write(str(FIGURES / file_name), computed, head)
    print(f'wrote {FIGURES / file_name}')
