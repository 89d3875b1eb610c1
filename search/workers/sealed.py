"""Looks at hidden tasks once, when a run begins, without the run seeing anything of them.

A process of its own loads them, says what makes them unusable, digests them, and ends. What it returns are
digests alone, keyed where they are of ground truth: whoever goes on to search knows no text, no label and no
size of a hidden task, and the run can still say later that it is the same data.
"""

from collections.abc import Mapping

from cluster.apart import apart
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, NamedTask
from search.workers.loading import Loaded, load, models_of, require_naive
from trainers.data.digests import example_keys, task_digests
from trainers.data.examples import Task


def place_of(task: NamedTask) -> str:
    """What names a task in digests, commits and errors."""
    return f"{'hidden' if isinstance(task, HiddenTask) else 'tasks'}.{task.name}"


def sealed_digests(tasks: Mapping[str, RunConfig], known: frozenset[str], salt: str) -> dict[str, str]:
    """The digests of hidden tasks and of their models, by place and name.

    tasks: for each place the config with that task. known: the keys of the searched tasks. salt: keys the
    digests of ground truth, in hex. Raises ValueError, one line, for data or models that cannot be used, and
    for a task that shares examples with another one.
    """
    passed_on = {name for config in tasks.values() for name in config.trial.environment}
    found = apart("looking at hidden tasks", _looked, dict(tasks), known, salt, passed_on=passed_on)
    if isinstance(found, str):
        raise ValueError(found)
    digests: dict[str, str] = found
    return digests


def _looked(tasks: Mapping[str, RunConfig], known: frozenset[str], salt: str) -> dict[str, str] | str:
    """The digests, or what is wrong with a task."""
    try:
        return digests_here(tasks, known, salt)
    except ValueError as error:
        return str(error)


def digests_here(tasks: Mapping[str, RunConfig], known: frozenset[str], salt: str) -> dict[str, str]:
    """As `sealed_digests`, in this process, which then has seen the tasks."""
    found: dict[str, str] = {}
    seen: dict[str, frozenset[str]] = {"the task of the search": known}
    for place, config in tasks.items():
        try:
            require_naive(config)
            loaded = load(config)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        keys = task_keys(loaded.task)
        for other, its in seen.items():
            _require_apart(place, keys, other, its)
        seen[place] = keys
        found |= {f"{place}.{name}": digest for name, digest in loaded_digests(config, loaded, salt).items()}
    return found


def loaded_digests(config: RunConfig, loaded: Loaded, salt: str) -> dict[str, str]:
    """The digests of a task and of the weights of its models. salt: keys those of ground truth, in hex."""
    weights = {f"{place}.weights": loaded.weights[model] for place, model in models_of(config)}
    return task_digests(loaded.task, bytes.fromhex(salt)) | weights


def task_keys(task: Task) -> frozenset[str]:
    """The keys of all examples of a task (trainers.data.digests.example_keys)."""
    return frozenset(key for examples in task.inputs.values() for key in example_keys(examples))


def _require_apart(place: str, keys: frozenset[str], other: str, its: frozenset[str]) -> None:
    if shared := len(keys & its):
        raise ValueError(
            f"{place}: {shared} of its {len(keys)} examples also stand in {other}: what is hidden must be "
            "new to the search; leave them out of one of the two"
        )
