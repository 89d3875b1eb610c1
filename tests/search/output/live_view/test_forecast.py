from collections.abc import Callable, Iterable
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.config.tasks import HiddenTask
from search.ledger.events import AnyEvent, HiddenRead, Proposed, Resumed
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view.baselines import Baselines
from search.output.live_view.forecast import WINDOW, Forecast
from search.policy.training_seconds import Step
from search.storage.baseline_times import BaselinesBegun, BaselineTime
from trainers.components.optim import Adamw
from trainers.data.settings import ToyTask
from trainers.method import Method

THIRD = 1 / 3
Branches = Callable[..., Branch]


@pytest.fixture
def told(branch: Callable[..., Branch]) -> list[AnyEvent]:
    """What precedes the first trial."""
    proposal = Proposal(branches=(branch("one"),), rationale="")
    return [Proposed(at=100.0, round=1, proposal=proposal, seconds=0)]


def forecast(config: RunConfig, events: Iterable[AnyEvent]) -> Forecast:
    record = Record()
    found = Forecast(config, record)
    for event in events:
        record.apply(event)
        found.apply(event)
    return found


def trained(events: SimpleNamespace, config: RunConfig, count: int, at: float = 100.0) -> list[AnyEvent]:
    """Trials like the naive baseline that train to the end, 9 s each, one after the other."""
    told: list[AnyEvent] = []
    for i in range(count):
        method = Method(optim=Adamw(lr=2e-3 + i * 1e-6))
        began, ended = at + 9 * i, at + 9 * (i + 1)
        told += [
            events.started(f"t{i}", at=began, method=method, share=1.0),
            events.reached(f"t{i}", 1.0, 0.5, at=ended, setup_s=0.0, train_s=8.0, eval_s=1.0),
            events.ended(f"t{i}", at=ended),
        ]
    return told


def test_before_a_step_has_ended_nothing_is_made_up(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    assert forecast(config, told).clock_s(100.0) is None
    assert forecast(config, [*told, events.started("t0", at=100.0)]).clock_s(105.0) is None


def test_trained_ceilings_tell_what_a_training_takes(
    own: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    """Two workers have just begun; nobody knows where the best methods stop."""
    found = forecast(own, [*told, *(events.started(f"t{i}", at=100.0, share=1.0) for i in range(2))])
    found.begin(Baselines(own, [BaselineTime(role="ceiling", seed=i, seconds=9.0) for i in range(2)]))
    clock_s = found.clock_s(100.0)
    assert clock_s is not None
    assert clock_s["confirm"] == pytest.approx((3 * 9 + 6 * 9 * 2 / 3) / 2, rel=0.02)


def beginning(config: RunConfig) -> Baselines:
    """Two workers, two seconds after they were asked for, train one ceiling of 9 s after the other."""
    lines = [
        BaselinesBegun(due={"ceiling": 4}, together=2, at=100.0),
        *(BaselineTime(role="ceiling", seed=i, seconds=9.0, at=111.0) for i in range(2)),
    ]
    return Baselines(config, lines)


@pytest.fixture
def own(config: RunConfig, branch: Branches) -> RunConfig:
    """A config whose search tries methods that train as long as naive."""
    settings = config.model_dump(mode="json") | {
        "branches": [branch("one", lrs=(1e-3,)).model_dump(mode="json")]
    }
    settings["search"]["round_trials"] = 8
    settings["agent"]["branches"] = 1
    settings["strong"]["optim"]["epochs"] = 1.0
    return RunConfig.model_validate(settings)


def test_the_whole_run_is_predicted_while_its_baselines_train(own: RunConfig) -> None:
    """The best methods stop at any rung: they train for two thirds of the whole on average."""
    found = Forecast(own, Record())
    assert found.clock_s(100.0) is None
    found.begin(beginning(own))
    assert found.clock_s(111.0) == {
        "baselines": pytest.approx(9.0),
        "search": pytest.approx(2 + 0.7 * 8 * 9 / 2),
        "replicate": pytest.approx(9 / 2),
        "confirm": pytest.approx((3 * 9 + 6 * 9 * 2 / 3) / 2),
        "hidden": 0.0,
    }


def test_a_later_look_at_the_baselines_takes_the_place_of_an_earlier_one(config: RunConfig) -> None:
    found = Forecast(config, Record())
    found.begin(Baselines(config, [BaselineTime(role="ceiling", seed=0, seconds=900.0)]))
    found.begin(beginning(config))
    fresh = Forecast(config, Record())
    fresh.begin(beginning(config))
    assert found.clock_s(111.0) == fresh.clock_s(111.0)


def test_between_the_baselines_and_the_first_trial_the_figure_stays(
    config: RunConfig, events: SimpleNamespace
) -> None:
    record = Record.of([events.run_started(at=120.0)])
    found = Forecast(config, record)
    found.begin(beginning(config))
    before = found.clock_s(120.0)
    assert before is not None
    assert "baselines" not in before
    started = events.started("t0", at=121.0, share=1.0)
    record.apply(started)
    found.apply(started)
    after = found.clock_s(122.0)
    assert after is not None
    assert after["confirm"] == pytest.approx(before["confirm"])
    assert found.pace(122.0) == 0.5, "the other worker is about to start"


def test_what_the_budget_leaves_is_predicted(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    """Eight trials at an effort of 0.7, 9 s each: 50.4 s; naive once; it and two finalists on three seeds."""
    found = forecast(config, told + trained(events, config, 2))
    left = found.left_s(118.0)
    assert left["search"] == pytest.approx(0.7 * 8 * 9 - 18, rel=0.02)
    assert left["replicate"] == pytest.approx(9, rel=0.02)
    assert left["confirm"] == pytest.approx(9 * 9, rel=0.02)


def test_the_clock_goes_at_the_pace_of_the_workers(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    """Two workers: each second is two of training; what is under way counts, so waiting changes nothing."""
    both = [
        events.started("t0", at=100.0, share=1.0),
        events.started("t1", at=100.0, share=1.0),
        events.reached("t0", 1.0, 0.5, at=109.0, setup_s=0.0, train_s=8.0, eval_s=1.0),
        events.ended("t0", at=109.0),
        events.reached("t1", 1.0, 0.5, at=109.0, setup_s=0.0, train_s=8.0, eval_s=1.0),
        events.ended("t1", at=109.0),
    ]
    found = forecast(config, told + both)
    assert found.pace(109.0) == pytest.approx(0.5)
    again = [events.started("t2", at=109.0, share=1.0), events.started("t3", at=109.0, share=1.0)]
    found = forecast(config, told + both + again)
    assert found.pace(113.0) == pytest.approx(0.5)
    clock = [sum((found.clock_s(at) or {}).values()) for at in (109.0, 113.0)]
    assert clock[0] - clock[1] == pytest.approx(4.0, rel=0.02)  # four seconds later, four seconds less


def test_starting_up_is_not_the_pace(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    slow = [
        events.started("t0", at=100.0, share=1.0),
        events.reached("t0", 1.0, 0.5, at=139.0, setup_s=0.0, train_s=8.0, eval_s=1.0),  # 30 s of imports
    ]
    assert forecast(config, told + slow).pace(139.0) == pytest.approx(1.0)


def test_a_process_that_resumes_has_its_own_pace(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    past = [*told, *trained(events, config, 2), Resumed(at=9000.0)]
    assert forecast(config, past).pace(9001.0) is None
    method = Method(optim=Adamw(lr=5e-3))
    new = [
        events.started("t7", at=9000.0, method=method, share=1.0),
        events.reached("t7", 1.0, 0.5, at=9009.0, setup_s=0.0, train_s=8.0, eval_s=1.0),
    ]
    assert forecast(config, past + new).pace(9009.0) == pytest.approx(1.0)


def test_replicates_take_their_share_of_the_search(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    config = config.model_copy(update={"replication": ReplicationConfig(seeds=3, effort=2.0)})
    left = forecast(config, told + trained(events, config, 2)).left_s(118.0)
    assert left["replicate"] == pytest.approx(2.0 * 0.7 * 8 * 9 + 3 * 9, rel=0.02)


def test_what_a_person_changes_is_predicted_at_once(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    past = told + trained(events, config, 2)
    more = Steered(at=118.0, settings={"search.trials": 16}, config_sha256="")
    assert forecast(config, [*past, more]).left_s(118.0)["search"] == pytest.approx(
        0.7 * 16 * 9 - 18, rel=0.02
    )
    finish = Steered(at=118.0, finish=True)
    assert forecast(config, [*past, finish]).left_s(118.0)["search"] == 0


def test_a_confirmation_counts_what_has_not_started(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    past = told + trained(events, config, 2)
    seed = config.confirm_seeds()[0]
    first = [
        events.started("c1", at=118.0, purpose="confirm", branch="", method=config.naive, seed=seed),
        events.reached("c1", 1.0, None, at=127.0, setup_s=0.0, train_s=8.0, eval_s=1.0),
        events.ended("c1", at=127.0),
    ]
    found = forecast(config, past + first)
    # naive on two more seeds; of the two methods of one kind only one may be a finalist, on three seeds
    assert found.left_s(127.0) == {
        "search": 0,
        "replicate": 0,
        "hidden": 0,
        "confirm": pytest.approx(5 * 9, rel=0.05),
    }


def test_seconds_that_were_given_do_not_grow_with_a_slower_machine(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    hours = config.search.model_copy(update={"max_hours": 0.1, "trials": 60})  # which need more
    found = forecast(config.model_copy(update={"search": hours}), told + trained(events, config, 2))
    found._lately.clear()
    found._lately.append((Step(method=config.naive, start=0.0, end=1.0), 90.0))
    left, clock_s = found.left_s(118.0), found.clock_s(118.0)
    assert clock_s is not None
    assert left["search"] == pytest.approx(360 - 18)
    assert clock_s["search"] == pytest.approx(left["search"])  # one worker, always busy
    assert clock_s["confirm"] == pytest.approx(10 * left["confirm"], rel=0.05)


def test_hours_that_the_trials_do_not_need_are_not_left(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    few = config.search.model_copy(update={"max_hours": 0.1, "trials": 5})
    found = forecast(config.model_copy(update={"search": few}), told + trained(events, config, 2))
    left = found.left_s(118.0)
    assert left["search"] == pytest.approx(3 * 9)
    assert left["replicate"] < 360 * config.replication.effort


def test_the_pace_is_that_of_the_last_steps(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    """Steps of 9 s without a break, then twice as many of them with 27 s by the clock each."""
    slow = [
        event.model_copy(update={"at": 100.0 + 9 * WINDOW + 3 * (event.at - 100.0)})
        for event in trained(events, config, 2 * WINDOW)
    ]
    renamed = [
        event.model_copy(update={"trial": f"s{event.trial}"})  # type: ignore[union-attr]  # all are of trials
        for event in slow
    ]
    found = forecast(config, [*told, *trained(events, config, WINDOW), *renamed])
    assert found.pace(slow[-1].at) == pytest.approx(3.0)
    assert found.expected_s("st1") is None  # has ended


def test_a_step_under_way_has_predicted_seconds(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    begun = events.started("t9", at=118.0, method=Method(), share=1.0)
    found = forecast(config, [*told, *trained(events, config, 2), begun])
    assert found.expected_s("t9") == pytest.approx(9.0, rel=0.1)


def test_a_hidden_task_has_baselines_before_its_trials_and_a_pace_of_its_own(
    config: RunConfig, told: list[AnyEvent], events: SimpleNamespace
) -> None:
    """Reading it takes 200 s, in which no trial runs. Ceilings take 9 s each, two at once."""
    config = config.model_copy(update={"hidden": (HiddenTask(name="there", task=ToyTask(seed=3)),)})
    found = Forecast(config, record := Record())
    found.begin(beginning(config))

    def happen(*happened: AnyEvent) -> None:
        for event in happened:
            record.apply(event)
            found.apply(event)

    happen(*told, *trained(events, config, 4))
    assert found.pace(136.0) == found.pace(336.0), "while no trial runs, none is slow"
    before = found.clock_s(336.0)
    happen(HiddenRead(at=336.0, task="there", train_s=1.0))
    happen(events.started("h0", at=336.0, method=config.naive, share=1.0, purpose="hidden", task="there"))
    assert found.pace(337.0) == 1 / 2, "its own workers run two at once, those before ran one"
    after = found.clock_s(336.0)
    assert before is not None
    assert after is not None
    assert before["hidden"] == pytest.approx(2 * after["hidden"] + config.baselines.seeds * 9 / 2)
