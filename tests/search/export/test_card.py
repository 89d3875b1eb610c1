import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from agents.language.proposal import Branch
from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, SearchedTask
from search.export.card import card, changed, class_one, method_config, numbers
from search.export.choice import Chosen
from search.ledger.events import Sources, TaskBaselines
from search.ledger.record import Record
from trainers.components.labels import Soft
from trainers.components.losses import Gce
from trainers.data.settings import DatasetTask, ToyTask
from trainers.method import Method

METHOD = Method(labels=Soft(), loss=Gce())
ROW = {
    "accuracy": 0.81234,
    "accuracy_se": 0.01,
    "pgr": 0.4321,
    "se": 0.05,
    "ci95": [0.3, 0.5],
    "seeds": 3,
    "per_seed": [{"seed": 7, "accuracy": 0.8}],
    "beats_naive_p": 0.012,
}
ABOUT = {
    "student": "lora",
    "members": ["."],
    "aggregate": "mean",
    "left_out": 0,
    "layer": None,
    "depth": 3,
    "pool": "last",
    "pairs": False,
    "template": None,
    "base": {"path": "some/model", "revision": "abc", "folder": None},
}


@pytest.fixture
def record(events: SimpleNamespace) -> Record:
    digests = {"test.inputs": "aa11", "test.truth": "bb22"}
    sources = Sources(salt="cc33", digests=digests, commits={"strong.model": "dd44"})
    return Record.of([events.run_started(sources=sources), events.baselines()])


def chosen(**changes: Any) -> Chosen:
    return Chosen(**({"name": "best", "method": METHOD, "seed": 7, "split": "test", "row": ROW} | changes))


@pytest.mark.parametrize(
    ("more", "meaning"),
    [
        ({"labels": {"bad": 0, "good": 1, "fine": 1, "none": None}}, 'the label is "good" or "fine"'),
        ({}, "the label is 1"),
        ({"fields": {"prompt": "q"}}, "the second response is the better one"),
    ],
)
def test_class_1_has_the_name_that_the_data_give_it(more: dict[str, Any], meaning: str) -> None:
    splits = {"weak_train": 10, "transfer": 10, "search": 10, "test": 10}
    assert class_one(DatasetTask.model_validate({"path": "a.jsonl", "splits": splits, **more})) == meaning


def test_a_card_says_what_was_measured_and_how_to_load(config: RunConfig, record: Record) -> None:
    text = card(config, record, chosen(), ABOUT, 0.998)
    for part in (
        "0.432 ± 0.050, 95% interval 0.300 to 0.500 (3 seeds, test split)",
        "This model's own seed: accuracy 0.8000.",
        "p = 0.012",
        "this folder gives 99.80% of those on the test split",
        "PeftModel.from_pretrained(body, FOLDER)",
        "AutoModel.from_pretrained('some/model', revision='abc')",
        "| test.inputs | `aa11` |",
        "| strong.model | commit `dd44` |",
    ):
        assert part in text


def test_digests_of_ground_truth_and_their_key_stay_in_the_ledger(config: RunConfig, record: Record) -> None:
    text = card(config, record, chosen(), ABOUT, None)
    assert "bb22" not in text
    assert "cc33" not in text
    assert "recorded predictions" not in text


def test_lines_for_one_model_are_python(config: RunConfig, record: Record) -> None:
    for pool in ("last", "mean", "cls"):
        for layer in (None, 2, 3):
            text = card(config, record, chosen(), ABOUT | {"pool": pool, "layer": layer}, None)
            for block in text.split("```python\n")[1:]:
                compile(block.partition("```")[0], "card", "exec")


def test_several_models_or_pairs_need_the_reader(config: RunConfig, record: Record) -> None:
    several = ABOUT | {"members": ["member-0", "member-1"], "aggregate": "median"}
    assert "2 models answer by the median of their log-odds." in card(config, record, chosen(), several, None)
    assert "With transformers" not in card(config, record, chosen(), ABOUT | {"pairs": True}, None)


def test_a_search_trial_is_said_to_be_flattered(record: Record, events: SimpleNamespace) -> None:
    rung = events.reached("t1", 1.0, 0.7)
    (line, _) = numbers(record, chosen(row=None, rung=rung))
    assert "0.700 ± 0.100 on the search split, one seed" in line


MEAN = ROW | {"accuracy": 0.7, "pgr": 0.2, "se": 0.04, "ci95": [0.1, 0.3], "beats_naive_p": 0.2}


@pytest.fixture
def on_two(events: SimpleNamespace) -> Record:
    """A run on two tasks, whose floors and ceilings are not those of their means."""
    own = {"weak_se": 0.01, "ceiling_se": 0.01, "examples": 9}
    tasks = (
        TaskBaselines(name="reviews", weak_acc=0.55, ceiling_acc=0.85, **own),
        TaskBaselines(name="quarrels", weak_acc=0.65, ceiling_acc=0.95, **own),
    )
    return Record.of([events.run_started(), events.baselines(tasks=tasks)])


def test_of_several_tasks_the_exported_one_is_named_and_its_figures_stand_first(
    config: RunConfig, on_two: Record
) -> None:
    tasks = tuple(SearchedTask(name=name, task=config.task) for name in ("reviews", "quarrels"))
    searched = config.model_copy(update={"tasks": tasks})
    text = card(searched, on_two, chosen(task="reviews", over_tasks=MEAN), ABOUT, None)
    for part in (
        "| task | reviews (toy): the first of the search's 2 tasks, the one exported |",
        "Accuracy 0.8123 ± 0.0100 (3 seeds, test split of reviews).",
        "0.432 ± 0.050, 95% interval 0.300 to 0.500 (3 seeds, test split of reviews).",
        "Against the naive baseline on this task: p = 0.012 (one-sided).",
        "The method was searched on 2 tasks, and trained on each by itself. The mean over their test splits: "
        "accuracy 0.7000 ± 0.0100, performance gap recovered 0.200 ± 0.040, 95% interval 0.100 to 0.300, "
        "p against naive 0.2.",
        "On the search split of reviews the weak supervisors are right 0.5500 ± 0.0100",
        "trained on ground truth 0.8500 ± 0.0100.",
    ):
        assert part in text


def test_without_a_gap_on_all_tasks_the_mean_has_no_pgr(on_two: Record) -> None:
    flat = MEAN | {"pgr": None, "se": None, "ci95": None}
    lines = numbers(on_two, chosen(task="reviews", over_tasks=flat))
    (mean,) = [line for line in lines if line.startswith("The method was searched")]
    assert mean.endswith("accuracy 0.7000 ± 0.0100, p against naive 0.2.")


def test_a_test_split_opened_before_is_said(config: RunConfig, record: Record) -> None:
    before = chosen(openings="the test split has been opened 2 times, by before, mine\nhere")
    text = card(config, record, before, ABOUT, None)
    assert "The test split has been opened 2 times, by before, mine here." in text
    assert "opened" not in card(config, record, chosen(), ABOUT, None)


def test_slots_that_are_plain_are_left_out() -> None:
    found = changed(chosen())
    assert list(found) == ["labels", "loss", "student", "optim"]
    assert json.loads(json.dumps(found["loss"])) == {"kind": "gce", "q": 0.7}


def test_naive_needs_no_methods(config: RunConfig) -> None:
    assert yaml.safe_load(method_config(config, chosen(method=config.naive)))["methods"] == []


def test_the_config_of_a_method_of_a_run_with_branches_of_its_own_can_be_loaded(
    config: RunConfig, branch: Callable[..., Branch], tmp_path: Path
) -> None:
    searched = config.model_copy(update={"branches": (branch("mine"),)})
    (tmp_path / "method.yaml").write_text(method_config(searched, chosen()))
    (own,) = load_config(tmp_path / "method.yaml").methods
    assert own.name == "exported"


def test_a_config_to_hand_on_does_not_say_where_hidden_tasks_lie(config: RunConfig) -> None:
    there = HiddenTask(name="there", task=ToyTask(seed=3))
    settings = yaml.safe_load(method_config(config.model_copy(update={"hidden": (there,)}), chosen()))
    assert settings["hidden"] == []


def test_the_method_is_in_its_config(config: RunConfig) -> None:
    settings = yaml.safe_load(method_config(config, chosen()))
    (record,) = settings["methods"]
    assert record.pop("name") == "exported"
    assert Method.model_validate(config.naive.model_dump() | record) == METHOD
    assert settings["task"] == config.task.model_dump(mode="json")
