"""Models on the Hugging Face hub, fetched by its own client."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import os
import re

from official_ext.command_line import errors
from official_ext.pretrained import hugging_face_images
from official_ext.pretrained import published
from official_ext.pretrained import weight_files

# What the hub takes for the name of a model, with or without its owner.
_NAME = re.compile(r'[\w.-]+(/[\w.-]+)?')
# What the hub's own libraries load, whatever lies beside.
_CONVENTIONAL = ('model.safetensors.index.json', 'model.safetensors')
_BESIDE = (published.CONFIG_FILE, hugging_face_images.FILE, 'README.md')


def is_name(source: str) -> bool:
  """Whether a source may be the name of a model on the hub."""
  return bool(_NAME.fullmatch(source)) and not source.startswith('.')


def fetch(name: str, revision: str | None = None) -> str:
  """Fetches the weights of a model and what stands beside them.

  What was fetched before is taken from the client's cache, and a download that
  was interrupted goes on.

  Args:
    name: of the model, such as 'google/vit-base-patch16-224'.
    revision: a branch, tag or commit; None: the newest.

  Returns:
    The file of the weights; of shards, their index.

  Raises:
    errors.UserError: if there is no such model, it cannot be reached, or has no
      weights that are read.
  """
  try:
    # pylint: disable=g-import-not-at-top
    import huggingface_hub
    from huggingface_hub import constants
    # pylint: enable=g-import-not-at-top
  except ImportError as error:
    raise errors.UserError(
        f'{name} is no file or folder, and the Hugging Face hub needs '
        "huggingface_hub: pip install -e '.[pretrained]'.") from error
  with _explained(name, revision):
    if constants.HF_HUB_OFFLINE:
      folder = huggingface_hub.snapshot_download(
          name, revision=revision, local_files_only=True)
      return weight_files.find(folder)
    files = huggingface_hub.HfApi().list_repo_files(name, revision=revision)
    weights = next((file for file in _CONVENTIONAL if file in files), None)
    weights = weights or weight_files.choose(files, name)
    wanted = [weights, *(file for file in _BESIDE if file in files)]
    if weights.endswith(weight_files.INDEX_ENDING):
      stem = weights.removesuffix(weight_files.INDEX_ENDING)
      wanted += [file for file in files if re.fullmatch(
          rf'{re.escape(stem)}-\d+-of-\d+\.safetensors', file)]
    folder = huggingface_hub.snapshot_download(
        name, revision=revision, allow_patterns=wanted)
  return os.path.join(folder, weights)


@contextlib.contextmanager
def _explained(name: str, revision: str | None):
  """Says in one line what the client raises."""
  # pylint: disable=g-import-not-at-top
  from huggingface_hub import errors as hub_errors
  # pylint: enable=g-import-not-at-top
  at = f' at the revision {revision}' if revision else ''
  try:
    yield
  except errors.UserError:
    raise
  except hub_errors.GatedRepoError as error:
    raise errors.UserError(
        f'{name} is on the hub, but its owner wants you to agree to something '
        f'first. Do so on its page, then log in with `hf auth login`.'
    ) from error
  except hub_errors.RepositoryNotFoundError as error:
    raise errors.UserError(
        f'{name} is neither a file or folder here nor a model on the Hugging '
        'Face hub that you may see. Check the name; for a private one log in '
        'with `hf auth login`.') from error
  except hub_errors.RevisionNotFoundError as error:
    raise errors.UserError(
        f'{name} is on the Hugging Face hub, but not{at}. Check --revision.'
    ) from error
  except hub_errors.LocalEntryNotFoundError as error:
    raise errors.UserError(
        f'{name} is no file or folder here, and the Hugging Face hub cannot be '
        'reached or HF_HUB_OFFLINE is set. Connect, or fetch the model '
        f'elsewhere (hf download {name} --local-dir=DIR) and give '
        '--source=DIR.') from error
  except hub_errors.HFValidationError as error:
    raise errors.UserError(
        f'{name} is neither a file or folder here nor a name that the Hugging '
        'Face hub takes, such as google/vit-base-patch16-224.') from error
  except Exception as error:
    if not isinstance(error, (OSError, *_network_errors())):
      raise
    raise errors.UserError(
        f'{name}{at} cannot be fetched from the Hugging Face hub: '
        f'{errors.reason(error)}. Try again, which goes on where it ended, or '
        f'fetch it elsewhere (hf download {name} --local-dir=DIR) and give '
        '--source=DIR.') from error


def _network_errors() -> Sequence[type[BaseException]]:
  """Returns what the client's library for HTTP raises, whichever it is."""
  found = []
  for module in ('httpx', 'httpx2', 'requests'):
    with contextlib.suppress(ImportError):
      library = __import__(module)
      found.append(getattr(library, 'HTTPError', None) or
                   library.exceptions.RequestException)
  return [kind for kind in found if isinstance(kind, type)]
