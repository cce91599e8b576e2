"""What published ViTs have beyond a plain one, against NumPy and each other."""

import backbone_reference
import models
import numpy as np
import pytest
import tolerances

from official_ext.modeling import costs

pytestmark = pytest.mark.numerics

# Each setting alone, and together as the sources have them.
PARTS = {
    'MAE': dict(class_token=True, pooler='gap', final_norm='pooled'),
    'CLIP': dict(patch_bias=False, norm_before_layers=True, projection_size=24),
    'CLIP, mean of patches': dict(
        patch_bias=False, norm_before_layers=True, class_token=True,
        pooler='gap', final_norm='none'),
    'DeiT': dict(distillation_token=True, pooler='token_and_distillation'),
    'DeiT, class token': dict(distillation_token=True),
    'DINOv2': dict(num_registers=4, pooler='token_and_mean'),
    'timm, registers': dict(
        num_registers=2, class_token=False, pooler='gap', final_norm='pooled'),
    'big_vision': dict(class_token_position=False),
    'SigLIP': dict(pooler='map'),
    'registers and probe': dict(pooler='map', num_registers=1),
    'all tokens': dict(
        pooler='none', class_token=True, distillation_token=True,
        class_token_position=False, num_registers=3, norm_before_layers=True,
        patch_bias=False),
    'all parts': dict(
        pooler='token_and_mean', distillation_token=True,
        class_token_position=False, num_registers=3, norm_before_layers=True,
        patch_bias=False, final_norm='pooled', projection_size=7),
}
LAYOUTS = {
    'sequence': dict(layout='B1-1(s3)'),
    'grid': dict(layout='B1-1(s4)', pool_axes='grid', pooling='max'),
}
# With these every setting acts.
SHORT = ('CLIP, mean of patches', 'DeiT', 'registers and probe', 'all parts')


@pytest.mark.parametrize('pooled, name', [
    pytest.param(pooled, name, marks=() if name in SHORT and (
        pooled == 'sequence') else pytest.mark.long)
    for pooled in LAYOUTS for name in PARTS])
def test_agrees_with_numpy(pooled, name):
  model = models.build_backbone(
      (12, 20), hidden_size=16, transformer=dict(mlp_dim=24, num_heads=2),
      **LAYOUTS[pooled], **PARTS[name])
  models.randomize(model)
  assert costs.count_parameters(model.spec) == model.count_params()
  images = models.random_images(2, (12, 20))
  (found,) = model(images).values()
  for image, got in zip(images.numpy().astype(np.float64), found):
    expected = backbone_reference.features(image, model, PARTS[name])
    tolerances.assert_close(
        np.reshape(got, expected.shape), expected, depth=4, length=48,
        scale=max(1, np.abs(expected).max()))
