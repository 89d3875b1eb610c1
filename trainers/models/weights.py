"""Which weights a model's settings mean: the files of a folder, the commit of a hub id."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from trainers.cache import digest
from trainers.models.settings import HubModel, ToyModel
from trainers.models.toy_model import content_hash

BLOCK = 1 << 20


def weights_digest(config: HubModel | ToyModel) -> str:
    """32 hex digits that identify a model's weights and tokenizer, wherever they lie.

    A folder is known by the bytes of all its files, in sub-folders too, but for hidden ones; a hub id by its
    revision, so that one should be a commit; a toy model by all that it is made from.
    """
    if isinstance(config, ToyModel):
        return content_hash(config)
    folder = Path(config.path).expanduser()
    if not folder.is_dir():
        return digest(config.path, config.revision)
    sha = hashlib.sha256()
    for file in _files(folder):
        sha.update(file.relative_to(folder).as_posix().encode() + b"\0")
        sha.update(_file_digest(file))
    return sha.hexdigest()[:32]


def _files(folder: Path) -> Iterator[Path]:
    """All files under a folder in order; links are followed, once each."""
    found, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        found += [] if real in seen else [Path(place) / name for name in files if not name.startswith(".")]
        seen.add(real)
    return iter(sorted(file for file in found if file.is_file()))


def _file_digest(file: Path) -> bytes:
    sha = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            sha.update(block)
    return sha.digest()
