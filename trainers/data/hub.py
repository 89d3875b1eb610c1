"""What a hub id's revision means now."""

from pathlib import Path
from typing import Literal

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionResolutionError

from trainers.data.loading import quiet

RepositoryKind = Literal["model", "dataset"]


def hub_commit(path: str, revision: str | None, kind: RepositoryKind) -> str | None:
    """The commit that a branch or tag of a hub id means now; None for local paths and if nobody knows.

    Without a network it is the commit that the library's cache holds. Whether what is loaded can be loaded at
    all, its loading finds out.
    """
    if Path(path).expanduser().exists():
        return None
    try:
        with quiet():
            return HfApi().resolve_revision(path, repo_type=kind, revision=revision).resolved
    except (OSError, ValueError, HfHubHTTPError, RevisionResolutionError, httpx2.HTTPError):
        return None
