"""A run that never ran: the files of a campaign of any size, by the real ledger with made-up scores."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agents.findings.predictions import pack
from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Option, Proposal, Range, Slot
from search.config.load import load_config
from search.config.schema import RunConfig
from search.engine.confirmation import choose_finalists, confirm
from search.ledger.events import (
    AnyEvent,
    BaselinesReady,
    Finished,
    LaneAnswered,
    Proposed,
    Purpose,
    RungReached,
    RunStarted,
    TestOpened,
    TrialEnded,
    TrialStarted,
)
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.output.result import TaskOutcome, result, write_result
from search.scoring.grader import TestGrades
from search.scoring.pgr import Baselines, pgr
from search.storage.run_directory import RunDirectory, new_run
from trainers.components.labels import Soft
from trainers.components.losses import LogConf, Xent
from trainers.components.optim import Adamw
from trainers.method import Method

CONFIG = Path(__file__).parents[2] / "configs" / "dev.yaml"
BRANCHES, ROUND = 4, 22  # branches and trials a round
WEAK, CEILING, EXAMPLES = 0.72, 0.98, 1000
AT = 1_700_000_000.0


def synthetic_run(path: Path, trials: int, seed: int = 0) -> RunDirectory:
    """A finished run of so many search trials: about half pruned, one in forty failed, three finalists."""
    run = new_run(path, load_config(CONFIG, [f"search.trials={trials}"]))
    config, record = run.load()
    ledger = Ledger(run.ledger, record.apply)
    rng = np.random.default_rng(seed)
    for event in _searched(config, trials, rng):
        ledger.append(event)
    for event in _naive(config, record):
        ledger.append(event)
    methods = [
        config.naive,
        *(finalist.method for finalist in choose_finalists(config, record)),
    ]
    answers = _answers(config, methods, rng)
    ledger.append(TestOpened(at=_after(record), queries=len(methods) * config.confirm.seeds))
    confirmation = confirm(config, record, answers)
    write_result(
        run.result, result(record, TaskOutcome(confirmation=confirmation, baselines=answers.baseline_scores))
    )
    ledger.append(Finished(at=_after(record)))
    ledger.close()
    return run


def _naive(config: RunConfig, record: Record) -> Iterator[AnyEvent]:
    """Naive on the search split, with the seed of the search."""
    at = _after(record)
    common: dict[str, Any] = {"number": None, "method": config.naive, "seed": config.search_seed()}
    yield TrialStarted(at=at, trial="r00001", purpose="replicate", branch="", **common)
    score: dict[str, Any] = {"predictions": pack(np.zeros(EXAMPLES, dtype=bool)), "accuracy": 0.8, "se": 0.05}
    times = {"setup_s": 0.1, "train_s": 3.0, "eval_s": 0.1}
    yield RungReached(at=at + 1, trial="r00001", share=1.0, pgr=0.02, **score, **times)
    yield TrialEnded(at=at + 1, trial="r00001", state="completed", cause=None)


def _after(record: Record) -> float:
    return AT + 5.0 * (len(record.trials) + 1)


def _searched(config: RunConfig, trials: int, rng: np.random.Generator) -> Iterator[AnyEvent]:
    yield RunStarted(at=AT, run=f"synthetic-{trials}", config_sha256=config.sha256, commit="0" * 40)
    yield BaselinesReady(
        at=AT, weak_acc=WEAK, weak_se=0.01, ceiling_acc=CEILING, ceiling_se=0.002, seeds=8, train_s=60.0
    )
    names: list[str] = []
    for i in range(trials):
        if i % ROUND == 0:
            branches = [_branch(len(names) + k, names, rng) for k in range(BRANCHES)]
            names += [branch.name for branch in branches]
            proposal = Proposal(branches=tuple(branches), rationale="made up")
            yield Proposed(at=AT + 5.0 * i, round=i // ROUND + 1, proposal=proposal, seconds=0.1)
            yield from _asked(AT + 5.0 * i, i // ROUND + 1, branches)
        yield from _trial(config, i, names[-1 - int(rng.integers(min(len(names), 2 * BRANCHES)))], rng)


def _asked(at: float, number: int, branches: list[Branch]) -> Iterator[AnyEvent]:
    """Two lanes, the second of which the playbook stood in for."""
    names = tuple(branch.name for branch in branches)
    usage = Usage(
        requests=3, input_tokens=400 + number, cache_read_tokens=9000, output_tokens=2000, usd=0.0625
    )
    why = "the answer was cut short"
    yield LaneAnswered(
        at=at,
        round=number,
        lane=LaneReport(lane="1", direction="", source="claude", branches=names, usage=usage),
    )
    yield LaneAnswered(
        at=at, round=number, lane=LaneReport(lane="2", direction="", source="playbook", branches=(), why=why)
    )


def _branch(number: int, earlier: list[str], rng: np.random.Generator) -> Branch:
    parent = earlier[int(rng.integers(len(earlier)))] if earlier and number % 2 else None
    lr = Range(name="lr", low=1e-4, high=1e-2, log=True)
    return Branch(
        name=f"made-up-branch-{number}",
        family="loss" if number % 3 else "distillation",
        hypothesis="A hypothesis of the usual length: what is trained less on labels that are likely to be "
        "wrong learns more of what the strong model knows (nobody et al., 2026).",
        parent=parent,
        slots=(Slot(slot="optim", options=(Option(component="adamw", params=(lr,)),)),),
    )


def _trial(config: RunConfig, i: int, branch: str, rng: np.random.Generator) -> Iterator[AnyEvent]:
    name, at = f"t{i + 1:05d}", AT + 5.0 * i
    aux = float(rng.uniform())
    method = Method(
        labels=Soft(temperature=float(rng.uniform(0.5, 3))) if i % 3 else Method().labels,
        loss=LogConf(aux=aux) if i % 2 else Xent(),
        optim=Adamw(lr=float(10 ** rng.uniform(-4, -2)), epochs=float(rng.uniform(0.5, 5))),
    )
    purpose: Purpose = "search"
    yield TrialStarted(
        at=at, trial=name, purpose=purpose, branch=branch, number=i, method=method, seed=config.search_seed()
    )
    if i % 40 == 39:
        cause = f"training diverged: loss nan at step {i % 7} of 150"
        yield TrialEnded(at=at + 1, trial=name, state="failed", cause=cause)
        return
    final = 0.3 + 0.3 * aux * (i % 2) + float(rng.normal(0, 0.15))
    rungs = config.search.pruning.rungs
    for k, share in enumerate(rungs, start=1):
        correct = rng.uniform(size=EXAMPLES) < WEAK + (CEILING - WEAK) * (final - 0.3 * (1 - share))
        accuracy = float(correct.mean())
        score = pgr(accuracy, WEAK, CEILING)
        yield RungReached(
            at=at + k,
            trial=name,
            share=share,
            predictions=pack(correct),
            accuracy=accuracy,
            pgr=score,
            se=0.05,
            setup_s=0.02,
            train_s=3.0 * share,
            eval_s=0.1,
            losses=tuple(0.7 / (1 + k + part) for part in range(3)),
        )
        if share < 1 and score < 0.4 * share:
            cause = f"PGR {score:.3f} at {share:.2f} of its training"
            yield TrialEnded(at=at + k, trial=name, state="pruned", cause=cause)
            return
    yield TrialEnded(at=at + 4, trial=name, state="completed", cause=None)


def _answers(config: RunConfig, methods: list[Method], rng: np.random.Generator) -> TestGrades:
    def correct(accuracy: float, seeds: int) -> Any:
        return rng.uniform(size=(seeds, 2 * EXAMPLES)) < accuracy

    return TestGrades.of(
        correct={
            method.digest: correct(0.78 + 0.02 * k, config.confirm.seeds) for k, method in enumerate(methods)
        },
        baselines=Baselines(
            weak=correct(WEAK, config.supervisors), ceiling=correct(CEILING, config.baselines.seeds)
        ),
        truth=(rng.uniform(size=2 * EXAMPLES) < 0.5).astype(np.int8),
    )
