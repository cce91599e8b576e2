"""Mutated configurations: each is refused with one clear error, or trains."""

import collections
import random

import configuration_mutations
import proofs
import pytest
import short_runs

from official_ext.optimization import runnable
from official_ext.params import experiment
from official_ext.params import tree
from official_ext.training import checks
from official_ext.training import new_folders
from official_ext.training import session

SEED = 20_261_129
# Whose numbers decide how much is computed.
LARGE = (10**6, 1e9, 1e-9)


@pytest.fixture(name='base', scope='module')
def _base(digits_dir, tmp_path_factory):
  """Two steps of a tiny model."""
  path = tmp_path_factory.mktemp('fuzz') / 'base.yaml'
  path.write_text(f"""
task:
  data_dir: {digits_dir}
  train_data: {{global_batch_size: 8}}
  validation_data: {{global_batch_size: 360}}
  model:
    backbone:
      funnel_vit: {{layout: {short_runs.LAYOUT}}}
trainer:
  train_steps: 2
  optimizer_config:
    warmup: {{linear: {{warmup_steps: 1}}}}
  export: {{at_end: false}}
""")
  return str(path)


def prepare(mutation, base, folder):
  """Reads and checks a configuration, up to the devices."""
  files, override = [base], mutation.override
  if mutation.yaml is not None:
    path = folder / 'mutated.yaml'
    path.write_text(mutation.yaml, encoding='utf-8')
    files.append(str(path))
  params = experiment.load(
      configuration_mutations.EXPERIMENT, files, override)
  task = session._task(params)
  checks.check(params, task, 'train', str(folder / 'run'), None,
               new_folders.NewFolders())
  runnable.check_learning_rates(
      params.trainer.optimizer_config, params.trainer.train_steps)
  return params


def told(mutation, error):
  """Whether an error is one line that names what is wrong."""
  text = str(error)
  assert text and '\n' not in text, (mutation, text)
  # The setting, or the group that it would be in.
  names = mutation.path.split('.')
  assert any(name in text for name in names[2:] or names), (mutation, text)


def sort(mutations, base, folder):
  """Returns the accepted mutations with what they resolve to, and counts."""
  accepted, counts = [], collections.Counter()
  for index, mutation in enumerate(mutations):
    inside = folder / str(index)
    inside.mkdir()
    try:
      params = prepare(mutation, base, inside)
    except ValueError as error:
      told(mutation, error)
      counts[mutation.kind, 'refused'] += 1
      assert mutation.kind != 'whole number for a float', (mutation, error)
    else:
      assert not mutation.is_nonsense, mutation
      counts[mutation.kind, 'accepted'] += 1
      accepted.append((mutation, params))
  return accepted, counts


def train(accepted, folder, count):
  """Trains some that change the run; returns how many did."""
  small = [(mutation, params) for mutation, params in accepted
           if any(one.path == mutation.path and one.is_chosen
                  for one in tree.walk(params)) and
           not any(str(large) in (mutation.yaml or mutation.override)
                   for large in LARGE)]
  outcomes = collections.Counter()
  chosen = random.Random(SEED).sample(small, min(count, len(small)))
  for index, (mutation, params) in enumerate(chosen):
    try:
      trainer = session.prepare(
          params, 'train', str(folder / f'train{index}')).execute(
              enable_async_checkpointing=False)
    except ValueError as error:
      told(mutation, error)
      outcomes['refused at the start'] += 1
    else:
      assert int(trainer.global_step.numpy()) == params.trainer.train_steps
      outcomes['trained'] += 1
  return outcomes


def report(counts, outcomes):
  print()
  for (kind, outcome), count in sorted(counts.items()):
    print(f'{kind:28} {outcome:9} {count}')
  print(f'{sum(counts.values())} mutations; {dict(outcomes)}')


def test_a_few_mutated_configurations(base, tmp_path):
  accepted, counts = sort(
      configuration_mutations.make(SEED, 28), base, tmp_path)
  assert sum(counts.values()) == 28 and 2 < len(accepted) < 14


@pytest.mark.long
def test_mutated_configurations(base, tmp_path):
  accepted, counts = sort(
      configuration_mutations.make(SEED + 1, proofs.choose(250, 1_000)), base,
      tmp_path)
  outcomes = train(accepted, tmp_path, proofs.choose(4, 40))
  report(counts, outcomes)
  assert outcomes['trained'] >= proofs.choose(3, 36)
