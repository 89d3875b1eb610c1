from collections.abc import Iterator
from pathlib import Path

import pytest

from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.engine.context import RunContext
from search.engine.judging import Judging
from search.engine.trials import Trials
from search.ledger.events import MicroBatchHalved, RungReached, RunStarted
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.scoring.grader import Grader
from tests.search.engine.test_judging import split
from trainers.method import Method

FIRST = Assignment(trial="t00001", purpose="search", method=Method(), seed=3, rungs=(1 / 3,))


@pytest.fixture
def context(tmp_path: Path, config: RunConfig) -> Iterator[RunContext]:
    record = Record()
    ledger = Ledger(tmp_path / "ledger.jsonl", record.apply)
    ledger.append(RunStarted(run="unit", config_sha256="c", commit="c"))
    yield RunContext(
        config=config,
        directory=tmp_path,
        ledger=ledger,
        record=record,
        grader=Grader(split(), split()),
        gap=0.5,
        search_size=200,
    )
    ledger.close()


def reach(context: RunContext, share: float, pgr: float) -> None:
    context.ledger.append(
        RungReached(trial="t00001", share=share, predictions="00", pgr=pgr, setup_s=0, train_s=1, eval_s=0)
    )


def test_a_paused_trial_resumes_with_its_method_seed_and_micro_batch(context: RunContext) -> None:
    trials = Trials(context, Judging(context).grade)
    assert trials.start(FIRST, branch="b", number=7) == FIRST
    trial = context.record.trials["t00001"]
    assert list(context.record.running) == ["t00001"]
    reach(context, 1 / 3, 0.4)
    context.ledger.append(MicroBatchHalved(trial="t00001", micro_batch=8))
    trials.pause(trial)
    assert not context.record.running
    assert trial.paused
    assert trials.resume(trial, 1.0) == FIRST.model_copy(update={"rungs": (1.0,), "micro_batch": 8})
    assert (trial.due, trial.number, trial.paused) == (1.0, 7, False)
    assert list(context.record.running) == ["t00001"]


def test_a_pruned_trial_says_where_and_why_and_leaves_no_checkpoint(context: RunContext) -> None:
    trials = Trials(context, Judging(context).grade)
    trials.start(FIRST, branch="b", number=None)
    states = context.directory / "checkpoints" / "t00001"
    states.mkdir(parents=True)
    reach(context, 1 / 3, 0.4)
    trials.prune(context.record.trials["t00001"], "others are better")
    trial = context.record.trials["t00001"]
    assert trial.state == "pruned"
    assert trial.cause == "PGR 0.400 at 0.33 of its training: others are better"
    assert not states.exists()
    assert not context.record.running


def test_a_trial_ends_once(context: RunContext) -> None:
    trials = Trials(context, Judging(context).grade)
    trials.start(FIRST, branch="b", number=None)
    trials.end(context.record.trials["t00001"], "failed", "no memory")
    assert context.record.trials["t00001"].cause == "no memory"
    with pytest.raises(ValueError, match="ends the trial t00001 twice"):
        trials.end(context.record.trials["t00001"], "completed", None)
