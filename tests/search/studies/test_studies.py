"""Optuna's studies as the ledger's events make them, and as the real dashboard shows them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.config.services import OptunaConfig
from search.ledger.events import AnyEvent, Proposed
from search.studies.branch_sampler import BranchSampler
from search.studies.mirror import LOST
from search.studies.storage import open_journal
from search.studies.studies import Studies
from tests.servers.dashboard import dashboard, params, shown, user_attrs
from trainers.components.losses import LogConf
from trainers.method import Method


@dataclass
class Site:
    """A ledger's events and the studies of the process at work, over one journal."""

    config: RunConfig
    journal: Path
    make: SimpleNamespace
    events: list[AnyEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.studies = Studies(self.config, open_journal(self.journal))

    def write(self, *events: AnyEvent) -> None:
        """What happens in the process at work."""
        for event in events:
            self.events.append(event)
            self.studies.apply(event)

    def restart(self) -> None:
        """Another process takes over: it replays the ledger."""
        self.studies = Studies(self.config, open_journal(self.journal))
        self.replay()

    def replay(self) -> None:
        for event in self.events:
            self.studies.apply(event)
        self.studies.settle()

    def propose(self, *branches: Branch) -> None:
        self.write(Proposed(round=1, proposal=Proposal(branches=branches, rationale=""), seconds=0))

    def draw(self, branch: str = "one") -> tuple[int, Method]:
        """A trial that the study is asked for, and the ledger is not told of."""
        sampler = self.studies.of(branch)
        [drawn] = sampler.offer(1, set(), None)
        return sampler.start(drawn), drawn.method

    def start(self, trial: str, branch: str = "one") -> Method:
        number, method = self.draw(branch)
        self.write(self.make.started(trial, branch=branch, number=number, method=method))
        return method

    def study(self, name: str = "one") -> optuna.Study:
        return optuna.load_study(study_name=name, storage=open_journal(self.journal))

    def told(self, name: str) -> list[tuple[Any, ...]]:
        """All that a study says of its trials, but for the times."""
        return [
            (one.number, one.state, one.value, one.params, one.intermediate_values, one.user_attrs)
            for one in self.study(name).get_trials()
        ]


@pytest.fixture
def site(tmp_path: Path, config: RunConfig, branch: Callable[..., Branch], events: SimpleNamespace) -> Site:
    """Two branches, one and two, have been proposed. Rungs are 1/3 and 1."""
    site = Site(config, tmp_path / "optuna.log", events)
    site.propose(branch("one"), branch("two"))
    return site


def four_trials(site: Site) -> None:
    """Of the first branch completed, pruned and running; of the second failed."""
    for trial in ("t1", "t2", "t3"):
        site.start(trial)
        site.write(site.make.reached(trial, 1 / 3, 0.25, se=0.125))
    site.start("t4", "two")
    site.write(
        site.make.reached("t1", 1.0, 0.5, se=0.0625),
        site.make.ended("t1"),
        site.make.ended("t2", "pruned", "PGR 0.250 at 0.33 of its training"),
        site.make.ended("t4", "failed", "loss is NaN"),
    )


@pytest.mark.slow
def test_the_dashboard_shows_a_campaign_while_it_is_written(site: Site) -> None:
    with dashboard(str(site.journal)) as get:
        four_trials(site)
        wait_for(lambda: len(shown(get, "campaign")[1]) == 4)
        names = {study["study_name"] for study in get("/api/studies")["study_summaries"]}
        assert names == {"campaign", "one", "two"}
        for study, trials in (("one", ["t1", "t2", "t3"]), ("campaign", ["t1", "t2", "t3", "t4"])):
            details, rows = shown(get, study)
            assert details["directions"] == ["maximize"]
            assert details["objective_names"] == ["PGR"]
            assert [user_attrs(row)["trial"] for row in rows] == trials
            assert [row["state"] for row in rows] == ["Complete", "Pruned", "Running", "Fail"][: len(rows)]
            assert rows[0]["values"] == [0.5]
            curve = [(point["step"], point["value"]) for point in rows[0]["intermediate_values"]]
            assert curve == [(0, 0.25), (1, 0.5)]
            assert {
                "branch": "one",
                "standard error": "0.0625",
                "seconds of training": "8.0",
            }.items() <= user_attrs(rows[0]).items()
            assert user_attrs(rows[1])["cause"] == "PGR 0.250 at 0.33 of its training"
            assert user_attrs(rows[2])["seconds of training"] == "4.0"
        _, rows = shown(get, "campaign")
        assert user_attrs(rows[3]) == {
            "trial": "t4",
            "branch": "two",
            "number in branch": "0",
            "cause": "loss is NaN",
        }
        site.write(site.make.reached("t3", 1.0, 0.75), site.make.ended("t3"))  # unhindered by who looks on
        wait_for(lambda: shown(get, "campaign")[1][2]["state"] == "Complete")


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it has not happened in two minutes")


@pytest.mark.slow
def test_the_dashboard_shows_every_method_of_the_campaign_on_the_same_axes(site: Site) -> None:
    methods = {trial: site.start(trial, branch) for trial, branch in (("t1", "one"), ("t2", "two"))}
    with dashboard(str(site.journal)) as get:
        details, rows = shown(get, "campaign")
        assert len(rows) == 2
        for row in rows:
            method, found = methods[user_attrs(row)["trial"]], params(row)
            assert found["loss.kind"] == method.loss.kind
            assert float(found["optim.adamw.lr"]) == method.optim.lr
            assert float(found["optim.adamw.epochs"]) == 1.0  # fixed by the branch
            assert found["student.kind"] == "full"  # and not named by it
            assert ("loss.logconf.aux" in found) == isinstance(method.loss, LogConf)
        assert {"loss.kind", "optim.adamw.lr"} <= {one["name"] for one in details["union_search_space"]}


def test_one_name_has_one_distribution_in_the_campaign_and_a_branch_its_own(site: Site) -> None:
    site.start("t1", "one")
    site.start("t2", "two")
    campaign = [trial.distributions["optim.adamw.lr"] for trial in site.study("campaign").get_trials()]
    own = [site.study(name).get_trials()[0].distributions["optim.adamw.lr"] for name in ("one", "two")]
    assert campaign[0] == campaign[1] == optuna.distributions.FloatDistribution(1e-6, 0.1, log=True)
    assert own[0] != own[1]


def test_what_a_crash_kept_from_optuna_is_told_when_the_next_process_starts(site: Site) -> None:
    number, method = site.draw()
    site.start("t2")
    site.draw()  # the process ends before the ledger is told
    site.events += [
        site.make.started("t1", number=number, method=method),
        site.make.reached("t1", 1 / 3, 0.25),
        site.make.reached("t1", 1.0, 0.5),
        site.make.ended("t1"),
        site.make.reached("t2", 1 / 3, 0.75),
    ]
    site.restart()
    first, second, third = site.study().get_trials()
    assert (first.state, first.value) == (TrialState.COMPLETE, 0.5)
    assert first.intermediate_values == {0: 0.25, 1: 0.5}
    assert first.user_attrs["trial"] == "t1"
    assert (second.state, second.intermediate_values) == (TrialState.RUNNING, {0: 0.75})
    assert (third.state, third.user_attrs) == (TrialState.FAIL, {"cause": LOST})
    campaign = {trial.user_attrs["trial"]: trial for trial in site.study("campaign").get_trials()}
    assert {name: trial.state for name, trial in campaign.items()} == {
        "t1": TrialState.COMPLETE,
        "t2": TrialState.RUNNING,
    }
    assert campaign["t2"].intermediate_values == {0: 0.75}


def test_a_replay_changes_nothing_however_often(site: Site) -> None:
    four_trials(site)
    before = {name: site.told(name) for name in ("one", "two", "campaign")}
    site.replay()
    site.restart()
    size = site.journal.stat().st_size
    site.replay()
    assert {name: site.told(name) for name in before} == before
    assert site.journal.stat().st_size == size


@pytest.mark.parametrize("left", [0, 1, 4, 11, 17, 23, 32, 40])
def test_studies_that_were_lost_or_cut_short_are_made_again_from_the_ledger(site: Site, left: int) -> None:
    number, _ = site.draw()
    four_trials(site)
    site.restart()
    before = {name: site.told(name) for name in ("one", "two", "campaign")}
    lines = site.journal.read_bytes().splitlines(keepends=True)
    assert len(lines) > 40
    site.journal.write_bytes(b"".join(lines[:left]))
    site.restart()
    # What was drawn for a trial that the ledger has never heard of is known to the study alone.
    assert site.told("one")[1:] == before["one"][1:]
    assert site.told("one")[0][:2] == (number, TrialState.FAIL)
    assert site.told("two") == before["two"]
    by_trial = [
        {one[5]["trial"]: one[1:] for one in told} for told in (site.told("campaign"), before["campaign"])
    ]
    assert by_trial[0] == by_trial[1]
    site.start("t5")
    assert len(site.told("one")) == len(before["one"]) + 1


def test_a_trial_that_goes_on_after_a_pause_is_the_same_trial(site: Site) -> None:
    method = site.start("t1")
    site.write(site.make.reached("t1", 1 / 3, 0.25), site.make.started("t1", number=0, method=method))
    site.write(site.make.reached("t1", 1.0, 0.5), site.make.ended("t1"))
    for name in ("one", "campaign"):
        [trial] = site.study(name).get_trials()
        assert trial.intermediate_values == {0: 0.25, 1: 0.5}


def test_replicates_and_confirmations_are_no_trials_of_a_study(site: Site) -> None:
    for purpose in ("replicate", "confirm"):
        site.write(
            site.make.started(purpose, purpose=purpose, number=None),
            site.make.reached(purpose, 1.0, None),
            site.make.ended(purpose),
        )
    assert site.told("campaign") == []


def test_a_branch_called_campaign_keeps_to_its_own_study(site: Site, branch: Callable[..., Branch]) -> None:
    site.propose(branch("campaign"))
    site.start("t1")
    site.start("t2", "campaign")
    assert len(site.told("campaign")) == 2
    assert len(site.told("branch campaign")) == 1


def test_who_takes_over_draws_other_methods(site: Site) -> None:
    number, method = site.draw()
    site.restart()
    assert site.draw()[1] == method  # the ledger has heard of no trial
    site.write(site.make.started("t1", number=number, method=method))
    site.restart()
    assert site.draw()[1] != method


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_optuna_s_samplers_are_asked_over_the_branch_s_study(site: Site, sampler: str) -> None:
    search = site.config.search.model_copy(update={"sampler": sampler})
    site.config = site.config.model_copy(update={"search": search})
    site.restart()
    known: set[str] = set()
    for i in range(14):
        offer = site.studies.of("one").offer(8, known, None)
        assert len(offer) == 1
        number = site.studies.of("one").start(offer[0])
        known.add(offer[0].method.digest)
        pgr = -abs(offer[0].method.optim.lr - 1e-3)
        site.write(
            site.make.started(f"t{i}", number=number, method=offer[0].method),
            site.make.reached(f"t{i}", 1.0, pgr),
            site.make.ended(f"t{i}"),
        )
    assert [state for _, state, *_ in site.told("one")] == [TrialState.COMPLETE] * 14


def test_where_a_run_began_its_studies_it_keeps_them_but_who_is_told_may_change(config: RunConfig) -> None:
    elsewhere = config.model_copy(update={"optuna": OptunaConfig(storage="sqlite:///studies.db")})
    told = config.model_copy(update={"tracking": config.tracking.model_copy(update={"kind": "off"})})
    assert elsewhere.sha256 != config.sha256
    assert told.sha256 == config.sha256


def test_another_sampler_may_draw(site: Site) -> None:
    class Never(BranchSampler):
        def offer(self, *asked: Any) -> list[Any]:
            return []

    site.studies = Studies(site.config, open_journal(site.journal), Never)
    site.replay()
    assert site.studies.of("one").offer(1, set(), None) == []
