"""Writes a step as a program that needs no TensorFlow to be run.

A step that XLA compiles is a program of StableHLO: its inputs are the variables
that it reads, its outputs a number and the variables that it assigns. Its
portable form is read by later versions, JAX's among them, which compiles it for
the machine it is on: `scripts/run_frozen_steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import json
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compiler.mlir.stablehlo import stablehlo

from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process
from official_ext.modeling import hardware

# Added to weights that are written with their values.
_SPREAD = 0.05
PROGRAM, DESCRIPTION, VALUES = 'step.stablehlo', 'step.json', 'values.npz'
_MHLO_COPY = re.compile(r'mhlo\.copy (%\w+) : (tensor<[^>]*>)')


def freeze(settings: settings_lib.Settings, folder: pathlib.Path,
           capability: tuple[int, int] | None, with_values: bool,
           multiply_adds: int) -> None:
  """Writes a step into a folder.

  Args:
    settings: what to build; XLA is on.
    folder: is made.
    capability: of the GPU that it is for; None: for a CPU.
    with_values: whether to write what the variables hold as well, and what
      three steps give here, so that another machine can be compared.
    multiply_adds: of an image, forward.

  Raises:
    ValueError: if the settings do not fit together.
  """
  with machine(capability):
    step = step_process.build_function(settings)
    program = as_stablehlo(step.function)
  concrete = step.function.get_concrete_function()
  # The graph alone knows the hyperparameters of an optimizer.
  variables = {
      id(variable.handle): variable
      for variable in [*concrete.graph.variables, *step.variables]}
  state = [variables.get(id(one), one) for one in concrete.captured_inputs]
  folder.mkdir(parents=True, exist_ok=True)
  description = {
      'layout': settings.layout, 'mode': settings.mode,
      'circumstances': settings.circumstances,
      'batch_size': settings.batch_size,
      'multiply_adds': multiply_adds,
      'platform': 'gpu' if capability else 'cpu',
      'versions': {'tensorflow': tf.__version__},
      'state': [_describe(variable) for variable in state]}
  if with_values:
    # The head begins with zeros, and all that is before it would not count.
    generator = np.random.default_rng(0)
    for variable in state:
      if isinstance(variable, tf.Variable) and variable.trainable:
        variable.assign_add(generator.normal(0, _SPREAD, variable.shape))
    np.savez(folder / VALUES, **{
        f'{index}': _bits(variable) for index, variable in enumerate(state)})
    # The learning rate of the first is 0: the third knows of an update.
    description['results'] = [
        float(tf.nest.flatten(step.function())[0].numpy()) for _ in range(3)]
  (folder / PROGRAM).write_bytes(program)
  (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + '\n')


def machine(capability: tuple[int, int] | None
            ) -> contextlib.AbstractContextManager[None]:
  """Has steps traced as on the machine that they are for.

  Args:
    capability: of its GPU; None: it has a CPU alone.
  """
  return (hardware.assume_gpu(capability) if capability
          else contextlib.nullcontext())


def as_stablehlo(function: Callable[..., Any],
                 *args: tf.TensorSpec) -> bytes:
  """Returns the program of a function, in StableHLO's oldest portable form.

  XLA writes such a form itself, but copies of MHLO stay in it, and JAX 0.11.2
  does not read the custom calls in it.

  Args:
    function: a `tf.function(jit_compile=True)`.
    *args: what it takes.
  """
  text = function.experimental_get_compiler_ir(*args)(stage='stablehlo')
  return stablehlo.serialize_portable_artifact_str(
      _MHLO_COPY.sub(r'stablehlo.reshape \1 : (\2) -> \2', text),
      stablehlo.get_minimum_version())


def _describe(read: tf.Variable | tf.Tensor) -> dict[str, Any]:
  """Describes what a step reads: a variable, or a constant with its value."""
  described = {'dtype': read.dtype.base_dtype.name,
               'shape': read.shape.as_list()}
  if not isinstance(read, tf.Variable):
    return {'kind': 'constant', 'value': read.numpy().tolist(), **described}
  kind = 'weight' if read.trainable else 'slot'
  if read.dtype.is_integer:
    kind = 'count'
  for name in (step_process.IMAGES, step_process.LABELS):
    if read.name.startswith(name):
      kind = name
  return {'kind': kind, 'name': read.name, **described}


def _bits(read: tf.Variable | tf.Tensor) -> np.ndarray:
  """Returns values as NumPy's files hold them: bfloat16 as its bits."""
  value = read.numpy()
  return value.view(np.uint16) if value.dtype == tf.bfloat16 else value
