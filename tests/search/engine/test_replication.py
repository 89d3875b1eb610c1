import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.own import OwnMethod
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import ConfirmConfig, ReplicationConfig
from search.engine.confirmation import choose_finalists
from search.engine.replication import (
    Bounds,
    Standing,
    at_most_per_kind,
    kind_of,
    planned_replication,
    stage_budgets,
    standings,
)
from search.ledger.events import RungReached
from search.ledger.record import Record
from search.policy.pruning import PruningConfig
from trainers.components.formulas.labels import LabelFormula
from trainers.components.losses import LOSSES, Gce
from trainers.components.optim import Adamw
from trainers.method import Method

Plan = Callable[..., RunConfig]
LOSS = {one.model_fields["kind"].default: one for one in LOSSES}
FIRST = 10_000  # the seeds of a run with seed 1 start here


@pytest.fixture
def plan(config: RunConfig) -> Plan:
    """plan(methods, seeds, finalists): the unit config with these numbers, and a seed spread of 0.08."""

    def make(methods: int, seeds: int, finalists: int = 2) -> RunConfig:
        return config.model_copy(
            update={
                "search": SearchConfig(trials=8, round_trials=4, pruning=PruningConfig(seed_sd=0.08)),
                "replication": ReplicationConfig(methods=methods, seeds=seeds),
                "confirm": ConfirmConfig(finalists=finalists, seeds=3),
            }
        )

    return make


def method(name: str) -> Method:
    """gce-3: the loss gce and the third learning rate."""
    loss, number = name.split("-")
    return Method(loss=LOSS[loss](), optim=Adamw(lr=1e-4 * int(number)))


def trained(events: SimpleNamespace, seed: int, **pgrs: float | None) -> list[Any]:
    """Trials of methods (with _ for -) on the run's first, second, ... seed; None for a failed one."""
    told = []
    for name, pgr in pgrs.items():
        trial = f"{name}-{seed}"
        purpose = "replicate" if seed else "search"
        of = method(name.replace("_", "-"))
        told.append(events.started(trial, purpose=purpose, method=of, seed=FIRST + seed, branch="b"))
        told += [] if pgr is None else [events.reached(trial, 1.0, pgr)]
        told.append(events.ended(trial, "failed" if pgr is None else "completed"))
    return told


def planned(config: RunConfig, *told: list[Any]) -> list[tuple[str, int]]:
    record = Record.of(event for part in told for event in part)
    return [(one.trial.trial[:-2], seed - FIRST) for one, seed in planned_replication(config, record)]


def test_near_twins_share_their_components_not_their_numbers() -> None:
    assert kind_of(method("gce-1")) == kind_of(method("gce-2")) != kind_of(method("sce-1"))
    assert kind_of(Method(loss=Gce(q=0.3))) == kind_of(Method(loss=Gce(q=0.7)))
    formula = LabelFormula(expression="w * a + probe * (1 - a)", a=0.3)
    assert kind_of(Method(labels=formula)) == kind_of(Method(labels=formula.simplest.unnumbered))
    assert kind_of(Method(labels=formula)) != kind_of(Method(labels=LabelFormula()))


def test_places_halve_down_to_the_finalists(plan: Plan) -> None:
    assert stage_budgets(plan(12, 5, finalists=2), Record()) == [12, 6, 3, 2]
    assert stage_budgets(plan(1, 3, finalists=2), Record()) == [2, 2]
    assert stage_budgets(plan(12, 1), Record()) == []


def test_without_a_count_stages_have_seconds_of_which_each_has_half_of_the_one_before(
    config: RunConfig, events: SimpleNamespace
) -> None:
    record = Record.of(trained(events, 0, gce_1=0.5, xent_1=0.4))  # of 4 s each
    paid = config.model_copy(update={"replication": ReplicationConfig(seeds=4, effort=1.75)})
    assert stage_budgets(paid, record) == [8, 4, 2]


def test_cheap_methods_get_more_seeds_than_dear_ones(config: RunConfig, events: SimpleNamespace) -> None:
    def told(**seconds: float) -> list[Any]:
        told = trained(events, 0, **{name: 0.9 - 0.1 * i for i, name in enumerate(seconds)})
        times = iter(seconds.values())
        return [
            event.model_copy(update={"train_s": next(times), "eval_s": 0.0})
            if isinstance(event, RungReached)
            else event
            for event in told
        ]

    replication = ReplicationConfig(seeds=2, effort=0.5)
    paid = config.model_copy(
        update={"replication": replication, "confirm": ConfirmConfig(finalists=1, seeds=3)}
    )
    search = told(gce_1=40, xent_1=60, sce_1=9, entropy_1=12, gce_2=6, window_1=2)
    # 64.5 s for a stage. gce-1 leaves 24.5: too little for xent-1, enough for the cheap ones.
    assert [name for name, _ in planned(paid, search)] == ["gce_1", "sce_1", "entropy_1", "window_1"]
    nothing = paid.model_copy(update={"replication": ReplicationConfig(seeds=2, effort=0.0)})
    assert [name for name, _ in planned(nothing, search)] == ["gce_1"]  # as many as there are finalists
    two = paid.model_copy(update={"confirm": ConfirmConfig(finalists=2, seeds=3)})
    # A kind has half of it then: 32.25 s, which gce-1 has had.
    assert [name for name, _ in planned(two, search)] == ["gce_1", "xent_1"]


def test_each_stage_waits_for_the_one_before_and_keeps_its_place(plan: Plan, events: SimpleNamespace) -> None:
    config = plan(4, 3, finalists=2)
    search = trained(events, 0, xent_1=0.2, gce_1=0.5, sce_1=0.4, entropy_1=0.3, window_1=0.1)
    first = [("gce_1", 1), ("sce_1", 1), ("entropy_1", 1), ("xent_1", 1)]
    assert planned(config, search) == first
    some = trained(events, 1, gce_1=0.1, entropy_1=0.5)
    assert planned(config, search, some) == first
    rest = trained(events, 1, sce_1=0.4, xent_1=0.2)
    # Means .30 for gce, .40 for sce and entropy, .20 for xent; entropy has the wider spread of the two.
    second = [*first, ("sce_1", 2), ("entropy_1", 2)]
    assert planned(config, search, some, rest) == second
    done = trained(events, 2, entropy_1=0.9, sce_1=-0.9)
    assert planned(config, search, some, rest, done) == second


def test_a_stage_takes_no_more_than_its_share_of_a_kind(plan: Plan, events: SimpleNamespace) -> None:
    search = trained(
        events, 0, gce_1=0.9, gce_2=0.8, gce_3=0.7, gce_4=0.6, xent_1=0.1, xent_2=0.0, entropy_1=-1.0
    )
    # Four places for two finalists: two of a kind.
    assert planned(plan(4, 2), search) == [("gce_1", 1), ("gce_2", 1), ("xent_1", 1), ("xent_2", 1)]
    # Where there are no other kinds, places stay empty.
    only = trained(events, 0, gce_1=0.9, gce_2=0.8, gce_3=0.7)
    assert planned(plan(4, 2), only) == [("gce_1", 1), ("gce_2", 1)]
    # Methods that a config names were asked for, all of them.
    named = plan(4, 2).model_copy(update={"methods": (OwnMethod(name="gce", slots={}),)})
    assert planned(named, only) == [("gce_1", 1), ("gce_2", 1), ("gce_3", 1)]


def test_a_method_that_failed_on_a_seed_gets_no_further_one(plan: Plan, events: SimpleNamespace) -> None:
    told = [
        *trained(events, 0, gce_1=0.9, xent_1=0.1, entropy_1=0.0),
        *trained(events, 1, gce_1=None, xent_1=0.1, entropy_1=0.0),
    ]
    assert planned(plan(3, 3, finalists=1), told)[3:] == [("xent_1", 2), ("entropy_1", 2)]


def test_a_method_that_only_lost_its_workers_on_a_seed_may_be_a_finalist(
    plan: Plan, events: SimpleNamespace
) -> None:
    def finalists(*, judged: bool) -> list[str]:
        told = trained(events, 0, gce_1=0.9, xent_1=0.1) + trained(events, 1, gce_1=None)
        told[-1] = told[-1].model_copy(update={"judged": judged})
        chosen = choose_finalists(plan(3, 2, finalists=1), Record.of(told))
        return [finalist.trial.trial for finalist in chosen]

    assert finalists(judged=True) == ["xent_1-0"]
    assert finalists(judged=False) == ["gce_1-0"]


def test_without_a_completed_trial_there_is_nothing_to_plan(plan: Plan) -> None:
    assert planned(plan(4, 3), []) == []


def test_at_most_per_kind_keeps_the_order() -> None:
    ranked = [
        standing("gce-1", 0.3),
        standing("gce-2", 0.2),
        standing("xent-1", 0.1),
        standing("entropy-1", 0.0),
    ]
    assert at_most_per_kind(ranked, 3, 1) == [ranked[0], ranked[2], ranked[3]]
    assert at_most_per_kind(ranked, 2, 2) == ranked[:2]


def standing(name: str, *pgrs: float) -> Standing:
    events: Any = SimpleNamespace(trial=name, method=method(name))
    return Standing(trial=events, method=method(name), pgrs=pgrs)


def test_one_seed_has_the_default_spread(plan: Plan) -> None:
    bounds = Bounds(plan(4, 3), [standing("gce-1", 0.5), standing("xent-1", 0.3)], None)
    assert bounds.variance == pytest.approx(0.08**2)
    # The 90% point of Student's t with 4 degrees of freedom is 1.5332.
    assert bounds.lower == pytest.approx([0.5 - 1.5332 * 0.08, 0.3 - 1.5332 * 0.08], abs=1e-5)


def test_floor_and_ceiling_tell_of_the_spread_too(plan: Plan, events: SimpleNamespace) -> None:
    floors = events.baselines(seed_variance=0.01, seed_free=8)
    bounds = Bounds(plan(4, 3), [standing("gce-1", 0.4, 0.6), standing("xent-1", 0.4, 0.2)], floors)
    # As below, with eight degrees of freedom of floor and ceiling beside.
    assert bounds.variance == pytest.approx((8 * 0.08**2 + 8 * 0.01 + 0.04) / 18)


def test_the_spread_is_pooled_and_shrunk_to_the_default(plan: Plan) -> None:
    # Nothing is common to both kinds: one gains 0.2, the other loses as much.
    bounds = Bounds(plan(4, 3), [standing("gce-1", 0.4, 0.6), standing("xent-1", 0.4, 0.2)], None)
    # Squares of 2 * 0.1^2 each, with one degree of freedom each, beside eight of 0.08^2.
    assert bounds.variance == pytest.approx((8 * 0.08**2 + 0.04) / 10)
    # A method's own: four degrees of the pooled variance and one of its own. t(5) at 90% is 1.4759.
    own = (4 * bounds.variance + 0.02) / 5
    assert bounds.lower[0] == pytest.approx(0.5 - 1.4759 * math.sqrt(own / 2), abs=1e-5)


def test_what_kinds_lose_in_common_is_the_seed_s_doing(plan: Plan) -> None:
    """A hard supervisor must not sink those that met it below those that did not."""
    tested = [standing("gce-1", 0.7, 0.3), standing("xent-1", 0.6, 0.2), standing("entropy-1", 0.65, 0.25)]
    bounds = Bounds(plan(4, 3), [standing("sce-1", 0.6), *tested], None)
    assert [one.trial.trial for one in bounds.ranked()] == ["gce-1", "entropy-1", "xent-1", "sce-1"]
    assert bounds.variance == pytest.approx(8 * 0.08**2 / 11)
    # But twins do not outvote the others: one kind of three lost anything.
    twins = [standing(f"gce-{i}", 0.7, 0.3) for i in range(1, 6)]
    bounds = Bounds(plan(4, 3), [*twins, standing("xent-1", 0.6, 0.6), standing("entropy-1", 0.5, 0.5)], None)
    assert [one.trial.trial for one in bounds.ranked()[:2]] == ["xent-1", "entropy-1"]


def test_a_collapse_on_one_seed_sinks_a_method(plan: Plan) -> None:
    steady, fragile = standing("xent-1", 0.45, 0.46, 0.44), standing("gce-1", 0.8, 0.8, -0.2)
    bounds = Bounds(plan(4, 3), [fragile, steady], None)
    assert bounds.ranked() == [steady, fragile]  # though its mean of 0.467 is the higher one
    assert fragile.search_pgr > steady.search_pgr


def test_a_method_that_a_hard_supervisor_hurts_less_has_not_collapsed_on_the_first(plan: Plan) -> None:
    hurt = [standing(name, 0.5, -0.7) for name in ("gce-1", "xent-1", "sce-1")]
    unbiased = standing("entropy-1", 0.45, 0.1)  # all others lost 1.2 on the second seed
    bounds = Bounds(plan(4, 3), [*hurt, unbiased], None)
    assert bounds.ranked() == [unbiased, *hurt]


def test_a_near_twin_s_collapse_is_expected_of_a_method(plan: Plan) -> None:
    clean, twin = standing("gce-1", 0.8, 0.8, 0.8), standing("gce-2", 0.7, 0.7, -0.3)
    steady, worse = standing("xent-1", 0.67, 0.67, 0.67), standing("sce-1", 0.5, 0.5, 0.5)
    bounds = Bounds(plan(4, 3), [twin, clean, worse, steady], None)
    # gce fell by 1 on one of six seeds: .17 is taken from the clean one, .3 from the mean of its twin.
    assert bounds.ranked() == [steady, clean, worse, twin]
    assert Bounds(plan(4, 3), [clean, worse, steady], None).ranked() == [clean, steady, worse]


def test_a_high_bound_on_few_seeds_counts_as_one_on_many(plan: Plan) -> None:
    proven, few, lucky = (
        standing("gce-1", 0.5, 0.5, 0.5),
        standing("xent-1", 0.6, 0.6),
        standing("sce-1", 0.55),
    )
    # .50 - .06, .60 - .08 and .55 - .12: the less certain, the lower the bound.
    assert Bounds(plan(4, 3), [lucky, few, proven], None).ranked() == [few, proven, lucky]


def test_ties_go_to_the_earlier_trial(plan: Plan) -> None:
    same = [standing("gce-1", 0.5, 0.5), standing("xent-1", 0.5, 0.5)]
    assert Bounds(plan(4, 3), same, None).ranked() == same


def test_standings_end_at_the_first_seed_that_is_missing(plan: Plan, events: SimpleNamespace) -> None:
    told = [
        *trained(events, 0, gce_1=0.5, xent_1=0.4),
        *trained(events, 1, gce_1=None, xent_1=0.3),
        *trained(events, 2, gce_1=0.9),
    ]
    assert [one.pgrs for one in standings(plan(4, 3), Record.of(told))] == [(0.5,), (0.4, 0.3)]


def test_a_method_stands_as_it_was_where_it_was_best_and_is_replicated_so(
    plan: Plan, events: SimpleNamespace
) -> None:
    whole = method("gce-1")
    told = [
        events.started("t1", method=whole, seed=FIRST),
        *(events.reached("t1", share, pgr) for share, pgr in ((1 / 9, 0.3), (1 / 3, 0.7), (1.0, 0.4))),
        events.ended("t1"),
    ]
    [(planned_one, seed)] = planned_replication(plan(1, 2, finalists=1), Record.of(told))
    assert (planned_one.method, planned_one.pgrs, seed) == (whole.stopped_at(1 / 3), (0.7,), FIRST + 1)
    again = [
        events.started("r1", purpose="replicate", method=planned_one.method, seed=seed),
        events.reached("r1", 1.0, 0.6),
        events.ended("r1"),
    ]
    [one] = standings(plan(1, 2, finalists=1), Record.of([*told, *again]))
    assert (one.method, one.pgrs) == (whole.stopped_at(1 / 3), (0.7, 0.6))
    [finalist] = choose_finalists(plan(1, 2, finalists=1), Record.of([*told, *again]))
    assert (finalist.method, finalist.search_pgr) == (whole.stopped_at(1 / 3), pytest.approx(0.65))


def test_near_twins_that_fall_over_on_fresh_seeds_are_not_all_there_is(
    plan: Plan, events: SimpleNamespace
) -> None:
    """A recorded run: the ten best search trials were one method, lucky on one seed; others were steadier."""
    twins = {f"logconf_{i}": 0.764 for i in range(1, 11)}
    others = {"gce_1": 0.50, "xent_1": 0.38, "entropy_1": 0.19}
    config = plan(12, 4, finalists=3)
    told = trained(events, 0, **twins, **others)
    later = (
        {"logconf": 0.131, "gce": 0.47, "xent": 0.33, "entropy": 0.22},
        {"logconf": 0.532, "gce": 0.52, "xent": 0.36, "entropy": 0.20},
        {"logconf": -2.1, "gce": 0.49, "xent": 0.35, "entropy": 0.24},
    )
    for seed, reached in enumerate(later, start=1):
        due = [name for name, at in planned(config, told) if at == seed]
        told += trained(events, seed, **{name: reached[name.split("_")[0]] for name in due})
    # Twelve places for three finalists: four of the twins at first.
    assert [name for name, at in planned(config, told) if at == 1][:4] == [
        f"logconf_{i}" for i in range(1, 5)
    ]
    # The twins that did not meet the fatal seed do not stand for the one that did.
    finalists = choose_finalists(config, Record.of(told))
    assert [one.trial.trial for one in finalists] == ["gce_1-0", "xent_1-0", "entropy_1-0"]


def test_a_method_that_collapsed_on_a_seed_falls_behind(plan: Plan, events: SimpleNamespace) -> None:
    config = plan(4, 3, finalists=3)
    told = [
        *trained(events, 0, gce_1=0.9, sce_1=0.5, entropy_1=0.4, xent_1=0.3),
        *trained(events, 1, gce_1=0.9, sce_1=0.5, entropy_1=-0.9, xent_1=0.3),
        *trained(events, 2, gce_1=0.1, sce_1=0.5, xent_1=0.3),
    ]
    record = Record.of(told)
    bounds = Bounds(config, standings(config, record), record.baselines)
    # Means .63 for gce, .50, -.25 for entropy, .30. A wide spread lowers the bound of gce, not below xent's.
    assert [one.trial.trial for one in bounds.ranked()] == ["sce_1-0", "gce_1-0", "xent_1-0", "entropy_1-0"]
    # Neither counts for the variance of the others, which do not vary: only the prior of .08 on eight does.
    assert bounds.variance == pytest.approx(8 * 0.08**2 / (8 + 4))
