"""Runs PyTorch's peers in a process without TensorFlow; prints JSON.

Builds of PyTorch for GPUs bring triton, which crashes in a process that has
imported TensorFlow, as that of the tests has.
"""

import contextlib
import io
import json
import sys

import torch
from torch.nn import attention
from torch.utils import flop_counter

from official_ext.benchmarks import peer_step
from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process
from official_ext.benchmarks import torch_peers


def counts(layout):
  """Returns the parameters of a model and the products of its forward pass."""
  model = torch_peers.build_model('vit-ti16', 224, layout).eval()
  # PyTorch counts the products of this form of attention alone.
  with attention.sdpa_kernel(attention.SDPBackend.MATH), torch.no_grad(), (
      flop_counter.FlopCounterMode(display=False)) as counter:
    model(torch.zeros(1, 3, 224, 224))
  return [sum(one.numel() for one in model.parameters()),
          counter.get_total_flops()]


def from_timm():
  """Returns logits of a layout without a pool, and those of timm's own."""
  model = torch_peers.build_model('vit-ti16', 32, 'B12').eval()
  images = torch.randn(2, 3, 32, 32)
  with torch.no_grad():
    return [model(images).tolist(), model.vit(images).tolist()]


def lengths():
  """Returns how many tokens each layer computes."""
  model = torch_peers.build_model('vit-ti16', 64, 'B6-6').eval()
  found = []
  for layer in model.vit.blocks:
    layer.mlp.register_forward_hook(
        lambda module, args, result: found.append(result.shape[1]))
  model(torch.randn(1, 3, 64, 64))
  return found


def losses():
  """Returns the losses of some train steps."""
  model = torch_peers.build_model('vit-ti16', 32, 'B6-6')
  step = torch_peers.build_step(
      model, 32, 4, 'train', is_half=True, is_compiled=False, device='cpu')
  return [step().item() for _ in range(6)]


def benchmark_process():
  """Returns what two steps of a benchmark process give, and what it tells."""
  run, count, device, peak = peer_step.build(settings_lib.Settings(
      layout='B6-6', model_name='vit-ti16', image_size=32, batch_size=2,
      mode='eval', peer=settings_lib.TIMM_POOLED))
  return [run(), run(), count(), device, peak()]


def without_memory():
  """Returns what a process answers that has no memory left."""
  settings = settings_lib.Settings(
      layout='B6-6', peer=settings_lib.TIMM_POOLED, memory_limit_gib=1)
  return [
      type(step_process._as_answer(RuntimeError(text), settings)).__name__  # pylint: disable=protected-access
      for text in ('CUDA out of memory. Tried to allocate 2 GiB', 'else')]


def refusal(layout):
  """Returns why timm has no such model."""
  try:
    torch_peers.build_model('vit-ti16', 32, layout)
  except ValueError as error:
    return str(error)


def last_line(*flags):
  """Returns the last that the command says of flags that it refuses."""
  said = io.StringIO()
  sys.argv = ['torch_peers.py', *flags]
  with contextlib.redirect_stderr(said):
    try:
      torch_peers.main()
    except SystemExit as error:
      # sys.exit('...') is printed later.
      said.write(f'{error}\n' if isinstance(error.code, str) else '')
  return said.getvalue().splitlines()[-1]


def main():
  # Several wait for each other by spinning, on a busy machine for minutes.
  torch.set_num_threads(1)
  torch.manual_seed(0)
  tokens = torch.tensor([9., 1, 3, 5, 7, 8]).reshape(1, 6, 1)
  print(json.dumps({
      'pool': torch_peers.pool(tokens).flatten().tolist(),
      'from_timm': from_timm(), 'lengths': lengths(), 'losses': losses(),
      'counts': {str(layout): counts(layout)
                 for layout in (None, 'B12', 'B6-6', 'B4-4-4')},
      'refusals': {layout: refusal(layout) for layout in ('B6(17)-6', 'B6-4')},
      'benchmark_process': benchmark_process(),
      'without_memory': without_memory(),
      'last_lines': {flag: last_line(flag) for flag in sys.argv[1:]},
      'has_tensorflow': 'tensorflow' in sys.modules}))


if __name__ == '__main__':
  main()
