"""Where the best method and naive answer differently on the test split.

Nothing here needs ground truth: with two classes, of two methods that differ on an example exactly one is
right, so the accuracies of a seed, which result.json holds, and the predictions say how often each was. Which
of the two is right on a single example is not known here, and not shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.findings.predictions import unpack
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.output.result import Outcome
from trainers.data.digests import inputs_digest
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
    """A test example: its place in the split, the votes for class 1 over the seeds, and its text if shown."""

    place: int
    best: int
    naive: int
    seeds: int
    text: str = ""


def by_seed(config: RunConfig, record: Record, outcome: Outcome) -> list[SeedDifference]:
    """The counts of every seed; empty for results of earlier versions, which name no seeds."""
    found, examples = _predictions(config, record, outcome), config.task.splits.test
    naive = {row["seed"]: row for row in outcome["naive"].get("per_seed", ())}
    rows = []
    for row in outcome["best"].get("per_seed", ()):
        if (pair := found.get(row["seed"])) is None or row["seed"] not in naive:
            continue
        differ = (int(pair[0], 16) ^ int(pair[1], 16)).bit_count()
        more = round((row["accuracy"] - naive[row["seed"]]["accuracy"]) * examples)
        counts = {"best_right": (differ + more) // 2, "naive_right": (differ - more) // 2}
        rows.append(SeedDifference(seed=row["seed"], supervisor=row["supervisor"], differ=differ, **counts))
    return rows


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
    examples = config.task.splits.test
    best, naive = (
        np.sum([unpack(pair[side], examples) for pair in found.values()], axis=0, dtype=int)
        for side in (0, 1)
    )
    order = np.argsort(-abs(best - naive), kind="stable")[:MOST]
    return [
        Example(place=int(i), best=int(best[i]), naive=int(naive[i]), seeds=len(found))
        for i in order
        if best[i] != naive[i]
    ]


def texts(config: RunConfig, record: Record, places: Sequence[int]) -> tuple[list[str], str]:
    """The beginnings of these texts of the test split, and why there are none, if so.

    They are read from the task's files again, and shown only if these are what the run was tested on.
    """
    if not config.report.show_text:
        return [], "report.show_text is false, so their texts are left out"
    from trainers.data.dataset import load_task  # imports transformers: only where texts are shown

    try:
        shown = load_task(config.task).inputs["test"]
    except (OSError, ValueError) as error:
        return [], f"their texts cannot be read: {' '.join(str(error).split())}"
    known = record.started.sources.digests if record.started and record.started.sources else {}
    if known.get("test.inputs") != inputs_digest(shown):
        return [], "their texts are left out: the data are not those that the run was tested on"
    return [_text(shown.texts[i], shown.pairs[i] if shown.pairs else ()) for i in places], ""


def _text(text: str, pair: Sequence[str]) -> str:
    parts = (text, *(f"[{i}] {answer}" for i, answer in zip((1, 2), pair, strict=False)))
    lines = [" ".join(part.split()) for part in parts]
    return " ".join(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines if line)
