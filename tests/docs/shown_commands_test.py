"""The pages show what there is; and what there is not would be noticed."""

import json
import re

import classifiers
import commands
from official.core import train_utils
import pytest
import shown_commands

from official_ext.params import experiment
from official_ext.training import session


def test_the_pages_are_right():
  assert shown_commands.check(
      {page: page.read_text() for page in shown_commands.PAGES}) == []


def test_commands_of_a_block():
  text = """\
```sh
make a   # A comment.
export X='1
  2' && scripts/b.sh --c
```

- In a list:

  ```sh
  python train.py --d='e f' \\
    --g
  ```

```text
not a command
```
"""
  assert shown_commands.commands(text) == [
      ['make', 'a'], ['export', 'X=1\n  2'], ['scripts/b.sh', '--c'],
      ['python', 'train.py', '--d=e f', '--g']]


TRAIN = ('python train.py --experiment=funnel_vit_digits --mode=train '
         '--model_dir=runs/a')


@pytest.mark.parametrize('command, problem', [
    (f'{TRAIN} --profle', 'profle'),
    (f'{TRAIN} --mode=trian', 'trian'),
    ('python train.py --experiment=funnel_vit_digits', 'mode'),
    (f'{TRAIN} --config_file=table2/b13', 'table2/b13'),
    (f'{TRAIN} --params_override=trainer.train_step=1', 'trainer.train_step'),
    (f'{TRAIN} --params_override=trainer.seed=x', 'trainer.seed'),
    (f'{TRAIN} --experiment=funnel_vit', 'funnel_vit is not registered'),
    ('python -m official_ext.serving.predikt a.jpg', 'predikt'),
    ('python -m official_ext.serving.predict --modell=a', 'modell'),
    ('python -m data_prep.verify_tfrecords --wokers=2 a', 'wokers'),
    ('python -m pytest tests/modelling', 'tests/modelling'),
    ('make quikstart', 'quikstart'),
    ('scripts/setup_tpu_vm.sh --dryrun', 'dryrun'),
    ('scripts/setup_tpu.sh', 'setup_tpu.sh'),
    ('curl x', 'curl'),
])
def test_a_wrong_command_is_noticed(command, problem):
  page = shown_commands.PAGES[0]
  problems = shown_commands.check({page: f'```sh\n{command}\n```\n'})
  assert len(problems) == 1
  assert problem in problems[0]


@pytest.mark.parametrize('text, problem', [
    ('`official_ext/modeling/pooling.py`', 'pooling.py'),
    ('`official_ext.modeling.pooling`', 'pooling'),
    ('`trainer.train_step`', 'trainer.train_step'),
    ('`make tset`', 'tset'),
    ('`--profle`', 'profle'),
    ('[a](docs/nowhere.md)', 'nowhere'),
    ('[a](CHANGELOG.md#never-released)', 'never-released'),
])
def test_a_wrong_name_in_a_sentence_is_noticed(text, problem):
  page = shown_commands.PAGES[0]
  problems = shown_commands.check({page: f'A sentence with {text}.\n'})
  assert len(problems) == 1
  assert problem in problems[0]


# How many each page has; the tests below run all of them as they are shown.
PROGRAMS = {'README.md': 2, 'docs/pretrained.md': 1, 'docs/python_api.md': 2}


def programs(page):
  return re.findall(r'```python\n(.*?)```', page.read_text(), re.S)


def run(program, page):
  exec(compile(program, str(page), 'exec'), {})  # pylint: disable=exec-used


def test_no_page_has_a_program_that_is_not_run(repository):
  found = {str(page.relative_to(repository)): len(re.findall(
      r'^\s*(?:```|~~~)\s*py', page.read_text(), re.M | re.I))
           for page in shown_commands.PAGES}
  assert {page: count for page, count in found.items() if count} == PROGRAMS
  for page, count in PROGRAMS.items():
    assert len(programs(repository / page)) == count


@pytest.mark.slow
def test_the_python_of_the_readme_runs_as_it_stands(repository, capsys):
  program, _ = programs(repository / 'README.md')
  run(program, 'README.md')
  printed = capsys.readouterr().out.strip()
  assert f'It prints `{printed}`' in (repository / 'README.md').read_text()


@pytest.mark.long
def test_the_python_api_runs_as_it_is_shown(
    repository, digits_dir, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'data').mkdir()
  (tmp_path / 'data' / 'digits').symlink_to(digits_dir)
  # What `make quickstart` trains, but untrained.
  model, params = classifiers.build(0, layout='B2-2-2')
  classifiers.save(tmp_path / 'runs' / 'quickstart', model, params)
  train_utils.serialize_config(params, str(tmp_path / 'runs' / 'quickstart'))
  _, *of_readme = programs(repository / 'README.md')
  shown = [*of_readme, *programs(repository / 'docs' / 'python_api.md')]
  assert len(shown) == 3
  for program in shown:
    run(program, 'documentation')
  assert capsys.readouterr().out.strip().endswith('(None, 2)')
  assert (tmp_path / 'is_odd.keras').exists()


@pytest.mark.long
def test_the_python_of_an_import_runs_on_a_model_that_is_here(
    repository, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  program, = programs(repository / 'docs' / 'pretrained.md')
  here = str(repository / 'tests' / 'pretrained' / 'golden' / 'hf_vit')
  changed = program.replace('google/vit-base-patch16-224', here).replace(
      'B4-4-4', 'B1-1')
  assert changed.count(here) == 2 and 'B1-1' in changed
  run(changed, 'docs/pretrained.md')
  assert capsys.readouterr().out == '(1, 3)\n'


@pytest.mark.long
def test_the_notebook_runs_from_cell_to_cell(
    repository, digits_dir, tmp_path):
  notebook = json.loads((repository / 'docs' / 'digits.ipynb').read_text())
  code = [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']
  # As a notebook is kept: without what it printed.
  assert all(not cell['outputs'] and cell['execution_count'] is None
             for cell in code)
  (tmp_path / 'data').mkdir()
  (tmp_path / 'data' / 'digits').symlink_to(digits_dir)
  params = experiment.load('funnel_vit_digits', params_override=(
      f'task.data_dir={digits_dir},trainer.train_steps=300'))
  session.prepare(
      params, 'train', str(tmp_path / 'runs' / 'quickstart')).execute(
          enable_async_checkpointing=False)
  program = tmp_path / 'digits.py'
  program.write_text('\n\n'.join(''.join(cell['source']) for cell in code))
  result = commands.run_alone(
      program, cwd=tmp_path, PYTHONPATH=str(repository), MPLBACKEND='Agg')
  assert result.returncode == 0, result.stderr
  digits, odd = (float(accuracy) for accuracy in re.findall(
      r'^([\d.]+) % of', result.stdout, re.M))
  # By chance, 10 and 50.
  assert digits > 40 and odd > 75, result.stdout
  assert result.stdout.endswith('the same bit by bit: True\n')


def test_the_readme_is_short(repository):
  assert len((repository / 'README.md').read_bytes()) <= 10_240
