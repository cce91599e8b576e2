"""What bounds a training step on a machine: arithmetic, not measurement.

Data parallelism alone, as the strategies of tf.distribute do it: every replica
holds the whole model and takes its shard of the batch, and the gradients are
summed over all replicas once a step (ring all-reduce, arXiv 1802.05799).

docs/scaling.md is made of this; it says where the numbers come from.
"""

from __future__ import annotations

import dataclasses

_GIB = 2**30
_MIB = 2**20
# A float32 of each for a parameter: weight, gradient, two moments of AdamW.
_STATE_BYTES = 4 * 4
_GRADIENT_BYTES = 4
# Multiply and add; the backward pass has two products for one of the forward.
FLOPS_PER_MULTIPLY_ADD = 2 * 3


@dataclasses.dataclass(frozen=True)
class Machine:
  """Accelerators with their links and hosts, as their vendors publish them.

  Attributes:
    name: what it is called.
    num_chips: accelerators, each with links of its own.
    replicas_per_chip: replicas that TensorFlow runs on an accelerator.
    peak_tflops: of an accelerator in bfloat16, in TFLOP/s.
    memory_gib: of an accelerator.
    link_gb_per_s: what an accelerator sends at once, in GB/s (10**9 bytes).
    num_host_cpus: virtual CPUs of all hosts together.
  """
  name: str
  num_chips: int
  replicas_per_chip: int
  peak_tflops: float
  memory_gib: float
  link_gb_per_s: float
  num_host_cpus: int

  @property
  def num_replicas(self) -> int:
    return self.num_chips * self.replicas_per_chip


@dataclasses.dataclass(frozen=True)
class Model:
  """What a layout costs.

  Attributes:
    name: the layout.
    num_parameters: parameters.
    multiply_adds: of one image's forward pass.
    activations_mib: temporary memory of a step for each image, MiB.
    workspace_mib: temporary memory of a step whatever the batch, MiB.
  """
  name: str
  num_parameters: int
  multiply_adds: int
  activations_mib: float
  workspace_mib: float = 0.0


@dataclasses.dataclass(frozen=True)
class Assumptions:
  """What no vendor publishes.

  Attributes:
    batch_size: images of a step, over all replicas.
    utilisation: fraction of the peak FLOP/s that the step reaches.
    usable_memory: fraction of the memory that the step may fill.
    images_per_cpu_s: images per second that a virtual CPU of a host prepares.
  """
  batch_size: int = 4_096
  utilisation: float = 0.4
  usable_memory: float = 0.9
  images_per_cpu_s: float = 350.0


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A step of a model on a machine.

  Attributes:
    batch_per_replica: images of a replica.
    activations_gib: temporary memory of a replica that takes them at once.
    memory_gib: the same with weights, gradients and the optimizer's moments.
    num_microbatches: the fewest in which a replica must take its batch so that
      it fits (task.gradient_accumulation_steps); None if one image does not.
    compute_ms: the matrix products at the assumed utilisation.
    traffic_ms: the all-reduce of the gradients, not overlapped.
    input_ms: what the hosts take to prepare the images, beside the step.
  """
  batch_per_replica: int
  activations_gib: float
  memory_gib: float
  num_microbatches: int | None
  compute_ms: float
  traffic_ms: float
  input_ms: float

  @property
  def device_ms(self) -> float:
    """The step if the input keeps up."""
    return self.compute_ms + self.traffic_ms

  @property
  def step_ms(self) -> float:
    return max(self.device_ms, self.input_ms)

  @property
  def limit(self) -> str:
    """What takes longest."""
    if self.input_ms > self.device_ms:
      return 'input'
    return 'computing' if self.compute_ms >= self.traffic_ms else 'gradients'


def traffic_gb(num_parameters: int, num_chips: int) -> float:
  """Returns what a chip sends in a ring all-reduce of the gradients.

  Args:
    num_parameters: of the model; a gradient is a float32.
    num_chips: n, the length of the ring.

  Returns:
    2 (n - 1) / n times the gradients, in GB.
  """
  factor = 2 * (num_chips - 1) / num_chips
  return factor * num_parameters * _GRADIENT_BYTES / 1e9


def estimate(machine: Machine, model: Model,
             assumptions: Assumptions) -> Estimate:
  """Estimates a training step.

  Args:
    machine: where it runs.
    model: what is trained.
    assumptions: what is assumed.

  Returns:
    Its times and memory.

  Raises:
    ValueError: if the replicas do not divide the batch.
  """
  batch_size = assumptions.batch_size
  if batch_size % machine.num_replicas:
    raise ValueError(
        f'a batch of {batch_size} does not divide by the '
        f'{machine.num_replicas} replicas of {machine.name}. Use a multiple.')
  batch = batch_size // machine.num_replicas
  flops = batch_size * model.multiply_adds * FLOPS_PER_MULTIPLY_ADD
  flops_per_s = (
      machine.num_chips * machine.peak_tflops * 1e12 * assumptions.utilisation)
  input_per_s = machine.num_host_cpus * assumptions.images_per_cpu_s
  return Estimate(
      batch_per_replica=batch,
      activations_gib=_activations_gib(model, batch),
      memory_gib=_memory_gib(model, batch, num_microbatches=1),
      num_microbatches=_num_microbatches(
          machine, model, batch, assumptions.usable_memory),
      compute_ms=1e3 * flops / flops_per_s,
      traffic_ms=1e3 * traffic_gb(
          model.num_parameters, machine.num_chips) / machine.link_gb_per_s,
      input_ms=1e3 * batch_size / input_per_s)


def largest_batch(machine: Machine, model: Model, usable_memory: float) -> int:
  """Returns how many images a replica can take at once; 0 if none."""
  left_gib = room_gib(machine, usable_memory) - _memory_gib(model, 0, 1)
  return max(0, int(left_gib * _GIB / (model.activations_mib * _MIB)))


def room_gib(machine: Machine, usable_memory: float) -> float:
  """Returns the memory that a replica may fill, GiB."""
  return usable_memory * machine.memory_gib / machine.replicas_per_chip


def _activations_gib(model: Model, batch: int) -> float:
  return (model.workspace_mib + batch * model.activations_mib) * _MIB / _GIB


def _memory_gib(model: Model, batch: int, num_microbatches: int) -> float:
  """Returns the memory of a replica; microbatches need a sum of gradients."""
  state_bytes = _STATE_BYTES + (_GRADIENT_BYTES if num_microbatches > 1 else 0)
  return (model.num_parameters * state_bytes / _GIB +
          _activations_gib(model, batch // num_microbatches))


def _num_microbatches(machine: Machine, model: Model, batch: int,
                      usable_memory: float) -> int | None:
  """Returns the fewest equal microbatches of which each fits."""
  usable_gib = room_gib(machine, usable_memory)
  for num_microbatches in range(1, batch + 1):
    if batch % num_microbatches == 0 and (
        _memory_gib(model, batch, num_microbatches) <= usable_gib):
      return num_microbatches
  return None
