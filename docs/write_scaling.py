"""Writes docs/scaling.md: `make scaling`.

The arithmetic is docs/scaling_arithmetic.py's. Here stand what goes into it,
with its sources, and the page around it.
"""

import pathlib

import scaling_arithmetic

from official_ext import registry_imports  # noqa: F401
from official_ext.benchmarks import csv_file
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.params import experiment

OUTPUT = pathlib.Path(__file__).parent / 'scaling.md'

_GB_IN_GIB = 1e9 / 2**30

MACHINES = (
    scaling_arithmetic.Machine(
        'TPU v3-32', num_chips=16, replicas_per_chip=2, peak_tflops=123.0,
        memory_gib=32.0, link_gb_per_s=340e3 / 1024, num_host_cpus=4 * 48),
    # Its two cores are one device.
    scaling_arithmetic.Machine(
        'TPU v4-32', num_chips=16, replicas_per_chip=1, peak_tflops=275.0,
        memory_gib=32.0, link_gb_per_s=1.1e6 / 4096, num_host_cpus=4 * 240),
    scaling_arithmetic.Machine(
        'TPU v5e-16', num_chips=16, replicas_per_chip=1, peak_tflops=197.0,
        memory_gib=16 * _GB_IN_GIB, link_gb_per_s=51.2e3 / 256,
        num_host_cpus=4 * 112),
    scaling_arithmetic.Machine(
        '8 A100 80 GB', num_chips=8, replicas_per_chip=1, peak_tflops=312.0,
        memory_gib=80 * _GB_IN_GIB, link_gb_per_s=600 / 2, num_host_cpus=96),
    # The slowest link of the ring is the one between the hosts.
    scaling_arithmetic.Machine(
        '2 hosts of these', num_chips=16, replicas_per_chip=1,
        peak_tflops=312.0, memory_gib=80 * _GB_IN_GIB, link_gb_per_s=100 / 8,
        num_host_cpus=2 * 96),
)

MACHINES_OF_21K = [machine for machine in MACHINES if machine.name in (
    'TPU v4-32', 'TPU v5e-16', '8 A100 80 GB')]

# What the activations are measured with: bfloat16, 224 px.
MEASURED = OUTPUT.parent / 'figures' / 'train_step_bfloat16.csv'
LAYOUTS = ('B12', 'B6-6', 'B4-4-4')

# Steps per second at batch 4,096, of models that compute the whole last layer
# (table 2, mean pooling; B4-4-4 is given for max pooling alone).
PAPER_STEPS_PER_S = {'B12': 2.0, 'B6-6': 2.6, 'B4-4-4': 3.2}

ASSUMPTIONS = scaling_arithmetic.Assumptions()
TRAIN_STEPS = 93_600

IMAGENET21K = ('b12', 'b4-4-4', 'b8-8', 'b6-8-8', 'l24', 'l8-8-8', 'l16-16',
               'l15-12-12')
# The temporary memory that was measured, over the count of saved values: 1.33
# to 1.39 of the three layouts above.
TIMES_IDEAL = 1.4

HEAD = """\
# How far a step scales

Arithmetic, not measurement: nothing on this page has been run on the machines
it is about. `make scaling` writes it, from `docs/scaling_arithmetic.py` and the
numbers in `docs/write_scaling.py`.

Pretraining as in the paper: ViT-B/16, 224 px, bfloat16, batch {batch_size:,},
AdamW, 1,001 classes, {parameters:.1f} M parameters, data parallel.

"""

TABLE_HEAD = """\
| machine | layout | images per replica | activations, GiB | in all, GiB | of \
| microbatches | computing, ms | gradients, ms | images/s | input | steps/s \
| 300 epochs, h | limit |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""

COLUMNS = """
*Activations*, *in all* (with weights, gradients and two moments in float32) and
*of* (what may be filled) are of one replica. *Microbatches* is the least
`task.gradient_accumulation_steps` that fits. *Gradients* is their all-reduce,
as if none of it overlapped with computing. *Input* is the share of the hosts'
CPUs that it keeps busy. *Limit* is what takes longest.

The largest batch of a replica that fits at once:

"""

HEAD_21K = """
## ImageNet-21k

`funnel_vit_imagenet21k` with the files of `experiments/imagenet21k`: 21,841
classes, {epochs} epochs of {images:.1f} million images, {steps:,} steps. The
activations are {times_ideal} times the values of a plain backward pass, which
is about what was measured of the layouts above.

"""

SOURCES = """
## What goes in

| machine | accelerators, peak in bfloat16 | memory of each | links, one \
way, of each | CPUs of the hosts |
|---|---|---|---|---|
"""

NOTES = """
- TPU: Google Cloud's pages *TPU v3*, *TPU v4* and *TPU v5e*
  (cloud.google.com/tpu/docs/v3, /v4, /v5e), peak and memory of a chip. The
  links are their all-reduce bandwidth of a Pod (340 TB/s, 1.1 PB/s, 51.2 TB/s)
  over its chips (1,024, 4,096, 256); a small slice is no torus, so it may get
  half of that.
- v3-32 are 32 cores on 16 chips, and TensorFlow runs a replica on each core;
  v4-32 are 32 cores on 16 chips too, but the two of a chip are one device; v5e
  has one core per chip.
- Hosts of 4 chips: 112 vCPUs for v5e (the same page); for v3 and v4 those of
  Kubernetes Engine's machine types ct3p-hightpu-4t and ct4p-hightpu-4t, 48 and
  240.
- A100: NVIDIA's data sheet *A100 80GB* (312 TFLOP/s, 80 GB, NVLink of 600 GB/s
  in both directions together). The host is Google Cloud's a2-ultragpu-8g, 96
  vCPUs; two of them are joined by 100 Gbit/s.
- Multiply-adds of an image: {multiply_adds}, the last
  layer for the class token alone, as it is computed. Times six for the FLOP of
  a step: a multiplication and an addition, once forward and twice backward.
- Activations of an image: {activations}. That is
  the temporary memory of the compiled gradients
  (`official_ext.benchmarks.activations`, XLA for CPU, TensorFlow 2.20,
  bfloat16) at batch 8, over 8, as if all of it grew with the batch (from
  there to 16 B12 grows by 95 MiB an image and B6-6 by 70: this is on the high
  side). XLA lays memory out differently for a TPU or a GPU, and a TPU pads the
  last two dimensions to multiples of 8 and 128, so a close case is decided by
  trying.
  The values of a plain backward pass in bfloat16 would be
  {ideal} (`costs.count_saved_activations`).

Assumed:

- **{utilisation:.0%} of the peak.** The paper's {paper_rates} steps/s would be
  {paper_shares} of the peak of a v3-32, if that is what
  it used; it does not say. Images/s are proportional to this.
- **{usable:.0%} of the memory** may be filled.
- **{per_cpu:.0f} images/s for each virtual CPU**: the
  [input benchmark](benchmarks.md#the-input-pipeline), on another CPU, with
  crops and flips alone. RandAugment takes twice as long.
"""


def activations():
  """Returns MiB per image by layout: what a step took, over its batch."""
  return {row['layout']: float(row['activations_mib']) / int(row['batch_size'])
          for row in csv_file.read(str(MEASURED)).rows if row['xla'] == 'off'}


def models():
  """Returns the layouts, as they are pretrained."""
  result = []
  for name in LAYOUTS:
    params = experiment.load('funnel_vit_imagenet', params_override=(
        f'task.model.backbone.funnel_vit.layout={name}'))
    model = params.task.model
    spec = specs.of_model(model)
    result.append((spec, scaling_arithmetic.Model(
        name, costs.count_parameters(spec, model.num_classes),
        costs.count_multiply_adds(
            spec, model.num_classes, last_layer_class_token_only=True),
        activations()[name])))
  return result


def models_of_imagenet21k():
  """Returns the layouts of experiments/imagenet21k, and their training."""
  result = []
  for name in IMAGENET21K:
    params = experiment.load('funnel_vit_imagenet21k', [f'imagenet21k/{name}'])
    model = params.task.model
    spec = specs.of_model(model)
    result.append(scaling_arithmetic.Model(
        f'{name[0].upper()}, {spec.layout}',
        costs.count_parameters(spec, model.num_classes),
        costs.count_multiply_adds(
            spec, model.num_classes, last_layer_class_token_only=True),
        TIMES_IDEAL * 2 * costs.count_saved_activations(spec) / 2**20))
  return result, params


def row(machine, model, train_steps=TRAIN_STEPS):
  """Returns a row of the table."""
  found = scaling_arithmetic.estimate(machine, model, ASSUMPTIONS)
  images_per_s = 1e3 * ASSUMPTIONS.batch_size / found.step_ms
  hours = train_steps * found.step_ms / 1e3 / 3600
  room_gib = scaling_arithmetic.room_gib(machine, ASSUMPTIONS.usable_memory)
  limit = found.limit
  if found.num_microbatches is None:
    limit = 'memory'
  elif found.num_microbatches > 1:
    limit = f'memory, then {limit}'
  cells = [
      machine.name, model.name, found.batch_per_replica,
      f'{found.activations_gib:.1f}', f'{found.memory_gib:.1f}',
      f'{room_gib:.1f}', found.num_microbatches or '-',
      f'{found.compute_ms:.0f}',
      f'{found.traffic_ms:.1f}', f'{images_per_s:,.0f}',
      f'{found.input_ms / found.step_ms:.0%}', f'{1e3 / found.step_ms:.2f}',
      f'{hours:.1f}', limit]
  return f'| {" | ".join(map(str, cells))} |\n'


def machine_row(machine):
  """Returns a row that says what a machine is, as it is published."""
  memory = f'{machine.memory_gib:.3g} GiB'
  return (f'| {machine.name} | {machine.num_chips} x '
          f'{machine.peak_tflops:.0f} TFLOP/s | {machine.num_chips} x {memory} '
          f'| {machine.link_gb_per_s:.3g} GB/s | {machine.num_host_cpus} vCPUs '
          '|\n')


def largest_batches(all_models):
  """Returns a table of what fits at once."""
  text = '| machine | needed | ' + ' | '.join(
      model.name for model in all_models) + ' |\n|---|---|---|---|---|\n'
  for machine in MACHINES:
    batches = [
        scaling_arithmetic.largest_batch(
            machine, model, ASSUMPTIONS.usable_memory)
        for model in all_models]
    needed = ASSUMPTIONS.batch_size // machine.num_replicas
    text += f'| {machine.name} | {needed} | {" | ".join(map(str, batches))} |\n'
  return text


def page():
  """Returns the whole page."""
  resolved = models()
  all_models = [model for _, model in resolved]
  peak = MACHINES[0].num_chips * MACHINES[0].peak_tflops * 1e12
  shares = []
  for spec, model in resolved:
    # The paper's models compute the whole last layer.
    multiply_adds = costs.count_multiply_adds(spec, 1_001)
    shares.append(
        scaling_arithmetic.FLOPS_PER_MULTIPLY_ADD * multiply_adds *
        ASSUMPTIONS.batch_size * PAPER_STEPS_PER_S[model.name] / peak)
  saved = [2 * costs.count_saved_activations(spec) / 2**20
          for spec, _ in resolved]
  of_21k, params = models_of_imagenet21k()
  trainer = params.trainer
  return (
      HEAD.format(batch_size=ASSUMPTIONS.batch_size,
                  parameters=all_models[0].num_parameters / 1e6) +
      TABLE_HEAD +
      ''.join(row(machine, model)
              for machine in MACHINES for model in all_models) +
      COLUMNS + largest_batches(all_models) +
      HEAD_21K.format(
          epochs=round(trainer.train_epochs), steps=trainer.train_steps,
          images=params.task.train_data.num_examples / 1e6,
          times_ideal=TIMES_IDEAL) +
      TABLE_HEAD.replace('300 epochs', f'{trainer.train_epochs:.0f} epochs') +
      ''.join(row(machine, model, trainer.train_steps)
              for machine in MACHINES_OF_21K for model in of_21k) +
      SOURCES +
      ''.join(map(machine_row, MACHINES)) +
      NOTES.format(
          multiply_adds=listed(
              all_models, [model.multiply_adds / 1e9 for model in all_models],
              '{:.2f} G'),
          activations=listed(
              all_models, [model.activations_mib for model in all_models],
              '{:.0f} MiB'),
          ideal=listed(all_models, saved, '{:.0f} MiB'),
          utilisation=ASSUMPTIONS.utilisation,
          paper_rates=', '.join(map(str, PAPER_STEPS_PER_S.values())),
          paper_shares=', '.join(f'{share:.0%}' for share in shares),
          usable=ASSUMPTIONS.usable_memory,
          per_cpu=ASSUMPTIONS.images_per_cpu_s))


def listed(all_models, values, form):
  """Returns values with their layouts, such as 'B12 1 MiB, B6-6 2 MiB'."""
  return ', '.join(f'{model.name} {form.format(value)}'
                   for model, value in zip(all_models, values))


if __name__ == '__main__':
  OUTPUT.write_text(page())
  print(f'wrote {OUTPUT}')
