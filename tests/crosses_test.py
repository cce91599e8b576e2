"""The four crosses of the paper's table 1, small: pretrain, then fine-tune.

ViT and Funnel-ViT are pretrained on the digits at 16 px, and each is
fine-tuned as each at 24 px, through the command's own main.
"""

import itertools
import pathlib

import commands
import proofs
import pytest

from official_ext.checkpoints import metadata
from official_ext.training import session

LAYOUTS = {'vit': 'B4', 'funnel': 'B2-2'}
CHANCE = 0.1


def run(repository, monkeypatch, model_dir, layout, overrides):
  """Runs train.py; returns the trainer of the run, and what was printed."""
  trainers = []
  original = session.Session.execute

  def keep(*args, **kwargs):
    trainers.append(original(*args, **kwargs))
    return trainers[0]

  settings = [
      f"task.model.backbone.funnel_vit.layout='{layout}'",
      'task.validation_data.global_batch_size=360',
      # Unmixed images are learned sooner.
      'task.train_data.mixup_and_cutmix=null', 'task.losses.soft_labels=false',
      'task.losses.one_hot=true',
      'trainer.optimizer_config.learning_rate.cosine.initial_learning_rate='
      '0.002', 'trainer.export.at_end=false', *overrides]
  with monkeypatch.context() as patch:
    patch.setattr(session.Session, 'execute', keep)
    done = commands.run(
        'train.py', '--experiment=funnel_vit_digits', '--mode=train_and_eval',
        f'--model_dir={model_dir}', f'--params_override={",".join(settings)}',
        cwd=repository)
  assert done.returncode == 0, done.stderr
  return trainers[0], done.stdout + done.stderr


@pytest.fixture(scope='module')
def pretrained(repository, digits_dir, tmp_path_factory):
  """The folders of both pretrainings."""
  folders = {}
  with pytest.MonkeyPatch.context() as monkeypatch:
    for name, layout in LAYOUTS.items():
      folders[name] = tmp_path_factory.mktemp(f'pretrained_{name}')
      trainer, _ = run(repository, monkeypatch, folders[name], layout, [
          f"task.data_dir='{digits_dir}'", 'trainer.train_steps=250',
          'task.model.backbone.funnel_vit.representation_size=64',
          'trainer.optimizer_config.warmup.linear.warmup_steps=50'])
      assert trainer.validation_logs['accuracy'] > 5 * CHANCE
  return folders


@pytest.mark.long
@pytest.mark.parametrize('source, target', proofs.choose(
    [('vit', 'funnel'), ('funnel', 'vit')],
    list(itertools.product(LAYOUTS, repeat=2))))
def test_a_cross(
    repository, pretrained, digits_dir, tmp_path, monkeypatch, source,
    target):
  trainer, printed = run(repository, monkeypatch, tmp_path, LAYOUTS[target], [
      f"task.data_dir='{digits_dir}'", 'task.model.input_size=[24,24,3]',
      f"task.init_checkpoint='{pretrained[source]}'",
      "task.init_checkpoint_modules='backbone'", 'trainer.train_steps=60',
      'trainer.optimizer_config.warmup.linear.warmup_steps=5'])
  # From scratch, 60 steps end near chance.
  assert trainer.validation_logs['accuracy'] > 5 * CHANCE
  assert trainer.validation_logs['num_images'] == 360

  lines = printed[printed.index('initialised from'):].splitlines()[:6]
  num_loaded = len(trainer.model.backbone.variables) - 1
  assert lines == [
      f'initialised from {pretrained[source]}/ckpt-250:',
      f'  loaded    {num_loaded} variables',
      '  position  4 x 4 patches: its metadata says so',
      '  resampled encoder/posembed_input/pos_embedding:0: 4 x 4 -> 6 x 6 '
      'patches, bilinear',
      '  dropped   pre-logits (this model has none); head '
      '(init_checkpoint_modules=backbone)',
      '  initial   ' + '; '.join(v.name for v in trainer.model.variables[-2:]),
  ]
  checkpoint, = pathlib.Path(tmp_path).glob('ckpt-60.index')
  found = metadata.read(str(checkpoint).removesuffix('.index'))
  assert found['grid'] == [6, 6]
