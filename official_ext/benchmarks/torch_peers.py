"""What else there is: timm's ViT in PyTorch, and the same with pooling.

  python torch_peers.py --sizes=224:256,384:64 --layouts=B4-4-4

It needs PyTorch and timm alone, neither TensorFlow nor the rest of this
project, so that it can be run where they are not; `train_step --peers` takes
its steps from here too. timm's own attention (PyTorch's fused one) and MLP,
autocast to bfloat16, AdamW in one kernel, torch.compile.

With pooling, timm's blocks are called as layers of this project are: between
two blocks of a layout the patch tokens are averaged in pairs, the class token
apart, and the layer after takes pooled queries and keys and values of all
tokens (pool-query-only). The last layer computes the class token alone.

Legend: B batch, T query tokens, S key tokens, N heads, D hidden size.
"""

import argparse
import csv
import os
import re
import shlex
import signal
import statistics
import sys
import time

import timm
import torch
from torch.nn import functional

# Our presets and timm's names of them.
_TIMM_NAMES = {
    'vit-ti16': 'vit_tiny_patch16_224', 'vit-s16': 'vit_small_patch16_224',
    'vit-b16': 'vit_base_patch16_224', 'vit-b32': 'vit_base_patch32_224',
    'vit-l16': 'vit_large_patch16_224'}
_COLUMNS = ('peer', 'layout', 'mode', 'image_size', 'batch_size', 'compiled',
            'ms', 'ms_min', 'ms_max', 'images_per_second', 'peak_gib',
            'warmup_seconds')
# The first compiles.
_WARMUP_STEPS = 3
_NUM_CLASSES = 1001


def parse_blocks(layout):
  """Returns the number of layers of each block of a layout such as B4-4-4.

  Args:
    layout: layers alone: timm's layers have one size.

  Raises:
    ValueError: if it says anything else.
  """
  if not re.fullmatch(r'B\d+(-\d+)*', layout):
    raise ValueError(
        f'{layout}: of PyTorch there are layouts that name layers alone, such '
        'as B4-4-4.')
  return [int(number) for number in layout[1:].split('-')]


def pool(tokens):
  """Averages patch tokens in pairs, [B, 1 + P, D] -> [B, 1 + ceil(P / 2), D].

  A patch that is left over at the end stays as it is.
  """
  patches = tokens[:, 1:].transpose(1, 2)  # [B, D, P]
  pooled = functional.avg_pool1d(patches, 2, ceil_mode=True)
  return torch.cat([tokens[:, :1], pooled.transpose(1, 2)], dim=1)


def attend(module, query, key):
  """Computes timm's attention with queries of other tokens than the keys.

  Args:
    module: timm's Attention.
    query: [B, T, D], normalised.
    key: [B, S, D], normalised.

  Returns:
    [B, T, D].
  """
  size = query.shape[-1]
  weight, bias = module.qkv.weight, module.qkv.bias

  def heads(tokens, first, last):
    projected = functional.linear(
        tokens, weight[first * size:last * size],
        None if bias is None else bias[first * size:last * size])
    # [B, T, P * D] -> P times [B, N, T, D / N]
    return projected.unflatten(
        -1, (last - first, module.num_heads, -1)).permute(
            2, 0, 3, 1, 4).unbind(0)

  query_heads, = heads(query, 0, 1)
  key_heads, value_heads = heads(key, 1, 3)
  context = functional.scaled_dot_product_attention(
      query_heads, key_heads, value_heads)
  return module.proj(context.transpose(1, 2).flatten(2))


class PooledViT(torch.nn.Module):
  """timm's ViT, its blocks called with pooling between those of a layout."""

  def __init__(self, vit, blocks):
    """Initialises the model.

    Args:
      vit: timm's VisionTransformer, with as many layers as the blocks.
      blocks: number of layers of each.

    Raises:
      ValueError: if the numbers of layers differ.
    """
    super().__init__()
    if sum(blocks) != len(vit.blocks):
      raise ValueError(
          f'the layout has {sum(blocks)} layers, and {len(vit.blocks)} are '
          "timm's.")
    self.vit = vit
    self._pooled_before = {
        sum(blocks[:index]) for index in range(1, len(blocks))}

  def forward(self, images):
    """Returns logits, [B, 3, H, W] -> [B, C]."""
    vit = self.vit
    tokens = vit.norm_pre(vit._pos_embed(vit.patch_embed(images)))  # pylint: disable=protected-access
    last = len(vit.blocks) - 1
    for index, layer in enumerate(vit.blocks):
      key = tokens
      if index in self._pooled_before:
        tokens = pool(tokens)
      if index == last:
        tokens = tokens[:, :1]
      if tokens is key:
        tokens = layer(tokens)
        continue
      tokens = tokens + attend(
          layer.attn, layer.norm1(tokens), layer.norm1(key))
      tokens = tokens + layer.mlp(layer.norm2(tokens))
    return vit.head(vit.norm(tokens)[:, 0])


def build_model(model_name, image_size, layout=None):
  """Returns timm's ViT, or the same with the pooling of a layout.

  Args:
    model_name: a preset such as vit-b16.
    image_size: side, px.
    layout: such as B4-4-4; None: timm's own.

  Raises:
    ValueError: if there is no such model or the layout does not fit.
  """
  if model_name not in _TIMM_NAMES:
    raise ValueError(
        f'{model_name}: of PyTorch there are {", ".join(_TIMM_NAMES)}.')
  vit = timm.create_model(
      _TIMM_NAMES[model_name], img_size=image_size, num_classes=_NUM_CLASSES)
  return vit if layout is None else PooledViT(vit, parse_blocks(layout))


def build_step(model, image_size, batch_size, mode, is_half, is_compiled,
               device):
  """Returns what runs one step and returns a number on the device.

  Args:
    model: takes images [B, 3, H, W], gives logits.
    image_size: side, px.
    batch_size: B.
    mode: 'train' or 'eval'.
    is_half: whether autocast computes in bfloat16.
    is_compiled: whether torch.compile compiles the model.
    device: 'cuda' or 'cpu'.
  """
  # As TensorFlow and XLA multiply float32 on such a GPU.
  torch.backends.cuda.matmul.allow_tf32 = True
  model = model.to(device).train(mode == 'train')
  compute = torch.compile(model) if is_compiled else model
  images = torch.randn(batch_size, 3, image_size, image_size, device=device)
  labels = torch.arange(batch_size, device=device) % _NUM_CLASSES
  optimizer = torch.optim.AdamW(
      model.parameters(), lr=1e-4, weight_decay=0.05, fused=device == 'cuda')

  def logits():
    with torch.autocast(device, torch.bfloat16, enabled=is_half):
      return compute(images)

  def train():
    loss = functional.cross_entropy(logits().float(), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss

  def evaluate():
    with torch.no_grad():
      return logits().float().sum()

  return train if mode == 'train' else evaluate


def default_device():
  """Returns 'cuda' where there is an NVIDIA GPU, else 'cpu'."""
  return 'cuda' if torch.cuda.is_available() else 'cpu'


def device_name():
  """Returns what the GPU calls itself; 'cpu' without one."""
  return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'


def peak_gib():
  """Returns the peak of what tensors took on the GPU; None without one."""
  if not torch.cuda.is_available():
    return None
  return torch.cuda.max_memory_allocated() / 2**30


def versions():
  """Returns the versions that decide on speed."""
  return f'PyTorch {torch.__version__}, timm {timm.__version__}'


def _run_to_the_end(run, num_steps):
  for _ in range(num_steps):
    result = run()
  result.item()


def _measure(model, size, batch_size, mode, arguments):
  """Returns what is measured of one model, by column."""
  device = default_device()
  if device == 'cuda':
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
  run = build_step(model, size, batch_size, mode, True, not arguments.eager,
                   device)
  start = time.perf_counter()
  _run_to_the_end(run, _WARMUP_STEPS)
  warmup_seconds = time.perf_counter() - start
  times = []
  for _ in range(arguments.rounds):
    start = time.perf_counter()
    _run_to_the_end(run, arguments.steps)
    times.append(1e3 * (time.perf_counter() - start) / arguments.steps)
  median = statistics.median(times)
  return dict(
      mode=mode, image_size=size, batch_size=batch_size,
      compiled=not arguments.eager, ms=median, ms_min=min(times),
      ms_max=max(times), images_per_second=1e3 * batch_size / median,
      peak_gib=peak_gib(), warmup_seconds=warmup_seconds)


def _positive(text):
  if not text.isdecimal() or not int(text):
    raise argparse.ArgumentTypeError(
        f'{text} must be a whole number of at least 1')
  return int(text)


def _parse_sizes(text):
  """Returns pairs of a side of images, px, and a batch."""
  pairs = [pair.split(':') for pair in text.split(',')]
  if any(len(pair) != 2 for pair in pairs):
    raise argparse.ArgumentTypeError(
        f'{text} must be sides of images, px, each with its batch, such as '
        '224:256,384:64')
  return [tuple(map(_positive, pair)) for pair in pairs]


def _parse_layouts(text):
  layouts = text.split(',')
  try:
    for layout in layouts:
      parse_blocks(layout)
  except ValueError as error:
    raise argparse.ArgumentTypeError(error) from error
  return layouts


def _parse_modes(text):
  modes = text.split(',')
  if not set(modes) <= {'train', 'eval'}:
    raise argparse.ArgumentTypeError(
        f'{text} must be train or eval, or both with a comma between them')
  return modes


def _check_writable(path):
  """Ends the process if a table cannot be written, before it is measured."""
  if not path:
    return
  try:
    is_new = not os.path.exists(path)
    with open(path, 'a', encoding='utf-8'):
      pass
    if is_new:
      os.remove(path)
  except OSError as error:
    sys.exit(f'--output_csv={path} cannot be written: {error.strerror}.')


def main():
  # A reader of the output that has gone is no error.
  signal.signal(signal.SIGPIPE, signal.SIG_DFL)
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--sizes', type=_parse_sizes, default='224:256,384:64',
                      help='sides of images, px, each with its batch')
  parser.add_argument('--layouts', type=_parse_layouts, default='B4-4-4',
                      help="beside timm's own ViT, which is always in the run")
  parser.add_argument('--modes', type=_parse_modes, default='train,eval')
  parser.add_argument('--model_name', choices=_TIMM_NAMES, default='vit-b16')
  parser.add_argument('--rounds', type=_positive, default=3)
  parser.add_argument('--steps', type=_positive, default=8, help='of a round')
  parser.add_argument('--eager', action='store_true',
                      help='without torch.compile')
  parser.add_argument('--output_csv', help='file to write the table to')
  arguments = parser.parse_args()
  _check_writable(arguments.output_csv)
  rows, num_failed = [], 0
  # Pooled layouts alone: without a pool it is timm's own.
  layouts = [None, *(one for one in arguments.layouts if '-' in one)]
  for mode in arguments.modes:
    for size, batch_size in arguments.sizes:
      for layout in layouts:
        name = 'timm' if layout is None else 'timm_pooled'
        # Whatever one fails with, the others are measured.
        try:
          model = build_model(arguments.model_name, size, layout)
          row = _measure(model, size, batch_size, mode, arguments)
        except Exception as error:  # pylint: disable=broad-except
          num_failed += 1
          print(f'error: {name} {layout or ""} {mode} {size} px failed: '
                f'{str(error)[:2_000]}', file=sys.stderr, flush=True)
          continue
        finally:
          torch.compiler.reset()
        rows.append({'peer': name, 'layout': layout, **row})
        print(f'{name:12}{layout or "":8}{mode:6}{size:4} px, batch '
              f'{batch_size}: {row["ms"]:.2f} ms ({row["ms_min"]:.2f} to '
              f'{row["ms_max"]:.2f}), {row["images_per_second"]:,.1f} images/s',
              flush=True)
        _write(arguments.output_csv, rows)
  print(f'{device_name()}; {versions()}')
  if num_failed:
    sys.exit(f'{num_failed} failed')


def _write(path, rows):
  """Writes a table, under lines that say whence it is."""
  if not path:
    return
  with open(path, 'w', newline='', encoding='utf-8') as file:
    file.write(f'# command: {shlex.join(["python", *sys.argv])}\n'
               f'# date: {time.strftime("%Y-%m-%d")}\n'
               f'# machine: {device_name()}\n# versions: {versions()}\n')
    writer = csv.DictWriter(file, _COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


if __name__ == '__main__':
  main()
