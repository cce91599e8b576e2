"""The pages show what there is; and what there is not would be noticed."""

import re

import pytest
import shown_commands


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


def test_the_python_of_the_readme_runs_as_it_stands(repository, capsys):
  text = (repository / 'README.md').read_text()
  program, = re.findall(r'```python\n(.*?)```', text, re.S)
  exec(compile(program, 'README.md', 'exec'), {})  # pylint: disable=exec-used
  printed = capsys.readouterr().out.strip()
  assert f'It prints `{printed}`' in text


def test_the_readme_is_short(repository):
  assert len((repository / 'README.md').read_bytes()) <= 10_240
