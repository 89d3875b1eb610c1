"""Where the best and naive differ: the counts of the ground truth, and texts only if asked for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agents.findings.predictions import pack
from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.tasks import SearchedTask
from search.ledger.events import Sources, TestOpened
from search.ledger.record import Record
from search.output.report.disagreements import Example, by_seed, most_different, texts
from tests.small_runs.synthetic import CONFIG
from trainers.components.optim import Adamw
from trainers.data.dataset import load_task
from trainers.data.digests import inputs_digest
from trainers.method import Method

BEST = Method(optim=Adamw(lr=1e-4))


@pytest.fixture(scope="module")
def ten() -> RunConfig:
    sizes = ["task.splits.weak_train=40", "task.splits.transfer=10", "task.splits.search=10"]
    return load_config(CONFIG, [*sizes, "task.splits.test=10"])


def run_of(
    config: RunConfig, events: SimpleNamespace, *, opened: bool = True
) -> tuple[Record, dict[str, Any], Any]:
    """A record with two seeds of the best and of naive, its result, and the truth."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=10) < 0.5
    told: list[Any] = [TestOpened(queries=4)] if opened else []
    result: dict[str, Any] = {}
    for name, method in (("best", BEST), ("naive", config.naive)):
        rows = []
        for seed in (5, 6):
            guess = rng.uniform(size=10) < 0.5
            trial = f"c-{name}-{seed}"
            told += [
                events.started(trial, purpose="confirm", method=method, seed=seed, number=None),
                events.reached(trial, 1.0, None).model_copy(update={"predictions": pack(guess)}),
                events.ended(trial),
            ]
            rows.append(
                {"seed": seed, "supervisor": 1, "accuracy": float((guess == truth).mean()), "guess": guess}
            )
        result[name] = {"method": method.model_dump(), "per_seed": rows}
    return Record.of(told), result, truth


def test_the_counts_are_those_of_the_ground_truth(ten: RunConfig, events: SimpleNamespace) -> None:
    record, result, truth = run_of(ten, events)
    pairs = zip(result["best"]["per_seed"], result["naive"]["per_seed"], strict=True)
    rows = by_seed(ten, record, result)
    assert len(rows) == 2
    for row, (best, naive) in zip(rows, pairs, strict=True):
        differ = best["guess"] != naive["guess"]
        assert row.differ == differ.sum() > 0
        assert row.best_right == (best["guess"] == truth)[differ].sum()
        assert row.naive_right == (naive["guess"] == truth)[differ].sum()


def test_examples_come_with_the_most_different_votes_first(ten: RunConfig, events: SimpleNamespace) -> None:
    record, result, _ = run_of(ten, events)
    found = most_different(ten, record, result)
    apart = [abs(one.best - one.naive) for one in found]
    assert apart == sorted(apart, reverse=True)
    assert min(apart) > 0
    votes = {
        name: sum(row["guess"].astype(int) for row in result[name]["per_seed"]) for name in ("best", "naive")
    }
    assert all(
        (one.best, one.naive) == (votes["best"][one.place], votes["naive"][one.place]) for one in found
    )


def test_before_the_test_split_is_opened_there_is_nothing(ten: RunConfig, events: SimpleNamespace) -> None:
    record, result, _ = run_of(ten, events, opened=False)
    assert by_seed(ten, record, result) == []
    assert most_different(ten, record, result) == []
    assert by_seed(ten, record, {"naive": {}, "best": {"method": BEST.model_dump()}}) == []


def test_texts_are_shown_only_if_asked_for_and_only_those_of_the_run(
    ten: RunConfig, events: SimpleNamespace, tmp_path: Path
) -> None:
    asked = ten.model_copy(update={"report": ten.report.model_copy(update={"show_text": True})})
    inputs = load_task(ten.task).inputs["test"]

    def started(digest: str) -> Record:
        sources = Sources(salt="00", digests={"test.inputs": digest})
        return Record.of([events.run_started().model_copy(update={"sources": sources})])

    same = started(inputs_digest(inputs))
    at_3, at_0 = (Example(place=place, best=2, naive=0, seeds=2) for place in (3, 0))
    assert texts(ten, same, [at_0]) == ([], "report.show_text is false, so their texts are left out")
    shown, why = texts(asked, same, [at_3, at_0])
    assert why == ""
    assert [inputs.texts[i].startswith(text.rstrip("…")) for i, text in zip((3, 0), shown, strict=True)] == [
        True
    ] * 2
    assert texts(asked, started("0" * 32), [at_0])[1].endswith("not those that the run was tested on")


def test_of_several_tasks_an_example_names_its_own(ten: RunConfig, events: SimpleNamespace) -> None:
    sizes = {"a": 6, "b": 4}
    tasks = tuple(
        SearchedTask(
            name=name,
            task=ten.task.model_copy(update={"splits": ten.task.splits.model_copy(update={"test": n})}),
        )
        for name, n in sizes.items()
    )
    record, whole, truth = run_of(ten, events)
    several = ten.model_copy(update={"tasks": tasks})
    outcome = whole | {"tasks": [apart(whole, truth, slice(0, 6)), apart(whole, truth, slice(6, 10))]}
    assert by_seed(several, record, outcome) == by_seed(ten, record, whole)
    together = [one.place for one in most_different(ten, record, whole)]
    found = most_different(several, record, outcome)
    assert [(one.task, one.place) for one in found] == [
        ("a", place) if place < 6 else ("b", place - 6) for place in together
    ]


def apart(whole: dict[str, Any], truth: Any, part: slice) -> dict[str, Any]:
    """What the result says of a part of the examples."""

    def of_part(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"accuracy": float((row["guess"] == truth)[part].mean())}

    best, naive = (
        {"per_seed": [of_part(row) for row in whole[name]["per_seed"]]} for name in ("best", "naive")
    )
    return {"finalists": [best], "naive": naive}
