"""Where the best method and naive answer differently on the test split.

Nothing here needs ground truth: with two classes, of two methods that differ on an example exactly one is
right, so the accuracies of a seed, which result.json holds, and the predictions say how often each was. Which
of the two is right on a single example is not known here, and not shown.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.findings.predictions import unpack
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.output.result import Outcome
from trainers.data.digests import inputs_digest
from trainers.data.examples import Examples
from trainers.method import Method

MOST = 20  # examples that are shown
LONGEST = 300  # characters of each text


@dataclass(frozen=True, kw_only=True)
class SeedDifference:
    """On how many test examples the two students of a seed differ, and how often each is right there."""

    seed: int
    supervisor: int
    differ: int
    best_right: int
    naive_right: int


@dataclass(frozen=True, kw_only=True)
class Example:
    """A test example: its place in the split, the votes for class 1 over the seeds, and its text if shown.

    task: of several searched tasks, the one that it is of.
    """

    place: int
    best: int
    naive: int
    seeds: int
    text: str = ""
    task: str = ""


def by_seed(config: RunConfig, record: Record, outcome: Outcome) -> list[SeedDifference]:
    """The counts of every seed; empty for results of earlier versions, which name no seeds."""
    found, right = _predictions(config, record, outcome), _right(config, outcome)
    rows = []
    for row in outcome["best"].get("per_seed", ()):
        seed = row["seed"]
        if (pair := found.get(seed)) is None or ("naive", seed) not in right:
            continue
        differ = (int(pair[0], 16) ^ int(pair[1], 16)).bit_count()
        more = right["best", seed] - right["naive", seed]
        counts = {"best_right": (differ + more) // 2, "naive_right": (differ - more) // 2}
        rows.append(SeedDifference(seed=row["seed"], supervisor=row["supervisor"], differ=differ, **counts))
    return rows


def _right(config: RunConfig, outcome: Outcome) -> Counter[tuple[str, int]]:
    """How many test examples of all searched tasks the best and naive have right, by their seeds."""
    right = Counter[tuple[str, int]]()
    tasks = outcome.get("tasks") or [outcome]
    for task, examples in zip(tasks, _sizes(config).values(), strict=True):
        best = task["best"] if "best" in task else task["finalists"][0]
        for name, method in (("best", best), ("naive", task["naive"])):
            for row in method.get("per_seed", ()):
                right[name, row["seed"]] += round(row["accuracy"] * examples)
    return right


def _sizes(config: RunConfig) -> dict[str, int]:
    """Test examples of each searched task; trials predict them one after another."""
    return {name: on_task.task.splits.test for name, on_task in config.searched.items()}


def _predictions(config: RunConfig, record: Record, outcome: Outcome) -> dict[int, tuple[str, str]]:
    """The packed test predictions of the best and of naive, by seed, where both completed."""
    if "best" not in outcome or not record.test_openings:
        return {}
    best, naive = Method.model_validate(outcome["best"]["method"]).digest, config.naive.digest
    packed: dict[str, dict[int, str]] = {best: {}, naive: {}}
    for trial in record.of_purpose("confirm"):
        if trial.state == "completed" and trial.last is not None and trial.method.digest in packed:
            packed[trial.method.digest][trial.seed] = trial.last.predictions
    return {seed: (packed[best][seed], packed[naive][seed]) for seed in packed[best] if seed in packed[naive]}


def most_different(config: RunConfig, record: Record, outcome: Outcome) -> list[Example]:
    """The examples where the votes over seeds differ most, at most MOST; ties go to the earlier."""
    found = _predictions(config, record, outcome)
    if not found:
        return []
    sizes = _sizes(config)
    examples = sum(sizes.values())
    places = [(task, place) for task, size in sizes.items() for place in range(size)]
    best, naive = (
        np.sum([unpack(pair[side], examples) for pair in found.values()], axis=0, dtype=int)
        for side in (0, 1)
    )
    order = np.argsort(-abs(best - naive), kind="stable")[:MOST]
    return [
        Example(
            task=places[i][0],
            place=places[i][1],
            best=int(best[i]),
            naive=int(naive[i]),
            seeds=len(found),
        )
        for i in order
        if best[i] != naive[i]
    ]


def texts(config: RunConfig, record: Record, found: Sequence[Example]) -> tuple[list[str], str]:
    """The beginnings of the texts of these examples, and why there are none, if so.

    They are read from the tasks' files again, and shown only if these are what the run was tested on.
    """
    if not config.report.show_text:
        return [], "report.show_text is false, so their texts are left out"
    from trainers.data.dataset import load_task  # imports transformers: only where texts are shown

    try:
        shown = {
            task: load_task(config.searched[task].task).inputs["test"]
            for task in dict.fromkeys(example.task for example in found)
        }
    except (OSError, ValueError) as error:
        return [], f"their texts cannot be read: {' '.join(str(error).split())}"
    known = record.started.sources.digests if record.started and record.started.sources else {}
    first, *_ = config.searched
    for task, inputs in shown.items():
        key = "test.inputs" if task == first else f"tasks.{task}.test.inputs"
        if known.get(key) != inputs_digest(inputs):
            return [], "their texts are left out: the data are not those that the run was tested on"
    return [_text_of(shown[example.task], example.place) for example in found], ""


def _text_of(inputs: Examples, place: int) -> str:
    return _text(inputs.texts[place], inputs.pairs[place] if inputs.pairs else ())


def _text(text: str, pair: Sequence[str]) -> str:
    parts = (text, *(f"[{i}] {answer}" for i, answer in zip((1, 2), pair, strict=False)))
    lines = [" ".join(part.split()) for part in parts]
    return " ".join(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines if line)
