import csv
import gzip
import json
import os
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from trainers.data.dataset import load_task
from trainers.data.examples import SPLITS, Task
from trainers.data.settings import DatasetTask, PairFields, SingleFields, SplitSizes, ToyTask

SMALL = SplitSizes(weak_train=8, transfer=10, search=6, test=6)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def singles(n: int) -> list[dict[str, Any]]:
    return [{"text": f"text {i}", "label": i % 2} for i in range(n)]


def pairs(n: int) -> list[dict[str, Any]]:
    return [{"prompt": f"p{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(n)]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return str(path)


def write_as(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write single texts in the format that the file's name says."""
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        datasets.Dataset.from_list(rows).to_parquet(path)
    else:
        write(path, rows)


def load(path: str, splits: SplitSizes = SMALL, **more: Any) -> Task:
    return load_task(DatasetTask(path=path, splits=splits, **more))


def all_texts(task: Task) -> list[str]:
    return [text for split in SPLITS for text in task.inputs[split].texts]


def test_every_text_keeps_its_own_label_and_lands_in_one_split(tmp_path: Path) -> None:
    task = load(write(tmp_path / "a.jsonl", singles(40)))
    assert {split: len(task.inputs[split]) for split in SPLITS} == SMALL.model_dump()
    assert len(set(all_texts(task))) == 30
    for split in SPLITS:
        parity = [int(text.split()[1]) % 2 for text in task.inputs[split].texts]
        assert task.truth[split].tolist() == parity
        assert task.truth[split].dtype == np.int8
        assert task.inputs[split].pairs is None


def test_the_seed_alone_decides_the_splits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", singles(40))
    assert load(path, seed=1).inputs == load(path, seed=1).inputs
    assert all_texts(load(path, seed=1)) != all_texts(load(path, seed=2))


def test_the_test_split_does_not_depend_on_the_size_of_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", singles(40))
    wider = load(path, SMALL.model_copy(update={"transfer": 20}))
    assert wider.inputs["test"] == load(path).inputs["test"]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_a_file_is_read_anew_whatever_its_time_and_its_labels_are_kept_nowhere(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    write_as(path, singles(40))
    before, first = path.stat(), load(str(path))
    write_as(path, [row | {"label": 1 - row["label"]} for row in singles(40)])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    flipped = load(str(path))
    assert flipped.inputs == first.inputs
    for split in SPLITS:
        assert flipped.truth[split].tolist() == (1 - first.truth[split]).tolist()
    assert not list((tmp_path / "cache").rglob("*.arrow")), "the library's cache holds ground truth"


def test_a_folder_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews").mkdir()
    for path in ("reviews", str(tmp_path / "reviews")):
        with pytest.raises(ValueError, match=f"data file '{path}' is a folder: name a file in it"):
            load(path)


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_every_format_gives_the_same_task_without_network(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Recorded, not refused: libraries swallow the failure of a report that they send home.
    asked: list[object] = []
    resolve = socket.getaddrinfo

    def recorded(*args: Any, **more: Any) -> Any:
        asked.append(args)
        return resolve(*args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", recorded)
    rows = singles(40)
    rows[3]["text"] = "null"  # a text, not a missing value
    expected = all_texts(load(write(tmp_path / "expected.jsonl", rows)))
    path = tmp_path / f"data.{kind}"
    write_as(path, rows)
    assert all_texts(load(str(path))) == expected
    assert asked == []


@pytest.mark.parametrize("values", [(0, 1), (False, True), ("0", "1"), (0.0, 1.0)])
def test_labels_may_be_numbers_truth_values_or_digits(tmp_path: Path, values: tuple[Any, Any]) -> None:
    rows = [{"text": str(i), "label": values[i % 2]} for i in range(30)]
    task = load(write(tmp_path / "a.jsonl", rows))
    for split in SPLITS:
        assert task.truth[split].tolist() == [int(text) % 2 for text in task.inputs[split].texts]


def test_pairs_say_where_the_better_response_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", pairs(40))
    task = load(path, fields=PairFields())
    for split in SPLITS:
        shown = task.inputs[split].pairs
        assert shown is not None
        for prompt, pair, label in zip(task.inputs[split].texts, shown, task.truth[split], strict=True):
            i = prompt[1:]
            assert pair == ((f"bad {i}", f"good {i}") if label else (f"good {i}", f"bad {i}"))
        assert int(task.truth[split].sum()) == getattr(SMALL, split) // 2
    other = load(path, fields=PairFields(), seed=3)
    assert other.truth["transfer"].tolist() != task.truth["transfer"].tolist()


def test_pairs_without_a_prompt(tmp_path: Path) -> None:
    rows = [{"chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(30)]
    task = load(write(tmp_path / "a.jsonl", rows), fields=PairFields(prompt=None))
    assert set(all_texts(task)) == {""}


def test_pairs_of_equal_responses_are_left_out_and_empty_ones_stay(tmp_path: Path) -> None:
    rows = pairs(30)
    rows[0]["rejected"] = ""
    same = [{"prompt": "same", "chosen": "x", "rejected": "x"}]
    task = load(write(tmp_path / "a.jsonl", rows + same), fields=PairFields())
    assert "same" not in all_texts(task)
    assert "p0" in all_texts(task)


def test_duplicates_count_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", singles(29) * 3)
    with pytest.raises(ValueError, match=r"splits ask for 30 examples .* has 29 distinct ones"):
        load(path)


def test_a_pair_and_its_mirror_image_contradict_each_other(tmp_path: Path) -> None:
    mirrored = [{"prompt": r["prompt"], "chosen": r["rejected"], "rejected": r["chosen"]} for r in pairs(20)]
    with pytest.raises(ValueError, match=r"has 0 distinct ones .* 40 contradict each other \(20 inputs"):
        load(write(tmp_path / "a.jsonl", pairs(20) + mirrored), fields=PairFields())


def test_groups_never_straddle_splits(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": i % 2, "question": i // 4} for i in range(60)]
    task = load(write(tmp_path / "a.jsonl", rows), fields=SingleFields(group="question"))
    homes: dict[int, set[str]] = {}
    for split in SPLITS:
        assert len(task.inputs[split]) == getattr(SMALL, split)
        for text in task.inputs[split].texts:
            homes.setdefault(int(text.split()[1]) // 4, set()).add(split)
    assert all(len(home) == 1 for home in homes.values())


def test_the_test_split_may_come_from_a_file_of_its_own(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", singles(30))
    held_out = [{"text": f"held out {i}", "label": i % 2} for i in range(6)]
    task = load(train, test_path=write(tmp_path / "test.jsonl", held_out))
    assert set(task.inputs["test"].texts) == {row["text"] for row in held_out}
    assert all(text.startswith("text") for text in task.inputs["transfer"].texts)


def test_what_the_test_file_holds_is_taken_out_of_the_rest(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", singles(30))
    test = write(tmp_path / "test.jsonl", singles(6))
    task = load(train, test_path=test)
    assert Counter(all_texts(task)) == Counter(f"text {i}" for i in range(30))
    with pytest.raises(ValueError, match="has 23 distinct ones"):
        load(write(tmp_path / "short.jsonl", singles(29)), test_path=test)


def test_a_groups_test_examples_keep_the_group_out_of_the_rest(tmp_path: Path) -> None:
    train = [{"text": f"text {i}", "label": i % 2, "group": i // 2} for i in range(40)]
    test = [{"text": f"other {i}", "label": i % 2, "group": i // 2} for i in range(6)]
    task = load(
        write(tmp_path / "train.jsonl", train),
        test_path=write(tmp_path / "test.jsonl", test),
        fields=SingleFields(group="group"),
    )
    assert not {f"text {i}" for i in range(6)} & set(all_texts(task))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x", "label": 2}, "row 31: field 'label' must be 0 or 1, got 2: map"),
        ({"text": "x", "label": -1}, "must be 0 or 1, got -1"),
        ({"text": "x", "label": "yes"}, "must be 0 or 1, got 'yes'"),
        ({"text": "x", "label": 0.5}, "must be 0 or 1, got 0.5"),
        ({"text": "x"}, "must be 0 or 1, got nothing"),
        ({"text": " \n", "label": 1}, r"row 31: field 'text' must be a text that is not empty, got ' \\n'"),
        ({"label": 1}, "field 'text' must be a text that is not empty, got nothing"),
    ],
)
def test_a_bad_value_is_named_with_its_row(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "a.jsonl", [*singles(30), row])
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_group_must_be_named_in_every_row(tmp_path: Path) -> None:
    rows = [row | {"group": i} for i, row in enumerate(singles(30))]
    rows[4]["group"] = None
    with pytest.raises(ValueError, match="row 5: field 'group' must be a text or an integer, got nothing"):
        load(write(tmp_path / "a.jsonl", rows), fields=SingleFields(group="group"))


def test_a_missing_response_is_refused(tmp_path: Path) -> None:
    rows = pairs(30)
    rows[1]["chosen"] = None
    with pytest.raises(ValueError, match="row 2: field 'chosen' must be a text, got nothing"):
        load(write(tmp_path / "a.jsonl", rows), fields=PairFields())


@pytest.mark.parametrize("nothing", [None, "", " \n"])
def test_rows_that_lack_a_value_may_be_left_out_and_are_counted(tmp_path: Path, nothing: str | None) -> None:
    rows = singles(30)
    rows[3:3] = [{"text": nothing, "label": 1}, {"text": "no label", "label": nothing}]
    path = write(tmp_path / "a.jsonl", rows)
    task = load(path, empty="leave_out")
    assert sorted(all_texts(task)) == sorted(f"text {i}" for i in range(30))
    assert (
        task.counts.files[0].sentence()
        == f"{path}: of 32 rows left out: 2 lack a text, a label or a response"
    )
    with pytest.raises(ValueError, match=r"row 4: .*or leave out all such rows with `empty: leave_out`"):
        load(path)


def test_rows_are_counted_as_in_the_file_where_empty_ones_are_left_out(tmp_path: Path) -> None:
    rows = [{"text": None, "label": 1}, *singles(30), {"text": "x", "label": 7}]
    with pytest.raises(ValueError, match="row 32: field 'label' must be 0 or 1, got 7"):
        load(write(tmp_path / "a.jsonl", rows), empty="leave_out")
    with pytest.raises(ValueError, match="row 1: field 'text' must be a text"):
        load(write(tmp_path / "b.jsonl", [{"text": None, "label": 1}]), empty="leave_out")


def test_pairs_that_lack_a_response_may_be_left_out_and_empty_ones_stay(tmp_path: Path) -> None:
    rows = [*pairs(29), pairs(30)[29] | {"rejected": ""}, pairs(31)[30] | {"chosen": None}]
    task = load(write(tmp_path / "a.jsonl", rows), fields=PairFields(), empty="leave_out")
    assert sorted(all_texts(task)) == sorted(f"p{i}" for i in range(30))
    assert task.counts.files[0].empty == 1


def test_a_missing_field_names_the_nearest_first(tmp_path: Path) -> None:
    rows = [{"zebra": 1, "sentence": "x", "label": 0}]
    with pytest.raises(ValueError, match=r"no field 'sentences': map it .* to one of sentence, zebra, label"):
        load(write(tmp_path / "a.jsonl", rows), fields=SingleFields(text="sentences"))


def test_a_split_of_one_class_is_refused(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": 1} for i in range(30)]
    with pytest.raises(ValueError, match=r"splits.weak_train: its 8 examples .* are all of class 1"):
        load(write(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.jsonl", None, r"data file '.*absent.jsonl' is not there \(looked from .*\): check the path"),
        ("a.txt", b"x", "must end with one of .jsonl, .jsonl.gz, .json, .json.gz, .csv, .csv.gz, .tsv"),
        ("empty.jsonl", b"", "cannot be read: there is nothing in it; check that it is JSON"),
        ("empty.csv", b"", "cannot be read: there is nothing in it; check that it is CSV"),
        (
            "broken.jsonl",
            b'{"text": "a", "label": 0}\nnot json\n',
            "cannot be read: row 2, 'not json': Expecting value",
        ),
        ("broken.jsonl.gz", b"zzzz", "cannot be read: Not a gzipped file"),
        ("broken.parquet", b"zzzz", "cannot be read: Parquet file size"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load(str(path))
    assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ValueError, match=r"data set 'nobody/nothing' cannot be loaded: .*; check its id"
    ) as e:
        load("nobody/nothing")
    assert "\n" not in str(e.value)


def test_loading_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(write(tmp_path / "a.jsonl", singles(40)))
    assert capfd.readouterr() == ("", "")


def test_the_toy_task_loads_through_the_same_door() -> None:
    task = load_task(ToyTask(splits=SMALL))
    assert {split: len(task.truth[split]) for split in SPLITS} == SMALL.model_dump()


def test_real_reviews(shared: Path) -> None:
    sizes = SplitSizes(weak_train=2000, transfer=4000, search=1500, test=1500)
    path, test_path = str(shared / "data/sst2.train.jsonl.gz"), str(shared / "data/sst2.test.jsonl.gz")
    task = load(path, sizes, test_path=test_path)
    assert len(set(all_texts(task))) == 9000
    with gzip.open(path, "rt") as file:
        labels = {row["text"]: row["label"] for row in map(json.loads, file)}
    transfer = task.inputs["transfer"].texts
    assert task.truth["transfer"].tolist() == [labels[text] for text in transfer]


def test_real_groups(shared: Path) -> None:
    sizes = SplitSizes(weak_train=800, transfer=1600, search=800, test=800)
    path = str(shared / "data/gsm8k_verify.train.jsonl.gz")
    task = load(path, sizes, fields=SingleFields(group="group"))
    questions = [{text.split("\nSolution:")[0] for text in task.inputs[split].texts} for split in SPLITS]
    assert sum(map(len, questions)) == len(set.union(*questions))


def test_real_preferences(shared: Path) -> None:
    sizes = SplitSizes(weak_train=2000, transfer=4000, search=1500, test=2000)
    path, test_path = (str(shared / f"data/hh_harmless.{s}.jsonl.gz") for s in ("train", "test"))
    task = load(path, sizes, test_path=test_path, fields=PairFields())
    assert {split: float(task.truth[split].mean()) for split in SPLITS} == dict.fromkeys(SPLITS, 0.5)


def test_a_tasks_question_comes_with_its_examples(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"row {i}", "label": i % 2}) for i in range(40)))
    sizes = SplitSizes(weak_train=8, transfer=8, search=8, test=8)
    assert load(str(path), sizes, question="Is it odd?").inputs["transfer"].question == "Is it odd?"
    assert load(str(path), sizes).inputs["transfer"].question is None
    with pytest.raises(ValueError, match="question"):
        load(str(path), sizes, question="  ")
