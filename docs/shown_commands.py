"""Checks what the pages show: commands, settings, files and links.

Nothing is run: the flags of a command are parsed where they are defined, in a
process of their own for each command; settings are read as a training would.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
import importlib.util
import json
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap

import official_ext
from official_ext import registry_imports  # noqa: F401
from official_ext.configs import image_classification
from official_ext.params import experiment

REPOSITORY = pathlib.Path(__file__).parent.parent
PAGES = (REPOSITORY / 'README.md', REPOSITORY / 'CONTRIBUTING.md',
         REPOSITORY / 'experiments' / 'README.md',
         *sorted((REPOSITORY / 'docs').glob('*.md')))
PACKAGES = ('official_ext', 'data_prep', 'scripts')
FOLDERS = (*PACKAGES, 'docs', 'experiments', 'requirements', 'tests')
# Programs that are not ours.
PROGRAMS = {
    '.', '[', 'break', 'case', 'cd', 'cp', 'docker', 'done', 'export', 'gcloud',
    'git', 'rm', '.venv/bin/tensorboard', '.venv/bin/wandb'}
# Of a loop of the shell, in front of a command.
KEYWORDS = {'do', 'until'}
# Flags of such programs that are named in a sentence.
FOREIGN_FLAGS = {'append', 'enable_batching', 'help'}

_BLOCK = re.compile(r'^( *)```sh\n(.*?)^ *```$', re.M | re.S)
_FENCED = re.compile(r'^ *```.*?^ *```$', re.M | re.S)
_CODE = re.compile(r'`([^`]+)`')
_LINK = re.compile(r'\]\(([^)\s]+)\)')
_HEADING = re.compile(r'^#+ (.+)$', re.M)
_PATH = re.compile(rf'(?:{"|".join(FOLDERS)})/[\w./*-]+')
_MODULE = re.compile(rf'(?:{"|".join(PACKAGES)})(?:\.\w+)+')
_SETTING = re.compile(r'(?:task|trainer|runtime)(?:\.\w+)+')
_TARGET = re.compile(r'^([\w-]+):', re.M)

# Parses lines of flags as the command would; prints what it says of each, and
# the names of all its flags.
_PARSER = """
import copy, importlib, json, sys
from absl import flags
importlib.import_module(sys.argv[1])
said = []
for arguments in json.load(sys.stdin):
  values = copy.deepcopy(flags.FLAGS)
  try:
    rest = values([sys.argv[1], *arguments])
    late = [word for word in rest[1:] if word.startswith('--')]
    said.append(f'{late} come too late' if late else '')
  except flags.Error as error:
    said.append(str(error))
json.dump([said, list(flags.FLAGS)], sys.stdout)
"""


def commands(text: str) -> list[list[str]]:
  """Returns the commands of a page's shell blocks, as lists of words."""
  return [command for indent, block in _BLOCK.findall(text)
          for command in _split(textwrap.dedent(indent + block))]


def _split(script: str) -> Iterator[list[str]]:
  """Yields the words of each command of a script."""
  pending = ''
  for line in script.replace('\\\n', ' ').splitlines():
    pending += line + '\n'
    try:
      words = shlex.split(pending, comments=True)
    except ValueError:  # A quotation that goes on in the next line.
      continue
    pending = ''
    command: list[str] = []
    for word in [*words, '&&']:
      if word in ('&&', '||', ';'):
        if command:
          yield command
        command = []
      elif word.startswith('--command='):
        yield from _split(word.removeprefix('--command='))
      else:
        command.append(word)
  if pending.strip():
    raise ValueError(f'a quotation that does not end: {pending}')


def module_of(command: list[str]) -> tuple[str, list[str]] | None:
  """Returns the module of ours that a command runs, with its arguments."""
  if command[0] in KEYWORDS:
    return module_of(command[1:])
  if pathlib.Path(command[0]).name not in ('python', 'python3'):
    return None
  if command[1] == 'train.py':
    return 'official_ext.train', command[2:]
  if command[1] == '-m' and command[2].partition('.')[0] in PACKAGES:
    return command[2], command[3:]
  return None


def check_flags(
    lines: Iterable[tuple[str, list[str]]]) -> tuple[list[str], set[str]]:
  """Parses the flags of our commands.

  Args:
    lines: modules with their arguments. '...' stands for what is left out.

  Returns:
    What is wrong, and the names of all flags of these modules.
  """
  by_module: dict[str, list[list[str]]] = {}
  for module, arguments in lines:
    by_module.setdefault(module, []).append(arguments)
  problems, known = [], set()
  for module, all_arguments in by_module.items():
    result = subprocess.run(
        [sys.executable, '-c', _PARSER, module], cwd=REPOSITORY, text=True,
        capture_output=True, check=False, input=json.dumps([
            [word for word in arguments if word != '...']
            for arguments in all_arguments]))
    if result.returncode:
      problems.append(f'{module}: {result.stderr.strip().splitlines()[-1]}')
      continue
    said, names = json.loads(result.stdout)
    known.update(names)
    for message, arguments in zip(said, all_arguments):
      if message and not (
          '...' in arguments and 'must have a value' in message):
        problems.append(f'{module} {shlex.join(arguments)}: {message}')
  return problems, known


def check_settings(arguments: list[str]) -> list[str]:
  """Returns what is wrong with the settings of a training."""
  values: dict[str, list[str]] = {}
  for argument in arguments:
    name, _, value = argument.removeprefix('--').partition('=')
    values.setdefault(name, []).append(value)
  # What data_prep, a training and an import will write is not there yet.
  files = [name for name in values.get('config_file', ())
           if not name.startswith(('data/', 'pretrained/', 'runs/'))]
  override = values.get('params_override', [''])[-1].removesuffix(',...')
  # A conversion writes into its own how many images there are.
  is_counted = 'train_data.num_examples' in override or all(
      not name.startswith('data/') for name in values.get('config_file', ()))
  of_data = '' if is_counted else 'task.train_data.num_examples=6400'
  try:
    experiment.load(
        values.get('experiment', ['funnel_vit_imagenet'])[-1], files,
        ','.join(one for one in (of_data, override) if one),
        tpu=values.get('tpu', [None])[-1])
  except ValueError as error:
    return [f'{shlex.join(arguments)}: {error}']
  return []


def check_command(command: list[str]) -> list[str]:
  """Returns what is wrong with a command, but for the flags of ours."""
  while command and (
      command[0] in KEYWORDS or re.match(r'\w+=', command[0])):
    command = command[1:]
  if not command or command[0] in PROGRAMS:
    return []
  program = pathlib.Path(command[0]).name
  ours = module_of(command)
  if ours:
    module, arguments = ours
    if importlib.util.find_spec(module) is None:
      return [f'there is no module {module}']
    problems = check_paths(command)
    # The addons line has optimizers that this one refuses.
    if module.endswith('.train') and not command[0].startswith('.venv-addons'):
      problems += check_settings(arguments)
    return problems
  if program in ('python', 'python3') and command[1] == '-c':
    ast.parse(command[2])
    return []
  if program in ('python', 'python3', 'pip', 'ruff', 'pytest'):
    return check_paths(command)
  if program == 'make':
    targets = _TARGET.findall((REPOSITORY / 'Makefile').read_text())
    return [f'make has no {word}' for word in command[1:]
            if '=' not in word and word not in targets]
  if command[0].startswith(FOLDERS):
    path = REPOSITORY / command[0]
    if not path.exists():
      return [f'there is no {command[0]}']
    return [f'{command[0]} has no {word}' for word in command[1:]
            if word.startswith('--') and word not in path.read_text()]
  return [f'{command[0]} is no program that the pages may show']


def check_paths(words: Iterable[str]) -> list[str]:
  """Returns the paths among words that should be in the repository."""
  paths = [word.partition('=')[2] if word.startswith('--') else word
           for word in words]
  return [f'there is no {path}' for path in paths
          if _PATH.fullmatch(path) and not list(REPOSITORY.glob(path))]


def check_code(text: str, known_flags: set[str]) -> list[str]:
  """Returns what is wrong with names in the sentences of a page.

  Args:
    text: of the page.
    known_flags: the flags of our commands.
  """
  problems = []
  for code in _CODE.findall(_FENCED.sub('', text).replace('\n', ' ')):
    problems += check_paths([code])
    for name in re.findall(r'(?:^| )--([\w-]+)', code):
      if not ({name, name.removeprefix('no')} & (known_flags | FOREIGN_FLAGS) or
              any(f'--{name}' in path.read_text() for path in (
                  *REPOSITORY.glob('scripts/*.sh'),
                  REPOSITORY / 'tests' / 'conftest.py'))):
        problems.append(f'no command has the flag --{name}')
    if code.startswith('make '):
      problems += check_command(code.split())
    for name in _SETTING.findall(code):
      if not name.endswith('.py') and not _is_setting(name):
        problems.append(f'there is no setting {name}')
    if _MODULE.fullmatch(code) and not _is_module(code):
      problems.append(f'there is no module {code}')
  return problems


def _is_setting(name: str) -> bool:
  """Returns whether a setting is one of a registered experiment."""
  for base in (*image_classification.EXPERIMENTS, 'funnel_vit_segmentation',
               'funnel_vit_retinanet'):
    value = experiment.base(base)
    for part in name.split('.'):
      # Not as_dict(), which of a one-of shows only the type that is chosen.
      value = getattr(value, part, KeyError) if hasattr(
          value, 'as_dict') else KeyError
    if value is not KeyError:
      return True
  return False


def _is_module(name: str) -> bool:
  """Returns whether a dotted name is a module, or stands for several."""
  package, _, last = name.rpartition('.')
  return last.isupper() or (
      package == 'official_ext' and last in dir(official_ext)) or (
      REPOSITORY / name.replace('.', '/')).is_dir() or (
          REPOSITORY / (name.replace('.', '/') + '.py')).is_file()


def check_links(page: pathlib.Path, text: str) -> list[str]:
  """Returns the links of a page to what is not in the repository."""
  problems = []
  for link in _LINK.findall(_FENCED.sub('', text)):
    if re.match(r'\w+:', link):
      continue
    path, _, anchor = link.partition('#')
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
      problems.append(f'there is no {link}')
    elif anchor and anchor not in anchors(target.read_text()):
      problems.append(f'{target.name} has no heading #{anchor}')
  return problems


def anchors(text: str) -> list[str]:
  """Returns the anchors that GitHub gives to the headings of a page."""
  return [re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
          for heading in _HEADING.findall(_FENCED.sub('', text))]


def check(texts: dict[pathlib.Path, str]) -> list[str]:
  """Returns all that is wrong with pages.

  Args:
    texts: of the pages, by their paths.
  """
  shown = {page: commands(text) for page, text in texts.items()}
  problems, known = check_flags(
      ours for page in shown.values() for command in page
      if (ours := module_of(command)) and importlib.util.find_spec(ours[0]))
  for page, text in texts.items():
    found = [problem for command in shown[page]
             for problem in check_command(command)]
    found += check_code(text, known) + check_links(page, text)
    problems += [f'{page.name}: {problem}' for problem in found]
  return problems
