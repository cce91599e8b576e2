"""Random functions made functions of a seed and an index.

Model Garden augments images by random operations that keep a state: what they
draw depends on how many images a process has seen, so a run that is resumed
draws other numbers than one that never stopped. Here such a function is traced,
and each random operation of its graph is replaced by TensorFlow's stateless
one, whose seed follows from the seed of the run, the index of the record and
the place of the operation in the graph. The distributions stay the same. What
is drawn no longer depends on the order, so tf.data may run such functions in
parallel even if a run is to be reproducible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import itertools
from typing import Any
import zlib

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class _Stateless:
  """What takes the place of a random operation that keeps a state."""
  operation: str
  # Inputs before the seed.
  num_before: int = 1
  # Attributes that have other names there.
  renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)


_STATELESS = {
    'RandomUniform': _Stateless('StatelessRandomUniform'),
    'RandomUniformInt': _Stateless(
        'StatelessRandomUniformInt', renamed={'Tout': 'dtype'}),
    'RandomStandardNormal': _Stateless('StatelessRandomNormal'),
    'TruncatedNormal': _Stateless('StatelessTruncatedNormal'),
    'RandomGamma': _Stateless(
        'StatelessRandomGammaV2', renamed={'T': 'dtype', 'S': 'T'}),
    'Multinomial': _Stateless('StatelessMultinomial', num_before=2),
    'SampleDistortedBoundingBoxV2': _Stateless(
        'StatelessSampleDistortedBoundingBox', num_before=3),
}
# Operations of tf.random.Generator; all others that keep a state have two
# seeds as attributes.
_GENERATORS = ('Rng', 'Stateful')
_LOOPS = ('While', 'StatelessWhile')
_CONDITIONS = ('If', 'StatelessIf', 'Case', 'StatelessCase')
_SEED = 'stateless_random_seed'
_INT64 = tf.int64.as_datatype_enum
_SEED_SHAPE = tf.TensorShape([2]).as_proto()
# Functions must have names of their own in the whole process.
_COPIES = itertools.count()


def function(random_function: Callable[..., Any], seed: int,
             purpose: str) -> Callable[..., Any]:
  """Makes a random function a function of an index.

  Args:
    random_function: takes and returns nested tensors, and draws by TensorFlow's
      random operations.
    seed: of the run.
    purpose: what is drawn, so that two functions with one seed draw
      differently; a valid name of an operation.

  Returns:
    A function of an index, int [], and the arguments of `random_function`, to
    be called in a graph such as that of `tf.data.Dataset.map`. It raises
    ValueError if a random operation has no stateless counterpart here.
  """
  sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
  key, *trace_seed = map(int, sequence.generate_state(5, np.uint32))

  def indexed(index, *arguments):
    # Functions that a graph calls must be known outside it too.
    with tf.init_scope(), _numpy_seed(trace_seed):
      traced = tf.function(random_function).get_concrete_function(
          *tf.nest.map_structure(tf.type_spec_from_value, arguments))
      stateless = _stateless(traced, purpose)
    # 128 random bits: small sums with them never meet.
    index_seed = tf.random.stateless_uniform(
        [2], [tf.constant(key, tf.int64), tf.cast(index, tf.int64)],
        minval=None, maxval=None, dtype=tf.int64)
    outputs = stateless(
        index_seed, *tf.nest.flatten(arguments, expand_composites=True),
        *traced.captured_inputs)
    return tf.nest.pack_sequence_as(
        traced.structured_outputs, outputs, expand_composites=True)

  return indexed


def _stateless(traced: Any, name: str) -> Callable[..., list[tf.Tensor]]:
  """Returns a traced function that takes a seed, int64 [2], and its inputs."""
  graph_def = traced.graph.as_graph_def()
  _Rewriter(graph_def)
  # An assertion is no output, and yet to be run.
  checks = [operation.name for operation in traced.graph.control_outputs]

  def run(seed, *inputs):
    names = [f'{_SEED}:0', *(tensor.name for tensor in traced.inputs)]
    elements = tf.graph_util.import_graph_def(
        graph_def,
        input_map=dict(zip(names, (seed, *inputs), strict=True)),
        return_elements=checks + [tensor.name for tensor in traced.outputs],
        name='')
    with tf.control_dependencies(elements[:len(checks)]):
      return [tf.identity(output) for output in elements[len(checks):]]

  return tf.compat.v1.wrap_function(
      run, [tf.TensorSpec([2], tf.int64), *(
          tf.TensorSpec(tensor.shape, tensor.dtype)
          for tensor in traced.inputs)], name=name)


@contextlib.contextmanager
def _numpy_seed(seed: Sequence[int]) -> Iterator[None]:
  """Seeds NumPy for a time.

  Model Garden draws the width of a blur from it, while a graph is traced.
  """
  state = np.random.get_state()
  np.random.seed(seed)
  try:
    yield
  finally:
    np.random.set_state(state)


class _Rewriter:
  """Replaces the random operations of a graph and of the functions it calls.

  A function that draws gets the seed as its last argument, and each call a copy
  of its function: so every operation has a place of its own, which is added to
  the seed. Each turn of a loop has another seed.
  """

  def __init__(self, graph_def: tf.compat.v1.GraphDef):
    """Rewrites a graph in place.

    Args:
      graph_def: the graph; it gets the seed as a placeholder.

    Raises:
      ValueError: if a random operation has no stateless counterpart.
    """
    self._library = graph_def.library
    self._functions = {
        one.signature.name: one for one in self._library.function}
    self._drawing: dict[str, bool] = {}
    self._places = itertools.count()
    self._rewrite(graph_def.node, lambda node, _: f'{node.name}:0')
    _add_node(graph_def.node, 'Placeholder', _SEED, dtype=_INT64).attr[
        'shape'].shape.CopyFrom(_SEED_SHAPE)
    kept = [one for one in self._library.function
            if not self._drawing.get(one.signature.name)]
    del self._library.function[:]
    self._library.function.extend(kept)

  def _draws(self, node: Any) -> bool:
    """Returns whether an operation draws, or a function that it calls."""
    if node.op in _STATELESS:
      return True
    called = _called(node)
    if not called and (
        'seed2' in node.attr or node.op.startswith(_GENERATORS)):
      raise ValueError(
          f'the random operation {node.op} ({node.name}) keeps a state, so a '
          'run that is resumed would go on differently. Use '
          f'{", ".join(_STATELESS)}, or tf.random.stateless_*.')
    # A list: every function is to be visited.
    return any([self._function_draws(one.name) for one in called])

  def _function_draws(self, name: str) -> bool:
    if name not in self._drawing:
      self._drawing[name] = any(
          [self._draws(node) for node in self._functions[name].node_def])
    return self._drawing[name]

  def _rewrite(self, nodes: Any, output: Callable[[Any, str], str]) -> None:
    """Rewrites the nodes of a graph or of a function.

    Args:
      nodes: the nodes; some are added.
      output: how an output of a node is named there.
    """
    for node in list(nodes):
      if not self._draws(node):
        continue
      if node.op in _STATELESS:
        self._rewrite_draw(node, nodes, output)
      else:
        self._rewrite_call(node)

  def _rewrite_draw(self, node: Any, nodes: Any,
                    output: Callable[[Any, str], str]) -> None:
    """Makes one random operation stateless."""
    stateless = _STATELESS[node.op]
    if node.op == 'RandomGamma':
      _append_shape_of_alpha(node, nodes, output)
    node.op = stateless.operation
    node.input.insert(
        stateless.num_before, self._own_seed(node.name, nodes, output))
    for attribute in ('seed', 'seed2'):
      del node.attr[attribute]
    for old, new in stateless.renamed.items():
      node.attr[new].CopyFrom(node.attr[old])
      if old not in stateless.renamed.values():
        del node.attr[old]
    node.attr['Tseed'].type = _INT64

  def _own_seed(self, name: str, nodes: Any,
                output: Callable[[Any, str], str]) -> str:
    """Adds what makes the seed of one operation; returns the output's name."""
    place = _add_constant(
        nodes, f'{name}/place', np.array([next(self._places), 0], np.int64))
    seed = _add_node(
        nodes, 'AddV2', f'{name}/seed', [_SEED, output(place, 'output')],
        T=_INT64)
    return output(seed, 'z')

  def _rewrite_call(self, node: Any) -> None:
    """Hands the seed on to copies of the functions that an operation calls."""
    types = node.attr['T' if node.op in _LOOPS else 'Tin'].list.type
    # What is decided by comes before; control inputs come behind.
    num_before = len(types) + (node.op in _CONDITIONS)
    node.input.insert(num_before, _SEED)
    types.append(_INT64)
    body = None
    if node.op in _LOOPS:
      body = node.attr['body'].func
      shapes = node.attr['output_shapes'].list.shape
      if shapes:
        shapes.add().CopyFrom(_SEED_SHAPE)
    for one in _called(node):
      one.name = self._copy(one.name, is_body=one is body)

  def _copy(self, name: str, is_body: bool) -> str:
    """Adds a copy of a function that takes the seed; returns its name."""
    copy = self._library.function.add()
    copy.CopyFrom(self._functions[name])
    copy.signature.name = f'{name}_{next(_COPIES)}'
    copy.signature.input_arg.add(name=_SEED, type=_INT64)
    self._rewrite(copy.node_def, _output_in_function)
    if is_body:
      nodes = copy.node_def
      shape = _add_constant(
          nodes, f'{_SEED}/shape', np.array([2], np.int32))
      following = _add_node(
          nodes, 'StatelessRandomUniformFullInt', f'{_SEED}/following', [
              _output_in_function(shape, 'output'),
              self._own_seed(_SEED, nodes, _output_in_function)],
          dtype=_INT64, Tseed=_INT64, T=tf.int32.as_datatype_enum)
      copy.signature.output_arg.add(name=f'{_SEED}_following', type=_INT64)
      copy.ret[f'{_SEED}_following'] = _output_in_function(following, 'output')
    return copy.signature.name


def _called(node: Any) -> list[Any]:
  """Returns what names the functions that an operation calls."""
  if node.op in _LOOPS:
    return [node.attr[name].func for name in ('cond', 'body')]
  if node.op in ('If', 'StatelessIf'):
    return [node.attr[name].func for name in ('then_branch', 'else_branch')]
  if node.op in _CONDITIONS:
    return list(node.attr['branches'].list.func)
  if node.op in ('PartitionedCall', 'StatefulPartitionedCall'):
    return [node.attr['f'].func]
  return []


def _output_in_function(node: Any, name: str) -> str:
  return f'{node.name}:{name}:0'


def _add_node(nodes: Any, operation: str, name: str,
              inputs: Sequence[str] = (), **types: int) -> Any:
  """Adds a node whose attributes are types; returns it."""
  node = nodes.add(name=name, op=operation, input=inputs)
  for attribute, value in types.items():
    node.attr[attribute].type = value
  return node


def _add_constant(nodes: Any, name: str, value: np.ndarray) -> Any:
  node = _add_node(
      nodes, 'Const', name, dtype=tf.as_dtype(value.dtype).as_datatype_enum)
  node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
  return node


def _append_shape_of_alpha(node: Any, nodes: Any,
                           output: Callable[[Any, str], str]) -> None:
  """Asks for the whole shape, as the stateless gamma distribution does.

  The one with a state draws so many numbers for each alpha.
  """
  shape_type = node.attr['S'].type
  of_alpha = _add_node(
      nodes, 'Shape', f'{node.name}/shape_of_alpha', [node.input[1]],
      T=node.attr['T'].type, out_type=shape_type)
  axis = _add_constant(nodes, f'{node.name}/axis', np.array(0, np.int32))
  whole = _add_node(
      nodes, 'ConcatV2', f'{node.name}/whole_shape',
      [node.input[0], output(of_alpha, 'output'), output(axis, 'output')],
      T=shape_type, Tidx=tf.int32.as_datatype_enum)
  whole.attr['N'].i = 2
  node.input[0] = output(whole, 'output')
