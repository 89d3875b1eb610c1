"""The search's decisions on synthetic scores: no ledger, no Ray, no training."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from agents.language.proposal import Branch, Fixed, Option, Proposal, Range, Slot
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.engine.exploration import Exploration
from search.ledger.earlier import EarlierScore, EarlierScored, EarlierTask
from search.ledger.events import (
    AnyEvent,
    Proposed,
    RungReached,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.policy.allocation import AllocationConfig
from search.policy.promotion import PromotionConfig
from search.policy.pruning import PruningConfig
from search.studies.sampler import Draw
from search.studies.storage import open_journal
from search.studies.studies import Studies
from trainers.components.optim import Adamw
from trainers.method import Method

RUNGS = (1 / 9, 1 / 3, 1.0)
Scorer = Callable[[str, Method, int], float]


@dataclass
class Field:
    """One worker, one step after the other; `score` says what a method of a branch reaches at a rung."""

    exploration: Exploration
    studies: Studies
    record: Record
    score: Scorer
    rungs: dict[str, int] = field(default_factory=dict)
    trained: float = 0.0

    def tell(self, event: AnyEvent) -> None:
        """As the ledger does: the record first."""
        self.record.apply(event)
        self.exploration.apply(event)
        self.studies.apply(event)

    def propose(self, number: int, *branches: Branch) -> None:
        proposal = Proposal(branches=branches, rationale="a test")
        self.tell(Proposed(round=number, proposal=proposal, seconds=0))

    def step(self) -> bool:
        """Train what comes next to its rung; False where nothing does."""
        match self.exploration.next(more_to_come=False, max_started=10**6):
            case Draw() as draw:
                self._train(f"t{len(self.record.trials):05d}", draw.branch, draw.method, 0)
            case TrialRecord() as trial:
                self._train(trial.trial, trial.branch, trial.method, self.rungs[trial.trial] + 1)
            case None:
                return False
        return True

    def _train(self, name: str, branch: str, method: Method, rung: int) -> None:
        self.tell(
            TrialStarted(
                trial=name,
                purpose="search",
                branch=branch,
                number=None,
                method=method,
                seed=0,
                share=RUNGS[rung],
            )
        )
        step = method.members.count * (RUNGS[rung] - (RUNGS[rung - 1] if rung else 0))
        self.trained += step
        self.rungs[name] = rung
        pgr = self.score(branch, method, rung)
        if np.isnan(pgr):
            self.tell(TrialEnded(trial=name, state="failed", cause="a bad method"))
            return
        self.tell(
            RungReached(
                trial=name, share=RUNGS[rung], predictions="", pgr=pgr, setup_s=0, train_s=step, eval_s=0
            )
        )
        if rung == len(RUNGS) - 1:
            self.tell(TrialEnded(trial=name, state="completed", cause=None))
            return
        self.tell(TrialPaused(trial=name))
        while surplus := self.exploration.surplus():
            self.tell(TrialEnded(trial=surplus, state="pruned", cause="too many paused"))

    def run(self) -> "Field":
        while self.step():
            pass
        return self

    @property
    def completed(self) -> list[TrialRecord]:
        return [trial for name, trial in self.record.trials.items() if self.rungs[name] == len(RUNGS) - 1]


@pytest.fixture
def explore(tmp_path: Path, config: RunConfig) -> Callable[..., Field]:
    """explore(score, branch, ..., trials=, effort=, …): a field with these branches open."""

    def make(
        score: Scorer,
        *branches: Branch,
        trials: int,
        effort: float = 0.4,
        seed: int = 0,
        offering: int = 8,
        earlier: Sequence[EarlierTask] = (),
    ) -> Field:
        search = SearchConfig(
            trials=trials,
            round_trials=trials,
            effort=effort,
            pruning=PruningConfig(min_steps=1),
            promotion=PromotionConfig(draws=64),
            allocation=AllocationConfig(offering=offering),
        )
        here = config.model_copy(update={"search": search, "seed": seed})
        record = Record.of([EarlierScored(tasks=tuple(earlier))] if earlier else [])
        studies = Studies(here, open_journal(tmp_path / f"{seed}-{trials}.log"))
        field = Field(Exploration(here, record, studies.of), studies, record, score)
        field.propose(1, *branches)
        return field

    return make


def lr_branch(name: str) -> Branch:
    option = Option(component="adamw", params=(Range(name="lr", low=1e-6, high=1e-1, log=True),))
    return Branch(
        name=name,
        family="other",
        hypothesis="numbers matter",
        parent=None,
        slots=(Slot(slot="optim", options=(option,)),),
    )


def off_best(method: Method) -> float:
    """Decades between the learning rate and 0.01: 1.7 by chance, over the five of the branch."""
    return abs(np.log10(method.optim.lr) + 2)


def by_lr(branch: str, method: Method, rung: int) -> float:
    return 0.2 * rung - off_best(method)


def test_all_trials_start_and_the_budget_holds(explore: Callable[..., Field]) -> None:
    field = explore(by_lr, lr_branch("one"), trials=27).run()
    assert len(field.record.trials) == 27
    assert 0.4 * 27 - 2 / 3 < field.trained <= 0.4 * 27 + 1e-9


def test_a_small_budget_trains_nothing_further(explore: Callable[..., Field]) -> None:
    field = explore(by_lr, lr_branch("one"), trials=9, effort=0.12).run()
    assert len(field.record.trials) == 9
    assert field.trained == pytest.approx(1.0)  # every first rung is a finished method all the same


def test_no_method_is_started_twice(explore: Callable[..., Field]) -> None:
    field = explore(by_lr, lr_branch("one"), lr_branch("two"), trials=30).run()
    methods = Counter(trial.method.digest for trial in field.record.trials.values())
    assert set(methods.values()) == {1}


def test_draws_move_to_where_the_pgr_is_high(explore: Callable[..., Field]) -> None:
    field = explore(by_lr, lr_branch("one"), trials=30).run()
    distances = [off_best(trial.method) for trial in field.record.trials.values()]
    assert np.median(distances[15:]) < 0.5 < np.median(distances[:8])
    assert min(off_best(trial.method) for trial in field.completed) < 0.1


def test_where_trials_fail_no_more_are_tried(explore: Callable[..., Field]) -> None:
    def fails_above(branch: str, method: Method, rung: int) -> float:
        return np.nan if method.optim.lr > 1e-3 else -abs(np.log10(method.optim.lr) + 5)

    field = explore(fails_above, lr_branch("one"), trials=30).run()
    failed = [trial.method.optim.lr > 1e-3 for trial in field.record.trials.values()]
    assert sum(failed[15:]) <= 4  # six of fifteen by chance


def test_no_method_is_judged_by_a_trial_that_failed_for_its_workers(explore: Callable[..., Field]) -> None:
    """Where trials of a half of the space lose their workers, the other half is no better for it."""
    field = explore(by_lr, lr_branch("one"), trials=4)
    for judged in (True, False):
        draw = field.exploration.next(more_to_come=False, max_started=10)
        assert isinstance(draw, Draw)
        start = TrialStarted(
            trial=f"judged-{judged}",
            purpose="search",
            branch="one",
            number=None,
            method=draw.method,
            seed=0,
            share=RUNGS[0],
        )
        field.tell(start)
        field.tell(TrialEnded(trial=start.trial, state="failed", cause="a cause", judged=judged))
        assert len(field.exploration._scores) == 1


def test_a_weak_branch_starves_above_its_floor(
    explore: Callable[..., Field],
) -> None:
    """Their spaces differ by the loss: the surrogate learns that the one with logconf is bad."""

    def one_is_weak(name: str, method: Method, rung: int) -> float:
        return by_lr(name, method, rung) - 3 * (method.loss.kind == "logconf")

    slot = Slot(slot="loss", options=(Option(component="logconf", params=()),))
    good, weak = lr_branch("good"), lr_branch("weak")
    weak = weak.model_copy(update={"slots": (*weak.slots, slot)})
    field = explore(one_is_weak, good, weak, trials=40).run()
    started = Counter(trial.branch for trial in field.record.trials.values())
    assert started["weak"] >= AllocationConfig().floor
    assert started["good"] > 2 * started["weak"]


def test_where_the_surrogate_sees_no_difference_the_weak_branch_starves_all_the_same(
    explore: Callable[..., Field],
) -> None:
    def by_name(name: str, method: Method, rung: int) -> float:
        return by_lr(name, method, rung) - 3 * (name == "weak")

    def of_weak(offering: int) -> int:
        field = explore(
            by_name, lr_branch("good"), lr_branch("weak"), trials=40, offering=offering, seed=offering
        ).run()
        return Counter(trial.branch for trial in field.record.trials.values())["weak"]

    assert of_weak(offering=1) == AllocationConfig().floor
    assert of_weak(offering=2) > 2 * AllocationConfig().floor


def test_a_later_branch_gets_its_floor_at_once(explore: Callable[..., Field]) -> None:
    field = explore(by_lr, lr_branch("one"), trials=40)
    for _ in range(20):
        field.step()
    field.propose(2, lr_branch("late"))
    for _ in range(3):  # the branch before it has trained a trial to its end by now
        field.step()
    assert [trial.branch for trial in list(field.record.trials.values())[-3:]] == ["late"] * 3
    assert list(field.rungs.values())[-3:] == [0] * 3


def test_a_branch_without_new_methods_is_used_up_and_what_waits_goes_on(
    explore: Callable[..., Field], branch: Callable[..., Branch]
) -> None:
    field = explore(lambda name, method, rung: 0.5, branch("few", lrs=(1e-4, 2e-4, 3e-4)), trials=9).run()
    assert field.exploration.used_up == {"few"}
    assert len(field.completed) == 3


def test_every_branch_shows_early_what_it_ends_at(explore: Callable[..., Field]) -> None:
    """One looks bad at the first rung, and is best at the last."""

    def crossing(name: str, method: Method, rung: int) -> float:
        return (0.4 * rung if name == "slow" else 0.6 - 0.2 * rung) - off_best(method) / 10

    slot = Slot(slot="loss", options=(Option(component="logconf", params=()),))
    fast, slow = lr_branch("fast"), lr_branch("slow")
    slow = slow.model_copy(update={"slots": (*slow.slots, slot)})
    field = explore(crossing, fast, slow, trials=60)
    while len({trial.branch for trial in field.completed}) < 2:
        assert field.step()
    assert len(field.record.trials) == 2 * AllocationConfig().floor
    assert len(field.completed) == 2
    for name in ("fast", "slow"):  # the best of those there were
        [done] = [trial for trial in field.completed if trial.branch == name]
        there = [trial for trial in field.record.trials.values() if trial.branch == name]
        assert min(there, key=lambda trial: off_best(trial.method)) == done
    field.run()
    completed = Counter(trial.branch for trial in field.completed)
    assert completed["slow"] > completed["fast"]


def test_a_failure_on_the_way_up_is_made_good_by_the_next_best(explore: Callable[..., Field]) -> None:
    failures = []

    def fails_once(name: str, method: Method, rung: int) -> float:
        if rung == 1 and not failures:
            failures.append(method)
            return np.nan
        return by_lr(name, method, rung)

    field = explore(fails_once, lr_branch("one"), lr_branch("two"), trials=30)
    for _ in range(6 + 1 + 2 + 2):  # new ones, the failure, and two steps for each proof
        field.step()
    assert len(failures) == 1
    assert {trial.branch for trial in field.completed} == {"one", "two"}
    assert len(field.record.trials) == 2 * AllocationConfig().floor


def test_a_single_branch_has_nobody_to_prove_itself_to(explore: Callable[..., Field]) -> None:
    def by_trials(*names: str) -> bool:
        field = explore(by_lr, *map(lr_branch, names), trials=40, seed=len(names))
        for _ in range(5 * len(names)):
            field.step()
        return len(field.completed) == len(names)

    assert by_trials("one", "two")
    assert not by_trials("one")


@pytest.mark.parametrize("effort", [0.25, 0.8])
def test_what_takes_more_than_a_branch_s_share_is_not_trained_for_want_of_others(
    explore: Callable[..., Field], effort: float
) -> None:
    """A training of the large branch takes 16 times that of another, and promises less."""
    members = Slot(
        slot="members", options=(Option(component="ensemble", params=(Fixed(name="count", value=16),)),)
    )
    large = lr_branch("large")
    large = large.model_copy(update={"slots": (*large.slots, members)})
    small = [lr_branch(name) for name in ("one", "two", "three", "four", "five", "six", "seven")]

    def worth(branch: str, *_: object) -> float:
        return 0.1 if branch == "large" else 0.3

    field = explore(worth, *small, large, trials=40, effort=effort).run()
    assert len([trial for trial in field.record.trials.values() if trial.branch == "large"]) == 3
    assert {trial.branch for trial in field.completed} >= {"one", "two"}
    assert "large" not in {trial.branch for trial in field.completed}
    alone = explore(worth, large, trials=6, effort=0.8, seed=1).run()
    assert alone.completed


def test_no_proof_beyond_the_budget(explore: Callable[..., Field]) -> None:
    three = [lr_branch(name) for name in ("one", "two", "three")]  # to prove all takes 4 trainings of 3.6
    field = explore(by_lr, *three, trials=12, effort=0.3).run()
    assert len(field.record.trials) == 12
    assert field.trained <= 0.3 * 12 + 1e-9
    assert len({trial.branch for trial in field.completed}) == 2


def test_a_proof_leaves_new_trials_what_they_need(explore: Callable[..., Field]) -> None:
    """18 trials and five proofs take 6.44 of 7.2 trainings; the six trials to come need 0.67 more."""
    six = [lr_branch(f"branch-{i}") for i in range(6)]
    field = explore(by_lr, *six, trials=24, effort=0.3).run()
    assert len(field.record.trials) == 24
    assert field.trained <= 0.3 * 24 + 1e-9


def test_what_did_well_in_an_earlier_run_is_tried_first(explore: Callable[..., Field]) -> None:
    """Its best learning rate was this task's; it says nothing of how high PGRs are here."""
    rates = np.geomspace(1e-6, 1e-1, 24)
    methods = [Method(optim=Adamw(lr=float(rate))) for rate in rates]
    scores = (EarlierScore(method=one, share=1 / 9, pgr=3 - 9 * off_best(one)) for one in methods)
    earlier = [EarlierTask(run="before", scores=tuple(scores))]

    def first_trials(**given: Sequence[EarlierTask]) -> float:
        field = explore(lambda _, method, rung: 0.5 - off_best(method), lr_branch("lr"), trials=6, **given)
        while len(field.record.trials) < 4 and field.step():
            pass
        return float(np.mean([off_best(trial.method) for trial in field.record.trials.values()]))

    assert first_trials(earlier=earlier) < 0.6
    assert first_trials() > 1.0
