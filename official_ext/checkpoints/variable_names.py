"""The names of a classifier's variables, whatever file they come from.

    embedding/{kernel,bias}                     [P, P, 3, D], [D]
    class_token                                 [1, 1, D]
    distillation_token                          [1, 1, D]
    registers                                   [1, R, D]
    position_embedding                          [1, T, D]
    norm_before_layers/{gamma,beta}             [D]
    layer_<i>/attention_norm/{gamma,beta}       [D]
    layer_<i>/attention/{query,key,value}/kernel, bias     [D, N, H], [N, H]
    layer_<i>/attention/output/{kernel,bias}    [N, H, D], [D]
    layer_<i>/attention_scale/gamma             [1, 1, D], with LayerScale
    layer_<i>/mlp_norm/{gamma,beta}             [D]
    layer_<i>/mlp/dense_0/{kernel,bias}         [D, M], [M]
    layer_<i>/mlp/dense_1/{kernel,bias}         [M, D], [D]
    layer_<i>/mlp_scale/gamma                   [1, 1, D], with LayerScale
    projection_<b>/{kernel,bias}                [D, D'], [D'], before block b
    pool_<b>/kernel                             [*window, D'], convolution
    pool_<b>/projection                         [D'], weighted mean
    norm/{gamma,beta}                           [D], of the tokens or pooled
    map_head/probe                              [1, 1, D]
    map_head/attention/{query,key,value}/kernel, bias      [D, N, H], [N, H]
    map_head/attention/output/{kernel,bias}     [N, H, D], [D]
    map_head/norm/{gamma,beta}                  [D]
    map_head/mlp/dense_0/{kernel,bias}          [D, M], [M]
    map_head/mlp/dense_1/{kernel,bias}          [M, D], [D]
    pre_logits/{kernel,bias}                    [F, D'], [D']
    projection/kernel                           [F, D']
    feature_maps/recovery/first_norm/{gamma,beta}    [D]
    feature_maps/recovery/projection/{kernel,bias}   [D', D], [D]
    feature_maps/recovery/layer_<i>/...         as layer_<i>
    feature_maps/recovery/norm/{gamma,beta}     [D]
    feature_maps/level_<l>/norm/{gamma,beta}    [D'], of a block's tokens
    feature_maps/level_<l>/up_<k>/...           a pyramid's layers, in order
    feature_maps/level_<l>/out_<k>/...
    head/{kernel,bias}                          [D', C], [C]

A model has those that its settings ask for; `FunnelViT` of `configs.backbones`
says which they are.

Layers count from 1 over all blocks, as their Keras names do, and blocks from 0.
The names are read off the object graph, which a model and its checkpoints
share with Model Garden's ViT; a source of another kind translates its own.

Legend: P patch size, T tokens that have a position, R registers, D hidden size,
N heads, H size of a head, M inner size of the MLP, F features that the pooler
reads (D, or 2 D of two tokens), C classes.
"""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf
import tf_keras

from official_ext.checkpoints import object_graph

EMBEDDING = 'embedding'
CLASS_TOKEN = 'class_token'
DISTILLATION_TOKEN = 'distillation_token'
REGISTERS = 'registers'
NORM_BEFORE_LAYERS = 'norm_before_layers'
NORM = 'norm'
MAP_HEAD = 'map_head'
FEATURE_MAPS = 'feature_maps'
PROJECTION = 'projection'
POSITION_EMBEDDING = 'position_embedding'
PRE_LOGITS = 'pre_logits'
HEAD = 'head'
# Of a learned pool: the last part of its variable's name, by `specs.POOLINGS`.
OF_POOL = {'conv': 'kernel', 'weighted': 'projection'}

WEIGHTED_LAYER = 'layer_with_weights-'
_LAYERS = '_encoder_layers'
_PROJECTIONS = '_projections'
_POOLS = '_pools'
_POOL = re.compile(r'pool_\d+/')
# Where the objects of a transformer layer are below it.
_OF_LAYER = {
    'attention_norm': ('_attention_layer_norm',),
    'attention/query': ('_attention_layer', '_query_dense'),
    'attention/key': ('_attention_layer', '_key_dense'),
    'attention/value': ('_attention_layer', '_value_dense'),
    'attention/output': ('_attention_layer', '_output_dense'),
    'attention_scale': ('_layer_scale_attn',),
    'mlp_norm': ('_output_layer_norm',),
    'mlp/dense_0': ('_intermediate_dense',),
    'mlp/dense_1': ('_output_dense',),
    'mlp_scale': ('_layer_scale_mlp',),
}
# The same of an attention-pooling head.
_OF_MAP_HEAD = {
    'attention/query': ('_attention_layer', '_query_dense'),
    'attention/key': ('_attention_layer', '_key_dense'),
    'attention/value': ('_attention_layer', '_value_dense'),
    'attention/output': ('_attention_layer', '_output_dense'),
    'norm': ('_norm',),
    'mlp/dense_0': ('_intermediate_dense',),
    'mlp/dense_1': ('_output_dense',),
}
_SHORTER = {
    f'{CLASS_TOKEN}/cls': CLASS_TOKEN,
    f'{DISTILLATION_TOKEN}/cls': DISTILLATION_TOKEN,
    f'{MAP_HEAD}/_probe': f'{MAP_HEAD}/probe',
    f'{POSITION_EMBEDDING}/pos_embedding': POSITION_EMBEDDING,
}

Children = object_graph.Children
Node = object_graph.Node


def encoder_position(children: Children, backbone: Node) -> int | None:
  """Finds the encoder among the weighted layers of a backbone.

  Args:
    children: returns the objects below one, by the names of the edges.
    backbone: what may be a backbone.

  Returns:
    Its number, or None if there is no encoder.
  """
  for number, layer in _weighted_layers(children, backbone).items():
    if _LAYERS in children(layer):
      return number
  return None


def of_graph(children: Children, backbone: Node,
             classifier: Node | None = None) -> dict[str, Node]:
  """Names the objects of a graph that may be variables.

  Args:
    children: returns the objects below one, by the names of the edges.
    backbone: has an encoder.
    classifier: the model around the backbone, or None if there is none.

  Returns:
    Objects by name; not all of them are variables.
  """
  named = {}
  parents = _of_backbone(children, backbone)
  if classifier is not None:
    parents |= _of_head(children, backbone, classifier)
  registers = _registers(children, backbone)
  if registers is not None:
    named[REGISTERS] = registers
  for name, parent in parents.items():
    for local_name, child in children(parent).items():
      full = f'{name}/{local_name.removeprefix("layerscale_")}'
      named[_SHORTER.get(full, full)] = child
  return named


def of_model(model: tf_keras.Model) -> dict[int, str]:
  """Names the variables of a classifier.

  Args:
    model: Model Garden's ClassificationModel on our backbone.

  Returns:
    The name of each variable by its `id`.
  """
  variables = {id(variable) for variable in model.variables}
  found = of_graph(tf.train.TrackableView.children, model.backbone, model)
  return {id(child): name for name, child in found.items()
          if id(child) in variables}


def layer_number(name: str) -> int | None:
  """Reads the number of the transformer layer off a variable's name.

  Args:
    name: of the variable.

  Returns:
    The number, from 1, or None if it is of no transformer layer.
  """
  first, _, rest = name.partition('/')
  number = first.removeprefix('layer_')
  return int(number) if rest and number.isdigit() else None


def is_of_feature_maps(name: str) -> bool:
  """Says whether a variable is of what makes feature maps."""
  return name.startswith(f'{FEATURE_MAPS}/')


def is_pool(name: str) -> bool:
  """Says whether a variable is of a learned pool."""
  return bool(_POOL.match(name))


def _weighted_layers(children: Children, node: Node) -> dict[int, Node]:
  """Returns the layers of a Keras model that have weights, by number."""
  layers = {int(name.removeprefix(WEIGHTED_LAYER)): child
            for name, child in children(node).items()
            if name.startswith(WEIGHTED_LAYER)}
  return dict(sorted(layers.items()))


def _of_backbone(children: Children, backbone: Node) -> dict[str, Node]:
  """Names the objects of a backbone that hold variables."""
  layers = _weighted_layers(children, backbone)
  position = encoder_position(children, backbone)
  encoder = children(layers[position])
  named = {
      EMBEDDING: layers.get(0),
      # The class token is put in front last.
      CLASS_TOKEN: layers.get(position - 1) if position > 1 else None,
      DISTILLATION_TOKEN: layers.get(1) if position > 2 else None,
      POSITION_EMBEDDING: encoder.get('_pos_embed'),
      NORM_BEFORE_LAYERS: encoder.get('_norm_before_layers'),
      NORM: encoder.get('_norm'),
  }
  for number, layer in layers.items():
    if number > position:
      named |= _of_features(children, layer)
  named |= _of_layers(children, encoder.get(_LAYERS))
  for block, projection in _items(children, encoder.get(_PROJECTIONS)):
    named[f'projection_{block}'] = projection
  for block, pool in _items(children, encoder.get(_POOLS)):
    named[f'pool_{block}'] = pool
  return {name: node for name, node in named.items() if node is not None}


def _of_layers(children: Children,
               layers: Node | None) -> dict[str, Node | None]:
  """Names the parts of a list of transformer layers."""
  return {
      f'layer_{int(number) + 1}/{name}': object_graph.descend(
          children, layer, path)
      for number, layer in _items(children, layers)
      for name, path in _OF_LAYER.items()}


def _of_feature_maps(children: Children,
                     layer: Node) -> dict[str, Node | None]:
  """Names what makes maps of tokens."""
  parts = children(layer)
  named = {}
  if '_recovery' in parts:
    recovery = children(parts['_recovery'])
    named = {f'recovery/{name}': node for name, node in {
        'first_norm': recovery.get('_first_norm'),
        'projection': recovery.get('_projection'),
        'norm': recovery.get('_norm'),
        **_of_layers(children, recovery.get('_recovery_layers'))}.items()}
  for level, norm in _items(children, parts['_level_norms']):
    named[f'level_{level}/norm'] = norm
  pyramid = children(parts['_pyramid']) if '_pyramid' in parts else {}
  for kind, edge in (('up', '_up_samplings'), ('out', '_convolutions')):
    for level, layers in _items(children, pyramid.get(edge)):
      for number, one in _items(children, layers):
        named[f'level_{level}/{kind}_{number}'] = one
  return {f'{FEATURE_MAPS}/{name}': node for name, node in named.items()}


def _registers(children: Children, backbone: Node) -> Node | None:
  """Finds the registers, a variable of the encoder itself."""
  position = encoder_position(children, backbone)
  encoder = _weighted_layers(children, backbone)[position]
  return children(encoder).get('_registers')


def _of_features(children: Children, layer: Node) -> dict[str, Node]:
  """Names what is after the encoder, which its own variables tell apart."""
  local_names = children(layer)
  if '_level_norms' in local_names:
    return _of_feature_maps(children, layer)
  if '_probe' in local_names:
    return {MAP_HEAD: layer} | {
        f'{MAP_HEAD}/{name}': object_graph.descend(children, layer, path)
        for name, path in _OF_MAP_HEAD.items()}
  if 'gamma' in local_names:
    return {NORM: layer}
  return {PRE_LOGITS if 'bias' in local_names else PROJECTION: layer}


def _of_head(children: Children, backbone: Node,
             classifier: Node) -> dict[str, Node]:
  """Names the layers after the backbone; the last is the head itself."""
  layers = [layer for layer in _weighted_layers(children, classifier).values()
            if layer != backbone]
  named = {f'{HEAD}/norm_{number}': layer
           for number, layer in enumerate(layers[:-1])}
  if layers:
    named[HEAD] = layers[-1]
  return named


def _items(children: Children, node: Any) -> list[tuple[str, Any]]:
  """Returns what a list or a dictionary holds, by digits."""
  if node is None:
    return []
  return [(name, child) for name, child in children(node).items()
          if name.isdigit()]
