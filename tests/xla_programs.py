"""Reads the programs that XLA is given."""

import json
import re

_CALL = re.compile(
    r'stablehlo\.custom_call @(\S+?)\(.*?backend_config = "(.*?[^\\])".*?'
    r' : \((.*?)\) -> (.*?)(?: loc.*)?$', re.M)


def stablehlo(function, *args):
  """Returns the program of a `tf.function(jit_compile=True)`, as text."""
  return function.experimental_get_compiler_ir(*args)(stage='stablehlo')


def kernel_calls(program):
  """Returns the calls of cuDNN's kernels in a program, as they come."""
  return [
      {'target': target,
       'operands': re.findall(r'tensor<(.*?)>', operands),
       'results': re.findall(r'tensor<(.*?)>', results),
       'backend_config': json.loads(config.replace('\\22', '"'))}
      for target, config, operands, results in _CALL.findall(program)
      if target.startswith('__cudnn')]
