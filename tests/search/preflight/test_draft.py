"""Configs for data files."""

import json
from pathlib import Path

import pytest
import yaml

from search.config.load import load_config
from search.preflight.columns import Found, find_fields, nobody
from search.preflight.draft import (
    Learner,
    _flow,
    bag_of_words,
    config_text,
    learner,
    pool_of,
    run_name,
    split_sizes,
)
from trainers.data.dataset import load_task
from trainers.data.files import read_file

SMALL = Learner(path="a/model", max_length=64, lr=1e-3, epochs=2)


def written(folder: Path, rows: list[dict[str, object]], name: str = "my reviews.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def drafted(path: str, test: tuple[str, int] | None = None) -> str:
    columns = read_file(path).columns
    found = find_fields(path, columns, {}, nobody)
    return config_text(path, found, pool_of(path, found), columns, weak=SMALL, strong=SMALL, test=test)


ROWS: list[dict[str, object]] = [
    {"id": i, "review: text": f"words {i}", "label": "good" if i % 2 else "bad"} for i in range(100)
]


def test_the_config_is_read_and_its_splits_can_be_drawn(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    (tmp_path / "a.yaml").write_text(drafted(path))
    config = load_config(tmp_path / "a.yaml")
    assert config.name == "my-reviews"
    assert config.task.splits.model_dump() == {"weak_train": 22, "transfer": 44, "search": 12, "test": 22}
    task = load_task(config.task)
    assert len(task.inputs["transfer"]) == 44
    assert set(task.truth["transfer"].tolist()) == {0, 1}


def test_rows_that_lack_a_value_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, [{"id": 0, "review: text": "", "label": None}, *ROWS])
    text = drafted(path)
    assert "  empty: leave_out  # rows that lack a value of these fields: 1\n" in text
    (tmp_path / "a.yaml").write_text(text)
    assert load_task(load_config(tmp_path / "a.yaml").task).counts.files[0].empty == 1


@pytest.mark.parametrize(("examples", "own_rows"), [(100, None), (3000, 66), (20_000, 200)])
def test_each_bag_of_words_has_rows_of_its_own(tmp_path: Path, examples: int, own_rows: int | None) -> None:
    path = written(tmp_path, [{"text": f"words {i}", "label": i % 2} for i in range(examples)])
    columns = read_file(path).columns
    found = find_fields(path, columns, {}, nobody)
    text = config_text(path, found, pool_of(path, found), columns, weak=bag_of_words(SMALL), strong=SMALL)
    (tmp_path / "a.yaml").write_text(text)
    config = load_config(tmp_path / "a.yaml")
    assert config.baselines.own_rows == own_rows
    assert config.weak_models * (own_rows or 0) <= config.task.splits.weak_train


def test_every_choice_is_commented(tmp_path: Path) -> None:
    text = drafted(written(tmp_path, ROWS))
    assert "  # label: the only field with few distinct values\n" in text
    assert "  # other fields: id\n" in text
    assert "labels: {bad: 0, good: 1}  # the class of each" in text
    assert max(map(len, text.splitlines())) <= 110 + len(str(tmp_path))


def test_a_hostile_name_of_a_field_stays_a_name(tmp_path: Path) -> None:
    name = "x}\n# y: [\u001b"
    rows: list[dict[str, object]] = [{name: f"words {i}", "label": i % 2} for i in range(80)]
    rows = [row | {"an\nother": "same"} for row in rows]
    settings = yaml.safe_load(drafted(written(tmp_path, rows)))
    assert settings["task"]["fields"] == {"text": name, "label": "label"}


def test_a_test_file_of_its_own(tmp_path: Path) -> None:
    settings = yaml.safe_load(drafted(written(tmp_path, ROWS), test=("test.csv", 70)))
    assert settings["task"]["test_path"] == "test.csv"
    assert settings["task"]["splits"] == {"weak_train": 28, "transfer": 56, "search": 15, "test": 70}


def test_sizes_that_fit() -> None:
    assert split_sizes(100_000) == {"weak_train": 2000, "transfer": 4000, "search": 1000, "test": 2000}
    for examples in (60, 61, 99, 1234, 9000):
        assert sum(split_sizes(examples).values()) <= examples
        assert sum(split_sizes(examples, 7).values()) <= examples + 7


def test_too_few_examples_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [*ROWS[:30], *ROWS[:30]])
    found = Found(fields={"text": "review: text", "label": "label"}, labels={"bad": 0, "good": 1})
    line = r"has 30 distinct examples \(of 60 rows left out: 30 repeat an earlier row\), and a search needs"
    with pytest.raises(ValueError, match=line):
        pool_of(path, found)


def test_names_of_runs() -> None:
    assert [run_name(path) for path in ("a/my data.csv.gz", "_x.json", "…")] == ["my-data", "x", "run"]


def test_without_a_gpu_a_larger_model_is_probed(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, ROWS)
    pool = pool_of(path, find_fields(path, read_file(path).columns, {}, nobody))
    model = str(shared / "models/stories260K")
    monkeypatch.setattr("search.preflight.draft.SMALL", 1e5)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    probed = learner(model, pool, weak=False)
    assert probed.student is not None
    assert probed.student.startswith("{kind: probe}")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert learner(model, pool, weak=False).student is None


def test_a_model_has_a_length_that_fits_and_a_rate_for_its_size(tmp_path: Path, shared: Path) -> None:
    path = written(tmp_path, ROWS)
    found = find_fields(path, read_file(path).columns, {}, nobody)
    pool = pool_of(path, found)
    strong = learner(str(shared / "models/stories260K"), pool, weak=False)
    assert (strong.max_length, strong.lr, strong.epochs) == (32, 1e-3, 10)  # two batches an epoch
    weak = bag_of_words(strong)
    assert (weak.path, weak.max_length, weak.student) == (strong.path, 32, "{kind: bag_of_words}")
    with pytest.raises(ValueError, match=r"model 'no/where' cannot be loaded|model folder"):
        learner("./no/where", pool, weak=True)


def test_a_name_with_a_line_break_of_unicode_is_read_back() -> None:
    for value in ({"text": "te\x85xt"}, {"text": "te\u2028xt", "label": None}, "a\x85b", {"ja\x85": 1}):
        assert yaml.safe_load(_flow(value)) == value
