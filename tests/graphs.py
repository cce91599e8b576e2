"""Looks into the graph of a step: every operation, functions included."""

import pathlib

import tensorflow as tf
from tensorflow.python.framework import function_def_to_graph

TPU_OPERATIONS = pathlib.Path(__file__).parent / 'tpu_operations.txt'
# The arguments of functions, which the compiler is given itself.
_ARGUMENTS = frozenset({'Placeholder'})


def operations(concrete_function):
  """Every operation of a traced function and of all that it calls."""
  graph = concrete_function.graph
  yield from graph.get_operations()
  for function in graph.as_graph_def(add_shapes=True).library.function:
    inner = function_def_to_graph.function_def_to_graph(
        function, include_library_functions=True)
    yield from inner.get_operations()


def unknown_shapes(concrete_function):
  """The tensors of which a dimension is not known while tracing.

  Not the arguments that a function never reads, such as most of those of a
  loop's condition: TensorFlow writes down no shape for them.
  """
  return [
      f'{tensor.name} {tensor.shape} of {op.type}'
      for op in operations(concrete_function) for tensor in op.outputs
      if not tensor.shape.is_fully_defined() and (
          op.type not in _ARGUMENTS or tensor.consumers())]


def not_on_tpus(concrete_function):
  """The operations that TensorFlow cannot compile for a TPU, with types."""
  kernels = _tpu_kernels()
  missing = set()
  for op in operations(concrete_function):
    if op.type in _ARGUMENTS:
      continue
    types = {name: tf.as_dtype(value.type).name
             for name, value in op.node_def.attr.items() if value.type}
    if not any(_fits(types, kernel) for kernel in kernels.get(op.type, ())):
      missing.add(' '.join(
          [op.type, *(f'{name}={one}' for name, one in sorted(types.items()))]))
  return sorted(missing)


def _fits(types, kernel):
  return all(types[name] in allowed for name, allowed in kernel.items()
             if name in types)


def _tpu_kernels():
  """By operation, the types that the attributes of its kernels may have."""
  kernels = {}
  for line in TPU_OPERATIONS.read_text().splitlines():
    if not line.startswith('#'):
      name, *constraints = line.split()
      kernels.setdefault(name, []).append({
          attribute: allowed.split(',') for attribute, _, allowed in (
              one.partition('=') for one in constraints)})
  return kernels
