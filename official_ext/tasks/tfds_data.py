"""Whether TFDS has a data set, or can get it, before a training is begun.

TFDS prepares a data set when it is first read, long after the start, and tries
for minutes to reach a host that is not there.
"""

from __future__ import annotations

import os
import ssl
import urllib.error
import urllib.parse
import urllib.request

import tensorflow as tf
import tensorflow_datasets as tfds

# Of the answer of a host, in seconds.
_TIMEOUT = 10


def check(name: str, data_dir: str | None, where: str) -> None:
  """Checks that a data set is prepared, or that TFDS can prepare it.

  Args:
    name: of the data set in TFDS.
    data_dir: folder of TFDS; None or '' is its own, in the home folder.
    where: the data set's place in the settings, such as 'task.train_data'.

  Raises:
    ValueError: if it is neither, saying what to do.
  """
  builder = tfds.builder(name, data_dir=data_dir or None)
  if builder.is_prepared():
    return
  root = str(builder.data_dir).removesuffix(builder.info.full_name).rstrip('/')
  downloads = os.path.join(root, 'downloads')
  missing = f'{where}.tfds_name is {name!r}, which is not prepared in {root}'
  urls = builder.url_infos or {}
  if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
    manual = os.path.join(downloads, 'manual')
    lacking = [file for file in map(os.path.basename, urls)
               if not tf.io.gfile.exists(os.path.join(manual, file))]
    if lacking:
      raise ValueError(
          f'{missing}, and TFDS cannot download it: {manual} lacks '
          f'{" and ".join(lacking)}. Put the archives there; or convert them '
          'with python -m official_ext.data_prep.imagenet_to_tfrecord, and set '
          f"task.data_dir to that folder and {where}.tfds_name=''.")
    return
  there = _sizes(downloads)
  for url, info in urls.items():
    problem = None if info.size in there else _unreachable(url)
    if problem:
      raise ValueError(
          f'{missing}, and {urllib.parse.urlsplit(url).hostname}, from which '
          f'TFDS downloads it, cannot be reached: {problem}. Where there is a '
          'network, python -c "import tensorflow_datasets as tfds; '
          f"tfds.load('{name}')\" prepares it in ~/tensorflow_datasets: copy "
          f'that folder, and name it in {where}.tfds_data_dir.')


def _sizes(folder: str) -> set[int]:
  """Returns the sizes in bytes of the files of a folder, if it is there."""
  if not tf.io.gfile.isdir(folder):
    return set()
  paths = (os.path.join(folder, name) for name in tf.io.gfile.listdir(folder))
  return {tf.io.gfile.stat(path).length for path in paths
          if not tf.io.gfile.isdir(path)}


def _unreachable(url: str) -> str | None:
  """Returns why a host does not answer; None if it does, whatever it says."""
  request = urllib.request.Request(url, method='HEAD')
  try:
    with urllib.request.urlopen(request, timeout=_TIMEOUT):
      return None
  except urllib.error.HTTPError:
    return None
  except urllib.error.URLError as error:
    # TFDS brings certificates of its own.
    if isinstance(error.reason, ssl.SSLError):
      return None
    return getattr(error.reason, 'strerror', None) or str(error.reason)
  except OSError as error:  # It took too long, or hung up.
    return error.strerror or str(error) or type(error).__name__
