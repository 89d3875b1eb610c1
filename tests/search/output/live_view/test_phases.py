from pathlib import Path
from types import SimpleNamespace

from search.config.load import changed
from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.config.tasks import HiddenTask
from search.engine.confirmation import choose_finalists
from search.ledger.events import Finished, HiddenRead
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view.phases import counts, ended, phases, total, trials_text
from trainers.components.optim import Adamw
from trainers.data.settings import ToyTask
from trainers.models.settings import HubModel


def test_the_phases_of_a_run(config: RunConfig, searching: Record) -> None:
    clock_s = {"search": 5.0, "replicate": 0.0, "confirm": 9.0}
    search, naive, confirm = phases(config, searching, clock_s)
    assert (naive.name, naive.count) == ("replication", "0 of 1")  # without replicates, naive alone
    assert (search.name, search.count, search.left_s) == ("search", "3 of 8", 5.0)
    assert (confirm.name, confirm.count, confirm.left_s) == ("confirmation", "0 of 9", 9.0)
    assert total(config, searching) == "18"


def test_what_is_estimated_says_so(config: RunConfig, searching: Record) -> None:
    config = config.model_copy(update={"replication": ReplicationConfig(seeds=2, effort=0.5)})
    _, replication, _ = phases(config, searching)
    assert replication.count.startswith("0 of about ")
    assert total(config, searching).startswith("about ")


def test_finalists_that_may_not_run_on_a_hidden_task_are_said_to_be_estimated(
    config: RunConfig, searching: Record, events: SimpleNamespace, tmp_path: Path
) -> None:
    elsewhere = config.strong.model_copy(update={"model": HubModel(path=str(tmp_path), max_length=8)})
    there = HiddenTask(name="there", task=ToyTask(seed=3), strong=elsewhere)
    config = config.model_copy(update={"hidden": (there,)})
    searching.apply(events.started("c1", purpose="confirm", branch=""))
    assert phases(config, searching)[-1].count.startswith("0 of about ")
    searching.apply(HiddenRead(task="there", train_s=1.0, trials=4))
    assert phases(config, searching)[-1].count == "0 of 4"


def test_while_an_extended_search_goes_on_another_confirmation_is_due(
    config: RunConfig, searching: Record, events: SimpleNamespace
) -> None:
    """Naive and two methods were confirmed on three seeds; now naive and a finalist that was not are due."""
    others = [config.naive.model_copy(update={"optim": Adamw(lr=lr)}) for lr in (1e-4, 2e-4)]
    plan = [(method, seed) for method in (config.naive, *others) for seed in config.confirm_seeds()]
    for i, (method, seed) in enumerate(plan):
        trial = f"c{i}"
        start = events.started(trial, purpose="confirm", branch="", method=method, seed=seed)
        for event in (start, events.ended(trial)):
            searching.apply(event)
    for event in (events.started("t5", lr=5e-3), events.reached("t5", 1.0, 0.9), events.ended("t5")):
        searching.apply(event)
    finalists = choose_finalists(config, searching)
    due = len(finalists) * config.confirm.seeds
    assert due == 3
    searching.apply(Finished())
    searching.apply(Steered(by="resume", settings={"search.trials": 20}))
    extended = changed(config, {"search.trials": 20})
    confirmation = phases(extended, searching)[-1]
    assert (confirmation.count, confirmation.again) == (f"9 of about {9 + due}", True)
    assert total(extended, searching).startswith("about ")
    [first, *_] = finalists
    seed = config.confirm_seeds()[0]
    searching.apply(events.started("c9", purpose="confirm", branch="", method=first.method, seed=seed))
    confirmation = phases(extended, searching)[-1]
    assert (confirmation.count, confirmation.again) == (f"9 of {9 + due}", False)


def test_a_run_that_finished_again_with_the_same_finalists_has_no_more_due(
    config: RunConfig, searching: Record, events: SimpleNamespace
) -> None:
    start = events.started("c1", purpose="confirm", branch="", method=config.naive)
    for event in (start, events.ended("c1"), Finished()):
        searching.apply(event)
    before = phases(config, searching)[-1].count
    searching.apply(Steered(by="resume", settings={"search.trials": 20}))
    assert phases(config, searching)[-1].again
    searching.apply(Finished())
    after = phases(config, searching)[-1]
    assert (after.count, after.again) == (before, False)
    assert "about" not in total(config, searching)


def test_all_trials_are_counted_once(searching: Record, events: SimpleNamespace) -> None:
    for name, purpose in (("r1", "replicate"), ("c1", "confirm")):
        searching.apply(events.started(name, purpose=purpose, branch=""))
        searching.apply(events.ended(name))
    found = counts(searching)
    assert found["search"] == {"started": 4, "completed": 1, "pruned": 1, "failed": 1}
    assert found["confirmation"] == {"started": 1, "completed": 1, "pruned": 0, "failed": 0}
    assert ended(searching) == 5 == sum(searching.ended(end) for end in ("completed", "pruned", "failed"))
    text = "6 trials (4 of the search, 1 replicate, 1 of the confirmation)"
    assert trials_text(found) == text
    assert trials_text(counts(Record())) == "0 trials (none yet)"
