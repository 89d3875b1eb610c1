import fcntl
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.config.load import changed, load_config
from search.config.schema import RunConfig
from search.ledger.events import Resumed
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.storage.run_directory import LOOK_S, RunDirectory, claimed_run, new_run


def test_a_new_run_holds_its_config(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path / "runs" / "one", config)
    assert load_config(run.config) == config
    loaded, record = run.load()
    assert loaded == config
    assert record == Record()


def test_an_empty_directory_will_do(tmp_path: Path, config: RunConfig) -> None:
    assert new_run(tmp_path, config).config.is_file()


def test_the_first_line_is_written_once_and_later_ones_say_resumed(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace
) -> None:
    run = new_run(tmp_path / "one", config)
    _, record = run.load()
    with run.open_ledger(record, config, started_at=12.5) as ledger:
        ledger.append(events.started("t00001"))
    _, again = run.load()
    with run.open_ledger(again, config, started_at=99.0):
        assert list(again.trials) == ["t00001"]
    first, _, last = read_ledger(run.ledger)
    assert (first.event, first.at, first.run, first.config_sha256) == (
        "run_started",
        12.5,
        "one",
        config.sha256,
    )
    assert isinstance(last, Resumed)


def test_the_commit_is_a_hash_of_forty_digits_where_there_is_a_repository(
    tmp_path: Path, config: RunConfig
) -> None:
    run = new_run(tmp_path, config)
    record = Record()
    with run.open_ledger(record, config, started_at=0.0):
        assert record.started is not None
        assert re.fullmatch(r"[0-9a-f]{40}\+?|unknown", record.started.commit)


def test_an_interrupted_run_of_the_same_config_is_gone_on_with(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    with run.open_ledger(Record(), config, started_at=0.0):
        pass
    ledger = run.ledger.read_bytes()
    assert new_run(tmp_path, config).path == tmp_path
    assert run.ledger.read_bytes() == ledger


def test_a_run_of_another_config_is_left_alone(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    with run.open_ledger(Record(), config, started_at=0.0):
        pass
    before = run.config.read_bytes()
    with pytest.raises(ValueError, match=r"--out .*: holds another run .*; choose another directory"):
        new_run(tmp_path, config.model_copy(update={"seed": 2}))
    assert run.config.read_bytes() == before


def test_a_run_that_never_came_to_its_first_event_makes_way(tmp_path: Path, config: RunConfig) -> None:
    new_run(tmp_path, config)
    other = config.model_copy(update={"name": "other"})
    assert new_run(tmp_path, other).load()[0] == other


def refused(path: Path, config: RunConfig, *trained: str) -> None:
    """A run that is refused, with these files there by then."""
    with claimed_run(path, config) as run:
        assert run.config.is_file()
        for name in trained:
            (path / name).touch()
        raise ValueError("refused")


def test_a_refused_run_leaves_no_folder_that_it_made(tmp_path: Path, config: RunConfig) -> None:
    there = tmp_path / "there"
    there.mkdir()
    for path in (tmp_path / "runs" / "one", there):
        with pytest.raises(ValueError, match="refused"):
            refused(path, config)
    assert list(tmp_path.iterdir()) == [there]
    assert list(there.iterdir()) == []


def test_of_a_run_that_is_refused_after_its_baselines_nothing_is_left(
    tmp_path: Path, config: RunConfig
) -> None:
    """They are in the cache: another try begins as the first one did."""
    with pytest.raises(ValueError, match="refused"):
        refused(tmp_path / "runs" / "one", config, "baselines.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_refused_after_its_first_event_stays(tmp_path: Path, config: RunConfig) -> None:
    path = tmp_path / "run"
    with pytest.raises(ValueError, match="refused"):
        refused(path, config, "baselines.jsonl", "ledger.jsonl")
    assert {file.name for file in path.iterdir()} == {
        ".lock",
        "config.yaml",
        "baselines.jsonl",
        "ledger.jsonl",
    }


def test_what_was_there_before_a_refusal_stays(tmp_path: Path, config: RunConfig) -> None:
    """A run that ended before its first event, say by Ctrl-C, can be resumed."""
    path = new_run(tmp_path / "run", config).path
    with pytest.raises(ValueError, match="refused"):
        refused(path, config)
    assert (path / "config.yaml").is_file()
    with pytest.raises(KeyboardInterrupt), claimed_run(tmp_path / "stopped", config):
        raise KeyboardInterrupt
    assert (tmp_path / "stopped" / "config.yaml").is_file()


@pytest.mark.parametrize("there", ["notes.txt", "result.json"])
def test_other_files_are_left_alone(tmp_path: Path, config: RunConfig, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(ValueError, match=r"--out .*: is not an empty directory; choose another one"):
        new_run(tmp_path, config)
    assert [file.name for file in tmp_path.iterdir()] == [there]


@pytest.mark.parametrize("below", [".", "deeper"])
def test_a_file_in_the_way(tmp_path: Path, config: RunConfig, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"--out .*file.*; choose another"):
        new_run(tmp_path / "file" / below, config)


@pytest.mark.parametrize("name", ["nowhere", "empty", "file"])
def test_what_is_no_run_says_how_to_start_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    run = RunDirectory(tmp_path / name)
    with pytest.raises(ValueError, match=r"holds no run; start one with `python -m search run CONFIG --out"):
        run.load()
    with pytest.raises(ValueError, match="holds no run"), run.locked():
        run.load()


def test_a_held_run_is_refused(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    other = RunDirectory(tmp_path)  # its lock is of another open file, as another process's would be
    with other.locked():
        with pytest.raises(ValueError, match="another process is at work on this run"), run.locked():
            pass
        # It has not come to its first event yet, and its config must stay as it is all the same.
        with pytest.raises(ValueError, match="another process is at work on this run"):
            new_run(tmp_path, config.model_copy(update={"seed": 2}))
        assert run.load()[0] == config
    with run.locked():
        pass


def test_whether_a_process_is_at_work_can_be_seen(tmp_path: Path, config: RunConfig) -> None:
    assert RunDirectory(tmp_path).at_work() is None  # nobody ever was
    run = new_run(tmp_path, config)
    assert run.at_work() is False
    with RunDirectory(tmp_path).locked():
        assert run.at_work() is True


def test_a_look_at_the_lock_keeps_nobody_from_it(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    waited: list[float] = []
    with (tmp_path / ".lock").open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)

        def gone(wait_s: float) -> None:
            waited.append(wait_s)
            fcntl.flock(look, fcntl.LOCK_UN)

        monkeypatch.setattr("search.storage.run_directory.time.sleep", gone)
        with run.locked():
            assert waited == [LOOK_S]


def test_a_run_is_held_from_before_its_config_is_written(tmp_path: Path, config: RunConfig) -> None:
    other = config.model_copy(update={"seed": 2})
    with claimed_run(tmp_path, config) as run:
        with (
            pytest.raises(ValueError, match="another process is at work on this run"),
            RunDirectory(tmp_path).locked(),
        ):
            pass
        with pytest.raises(ValueError, match="another process is at work on this run"):
            new_run(tmp_path, other)
        with run.locked():  # its own process may ask again
            assert run.load()[0] == config
        with pytest.raises(ValueError, match="another process"):
            new_run(tmp_path, other)
    assert new_run(tmp_path, other).load()[0] == other


@pytest.mark.parametrize("content", ["", "[1]", '{"schema":', None])
def test_a_damaged_result_is_none(tmp_path: Path, config: RunConfig, content: str | None) -> None:
    run = new_run(tmp_path, config)
    if content is not None:
        run.result.write_text(content)
    assert run.read_result() is None
    run.result.write_text('{"schema": 1}')
    assert run.read_result() == {"schema": 1}


def test_a_config_of_a_newer_version_is_not_taken_for_a_typo_alone(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    run.config.write_text(run.config.read_text() + "invented: 1\n")
    with pytest.raises(
        ValueError, match=r"invented is not a setting.* a newer version wrote it: .* use that version"
    ):
        run.load()


def test_the_lock_ends_with_the_block_also_after_an_error(tmp_path: Path, config: RunConfig) -> None:
    run = new_run(tmp_path, config)
    with pytest.raises(RuntimeError), run.locked():
        raise RuntimeError
    with run.locked():
        assert run.load()[0] == config


def test_the_command_that_began_a_run_goes_on_with_it_after_a_person_changed_a_setting(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace
) -> None:
    run = new_run(tmp_path / "run", config)
    more = changed(config, {"search.trials": 9})
    ledger = Ledger(run.ledger)
    ledger.append(events.run_started(config_sha256=config.sha256))
    ledger.append(Steered(settings={"search.trials": 9}, config_sha256=more.sha256))
    ledger.close()
    run.write_config(more)
    with claimed_run(tmp_path / "run", config) as again:
        assert again.read_config() == more
    other = changed(config, {"search.trials": 10})
    with pytest.raises(ValueError, match="holds another run"), claimed_run(tmp_path / "run", other):
        pass
