"""The names of Hugging Face's tensors, as they are on disk and were before.

transformers 5 calls several of them otherwise in memory, and writes the names
of before. Both are read; the first of each is what we write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import dataclasses
import types

from official_ext.pretrained import torch_names

_VIT_LAYER = {
    'attention_norm': ('layernorm_before',),
    'attention/query': ('attention.attention.query', 'attention.q_proj'),
    'attention/key': ('attention.attention.key', 'attention.k_proj'),
    'attention/value': ('attention.attention.value', 'attention.v_proj'),
    'attention/output': ('attention.output.dense', 'attention.o_proj'),
    'mlp_norm': ('layernorm_after',),
    'mlp/dense_0': ('intermediate.dense', 'mlp.fc1'),
    'mlp/dense_1': ('output.dense', 'mlp.fc2'),
}
_DINOV2_LAYER = {
    **{name: theirs for name, theirs in _VIT_LAYER.items()
       if name.startswith('attention/')},
    'attention_norm': ('norm1',),
    'attention_scale': ('layer_scale1.lambda1',),
    'mlp_norm': ('norm2',),
    'mlp/dense_0': ('mlp.fc1',),
    'mlp/dense_1': ('mlp.fc2',),
    'mlp_scale': ('layer_scale2.lambda1',),
}
_CLIP_LAYER = {
    'attention_norm': ('layer_norm1',),
    'attention/query': ('self_attn.q_proj',),
    'attention/key': ('self_attn.k_proj',),
    'attention/value': ('self_attn.v_proj',),
    'attention/output': ('self_attn.out_proj',),
    'mlp_norm': ('layer_norm2',),
    'mlp/dense_0': ('mlp.fc1',),
    'mlp/dense_1': ('mlp.fc2',),
}
_VIT_PARTS = {
    'embedding': 'embeddings.patch_embeddings.projection',
    'class_token': 'embeddings.cls_token',
    'distillation_token': 'embeddings.distillation_token',
    'registers': 'embeddings.register_tokens',
    'position_embedding': 'embeddings.position_embeddings',
    'norm': 'layernorm',
    'pre_logits': 'pooler.dense',
    'head': 'classifier',
    'head_of_class_token': 'cls_classifier',
    'head_of_distillation_token': 'distillation_classifier',
}
_CLIP_PARTS = {
    'embedding': 'embeddings.patch_embedding',
    'class_token': 'embeddings.class_embedding',
    'position_embedding': 'embeddings.position_embedding.weight',
    # So it is written.
    'norm_before_layers': 'pre_layrnorm',
    'norm': 'post_layernorm',
    'head': 'classifier',
    'projection': 'visual_projection',
    'map_head/probe': 'head.probe',
    'map_head/attention/query+key+value': 'head.attention.in_proj',
    'map_head/attention/output': 'head.attention.out_proj',
    'map_head/norm': 'head.layernorm',
    'map_head/mlp/dense_0': 'head.mlp.fc1',
    'map_head/mlp/dense_1': 'head.mlp.fc2',
}
# Why tensors are left out, by what their names begin with.
_TEXT = 'of the text tower'
_MASKED = 'of masked pretraining'
_NUMBERS = 'numbers, not weights'


@dataclasses.dataclass(frozen=True)
class Family:
  """The names of one kind of model.

  Attributes:
    prefixes: that may stand in front of all but the heads; the first is what a
      model with a head writes.
    parts: as in `torch_names.Naming`.
    layers: what the names in a layer may begin with.
    of_layer: the names in a layer, by ours.
    left_out: why tensors are, by what their names begin with.
    flat_tokens: as in `torch_names.Naming`.
  """
  prefixes: tuple[str, ...]
  parts: Mapping[str, str]
  layers: tuple[str, ...]
  of_layer: Mapping[str, tuple[str, ...]]
  left_out: Mapping[str, str] = dataclasses.field(
      default_factory=lambda: types.MappingProxyType({}))
  flat_tokens: bool = False

  def prefix(self, names: Collection[str]) -> str | None:
    """Returns what stands in front of names in a file; None: of no family."""
    return next((prefix for prefix in self.prefixes
                 if f'{prefix}{self.parts["embedding"]}.weight' in names), None)

  def naming(self, names: Collection[str] = (),
             prefix: str = '') -> torch_names.Naming:
    """Returns the names that a file has, or that we write into one.

    Args:
      names: of the tensors in the file; none: for writing.
      prefix: in front of them.

    Returns:
      The naming.
    """
    layers = next((layers for layers in self.layers if any(
        name.startswith(prefix + layers.format(0)) for name in names)),
                  self.layers[0])
    begin = prefix + layers.format(0)
    of_layer = {
        ours: next((theirs for theirs in choices if any(
            name.startswith(begin + theirs) for name in names)), choices[0])
        for ours, choices in self.of_layer.items()}
    return torch_names.Naming(self.parts, layers, of_layer, self.flat_tokens)


_LAYERS = ('encoder.layer.{}.', 'layers.{}.')
_CLIP = Family(
    ('vision_model.', ''), _CLIP_PARTS,
    ('encoder.layers.{}.',), _CLIP_LAYER,
    {'text_model.': _TEXT, 'text_projection': _TEXT, 'logit_': _TEXT,
     '{}embeddings.position_ids': _NUMBERS}, flat_tokens=True)


def _vit(prefix: str, of_layer: Mapping[str, tuple[str, ...]],
         **left_out: str) -> Family:
  return Family((prefix, ''), _VIT_PARTS, _LAYERS, of_layer, {
      '{}embeddings.mask_token': _MASKED, 'decoder': _MASKED, **left_out})


# By `model_type` of config.json.
FAMILIES = {
    'vit': _vit('vit.', _VIT_LAYER),
    'deit': _vit('deit.', _VIT_LAYER),
    'vit_mae': _vit('vit.', _VIT_LAYER),
    'vit_msn': _vit('vit.', _VIT_LAYER),
    'ijepa': _vit('ijepa.', _VIT_LAYER),
    'dinov2': _vit('dinov2.', _DINOV2_LAYER),
    'dinov2_with_registers': _vit('dinov2_with_registers.', _DINOV2_LAYER),
    'clip': _CLIP,
    'clip_vision_model': _CLIP,
    'siglip': _CLIP,
    'siglip_vision_model': _CLIP,
}
