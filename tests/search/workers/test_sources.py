import json
import logging
import shutil
from pathlib import Path

import pytest

from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.ledger.events import RunStarted
from search.workers import sources as module
from search.workers.loading import load
from search.workers.sealed import loaded_digests
from search.workers.sources import checked_sources, commits, pinned, require_same_hidden, with_commits

REPO = Path(__file__).parents[3]
ROWS = [{"text": f"text {i}", "label": i % 2} for i in range(60)]
CODE = {"commit": "c" * 40, "sources": "s1", "torch": "2.13.0"}


@pytest.fixture
def config(shared: Path, tmp_path: Path) -> RunConfig:
    """A task from a file; the story model, in a folder of its own, supervises a toy."""
    write(tmp_path, ROWS)
    shutil.copytree(shared / "models/stories260K", tmp_path / "stories")
    return load_config(
        REPO / "configs/dev.yaml",
        [
            f"task={{kind: dataset, path: {tmp_path / 'a.jsonl'}, splits: {{weak_train: 8, transfer: 8, "
            "search: 8, test: 8}}",
            f"weak.model={{kind: hub, path: {tmp_path / 'stories'}, max_length: 32}}",
            "strong.model={kind: toy, size: weak}",
            f"cache={tmp_path / 'cache'}",
        ],
    )


def write(folder: Path, rows: list[dict[str, object]]) -> None:
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def begin(config: RunConfig) -> RunStarted:
    """The first event of a run of this config as it is now."""
    found = checked_sources(config, load(config), {}, None)
    return RunStarted(run="unit", config_sha256="c", commit=CODE["commit"], sources=found, code=CODE)


@pytest.fixture(autouse=True)
def _the_code_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "running_code", lambda: dict(CODE))


def refusal(config: RunConfig, began: RunStarted) -> str:
    with pytest.raises(ValueError, match="since the run began these have changed: ") as caught:
        checked_sources(config, load(config), {}, began)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_split_and_every_model_has_a_digest_and_every_run_a_salt(config: RunConfig) -> None:
    first, second = begin(config).sources, begin(config).sources
    assert first is not None
    assert second is not None
    parts = [
        f"{split}.{part}"
        for split in ("weak_train", "transfer", "search", "test")
        for part in ("inputs", "truth")
    ]
    assert set(first.digests) == {*parts, "weak.model.weights", "strong.model.weights"}
    assert first.salt != second.salt
    differing = {name for name in parts if first.digests[name] != second.digests[name]}
    assert differing == {name for name in parts if name.endswith("truth")}


def test_what_is_the_same_goes_on_in_silence(config: RunConfig, caplog: pytest.LogCaptureFixture) -> None:
    began = begin(config)
    with caplog.at_level(logging.WARNING):
        assert checked_sources(config, load(config), {}, began) == began.sources
    assert caplog.text == ""


def test_a_row_that_is_gone_is_refused(config: RunConfig, tmp_path: Path) -> None:
    began = begin(config)
    write(tmp_path, ROWS[:20] + ROWS[21:])
    assert f"test.inputs, test.truth ({tmp_path / 'a.jsonl'}); put them back" in refusal(config, began)


def test_flipped_labels_are_refused_and_nothing_else_is_named(config: RunConfig, tmp_path: Path) -> None:
    began = begin(config)
    write(tmp_path, [{**row, "label": 1 - ROWS[i]["label"]} for i, row in enumerate(ROWS)])  # type: ignore[operator]
    message = refusal(config, began)
    assert "changed: weak_train.truth, transfer.truth, search.truth, test.truth (" in message
    assert "inputs" not in message
    assert "weights" not in message


@pytest.mark.parametrize("file", ["model.safetensors", "more/readme.md"])
def test_other_weights_are_refused(config: RunConfig, tmp_path: Path, file: str) -> None:
    began = begin(config)
    changed = tmp_path / "stories" / file
    changed.parent.mkdir(exist_ok=True)
    content = changed.read_bytes() if changed.exists() else b""
    changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if content else b"new")
    assert f"changed: weak.model.weights ({tmp_path / 'stories'}); put" in refusal(config, began)


def test_other_code_is_told(
    config: RunConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = begin(config)
    monkeypatch.setattr(module, "running_code", lambda: CODE | {"sources": "s2", "torch": "2.14.0"})
    with caplog.at_level(logging.WARNING):
        checked_sources(config, load(config), {}, began)
    assert "unit began with other code: sources s1 → s2, torch 2.13.0 → 2.14.0" in caplog.text


def test_a_run_of_an_earlier_version_goes_on_and_says_what_is_not_known(
    config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    began = RunStarted(run="old", config_sha256="c", commit="abc")
    with caplog.at_level(logging.WARNING):
        checked_sources(config, load(config), {}, began)
    assert "old began with a version that kept no digests" in caplog.text
    assert "old began with other code: commit abc → cccccccccc" in caplog.text


def test_a_hidden_task_that_was_replaced_while_the_search_went_on_is_refused(
    config: RunConfig, tmp_path: Path
) -> None:
    other = tmp_path / "there"
    other.mkdir()
    write(other, [{"text": f"other {i}", "label": i % 2} for i in range(60)])
    task = config.task.model_copy(update={"path": str(other / "a.jsonl")})
    hidden = HiddenTask.model_validate({"name": "there", "task": task.model_dump()})
    config = config.model_copy(update={"hidden": (hidden,)})
    pinned_there = config.on(hidden)
    salt, first = "ab" * 16, load(pinned_there)
    found = {f"hidden.there.{name}": it for name, it in loaded_digests(pinned_there, first, salt).items()}
    began = RunStarted(
        run="unit", config_sha256="c", commit="c", sources={"salt": salt, "digests": found, "commits": {}}
    )
    require_same_hidden(config, hidden, pinned_there, first, began)
    write(other, [{"text": f"other {i}", "label": 1 - i % 2} for i in range(60)])
    with pytest.raises(ValueError, match=r"changed: hidden\.there\.weak_train\.truth \(.*there/a\.jsonl\)"):
        require_same_hidden(config, hidden, pinned_there, load(pinned_there), began)


HUB = {"kind": "hub", "path": "someone/model", "max_length": 8}


@pytest.fixture
def remote(config: RunConfig) -> RunConfig:
    """All models and both parts of the data from the hub."""
    task = {"path": "someone/data", "test_path": "someone/test", "revision": "v1"}
    settings = config.model_dump() | {"intermediates": [HUB]}
    for role in ("weak", "strong"):
        settings[role]["model"] = HUB
    settings["task"] |= task
    return RunConfig.model_validate(settings)


def test_hub_ids_are_pinned_to_the_commits_that_the_run_began_with(
    remote: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None, str]] = []

    def commit(path: str, revision: str | None, kind: str) -> str | None:
        asked.append((path, revision, kind))
        return None if path == "someone/test" else f"{path}@{len(asked)}"

    monkeypatch.setattr(module, "hub_commit", commit)
    config, found = with_commits(remote, None)
    assert asked == [
        *[("someone/model", None, "model")] * 3,
        ("someone/data", "v1", "dataset"),
        ("someone/test", None, "dataset"),
    ]
    places = ("weak.model", "strong.model", "intermediates.0")
    assert found == {place: f"someone/model@{i}" for i, place in enumerate(places, start=1)} | {
        "task": "someone/data@4"
    }
    models = (config.weak.model, config.strong.model, *config.intermediates)
    assert [model.revision for model in models] == ["someone/model@1", "someone/model@2", "someone/model@3"]
    assert (config.task.revision, config.task.test_revision) == ("someone/data@4", None)

    began = RunStarted(
        run="unit", config_sha256="c", commit="c", sources={"salt": "", "digests": {}, "commits": found}
    )
    assert with_commits(remote, began) == (config, found)
    assert len(asked) == 5, "a resumption asks nobody"


def test_a_config_without_hub_ids_stays_as_it_is(config: RunConfig) -> None:
    assert commits(config) == {}
    assert pinned(config, {}) == config
