"""What a run learns from and is graded by: loaded once, and compared with what it was when the run began."""

import logging
import secrets
from collections.abc import Mapping
from types import MappingProxyType

from cluster.commit import other_code, running_code
from search.config.learners import TrainedConfig
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, NamedTask
from search.ledger.events import RunStarted, Sources
from search.workers.loading import Loaded, load, models_of
from search.workers.sealed import loaded_digests, place_of, sealed_digests, task_keys
from trainers.data.hub import RepositoryKind, hub_commit
from trainers.data.settings import DatasetTask
from trainers.models.settings import HubModel, ModelConfig

log = logging.getLogger(__name__)

Commits = Mapping[str, str]  # by the place of the setting that names the hub id


# Hub ids


def with_commits(config: RunConfig, began: RunStarted | None) -> tuple[RunConfig, Commits]:
    """The config with the commits that its hub ids mean, and these: on resume those that the run began with.

    So all processes of a run load the same, however the hub moves on.
    """
    found = began.sources.commits if began is not None and began.sources is not None else commits(config)
    return pinned(config, found), found


def commits(config: RunConfig) -> dict[str, str]:
    """The commits that the config's hub ids mean now, as far as anybody knows; also those of named tasks."""
    found = _commits(config)
    for task in (*config.tasks, *config.hidden):
        found |= {f"{place_of(task)}.{place}": it for place, it in _commits(config.on(task)).items()}
    return found


def _commits(config: RunConfig) -> dict[str, str]:
    named: list[tuple[str, str, str | None, RepositoryKind]] = [
        (place, model.path, model.revision, "model")
        for place, model in models_of(config)
        if isinstance(model, HubModel)
    ]
    if isinstance(task := config.task, DatasetTask):
        named.append(("task", task.path, task.revision, "dataset"))
        if task.test_path is not None:
            named.append(("task.test_path", task.test_path, task.test_revision, "dataset"))
    found = {place: hub_commit(path, revision, kind) for place, path, revision, kind in named}
    return {place: commit for place, commit in found.items() if commit is not None}


def on_task(config: RunConfig, task: NamedTask, found: Commits) -> RunConfig:
    """The config with one of its tasks in the place of the search's, and these commits as revisions."""
    start = f"{place_of(task)}."
    own = {place.removeprefix(start): commit for place, commit in found.items() if place.startswith(start)}
    return pinned(config.on(task), own)


def on_searched(config: RunConfig, found: Commits) -> dict[str, RunConfig]:
    """The config of each searched task by name, of a single one by "", with these commits as revisions.

    config: with the commits of its own (`with_commits`).
    """
    return {task.name: on_task(config, task, found) for task in config.tasks} or {"": config}


def load_searched(config: RunConfig, found: Commits) -> dict[str, Loaded]:
    """Load every searched task and check its models. Raises ValueError, of one line, that names the task."""
    loaded = {}
    for place, (name, on_it) in enumerate(on_searched(config, found).items()):
        try:
            loaded[name] = load(on_it)
        except ValueError as error:
            raise ValueError(f"tasks.{place} ({name}): {error}" if name else str(error)) from None
    return loaded


def pinned(config: RunConfig, found: Commits) -> RunConfig:
    """The config with these commits as revisions."""

    def model(place: str, settings: ModelConfig) -> ModelConfig:
        commit = found.get(place)
        if commit is None or not isinstance(settings, HubModel):
            return settings
        return settings.model_copy(update={"revision": commit})

    def learner(place: str, settings: TrainedConfig) -> TrainedConfig:
        return settings.model_copy(update={"model": model(place, settings.model)})

    task = config.task
    if isinstance(task, DatasetTask):
        revisions = {
            "revision": found.get("task", task.revision),
            "test_revision": found.get("task.test_path", task.test_revision),
        }
        task = task.model_copy(update=revisions)
    middle = tuple(model(f"intermediates.{i}", settings) for i, settings in enumerate(config.intermediates))
    changed = {
        "task": task,
        "weak": learner("weak.model", config.weak),
        "strong": learner("strong.model", config.strong),
        "intermediates": middle,
    }
    return config.model_copy(update=changed)


# Digests


def checked_sources(
    config: RunConfig,
    loaded: Loaded,
    found: Commits,
    began: RunStarted | None,
    others: Mapping[str, Loaded] = MappingProxyType({}),
) -> Sources:
    """The digests of all that was loaded, which must be those that the run began with.

    others: what was loaded of searched tasks after the first, by name.

    Warns of other code. Raises ValueError, on one line that names what has changed, for other data or
    weights.
    """
    before = None if began is None else began.sources
    now = sources(config, loaded, found, secrets.token_hex(16) if before is None else before.salt, others)
    if began is None:
        return now
    if before is None:
        log.warning("%s began with a version that kept no digests: data and weights may be others", began.run)
    else:
        _require_same(config, before, now)
    if changed := other_code(began.code or {"commit": began.commit}, running_code()):
        log.warning("%s began with other code: %s", began.run, changed)
    return now


def require_same_hidden(
    config: RunConfig, hidden: HiddenTask, there: RunConfig, loaded: Loaded, began: RunStarted | None
) -> None:
    """Raise ValueError, on one line, unless a hidden task is what it was when the run began.

    config: of the run. there: with the task. loaded: what was read of it now, perhaps hours after the start.
    """
    if began is None or (before := began.sources) is None:
        return
    here = loaded_digests(there, loaded, before.salt)
    now = {f"{place_of(hidden)}.{name}": digest for name, digest in here.items()}
    _require_same(config, before, before.model_copy(update={"digests": dict(before.digests) | now}))


def sources(
    config: RunConfig,
    loaded: Loaded,
    found: Commits,
    salt: str,
    others: Mapping[str, Loaded] = MappingProxyType({}),
) -> Sources:
    """The digests of all that was loaded. salt: keys those of ground truth, in hex. others: see above."""
    digests = loaded_digests(config, loaded, salt)
    known = task_keys(loaded.task)
    for task in config.tasks[1:]:
        own = loaded_digests(config.on(task), others[task.name], salt)
        digests |= {f"{place_of(task)}.{name}": digest for name, digest in own.items()}
        known |= task_keys(others[task.name].task)
    if config.hidden:
        there = {place_of(hidden): on_task(config, hidden, found) for hidden in config.hidden}
        digests |= sealed_digests(there, known, salt)
    return Sources(salt=salt, digests=digests, commits=dict(found))


def _require_same(config: RunConfig, before: Sources, now: Sources) -> None:
    changed = [name for name in before.digests if now.digests.get(name) != before.digests[name]]
    if not changed:
        return
    paths = {f"{place}.weights": getattr(model, "path", "toy") for place, model in models_of(config)}
    for task in (*config.tasks[1:], *config.hidden):
        start, there = place_of(task), config.on(task)
        paths |= {
            f"{start}.{place}.weights": getattr(model, "path", "toy") for place, model in models_of(there)
        }
        of_data = [name for name in changed if name.startswith(f"{start}.") and name not in paths]
        paths |= {name: getattr(task.task, "path", "toy") for name in of_data}
    data = [name for name in changed if name not in paths]
    parts = [f"{name} ({paths[name]})" for name in changed if name in paths]
    if data:
        parts = [f"{', '.join(data)} ({getattr(config.task, 'path', 'toy')})", *parts]
    raise ValueError(
        f"since the run began these have changed: {'; '.join(parts)}; put them back as they were, or start a "
        "new run"
    )
