"""Writes the calls of cuDNN's attention as JAX makes them; ours equal them.

  python scripts/write_fused_attention_golden.py

Needs JAX alone (`pip install jax==0.10.2`), and neither a GPU nor TensorFlow:
JAX lowers for one. What it asks of the GPU that it would run on is answered as
a Hopper would.
"""

import functools
import json
import pathlib
import re

import jax
from jax import export
from jax._src.cudnn import fused_attention_stablehlo as fused_attention

GOLDEN = (pathlib.Path(__file__).parent.parent / 'tests' / 'modeling' /
          'fused_attention_calls.jsonl')
# Batch, heads, query tokens, key tokens, head size, type: those of the paper's
# layouts at 224 and 384 px, and others that show what depends on what.
CASES = (
    (256, 12, 197, 197, 64, 'bfloat16'),
    (256, 12, 99, 197, 64, 'bfloat16'),
    (256, 12, 99, 99, 64, 'bfloat16'),
    (256, 12, 50, 99, 64, 'bfloat16'),
    (64, 12, 577, 577, 64, 'bfloat16'),
    (64, 12, 289, 577, 64, 'bfloat16'),
    (64, 12, 145, 289, 64, 'bfloat16'),
    (8, 3, 197, 197, 64, 'float16'),
    (2, 4, 50, 99, 72, 'float16'),
    (1, 16, 257, 257, 80, 'bfloat16'),
)
_CALL = re.compile(
    r'stablehlo\.custom_call @(\S+?)\(.*?backend_config = "(.*?[^\\])".*?'
    r' : \((.*?)\) -> \(?(.*?)\)?(?: loc.*)?$', re.M)


def calls(batch: int, num_heads: int, num_query_tokens: int,
          num_key_tokens: int, head_size: int, dtype: str) -> list[dict]:
  """Returns the calls forward and backward of one attention.

  Args:
    batch: B.
    num_heads: N.
    num_query_tokens: T.
    num_key_tokens: S.
    head_size: H.
    dtype: of query, key and value.

  Returns:
    Target, operands, results and backend_config of each.
  """
  query = jax.ShapeDtypeStruct(
      (batch, num_heads, num_query_tokens, head_size), dtype)
  key = jax.ShapeDtypeStruct(
      (batch, num_heads, num_key_tokens, head_size), dtype)
  attend = functools.partial(
      fused_attention.dot_product_attention, scale=head_size ** -0.5,
      qkv_layout='BNTH')

  def step(query, key, value, upstream):
    context, backward = jax.vjp(attend, query, key, value)
    return context, backward(upstream)

  exported = export.export(
      jax.jit(step), platforms=['cuda'],
      disabled_checks=[export.DisabledSafetyCheck.custom_call(target)
                       for target in ('__cudnn$fmhaSoftmax',
                                      '__cudnn$fmhaSoftmaxBackward')],
  )(query, key, key, query)
  return [
      {'target': target,
       'operands': re.findall(r'tensor<(.*?)>', operands),
       'results': re.findall(r'tensor<(.*?)>', results),
       'backend_config': json.loads(config.replace('\\22', '"'))}
      for target, config, operands, results in _CALL.findall(
          exported.mlir_module())]


def main() -> None:
  fused_attention.check_cudnn_version = lambda: 91000
  fused_attention.check_compute_capability = lambda capability: True
  fused_attention.is_cuda_compute_capability_equal = lambda capability: False
  # The public function counts an empty bias as one and then refuses odd
  # lengths; the kernel takes them.
  fused_attention.check_is_flash_attention = lambda *args, **kwargs: None
  lines = [json.dumps({'jax': jax.__version__})]
  for case in CASES:
    lines += [json.dumps({'case': case, **call}) for call in calls(*case)]
  GOLDEN.write_text('\n'.join(lines) + '\n')
  print(f'wrote {GOLDEN}')


if __name__ == '__main__':
  main()
