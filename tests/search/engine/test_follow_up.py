from types import SimpleNamespace
from typing import Any

import pytest

from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.config.tasks import HiddenTask
from search.engine.assignment import Assignment
from search.engine.compared.transfer import transferred
from search.engine.follow_up import FollowUp
from search.ledger.events import AnyEvent, TestOpened
from search.ledger.record import Record
from trainers.components.losses import Gce, LogConf, Sce
from trainers.components.optim import Adamw
from trainers.components.orders import PlainInputs
from trainers.data.settings import DatasetTask, PairFields, ToyTask
from trainers.method import Method

OPTIM = Adamw(lr=1e-3)  # naive's
METHODS = {"t1": Method(loss=Gce()), "t2": Method(loss=Sce()), "t3": Method(loss=LogConf())}


@pytest.fixture
def searched(events: SimpleNamespace) -> Record:
    """Three methods that are unlike, of branches of their own, the best first; and naive on their seed."""
    told: list[AnyEvent] = [events.baselines()]
    for place, (name, method) in enumerate(METHODS.items()):
        told += [
            events.started(name, method=method, branch=f"of-{name}"),
            events.reached(name, 1.0, 0.9 - 0.3 * place),
            events.ended(name),
        ]
    told += [events.started("r00001", purpose="replicate", branch="", method=Method(optim=OPTIM))]
    return Record.of([*told, events.reached("r00001", 1.0, 0.2), events.ended("r00001")])


def given(follow_up: FollowUp) -> list[tuple[str, Assignment]]:
    """All that can be given out at present."""
    found = []
    while (one := follow_up.next(idle=True)) is not None:
        found.append(one)
    return found


def ran(record: Record, events: SimpleNamespace, *assignments: Assignment, state: str = "completed") -> None:
    for one in assignments:
        values: dict[str, Any] = one.model_dump(include={"purpose", "seed"})
        record.apply(events.started(one.trial, method=one.method, branch="", number=None, **values))
        if state == "completed":
            record.apply(events.reached(one.trial, 1.0, 0.5))
        record.apply(events.ended(one.trial, state))


def test_without_replication_the_confirmation_is_naive_and_the_finalists(
    config: RunConfig, searched: Record
) -> None:
    follow_up = FollowUp(config, searched)
    found = given(follow_up)
    methods = [config.naive, METHODS["t1"], METHODS["t2"]]
    assert [(one.method, one.seed) for _, one in found] == [
        (method, seed) for method in methods for seed in config.confirm_seeds()
    ]
    assert [one.trial for _, one in found] == [f"c{i:05d}" for i in range(1, 10)]
    assert {(branch, one.purpose, one.rungs) for branch, one in found} == {("", "confirm", (1.0,))}
    assert follow_up.all_handed_out


def test_nothing_is_planned_while_a_trial_of_the_search_is_running(
    config: RunConfig, searched: Record
) -> None:
    follow_up = FollowUp(config, searched)
    assert follow_up.next(idle=False) is None
    assert not follow_up.all_handed_out
    assert follow_up.next(idle=True) is not None
    assert follow_up.next(idle=False) is not None  # the plan stands: it may be given out side by side


def test_a_stage_of_replicates_follows_once_the_one_before_has_ended(
    config: RunConfig, searched: Record, events: SimpleNamespace
) -> None:
    config = config.model_copy(update={"replication": ReplicationConfig(methods=3, seeds=3)})
    follow_up = FollowUp(config, searched)
    first = [follow_up.next(idle=True) for _ in range(3)]
    assert [(branch, one.trial, one.seed) for branch, one in first] == [
        ("of-t1", "r00002", 10_001),
        ("of-t2", "r00003", 10_001),
        ("of-t3", "r00004", 10_001),
    ]
    ran(searched, events, *(one for _, one in first))
    assert follow_up.next(idle=False) is None  # which are best is known once the last of them has ended
    second = [one for _, one in [follow_up.next(idle=True), follow_up.next(idle=False)]]
    assert [(one.trial, one.seed) for one in second] == [("r00005", 10_002), ("r00006", 10_002)]
    ran(searched, events, *second)
    naive = [follow_up.next(idle=True), follow_up.next(idle=False)]
    assert [(branch, one.trial, one.seed) for branch, one in naive] == [
        ("", "r00007", 10_001),
        ("", "r00008", 10_002),
    ]
    assert {one.method for _, one in naive} == {config.naive}
    ran(searched, events, *(one for _, one in naive))
    _, last = follow_up.next(idle=True)
    assert (last.trial, last.purpose) == ("c00001", "confirm")


def test_a_new_process_gives_out_what_has_not_started(
    config: RunConfig, searched: Record, events: SimpleNamespace
) -> None:
    planned = [one for _, one in given(FollowUp(config, searched))]
    ran(searched, events, *planned[:4])
    assert [one for _, one in given(FollowUp(config, searched))] == planned[4:]


def test_a_confirmation_that_failed_is_tried_again_until_the_test_split_is_opened(
    config: RunConfig, searched: Record, events: SimpleNamespace
) -> None:
    planned = [one for _, one in given(FollowUp(config, searched))]
    ran(searched, events, *planned[1:])
    ran(searched, events, planned[0], state="failed")
    [(_, again)] = given(FollowUp(config, searched))
    assert again == planned[0].model_copy(update={"trial": "c00001-2"})
    ran(searched, events, again, state="failed")
    assert [one.trial for _, one in given(FollowUp(config, searched))] == ["c00001-3"]
    searched.apply(TestOpened(queries=2))
    settled = FollowUp(config, searched)
    assert given(settled) == []
    assert settled.all_handed_out


def test_a_hidden_task_gets_naive_and_the_finalists_as_they_are_there(
    config: RunConfig, searched: Record, events: SimpleNamespace
) -> None:
    slower = config.strong.optim.model_copy(update={"lr": config.strong.optim.lr / 2})
    there = HiddenTask(
        name="there", task=ToyTask(seed=3), strong=config.strong.model_copy(update={"optim": slower})
    )
    config = config.model_copy(update={"hidden": (HiddenTask(name="first", task=ToyTask(seed=4)), there)})
    follow_up = FollowUp(config, searched)
    ran(searched, events, *(one for _, one in given(follow_up)))
    assert follow_up.all_handed_out
    follow_up.confirm_on(there)
    assert not follow_up.all_handed_out
    found = [one for _, one in given(follow_up)]
    naive = config.on(there).naive
    assert naive.optim.lr == slower.lr
    methods = [naive, *(transferred(METHODS[name], config, config.on(there)) for name in ("t1", "t2"))]
    assert [(one.method, one.seed) for one in found] == [
        (method, seed) for method in methods for seed in config.confirm_seeds()
    ]
    assert [one.trial for one in found] == [f"h2-{i:05d}" for i in range(1, 10)]
    assert {(one.purpose, one.task, one.split) for one in found} == {("hidden", "there", "test")}
    assert follow_up.all_handed_out


def test_a_method_that_cannot_run_on_a_hidden_task_is_left_out(config: RunConfig, searched: Record) -> None:
    there = HiddenTask(name="there", task=ToyTask(seed=3))
    pairs = DatasetTask(path="pairs.jsonl", fields=PairFields(), splits=config.task.splits)
    config = config.model_copy(update={"task": pairs, "hidden": (there,)})
    follow_up = FollowUp(config, searched)
    averaged = METHODS["t1"].model_copy(update={"inputs": PlainInputs(answer="averaged")})  # of pairs alone
    assert averaged.refused(config.on(there).abilities) is not None
    searched.trials["t1"].method = averaged
    follow_up.confirm_on(there)
    assert {one.method for _, one in given(follow_up)} == {config.naive, METHODS["t2"]}
