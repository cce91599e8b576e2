"""The step of a model in PyTorch, for a benchmark process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import torch_peers


def build(settings: settings_lib.Settings) -> tuple[
    Callable[[], float], Callable[[], int], str, Callable[[], dict[str, Any]]]:
  """Builds timm's ViT, or the same with pooling, and its step.

  Args:
    settings: what to build; XLA stands for torch.compile.

  Returns:
    What runs one step to its end and returns the loss (the sum of the logits
    in mode 'eval'), what says how many steps have been run, what the device is
    called, and what returns `peak_gib` and `peak_of`.

  Raises:
    ValueError: if timm has no such model.
  """
  is_pooled = settings.peer == settings_lib.TIMM_POOLED
  model = torch_peers.build_model(
      settings.model_name, settings.image_size,
      settings.layout if is_pooled else None)
  step = torch_peers.build_step(
      model, settings.image_size, settings.batch_size, settings.mode,
      settings.dtype == 'bfloat16', settings.xla, torch_peers.default_device())
  num_runs = 0

  def run():
    nonlocal num_runs
    result = step().item()
    num_runs += 1
    return result

  def peak():
    gib = torch_peers.peak_gib()
    return {'peak_gib': gib,
            'peak_of': '' if gib is None else 'PyTorch on a GPU'}

  return run, lambda: num_runs, torch_peers.device_name(), peak
