"""Tests of the patterns of names that match no variable."""

from official_ext.configs import image_classification
from official_ext.optimization import decay_patterns
from official_ext.optimization import layerwise

NAMES = ('cls/cls:0', 'layer_0/mlp/kernel:0', 'layer_0/mlp/bias:0')
PATH = 'trainer.optimizer_config.optimizer'


def warnings(caplog, kind, **settings):
  caplog.clear()
  config = image_classification.OptimizerConfig(
      {'type': kind, kind: {'weight_decay_rate': 0.1, **settings}})
  decay_patterns.warn(config, NAMES)
  return caplog.messages


def test_a_pattern_that_matches_nothing(caplog):
  assert warnings(
      caplog, 'adamw', exclude_from_weight_decay=['bias', 'Kernel', 'head'],
      include_in_weight_decay=['/mlp/']) == [
          f"{PATH}.adamw.exclude_from_weight_decay holds 'Kernel', 'head', but "
          'no variable has such a name: it changes nothing. Names are such as '
          "'cls/cls:0' and 'layer_0/mlp/bias:0'."]


def test_our_own_recipes_fit_every_model(caplog):
  # No variable of this one is called /gamma.
  assert warnings(caplog, 'adamw', exclude_from_weight_decay=list(
      layerwise.NOT_DECAYED)) == []


def test_without_decay_nothing_is_told_of_it(caplog):
  assert warnings(caplog, 'adamw', weight_decay_rate=0.0,
                  exclude_from_weight_decay=['head']) == []


def test_names_are_those_that_the_optimizer_looks_in(caplog):
  assert warnings(caplog, 'lars', exclude_from_layer_adaptation=['bias$'])
  assert not warnings(caplog, 'lamb', exclude_from_layer_adaptation=['bias$'])
  assert warnings(caplog, 'lamb', exclude_from_weight_decay=['bias:0'])


def test_a_text_instead_of_a_list(caplog):
  assert warnings(caplog, 'adamw', include_in_weight_decay='kernel') == [
      f"{PATH}.adamw.include_in_weight_decay is 'kernel', a text, of which "
      "every character is a pattern. Put it into a list: ['kernel']."]
