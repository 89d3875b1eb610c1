import json
from collections.abc import Callable
from pathlib import Path

import pytest

from search.config.load import load_config
from search.config.schema import RunConfig
from search.ledger.events import RunStarted
from search.workers.loading import load
from search.workers.sealed import digests_here, place_of, task_keys
from search.workers.sources import checked_sources
from tests.small_runs.settings import REPO, SMALL_TASK
from trainers.data.digests import task_digests

SPLITS = "splits: {weak_train: 8, transfer: 8, search: 8, test: 8}"
SALT = "ab" * 16


def write(path: Path, start: int, count: int = 40) -> Path:
    rows = [{"text": f"text {i}", "label": i % 2} for i in range(start, start + count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def config(cache: Path, tmp_path: Path) -> Callable[..., RunConfig]:
    """config(file, ...): the task is of rows 0 to 39; these files are hidden tasks."""
    return lambda *hidden: configured(cache, tmp_path, *hidden)


def configured(cache: Path, tmp_path: Path, *hidden: Path) -> RunConfig:
    own = write(tmp_path / "own.jsonl", 0)
    tasks = ", ".join(
        f"{{name: {path.stem}, task: {{kind: dataset, path: {path}, {SPLITS}}}}}" for path in hidden
    )
    settings = [f"task={{kind: dataset, path: {own}, {SPLITS}}}", f"hidden=[{tasks}]"]
    settings.append("strong.model.pretrain_steps=1")
    return load_config(REPO / "configs/dev.yaml", [*SMALL_TASK[1:], *settings, f"cache={cache}"])


def refusal(config: RunConfig) -> str:
    """What the process says that looks at the hidden tasks."""
    keys = task_keys(load(config).task)
    with pytest.raises(ValueError, match="hidden") as caught:
        digests_here({place_of(hidden): config.on(hidden) for hidden in config.hidden}, keys, SALT)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_digests_are_those_of_the_data_and_of_the_models(
    config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    found = config(write(tmp_path / "there.jsonl", 100))
    [hidden] = found.hidden
    digests = digests_here({"hidden.there": found.on(hidden)}, frozenset(), SALT)
    loaded = load(found.on(hidden))
    expected = task_digests(loaded.task, bytes.fromhex(SALT))
    assert {f"hidden.there.{name}": digest for name, digest in expected.items()}.items() <= digests.items()
    assert digests["hidden.there.strong.model.weights"] == loaded.weights[found.strong.model]


def test_examples_of_the_search_s_task_are_refused_with_their_number(
    config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    line = refusal(config(write(tmp_path / "there.jsonl", 30)))
    # Both files have rows 30 to 39; each task draws 32 of its 40 rows.
    shared = int(line.split()[1])
    assert 1 <= shared <= 10
    assert line == (
        f"hidden.there: {shared} of its 32 examples also stand in the task of the search: what is hidden "
        "must be new to the search; leave them out of one of the two"
    )


def test_examples_of_another_hidden_task_are_refused(
    config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    one, two = write(tmp_path / "one.jsonl", 100), write(tmp_path / "two.jsonl", 100)
    assert "also stand in hidden.one: " in refusal(config(one, two))


@pytest.mark.parametrize(
    ("rows", "why"),
    [(20, "32"), (0, "there.jsonl")],
)
def test_data_that_are_too_few_or_missing_are_refused_before_anything_is_trained(
    config: Callable[..., RunConfig], tmp_path: Path, rows: int, why: str
) -> None:
    path = tmp_path / "there.jsonl"
    if rows:
        write(path, 100, rows)
    line = refusal(config(path))
    assert line.startswith("hidden.there: ")
    assert why in line


def test_other_data_in_a_hidden_task_are_noticed_when_a_run_goes_on(
    config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.workers.sources.sealed_digests", digests_here)  # test_phases has the process
    found = config(write(tmp_path / "there.jsonl", 100))
    began = RunStarted(
        run="unit", config_sha256="c", commit="c", sources=checked_sources(found, load(found), {}, None)
    )
    assert checked_sources(found, load(found), {}, began) == began.sources
    write(tmp_path / "there.jsonl", 200)
    with pytest.raises(ValueError, match=r"hidden\.there\.transfer\.inputs \(.*there\.jsonl\)"):
        checked_sources(found, load(found), {}, began)
