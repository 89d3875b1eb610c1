"""Inputs that people brought: ../shared/cases, each with its right answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from trainers.data.dataset import load_task
from trainers.data.examples import SPLITS, Task
from trainers.data.settings import DatasetTask
from trainers.data.tokens import length_counts
from trainers.models.pool import load_tokenizer
from trainers.models.prompts import render
from trainers.models.settings import HubModel

PAIRS = {"fields": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}}


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    if not (shared / "cases").is_dir():
        pytest.skip("../shared/cases is not there")
    return shared / "cases"


def load(cases: Path, path: Path | str, **more: Any) -> Task:
    settings = yaml.safe_load((cases / "base.yaml").read_text())["task"]
    if "fields" in more:
        del settings["fields"]
    return load_task(DatasetTask.model_validate(settings | {"path": str(cases / path)} | more))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def all_pairs(task: Task) -> set[tuple[str, str, str]]:
    """Prompt, better response and worse response of every example."""
    found = set()
    for split in SPLITS:
        inputs, truth = task.inputs[split], task.truth[split]
        assert inputs.pairs is not None
        for prompt, pair, second_is_better in zip(inputs.texts, inputs.pairs, truth, strict=True):
            found.add((prompt, pair[second_is_better], pair[1 - second_is_better]))
    return found


def test_texts_that_look_like_dates_stay_texts(cases: Path) -> None:
    read = rows(cases / "iso_dates.jsonl")
    task = load(cases, "iso_dates.jsonl", **PAIRS)
    assert all_pairs(task) <= {(row["prompt"], row["chosen"], row["rejected"]) for row in read}


@pytest.mark.parametrize("name", ["numbers_first.csv", "all_numbers.csv"])
def test_texts_that_look_like_numbers_stay_texts(cases: Path, name: str) -> None:
    lines = (cases / name).read_text().splitlines()[1:]
    task = load(cases, name)
    for split in SPLITS:
        for text, label in zip(task.inputs[split].texts, task.truth[split], strict=True):
            assert f"{text},{label}" in lines


def test_what_is_not_utf_8_is_refused_with_file_row_and_remedy(cases: Path) -> None:
    with pytest.raises(ValueError, match=r"latin1.jsonl, row 1: field text .* save it as UTF-8$"):
        load(cases, "latin1.jsonl")


def test_messages_are_pairs_whose_shared_turns_are_the_prompt(cases: Path) -> None:
    task = load(cases, "chat_messages.jsonl", **PAIRS)
    assert all_pairs(task) <= {
        (row["prompt"], row["chosen"][1]["content"], row["rejected"][1]["content"])
        for row in rows(cases / "chat_messages.jsonl")
    }
    for split in SPLITS:
        inputs = task.inputs[split]
        assert inputs.chats is not None
        assert inputs.pairs is not None
        for text, pair, chat in zip(inputs.texts, inputs.pairs, inputs.chats, strict=True):
            assert chat.shared == (("user", text),)
            assert (chat.first, chat.second) == tuple((("assistant", response),) for response in pair)


def test_contradictions_are_counted_and_left_out(cases: Path, tmp_path: Path) -> None:
    said = r"of 120 rows left out: 120 contradict each other \(60 inputs with both labels, neither is kept\)"
    with pytest.raises(ValueError, match=f"has 0 distinct ones .*{said}"):
        load(cases, "contradictions.jsonl")
    lines = rows(cases / "contradictions.jsonl")[:20] + rows(cases / "reviews.jsonl")
    task = load(cases, write(tmp_path / "some.jsonl", [*lines, lines[-1]]))
    assert list(task.counts.sentences()) == [
        f"{tmp_path}/some.jsonl: of 121 rows left out: 20 contradict each other (10 inputs with both labels, "
        "neither is kept), 1 repeat an earlier row"
    ]
    assert not any("same words" in text for split in SPLITS for text in task.inputs[split].texts)


@pytest.mark.parametrize(
    ("values", "mapping", "suggested"),
    [
        (("negative", "positive"), {"positive": 1, "negative": 0}, '{"negative": 0, "positive": 1}'),
        (("no", "yes"), {"no": 0, "yes": 1}, '{"no": 0, "yes": 1}'),
        ((1, 2), {1: 0, 2: 1}, "{1: 0, 2: 1}"),
        ((-1, 1), {-1: 0, 1: 1}, "{-1: 0, 1: 1}"),
        (("True.", "False."), {"True.": 0, "False.": 1}, '{"False.": 0, "True.": 1}'),
    ],
)
def test_labels_are_mapped_and_a_mapping_is_suggested(
    cases: Path, tmp_path: Path, values: tuple[Any, Any], mapping: dict[Any, int], suggested: str
) -> None:
    reviews = rows(cases / "reviews.jsonl")
    path = write(tmp_path / "a.jsonl", [row | {"label": values[row["label"]]} for row in reviews])
    with pytest.raises(ValueError, match="map the labels in the task, such as") as caught:
        load(cases, path)
    assert str(caught.value).endswith(f"`labels: {suggested}`")
    truth = {row["text"]: row["label"] for row in reviews}
    task = load(cases, path, labels=mapping)
    for split in SPLITS:
        assert task.truth[split].tolist() == [truth[text] for text in task.inputs[split].texts]


def test_rows_of_a_third_label_may_be_left_out(cases: Path, tmp_path: Path) -> None:
    reviews = rows(cases / "reviews.jsonl")
    path = write(tmp_path / "a.jsonl", [*reviews, {"text": "so so", "label": -1}])
    with pytest.raises(
        ValueError, match=r"row 101: .* must be 0 or 1, got -1: .*`labels: {-1: null, 0: 0, 1: 1}`"
    ):
        load(cases, path)
    task = load(cases, path, labels={-1: None, 0: 0, 1: 1})
    assert [of_file.unlabelled for of_file in task.counts.files] == [1]
    assert "1 have a label that is mapped to null" in " ".join(task.counts.sentences())


@pytest.fixture(scope="module")
def stories(shared: Path) -> HubModel:
    return HubModel(path=str(shared / "models/stories260K"), max_length=64)


def test_responses_that_differ_beyond_max_length_are_counted_and_refused(
    cases: Path, tmp_path: Path, stories: HubModel
) -> None:
    """A prompt of its own, and responses whose only difference is at their ends."""
    start = "once upon a time there was a girl who liked to play in the park " * 4
    far = [
        {"prompt": f"p{i}", "chosen": f"{start}good {i}", "rejected": f"{start}bad {i}"} for i in range(60)
    ]
    near = [{"prompt": f"p{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(60, 80)]
    task = load(cases, write(tmp_path / "a.jsonl", far), **PAIRS)
    tokens = {split: render(stories, task.inputs[split]) for split in SPLITS}
    with pytest.raises(
        ValueError, match=r"^strong.model.max_length 64: all 12 pairs have equal responses in"
    ):
        length_counts("strong.model", load_tokenizer(stories).model_max_length, tokens)
    task = load(cases, write(tmp_path / "a.jsonl", far[:30] + near), **PAIRS)
    tokens = {split: render(stories, task.inputs[split]) for split in SPLITS}
    counts = length_counts("strong.model", 64, tokens)
    assert counts.shortened == counts.equal_pairs > 0
    assert f"{counts.equal_pairs} are pairs whose responses are the same then" in str(counts.sentence())


@pytest.mark.parametrize("prompt", [None, "prompt"])
def test_what_transcripts_share_is_their_prompt(
    cases: Path, tmp_path: Path, stories: HubModel, prompt: str | None
) -> None:
    """Whole transcripts: at 64 tokens the responses are still there, and differ."""
    start = "Human: once upon a time there was a girl who liked to play in the park " * 4 + "\n\nAssistant:"
    lines = [
        {"prompt": f"{i} {start}", "chosen": f"{i} {start} good", "rejected": f"{i} {start} bad"}
        for i in range(60)
    ]
    task = load(
        cases,
        write(tmp_path / "a.jsonl", lines),
        fields={"prompt": prompt, "chosen": "chosen", "rejected": "rejected"},
    )
    assert all_pairs(task) <= {(f"{i} {start}", " good", " bad") for i in range(60)}
    tokens = {split: render(stories, task.inputs[split]) for split in SPLITS}
    counts = length_counts("strong.model", 64, tokens)
    assert (counts.shortened, counts.equal_pairs) == (48, 0)
    (first, *_) = np.split(tokens["search"].ids, tokens["search"].offsets[1:-1])
    assert {"good", "bad"} <= set(load_tokenizer(stories).decode(first).split())
