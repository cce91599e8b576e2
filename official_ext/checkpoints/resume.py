"""Goes on with a training from its checkpoint, and loses nothing unsaid.

TensorFlow restores what it finds under the same names and leaves the rest as it
was made: moments at 0, averages at 0, a counter at 0 from which the schedule
begins again. And it restores the numbers that were set, such as a constant
learning rate, over those of now. Here what is missing is known by name, and
refused or said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import object_graph
from official_ext.checkpoints import restore as restore_lib

# Where Model Garden keeps the optimizer whose weights are averaged.
_AVERAGED = 'ema_base_optimizer'
_AVERAGE = 'average'
# The counter of legacy Keras optimizers, and of the newer ones.
_ITERATIONS = ('iter', '_iterations')
# What newer ones have beside the lists of their moments.
_NO_MOMENTS = ('_variables', '_index_dict')
_MAX_LISTED = 3


def restore(root: tf.train.Checkpoint, path: str, model: tf_keras.Model,
            optimizer: Any, allows_changes: bool) -> None:
  """Restores a training, however its optimizer is wrapped now and was then.

  What begins anew, or is dropped, is warned of by name.

  Args:
    root: what the training saves: `model`, `optimizer`, `global_step` and
      whatever else, by the names in the file.
    path: prefix of the checkpoint.
    model: the model.
    optimizer: the optimizer; its variables are made, under the strategy whose
      scope this is called in.
    allows_changes: whether what the checkpoint lacks may begin anew.

  Raises:
    LoadError: if the checkpoint lacks a variable of the model; or, unless
      changes are allowed, one of the optimizer.
    ValueError: if the checkpoint cannot be read.
  """
  saved = object_graph.SavedObjects.read(path)
  keys = _model_keys(saved, model, path)
  make_variables(optimizer, model)
  notes = _differences(saved, keys, model, optimizer)
  if notes and not allows_changes:
    raise restore_lib.LoadError(
        f'{path} does not hold all that this training goes on with: '
        f'{"; ".join(notes)}. Use the settings that it was trained with, '
        'another --model_dir, or --allow_changes.')
  inner = _inner(optimizer)
  numbers = {name: float(tf.convert_to_tensor(variable))
             for name, variable in _numbers(inner).items()}
  with object_graph.explained_errors(path):
    _as_saved(root, saved, optimizer).restore(path)
  for name, variable in _numbers(inner).items():
    variable.assign(numbers[name])
  if _iterations_key(saved) is None or not _is_legacy(inner):
    optimizer.iterations.assign(root.global_step)
  if _is_averaged(optimizer) and not _was_averaged(saved):
    for variable in model.variables:
      average = _slot(optimizer, variable, _AVERAGE)
      if average is not None:
        average.assign(tf.convert_to_tensor(variable))
  for note in notes:
    logging.warning('%s: %s', path, note)


def make_variables(optimizer: Any, model: tf_keras.Model) -> None:
  """Makes the variables of an optimizer, as its first step would.

  Args:
    optimizer: the optimizer; the scope of its strategy must be entered.
    model: the model whose trainable variables it is for.
  """
  if _is_legacy(optimizer):
    # Keras makes them public by a step alone, which changes the weights.
    optimizer._create_all_weights(  # pylint: disable=protected-access
        model.trainable_variables)
  else:
    optimizer.build(model.trainable_variables)


def check_averages(path: str, optimizer: Any) -> None:
  """Refuses to evaluate moving averages that a checkpoint does not have.

  Args:
    path: prefix of the checkpoint.
    optimizer: the optimizer of the run that evaluates.

  Raises:
    LoadError: if it averages and the checkpoint has no averages.
    ValueError: if the checkpoint cannot be read.
  """
  if _is_averaged(optimizer) and not _was_averaged(
      object_graph.SavedObjects.read(path)):
    raise restore_lib.LoadError(
        f'{path} has no moving averages of the weights, but '
        'trainer.optimizer_config.ema is set, so that they would be evaluated. '
        'Set trainer.optimizer_config.ema=null.')


def _model_keys(saved: object_graph.SavedObjects, model: tf_keras.Model,
                path: str) -> dict[int, str]:
  """Returns the keys of the model's variables by their `id`."""
  node = saved.descend('model')
  keys = {} if node is None else {
      id(variable): key for variable, key in saved.match(model, node)}
  missing = [variable.name for variable in model.variables
             if id(variable) not in keys]
  if missing:
    raise restore_lib.LoadError(
        f'{path} lacks variables of this model: {_listed(missing)}. Choose '
        'another --model_dir; task.init_checkpoint begins from the weights of '
        'another model.')
  return keys


def _differences(saved: object_graph.SavedObjects, keys: Mapping[int, str],
                 model: tf_keras.Model, optimizer: Any) -> list[str]:
  """Says what a checkpoint has not, or has in vain."""
  notes = []
  inner = _inner(optimizer)
  node = _saved_inner(saved)
  if _is_legacy(inner):
    for name in inner.get_slot_names():
      found = {} if node is None else saved.slots(node, name)
      missing = [variable.name for variable in model.trainable_variables
                 if _slot(inner, variable, name) is not None and
                 keys[id(variable)] not in found]
      if missing:
        notes.append(f"the optimizer's {name} of {_listed(missing)} begins at "
                     'its initial value')
  elif _has_other_moments(saved, inner):
    notes.append("the optimizer's moments begin at their initial values")
  if _iterations_key(saved) is None:
    notes.append("the optimizer's counter begins at the step of the training")
  if _is_averaged(optimizer) and not _was_averaged(saved):
    notes.append('the moving averages of the weights begin at the weights')
  if _was_averaged(saved) and not _is_averaged(optimizer):
    notes.append('the moving averages of the weights are dropped')
  return notes


def _as_saved(root: tf.train.Checkpoint, saved: object_graph.SavedObjects,
              optimizer: Any) -> tf.train.Checkpoint:
  """Returns `root`, with the optimizer where the file has it."""
  has_other_moments = not _is_legacy(_inner(optimizer)) and (
      _has_other_moments(saved, _inner(optimizer)))
  if _is_averaged(optimizer) == _was_averaged(saved) and not has_other_moments:
    return root
  items = dict(_children(root))
  items.pop('save_counter', None)
  if has_other_moments:
    # By their numbers they would be taken for those of other variables.
    del items['optimizer']
  elif _is_averaged(optimizer):
    items['optimizer'] = _inner(optimizer)
  else:
    wrapper = tf.Module()
    setattr(wrapper, _AVERAGED, optimizer)
    items['optimizer'] = wrapper
  return tf.train.Checkpoint(**items)


def _children(trackable: Any) -> Mapping[str, Any]:
  return tf.train.TrackableView(trackable).children(trackable)


def _is_averaged(optimizer: Any) -> bool:
  return _AVERAGED in _children(optimizer)


def _inner(optimizer: Any) -> Any:
  """Returns the optimizer that steps, without the one that averages."""
  return _children(optimizer).get(_AVERAGED, optimizer)


def _was_averaged(saved: object_graph.SavedObjects) -> bool:
  return saved.descend('optimizer', _AVERAGED) is not None


def _saved_inner(saved: object_graph.SavedObjects) -> int | None:
  node = saved.descend('optimizer', _AVERAGED)
  return saved.descend('optimizer') if node is None else node


def _iterations_key(saved: object_graph.SavedObjects) -> str | None:
  node = _saved_inner(saved)
  found = {} if node is None else saved.children(node)
  counter = next(filter(None, map(found.get, _ITERATIONS)), None)
  return None if counter is None else saved.key(counter)


def _is_legacy(optimizer: Any) -> bool:
  """Returns whether an optimizer keeps its variables in named slots."""
  return isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer)


def _has_other_moments(saved: object_graph.SavedObjects,
                       optimizer: Any) -> bool:
  """Returns whether the lists of moments of a newer optimizer are others."""
  node = _saved_inner(saved)
  found = {} if node is None else {
      name: len(saved.children(child))
      for name, child in saved.children(node).items()}
  wanted = {name: len(_children(child))
            for name, child in _children(optimizer).items()}
  return any(found.get(name, 0) != count for name, count in wanted.items()
             if name not in _NO_MOMENTS)


def _numbers(optimizer: Any) -> dict[str, tf.Variable]:
  """Returns what was set as a number and Keras keeps in a variable."""
  return {name: child for name, child in _children(optimizer).items()
          if isinstance(child, tf.Variable) and name not in _ITERATIONS}


def _slot(optimizer: Any, variable: tf.Variable, name: str) -> Any:
  """Returns a variable that an optimizer keeps beside another, or None."""
  try:
    return optimizer.get_slot(variable, name)
  except KeyError:
    return None


def _listed(names: Sequence[str]) -> str:
  """Names some variables, and counts the others."""
  if len(names) <= _MAX_LISTED:
    return ', '.join(names)
  return (f'{", ".join(names[:_MAX_LISTED])} and '
          f'{len(names) - _MAX_LISTED} other variables')
