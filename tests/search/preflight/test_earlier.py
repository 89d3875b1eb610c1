"""The methods of earlier runs as first branches."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from agents.language.space import sample_methods
from search.config.load import dump_config, load_config
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.ledger.events import Proposed
from search.ledger.log import Ledger
from search.preflight.earlier import adopt_openings, with_earlier
from search.storage.openings import FOLDER, Opening, Registry
from search.storage.run_directory import RunDirectory, new_run
from trainers.components.losses import Gce, LogConf
from trainers.components.optim import Adamw
from trainers.components.students import Probe
from trainers.data.settings import DatasetTask
from trainers.method import Method


@pytest.fixture
def earlier(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, branch: Callable[..., Branch]
) -> Callable[..., str]:
    """earlier(name, (method, pgr), ...): the directory of a run with these trials."""

    def make(name: str, *trials: tuple[Method, float], **changes: object) -> str:
        run = new_run(tmp_path / name, config.model_copy(update=changes))
        ledger = Ledger(run.ledger)
        proposal = Proposal(branches=(branch("one"), branch("two")), rationale="")
        for event in (events.run_started(run=name), Proposed(round=1, proposal=proposal, seconds=0)):
            ledger.append(event)
        for number, (method, pgr) in enumerate(trials):
            ledger.append(events.started(f"t{number}", branch=("one", "two")[number % 2], method=method))
            ledger.append(events.reached(f"t{number}", 1.0, pgr))
        ledger.close()
        return str(run.path)

    return make


def begun(config: RunConfig, *runs: str, **changes: object) -> RunConfig:
    return with_earlier(config.model_copy(update={"from_runs": runs, **changes}))


def methods(config: RunConfig) -> list[Method]:
    return [next(iter(sample_methods(branch, config.naive))) for branch in config.branches]


def test_the_best_of_each_run_come_in_turn_one_of_a_kind(
    config: RunConfig, earlier: Callable[..., str]
) -> None:
    optim = Adamw(lr=2e-3)
    good, twin, fair = (Method(loss=LogConf(aux=aux), optim=optim) for aux in (0.4, 0.6, 0.2))
    gce, probe = Method(loss=Gce(), optim=optim), Method(student=Probe(), optim=optim)
    first = earlier("first", (gce, 0.3), (good, 0.7), (twin, 0.69))
    second = earlier("second", (fair, 0.2), (probe, 0.1))
    found = begun(config, first, second, from_runs_methods=3)
    assert methods(found) == [good, fair, gce]
    assert [branch.name for branch in found.branches] == ["earlier-two", "earlier-one", "earlier-one-2"]
    assert [branch.family for branch in found.branches] == ["loss"] * 3
    assert "0.700 on the search split of first" in found.branches[0].hypothesis
    assert with_earlier(found) == found  # as where config.yaml of the run is run again


def test_they_stand_before_the_config_s_own_and_leave_them_room(
    config: RunConfig, earlier: Callable[..., str], branch: Callable[..., Branch]
) -> None:
    own = tuple(branch(f"own-{number}") for number in range(7))
    run = earlier("first", (Method(loss=Gce()), 0.3), (Method(loss=LogConf()), 0.7))
    found = begun(config, run, branches=own)
    assert [one.name for one in found.branches] == ["earlier-two", *(one.name for one in own)]


def test_learning_rates_keep_their_ratio_to_the_naive_baseline_s(
    config: RunConfig, earlier: Callable[..., str]
) -> None:
    run = earlier("first", (Method(loss=Gce(), optim=Adamw(lr=2e-3)), 0.3))
    slower = config.strong.model_copy(update={"optim": Adamw(lr=1e-4)})
    [method] = methods(begun(config, run, strong=slower))
    assert method.optim.lr == pytest.approx(2e-4)


def test_what_cannot_run_here_is_skipped_with_a_line(
    config: RunConfig, earlier: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    run = earlier("first", (config.naive, 0.9), (Method(loss=Gce()), 0.3))
    with caplog.at_level(logging.WARNING):
        found = begun(config, run)
    assert methods(found) == [Method(loss=Gce())]
    assert [record.getMessage() for record in caplog.records] == [
        "from_runs: one of first is skipped: it is the naive baseline here"
    ]


def test_a_run_that_cannot_be_read_is_a_mistake_of_one_line(
    config: RunConfig, earlier: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^from_runs: .*nowhere: holds no run"):
        begun(config, str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="no trial of it has a score yet; leave it out"):
        begun(config, earlier("empty"))
    with pytest.raises(ValueError, match="from_runs begins a search and methods are not searched"):
        RunConfig.model_validate(
            config.model_dump() | {"from_runs": ("a",), "methods": ({"name": "confidence-loss"},)}
        )


def test_scores_that_may_tell_of_hidden_tasks_or_test_examples_are_not_used(
    config: RunConfig, earlier: Callable[..., str]
) -> None:
    run = earlier("first", (Method(loss=Gce()), 0.3))
    hidden = HiddenTask(name="unseen", task=config.task.model_copy(update={"seed": 9}))
    with pytest.raises(ValueError, match=r"^from_runs: .*first: that run searched on a task that is hidden"):
        begun(config, run, hidden=(hidden,))
    task = DatasetTask(path="reviews.csv", splits=config.task.splits)
    cut = earlier("cut", (Method(loss=Gce()), 0.3), task=task)
    with pytest.raises(ValueError, match=r"cut the same examples otherwise.*, or leave it out"):
        begun(config, cut, task=task.model_copy(update={"seed": 9}))
    assert len(begun(config, cut, task=task).branches) == 1


def test_the_config_of_the_run_holds_the_branches(
    config: RunConfig, earlier: Callable[..., str], tmp_path: Path
) -> None:
    found = begun(config, earlier("first", (Method(loss=Gce()), 0.3)))
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(found))
    assert load_config(path).branches == found.branches
    assert config.has_sha256(config.sha256)


def test_what_they_opened_is_known_to_the_new_run_s_registry(
    config: RunConfig, earlier: Callable[..., str], tmp_path: Path
) -> None:
    run = earlier("first", (Method(loss=Gce()), 0.3), cache=str(tmp_path / "theirs"))
    _, record = RunDirectory(Path(run)).load()
    assert record.started is not None
    Registry(tmp_path / "theirs").add(Opening(run="first", id=record.started.id, at=1.0, examples=("a",)))
    Registry(tmp_path / "theirs").add(Opening(run="other", id="other", at=2.0, examples=("a",)))
    ours = config.model_copy(update={"from_runs": (run,), "cache": str(tmp_path / "ours")})
    for _ in range(2):  # what is known already stays
        adopt_openings(ours)
    assert len(list((tmp_path / "ours" / FOLDER).iterdir())) == 1
    mine = Opening(run="mine", id="mine", at=3.0, examples=("a", "b"))
    assert [one.run for one in Registry(tmp_path / "ours").add(mine)] == ["first"]
