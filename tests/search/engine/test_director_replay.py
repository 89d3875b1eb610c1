"""A process that replays a ledger knows what the process that wrote it knew, after every single event."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.engine.context import RunContext
from search.engine.exploration import Exploration
from search.engine.judging import Judging
from search.ledger.events import AnyEvent
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.scoring.grader import Grader
from search.studies.storage import open_journal
from search.studies.studies import Studies
from tests.search.engine.conftest import GAP, N_SEARCH, SEARCH_TRUTH, Run, Script, graded


def known(exploration: Exploration, judging: Judging) -> dict[str, Any]:
    """What is known of trials, apart from the samplers' random state."""
    scores = exploration._scores
    sample = scores.sample(10**6, np.random.default_rng(0)) if len(scores) else None
    budget = exploration._budget
    return {
        "branches": {name: deepcopy(vars(state)) for name, state in exploration._branches.items()},
        "budget": (budget.started, round(budget.spent_s, 9), round(budget.total_s, 9)),
        "costs": exploration._seconds.costs.tolist(),
        "paused": [(paused.trial, paused.place, paused.value) for paused in exploration._paused],
        "tried": set(exploration._tried),
        "best": {branch: method.digest for branch, method in exploration._best_method.items()},
        "in flight": dict(exploration._in_flight),
        "scores": None if sample is None else (sample.rungs.tolist(), sample.values.tolist()),
        "judgements": dict(judging._judgements),
    }


def test_after_every_event_a_replay_knows_what_the_live_process_knew(
    tmp_path: Path, config: RunConfig, branch: Callable[..., Branch], proposal: Callable[..., Proposal]
) -> None:
    grader = Grader(graded(SEARCH_TRUTH, 5), graded(SEARCH_TRUTH, 8))
    script = Script([proposal(branch("one"), branch("two")), proposal(branch("three", lrs=(1e-3, 2e-3)))])
    live: list[dict[str, Any]] = []
    run = Run(tmp_path, config, grader, script)
    assert run.ledger is not None
    run.ledger.listen(lambda event: live.append(known(run.director._exploration, run.director._judging)))
    for count in range(40):
        assignment = run.patient_next()
        if assignment is None or assignment.purpose != "search":
            break
        if count == 5:
            run.director.failed(assignment.trial, "a bad method")
        else:
            run.finish(assignment)
    run.director.close()
    events = read_ledger(tmp_path / "ledger.jsonl")
    assert {event.event for event in events} >= {"trial_paused", "trial_ended", "rung_reached", "proposed"}
    before = len(events) - len(live)
    for count, expected in enumerate(live, start=before + 1):
        past = events[:count]
        assert replayed(anew(past, run), past, tmp_path / f"{count}.log") == expected, events[count - 1]


def anew(past: list[AnyEvent], run: Run) -> RunContext:
    """What a new process has of the run. Its record has applied these events beforehand."""
    assert run.ledger is not None
    return RunContext(
        config=run.config,
        directory=run.path,
        ledger=run.ledger,
        record=Record.of(past),
        grader=run.grader,
        gap=GAP,
        search_size=N_SEARCH,
    )


def replayed(context: RunContext, past: list[AnyEvent], journal: Path) -> dict[str, Any]:
    """What a new process knows after these events."""
    studies = Studies(context.config, open_journal(journal))
    exploration, judging = Exploration(context.config, context.record, studies.of), Judging(context)
    judging.regrade(past)
    for event in past:
        exploration.apply(event)
        judging.apply(event)
    return known(exploration, judging)
