"""What W&B is told: names, tags, numbers and tables, worked out from what the ledger says."""

import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from agents.language.naming import named_values
from search.tracking.ledger_view import Tracked, TrackedTrial
from trainers.component import Frozen

TEXT_LENGTH = 500
_ESCAPES = {ord(mark): f"\\{mark}" for mark in string.punctuation}


class RunDescription(Frozen):
    """How a trial is announced."""

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    notes: str
    config: dict[str, Any]


def describe(campaign: str, tracked: Tracked, trial: TrackedTrial) -> RunDescription:
    """One run a trial: group by round, tags by branch and family, job type by purpose."""
    started = trial.started
    home = tracked.home(trial)
    label = home[1].name if home else "naive"
    return RunDescription(
        id=f"{campaign}-{started.trial}",
        name=f"{started.trial} {label}",
        group="confirmation" if started.purpose == "confirm" or home is None else f"round-{home[0]:03d}",
        job_type=started.purpose,
        tags=(label, home[1].family) if home else (label,),
        notes=inert(home[1].hypothesis) if home else "",
        config=flat(started.method.model_dump(mode="json")) | {"seed": started.seed},
    )


def flat(method: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A method's parameters by the names that Optuna knows them by: loss.kind, loss.logconf.aux."""
    return named_values((slot, component.items()) for slot, component in method.items())


def trial_row(tracked: Tracked, trial: TrackedTrial, index: int) -> dict[str, float]:
    """What a trial reports at a rung: scores, if it has any, with the baselines as lines of reference."""
    rung = trial.rungs[index]
    row: dict[str, float] = {
        "share": rung.share,
        "train_s": sum(one.train_s for one in trial.rungs[: index + 1]),
    }
    if rung.pgr is not None and rung.se is not None and rung.accuracy is not None:
        row |= {"pgr": rung.pgr, "pgr_se": rung.se, "accuracy": rung.accuracy} | references(tracked)
    return row


def references(tracked: Tracked) -> dict[str, float]:
    """Weak floor and ceiling, as accuracies and, by definition 0 and 1, as PGR."""
    if tracked.baselines is None:
        return {}
    return {
        "weak_acc": tracked.baselines.weak_acc,
        "ceiling_acc": tracked.baselines.ceiling_acc,
        "weak_pgr": 0.0,
        "ceiling_pgr": 1.0,
    }


def trial_summary(trial: TrackedTrial) -> dict[str, Any]:
    """How a trial ended; `final_pgr` is that of a completed one only."""
    assert trial.ended is not None
    summary: dict[str, Any] = {"state": trial.ended.state, "train_and_eval_s": trial.train_s}
    if trial.ended.cause:
        summary["cause"] = plain(trial.ended.cause)
    if trial.ended.state == "completed" and trial.last and trial.last.pgr is not None:
        summary |= {"final_pgr": trial.last.pgr, "final_pgr_se": trial.last.se}
    return summary


def campaign_row(tracked: Tracked, count: int) -> dict[str, float]:
    """Where the campaign stood when `count` trials had ended; the best PGR is of completed search trials."""
    ended = tracked.ended[:count]
    states = Counter(trial.ended.state for trial in ended if trial.ended)
    row: dict[str, float] = {"trials": count} | references(tracked)
    row |= {state: states[state] for state in ("completed", "pruned", "failed")}
    row["train_s"] = sum(trial.train_s for trial in ended)
    if score := search_score(ended[-1]):
        row["pgr"] = score[0]
    scores = [score for trial in ended if (score := search_score(trial))]
    return row | {"best_pgr": max(scores)[0]} if scores else row


def search_score(trial: TrackedTrial) -> tuple[float, float] | None:
    """PGR and standard error of a completed trial of the search, None for any other."""
    last, ended = trial.last, trial.ended
    if ended is None or ended.state != "completed" or trial.started.purpose != "search" or last is None:
        return None
    return None if last.pgr is None or last.se is None else (last.pgr, last.se)


def outcome_summary(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What the campaign's run shows of result.json: the methods themselves are in its artifact."""
    shown = {key: outcome[key] for key in ("baselines", "cost", "trials", "grader_queries")}
    scores = ("branch", "pgr", "se", "ci95", "seeds", "search_pgr", "over_naive", "beats_naive_p")
    for key in ("naive", "best"):
        shown[key] = {name: outcome[key][name] for name in scores if name in outcome[key]}
    return shown


FINDINGS = (
    "round",
    "branch",
    "family",
    "parent",
    "hypothesis",
    "trials",
    "completed",
    "pruned",
    "failed",
    "best_pgr",
    "best_pgr_se",
)
TRIALS = (
    "trial",
    "purpose",
    "branch",
    "state",
    "share",
    "accuracy",
    "pgr",
    "pgr_se",
    "train_s",
    "cause",
)


def findings(tracked: Tracked) -> Iterator[list[Any]]:
    """A row a branch, with the columns FINDINGS."""
    for number, branch in tracked.branches.values():
        trials = [
            one
            for one in tracked.trials.values()
            if one.started.branch == branch.name and one.started.purpose == "search"
        ]
        states = Counter(one.ended.state for one in trials if one.ended)
        scores = [score for one in trials if (score := search_score(one))]
        yield [
            number,
            branch.name,
            branch.family,
            branch.parent or "",
            plain(branch.hypothesis),
            len(trials),
            *(states[state] for state in ("completed", "pruned", "failed")),
            *(max(scores) if scores else (None, None)),
        ]


def trial_table(tracked: Tracked) -> Iterator[list[Any]]:
    """A row a trial, with the columns TRIALS."""
    for name, trial in tracked.trials.items():
        last, ended = trial.last, trial.ended
        yield [
            name,
            trial.started.purpose,
            trial.started.branch,
            ended.state if ended else "running",
            *((last.share, last.accuracy, last.pgr, last.se) if last else (None,) * 4),
            trial.train_s,
            plain(ended.cause or "") if ended else "",
        ]


def plain(text: str) -> str:
    """At most 500 characters on one line, none of them a control or direction mark, no address a link."""
    seen = "".join(mark if unicodedata.category(mark)[0] != "C" else " " for mark in text)
    return " ".join(seen.replace("://", ": //").split())[:TEXT_LENGTH]


def inert(text: str) -> str:
    """Plain text for where Markdown is rendered: every mark that could mean something is escaped."""
    return plain(text).translate(_ESCAPES)
