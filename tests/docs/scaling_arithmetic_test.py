"""Tests of the scaling arithmetic, by hand."""

import pytest
import scaling_arithmetic
import write_scaling

MACHINE = scaling_arithmetic.Machine(
    'eight', num_chips=4, replicas_per_chip=2, peak_tflops=100.0,
    memory_gib=32.0, link_gb_per_s=50.0, num_host_cpus=10)
# 2**26 parameters: 1 GiB of weights, gradients and moments.
MODEL = scaling_arithmetic.Model(
    'small', num_parameters=2**26, multiply_adds=10**9, activations_mib=64.0,
    workspace_mib=512.0)
ASSUMPTIONS = scaling_arithmetic.Assumptions(
    batch_size=512, utilisation=0.5, usable_memory=0.75,
    images_per_cpu_s=100.0)


def estimate(machine=MACHINE, model=MODEL, assumptions=ASSUMPTIONS):
  return scaling_arithmetic.estimate(machine, model, assumptions)


def change(instance, **changes):
  return type(instance)(**{**vars(instance), **changes})


def test_a_step_by_hand():
  result = estimate()
  assert result.batch_per_replica == 64
  # 512 images x 10**9 x 6 FLOP, at half of 400 TFLOP/s.
  assert result.compute_ms == pytest.approx(15.36)
  # 2 x 3/4 x 2**26 x 4 bytes at 50 GB/s.
  assert result.traffic_ms == pytest.approx(0.402653184 / 50 * 1e3)
  assert result.input_ms == pytest.approx(512)
  # 64 x 64 MiB and 512 MiB.
  assert result.activations_gib == 4.5
  assert result.memory_gib == 5.5
  assert result.num_microbatches == 1


def test_the_limit_is_what_takes_longest():
  assert estimate().limit == 'input'
  assert estimate().step_ms == pytest.approx(512)
  many_cpus = change(MACHINE, num_host_cpus=10_000)
  result = estimate(many_cpus)
  assert result.limit == 'computing'
  assert result.step_ms == pytest.approx(15.36 + 8.05306368)
  assert estimate(change(many_cpus, link_gb_per_s=1.0)).limit == 'gradients'


@pytest.mark.parametrize('memory_gib, num_microbatches', [
    # 5.5 GiB of 3/4 of a core's half; in two microbatches 1.25 + 0.5 + 2 GiB.
    (2 * 5.5 / 0.75, 1),
    (2 * 5.49 / 0.75, 2),
    (2 * 3.75 / 0.75, 2),
    (2 * 3.74 / 0.75, 4),
    # 1.25 + 0.5 GiB, and one image of 1/16 GiB.
    (2 * 1.8125 / 0.75, 64),
    (2 * 1.81 / 0.75, None),
])
def test_the_microbatches_that_fit(memory_gib, num_microbatches):
  result = estimate(change(MACHINE, memory_gib=memory_gib))
  assert result.num_microbatches == num_microbatches


def test_the_largest_batch():
  # 12 GiB less 1.5 GiB, in images of 1/16 GiB.
  assert scaling_arithmetic.largest_batch(MACHINE, MODEL, 0.75) == 168
  assert scaling_arithmetic.largest_batch(
      change(MACHINE, memory_gib=1.0), MODEL, 0.75) == 0


def test_one_chip_sends_nothing():
  assert scaling_arithmetic.traffic_gb(10**9, 1) == 0
  assert scaling_arithmetic.traffic_gb(10**9, 2) == pytest.approx(4)
  assert scaling_arithmetic.traffic_gb(10**9, 16) == pytest.approx(7.5)


def test_a_batch_that_the_replicas_do_not_divide():
  with pytest.raises(ValueError, match='does not divide by the 8 replicas'):
    estimate(assumptions=change(ASSUMPTIONS, batch_size=500))


def test_the_page_is_what_the_command_writes():
  assert write_scaling.OUTPUT.read_text() == write_scaling.page()


def test_a_row_of_the_page_by_hand():
  b12 = next(model for _, model in write_scaling.models()
             if model.name == 'B12')
  v3 = write_scaling.MACHINES[0]
  found = scaling_arithmetic.estimate(v3, b12, write_scaling.ASSUMPTIONS)
  # 16.35 GMACs, and 768 x 768 before the head.
  assert b12.multiply_adds / 1e9 == pytest.approx(16.35, abs=0.005)
  assert found.batch_per_replica == 128
  # 4,096 x 16.35e9 x 6 FLOP at 0.4 x 16 x 123 TFLOP/s.
  assert found.compute_ms == pytest.approx(510.5, abs=0.5)
  # 2 x 15/16 x 87.16 M x 4 bytes at 332 GB/s.
  assert found.traffic_ms == pytest.approx(1.969, abs=0.005)
