import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.config.load import changed
from search.config.schema import RunConfig
from search.ledger.events import Finished, HiddenRead, TestOpened
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.steering.extension import extend, extension
from search.storage.run_directory import RunDirectory, new_run


@pytest.fixture
def run(tmp_path: Path, config: RunConfig, events: SimpleNamespace) -> RunDirectory:
    """A run that has finished, as far as its files say."""
    run = new_run(tmp_path / "run", config)
    ledger = Ledger(run.ledger)
    started = events.run_started(config_sha256=config.sha256)
    for event in (started, events.baselines(), TestOpened(queries=9), Finished()):
        ledger.append(event)
    ledger.close()
    run.result.write_text('{"best": 1}')
    return run


def test_a_finished_run_has_more_to_do(run: RunDirectory) -> None:
    trials, opened = extend(run, ["search.trials=20"])
    assert trials == "search.trials is now 20"
    assert opened.startswith("this run has opened its test split once")
    config, record = run.load()
    assert (config.search.trials, record.finished) == (20, False)
    assert run.settled(config, record) == config
    assert run.read_result() is None
    assert json.loads((run.path / "result-1.json").read_text()) == {"best": 1}


def test_a_run_of_named_methods_says_that_it_has_no_search(config: RunConfig, record: Record) -> None:
    named = changed(config, {"methods": ["smoothed-labels"]})
    for setting in ("search.trials=20", "confirm.finalists=3"):
        with pytest.raises(ValueError, match=f"--set {setting[:-3]}.*: the run trains the methods of its"):
            extension(named, record, [setting])
    order = extension(named, record, [f"confirm.seeds={config.confirm.seeds + 1}"])
    assert order is not None
    assert order.settings["confirm.seeds"] == config.confirm.seeds + 1


@pytest.mark.parametrize("less", ["search.trials=1", "search.effort=0.01"])
def test_a_finished_search_is_not_opened_again_for_less(run: RunDirectory, less: str) -> None:
    before = run.ledger.read_bytes()
    with pytest.raises(ValueError, match=f"--set {less}: the search went on to .*: set it higher$"):
        extend(run, [less])
    assert run.ledger.read_bytes() == before
    seeds = run.load()[0].confirm.seeds
    assert extend(run, [less, f"confirm.seeds={seeds + 1}"])  # which gives it something to do


def test_a_search_that_was_ended_early_goes_on_for_less_than_was_planned(run: RunDirectory) -> None:
    ledger = Ledger(run.ledger)
    ledger.append(Steered(finish=True))
    ledger.close()
    assert extend(run, ["search.trials=1"])[0] == "search.trials is now 1"


def test_the_same_again_changes_nothing(run: RunDirectory) -> None:
    extend(run, ["search.trials=20"])
    before = run.ledger.read_bytes()
    assert extend(run, ["search.trials=20"]) == []
    assert run.ledger.read_bytes() == before


def test_what_decides_nothing_leaves_a_finished_run_as_it_is(run: RunDirectory) -> None:
    assert extend(run, ["tracking.kind=off"]) == ["tracking.kind is now off"]
    assert run.load()[1].finished
    assert run.read_result() == {"best": 1}


def test_more_seeds_leave_the_seeds_that_there_were(config: RunConfig) -> None:
    order = extension(config, Record(), ["confirm.seeds=8"])
    assert order is not None
    after = changed(config, order.settings)
    assert after.confirm_seeds()[:3] == config.confirm_seeds()
    assert len(set(after.confirm_seeds())) == 8
    assert list(order.sentences()) == ["confirm.seeds is now 8"]  # what follows from it is no order
    assert order.settings["confirm.supervisors"] == config.confirm.fresh_supervisors
    assert (after.search_seed(2), after.supervisors) == (config.search_seed(2), config.supervisors)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("seed=2", "--set seed: cannot change after a run began"),
        ("serch.trials=2", "serch is not a setting"),
        ("search.trials", "--set search.trials: must be key=value"),
        ("search.trials=0", "search.trials: Input should be greater than or equal to 1"),
        ("agent.max_usd=3", "agent.max_usd is not a setting"),
    ],
)
def test_what_cannot_be_extended_is_refused(config: RunConfig, override: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".+") as error:
        extension(config, Record(), [override])
    assert str(error.value).startswith(problem)


@pytest.mark.parametrize("fewer", ["confirm.seeds=2", "confirm.finalists=1"])
def test_what_the_test_split_showed_is_not_dropped(config: RunConfig, fewer: str) -> None:
    config = changed(config, {"confirm.supervisors": 2})
    assert extension(config, Record(), [fewer]) is not None
    with pytest.raises(ValueError, match="may only rise above"):
        extension(config, Record.of([TestOpened(queries=9)]), [fewer])


def test_fewer_seeds_than_supervisors_are_refused_by_the_name_that_was_given(config: RunConfig) -> None:
    config = changed(config, {"confirm.seeds": 5, "confirm.supervisors": 5})
    with pytest.raises(ValueError, match=r"^--set confirm.seeds=2: .*may only rise above 5"):
        extension(config, Record.of([TestOpened(queries=9)]), ["confirm.seeds=+2"])


def test_what_hidden_tasks_show_decides_about_no_more_training(config: RunConfig) -> None:
    record = Record.of([HiddenRead(task="elsewhere", train_s=1.0, data=None)])
    with pytest.raises(ValueError, match="has read its hidden tasks"):
        extension(config, record, ["search.trials=20"])
    assert extension(config, record, ["tracking.kind=off"]) is not None
