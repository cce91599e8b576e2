"""What is computed how, by the machine."""

import models
import pytest
import tensorflow as tf
import tf_keras

from official_ext.modeling import hardware


@pytest.mark.parametrize('flags, expected', [
    ('fma avx512f avx512_bf16', True),
    ('fma avx512_bf16 amx_bf16 amx_tile', False)])
def test_float32_is_faster_without_a_matrix_unit(tmp_path, flags, expected):
  cpu_info = tmp_path / 'cpuinfo'
  cpu_info.write_text(f'processor : 0\nflags\t\t: fpu vme {flags}\n')
  assert hardware.prefers_float32_matmuls(cpu_info) is expected


def test_float32_is_faster_where_the_cpu_is_not_described(tmp_path):
  assert hardware.prefers_float32_matmuls(tmp_path / 'none')


def test_accelerators_multiply_bfloat16(tmp_path, monkeypatch):
  devices = [tf.config.LogicalDevice('/device:CPU:0', 'CPU'),
             tf.config.LogicalDevice('/device:GPU:0', 'GPU')]
  monkeypatch.setattr(tf.config, 'list_logical_devices', lambda: devices)
  assert not hardware.prefers_float32_matmuls(tmp_path / 'none')


@pytest.mark.parametrize('setting, expected', [
    (None, hardware.prefers_float32_matmuls()), (True, True),
    (False, False)])
def test_the_model_takes_the_setting(setting, expected):
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  model = models.build_backbone(
      layout='B1', fast_path=dict(float32_matmuls=setting))
  graph = tf.function(model).get_concrete_function(
      models.random_images(1)).graph
  products = [operation for operation in graph.get_operations()
              if operation.type in ('MatMul', 'BatchMatMulV2')]
  # Query, key, value, scores, context, output and the two of the MLP.
  assert len(products) == 8
  assert {product.outputs[0].dtype for product in products} == {
      tf.float32 if expected else tf.bfloat16}
