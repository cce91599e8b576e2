"""TensorFlow's errors about a record, in words of this package."""

from __future__ import annotations

import re

import tensorflow as tf

# TensorFlow closes a quote there that it did not open.
_TRUNCATED = re.compile(r"truncated record at (\d+)'.*")


def reason(error: tf.errors.OpError) -> str:
  """Returns the reason that an error gives, in a line.

  Args:
    error: raised while a record was read or decoded, eagerly.
  """
  text = _TRUNCATED.sub(
      r'the file ends inside of the record at byte \1',
      error.message.splitlines()[0].split(' [Op:')[0])
  return text.rsplit('}} ', maxsplit=1)[-1]
