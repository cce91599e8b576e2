r"""Lists the operations that TensorFlow compiles for TPUs.

  TPU_LOAD_LIBRARY=0 .venv/bin/python -m scripts.list_tpu_operations \
    > tests/tpu_operations.txt

Needs tensorflow-tpu (scripts/setup_tpu_vm.sh), but no TPU: the list is that of
the kernels which it registers for the device XLA_TPU_JIT. TensorFlow's other
distributions register none. `tests/tasks/tpu_step_test.py` reads it.
"""

from __future__ import annotations

import os
import sys

DEVICE = 'XLA_TPU_JIT'


def main() -> None:
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf
  from tensorflow.python.framework import kernels
  # pylint: enable=g-import-not-at-top
  # They are registered when something is first compiled. That fails on CPU.
  try:
    tf.function(tf.identity, jit_compile=True)(tf.constant(0))
  except tf.errors.NotFoundError:
    pass
  lines = set()
  for kernel in kernels.get_all_registered_kernels().kernel:
    if kernel.device_type == DEVICE:
      types = (
          f'{one.name}=' + ','.join(sorted(
              tf.as_dtype(value).name for value in one.allowed_values.list.type
          )) for one in kernel.constraint)
      lines.add(' '.join([kernel.op, *sorted(types)]))
  if not lines:
    sys.exit(f'error: {tf.__file__} has no kernels for {DEVICE}. Install '
             'tensorflow-tpu: scripts/setup_tpu_vm.sh.')
  print(f'# Kernels of tensorflow-tpu {tf.__version__} for {DEVICE}, and the '
        'types that their\n# attributes may have. Written by '
        'scripts/list_tpu_operations.py.')
  print('\n'.join(sorted(lines)))


if __name__ == '__main__':
  main()
