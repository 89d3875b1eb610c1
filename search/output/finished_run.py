"""A finished run to compare: its outcome, and what its best method predicts on each test split."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from search.config.schema import RunConfig
from search.ledger.record import Record
from search.scoring.several_tasks import split
from search.storage.object_store import snapshot
from search.storage.run_directory import RunDirectory
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class TestSplit:
    """What a run's best method predicts on the test split of a task. predictions: packed, by seed.

    place: of the task in the config. outcome: what result.json says of this task.
    """

    __test__ = False  # not a pytest class

    place: str
    digest: str
    examples: int
    predictions: Mapping[int, str]
    outcome: Mapping[str, Any]

    @property
    def accuracies(self) -> dict[int, float]:
        """The best method's accuracy on it, by seed."""
        return {seed["seed"]: seed["accuracy"] for seed in self.outcome["finalists"][0]["per_seed"]}

    @property
    def opened(self) -> int:
        """How often its examples have been opened; 0 where an earlier version did not count."""
        return int((self.outcome.get("test_split") or {}).get("opened", 0))


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A finished run. tests: of its tasks, one or several, in the order of their digests.

    teachers: what decides a seed's weak labels beside the seed: equal for runs whose seeds mean the same.
    """

    name: str
    config: RunConfig
    result: Mapping[str, Any]
    tests: tuple[TestSplit, ...]
    teachers: str

    @property
    def best(self) -> Mapping[str, Any]:
        """What result.json says of the best method."""
        found: Mapping[str, Any] = self.result["best"]
        return found

    @property
    def accuracies(self) -> dict[int, float]:
        """The best method's accuracy by seed, over several tasks the mean."""
        return {
            seed: fmean(test.accuracies[seed] for test in self.tests) for seed in self.tests[0].accuracies
        }


def read_outcome(directory: str) -> FinishedRun:
    """The outcome of a run; raises ValueError, on one line, if it has none."""
    with snapshot(directory) as path:
        run = RunDirectory(path)
        config, record = run.load()
        result = run.read_result()
    if result is None or record.test_opened is None or not record.finished:
        raise ValueError(
            f"{directory}: has no outcome yet; let it finish: python -m search resume {directory}"
        )
    return FinishedRun(
        name=directory,
        config=config,
        result=result,
        tests=_tests(directory, config, record, result),
        teachers=_teachers(config, record),
    )


def _tests(
    directory: str, config: RunConfig, record: Record, result: Mapping[str, Any]
) -> tuple[TestSplit, ...]:
    """Test splits by their digests: so runs that have the same tasks have them in one order."""
    names, of_tasks = list(config.searched), (result.get("tasks") if config.tasks else [result])
    openings = [record.test_opened, *(record.opened_elsewhere.get(name) for name in names[1:])]
    opened = [opening for opening in openings if opening is not None and opening.digest]
    if len(opened) < len(names):
        raise ValueError(
            f"{directory}: an earlier version wrote it, without the digest of its test examples; run its "
            "config again to compare it"
        )
    if not of_tasks or [task.get("name", "") for task in of_tasks] != names:
        raise ValueError(
            f"{directory}: result.json does not have the outcome on each of {', '.join(names)}; write it "
            f"anew: python -m search resume {directory}"
        )
    sizes = [opening.examples for opening in opened]
    packed = _predictions(record, Method.model_validate(result["best"]["method"]))
    apart = {seed: split(predictions, sizes) for seed, predictions in packed.items()}
    tests = [
        TestSplit(
            place=f"tasks.{i} ({name})" if name else "task",
            digest=opened[i].digest,
            examples=sizes[i],
            predictions={seed: parts[i] for seed, parts in apart.items()},
            outcome=of_tasks[i],
        )
        for i, name in enumerate(names)
    ]
    return tuple(sorted(tests, key=lambda test: (test.digest, test.place)))


def _predictions(record: Record, method: Method) -> dict[int, str]:
    """Of all tasks, one after another, by seed."""
    return {
        trial.seed: trial.last.predictions
        for trial in record.of_purpose("confirm")
        if trial.method == method and trial.state == "completed" and trial.last is not None
    }


def _teachers(config: RunConfig, record: Record) -> str:
    """Settings and data that the weak labels of a seed follow from, on every task."""
    sources = record.started.sources if record.started else None
    digests = sources.digests if sources else {}
    counts = config.supervisors, config.baselines.own_rows
    of_tasks = []
    for place, (task, there) in enumerate(config.searched.items()):
        start = f"tasks.{task}." if place else ""
        kept = [
            digests.get(f"{start}{name}")
            for name in ("weak_train.inputs", "transfer.inputs", "weak.model.weights")
        ]
        of_tasks.append(f"{kept} {there.weak.model_dump_json(exclude={'model': {'path', 'revision'}})}")
    return f"{counts} {sorted(of_tasks)}"
