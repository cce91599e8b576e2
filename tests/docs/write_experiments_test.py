"""Tests of the lab records, and of what is written from them."""

import pytest
import write_experiments
import yaml

from official_ext.params import experiment

RECORD = {
    'title': 'Table 9, row 1.', 'experiment': 'funnel_vit_imagenet',
    'paper': dict(zip(write_experiments.PAPER, (92.4, 97.28, 71.41, 89, 9.18,
                                                2.0))),
    'hardware': '8 GPUs', 'reached': None}
REACHED = {'top_1': 71.5, 'num_runs': 1, 'seed': 3}


def test_every_file_has_a_record_and_every_record_a_file():
  assert set(write_experiments.read_records()) == set(
      experiment.shipped_config_files())


def test_the_heads_are_what_the_records_say():
  files = experiment.shipped_config_files()
  for name, record in write_experiments.read_records().items():
    text = files[name].read_text()
    head = write_experiments.head(name, record)
    assert write_experiments.with_head(text, head) == text, 'run make tables'
    assert all(len(line) <= 80 for line in head.splitlines())


def test_the_page_is_what_the_records_say():
  assert write_experiments.OUTPUT.read_text() == write_experiments.page(), (
      'run make tables')


def test_a_head_by_hand():
  assert write_experiments.head('table9/b12', RECORD) == """\
# Table 9, row 1.
#
# Paper:     train top-1 92.4, top-5 97.28; validation top-1 71.41, top-5 89;
#            9.18 G, 2.0 steps/s.
# Command:   python train.py --experiment=funnel_vit_imagenet \\
#              --mode=train_and_eval --model_dir=runs/table9/b12 \\
#              --config_file=table9/b12 --config_file=tpu --tpu=local
# Hardware:  8 GPUs.
# Reached:   not run.
"""


def test_a_head_of_what_was_run():
  head = write_experiments.head('table9/b12', {
      **RECORD, 'reached': REACHED, 'hours': 10.5,
      'versions': 'TensorFlow 2.20.0'})
  assert head.endswith("""\
# Hours:     10.5.
# Reached:   71.5 % top-1 on validation, one run, seed 3.
# Versions:  TensorFlow 2.20.0.
""")


@pytest.mark.parametrize('changes, named', [
    ({'hardwear': 'x'}, 'hardwear'),
    ({'paper': {'top_1': 71.4}}, 'memory_g'),
    ({'reached': {**REACHED, 'top_5': 90}, 'versions': 'x'}, 'top_5'),
    ({'reached': REACHED}, 'versions'),
])
def test_a_record_that_is_wrong(tmp_path, changes, named):
  path = tmp_path / 'records.yaml'
  path.write_text(yaml.safe_dump({'table9/b12': {**RECORD, **changes}}))
  with pytest.raises(ValueError, match=named):
    write_experiments.read_records(path)
