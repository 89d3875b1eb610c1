"""What is sent to W&B: names, tags, numbers and tables, computed from the ledger."""

import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from agents.language.naming import named_values
from search.tracking.ledger_view import LedgerView, TrialView
from trainers.component import Frozen

TEXT_LENGTH = 500
_ESCAPES = {ord(mark): f"\\{mark}" for mark in string.punctuation}


class RunDescription(Frozen):
    """The description of a trial's run at W&B."""

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    notes: str
    config: dict[str, Any]


def describe(campaign: str, view: LedgerView, trial: TrialView) -> RunDescription:
    """A run per trial: the group is its round, the tags its branch and family, the job type its purpose."""
    started = trial.started
    origin = view.origin(trial)
    label = origin[1].name if origin else "naive"
    return RunDescription(
        id=f"{campaign}-{started.trial}",
        name=f"{started.trial} {label}",
        group="confirmation" if started.purpose == "confirm" or origin is None else f"round-{origin[0]:03d}",
        job_type=started.purpose,
        tags=(label, origin[1].family) if origin else (label,),
        notes=escape_markdown(origin[1].hypothesis) if origin else "",
        config=flat(started.method.model_dump(mode="json")) | {"seed": started.seed},
    )


def flat(method: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A method's parameters under the names that Optuna uses: loss.kind, loss.logconf.aux."""
    return named_values((slot, component.items()) for slot, component in method.items())


def trial_row(view: LedgerView, trial: TrialView, index: int) -> dict[str, float]:
    """The numbers of a trial at a rung: scores, if there are any, with the baselines as reference lines."""
    rung = trial.rungs[index]
    row: dict[str, float] = {
        "share": rung.share,
        "train_s": sum(earlier.train_s for earlier in trial.rungs[: index + 1]),
    }
    if rung.pgr is not None and rung.se is not None and rung.accuracy is not None:
        row |= {"pgr": rung.pgr, "pgr_se": rung.se, "accuracy": rung.accuracy} | references(view)
    return row


def references(view: LedgerView) -> dict[str, float]:
    """Weak floor and ceiling, as accuracies and as PGR, where they are 0 and 1 by definition."""
    if view.baselines is None:
        return {}
    return {
        "weak_acc": view.baselines.weak_acc,
        "ceiling_acc": view.baselines.ceiling_acc,
        "weak_pgr": 0.0,
        "ceiling_pgr": 1.0,
    }


def trial_summary(trial: TrialView) -> dict[str, Any]:
    """How a trial ended. Only a completed trial has a `final_pgr`."""
    assert trial.ended is not None
    summary: dict[str, Any] = {"state": trial.ended.state, "train_and_eval_s": trial.train_s}
    if trial.ended.cause:
        summary["cause"] = plain(trial.ended.cause)
    if trial.ended.state == "completed" and trial.last and trial.last.pgr is not None:
        summary |= {"final_pgr": trial.last.pgr, "final_pgr_se": trial.last.se}
    return summary


def campaign_row(view: LedgerView, count: int) -> dict[str, float]:
    """The state of the campaign after `count` ended trials. best_pgr: of completed search trials."""
    ended = view.ended[:count]
    states = Counter(trial.ended.state for trial in ended if trial.ended)
    row: dict[str, float] = {"trials": count} | references(view)
    row |= {state: states[state] for state in ("completed", "pruned", "failed")}
    row["train_s"] = sum(trial.train_s for trial in ended)
    if score := search_score(ended[-1]):
        row["pgr"] = score[0]
    scores = [score for trial in ended if (score := search_score(trial))]
    return row | {"best_pgr": max(scores)[0]} if scores else row


def search_score(trial: TrialView) -> tuple[float, float] | None:
    """PGR and standard error of a completed search trial, None for any other trial."""
    last, ended = trial.last, trial.ended
    if ended is None or ended.state != "completed" or trial.started.purpose != "search" or last is None:
        return None
    return None if last.pgr is None or last.se is None else (last.pgr, last.se)


def outcome_summary(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The part of result.json in the summary of the campaign's run; the methods are in its artifact."""
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


def findings(view: LedgerView) -> Iterator[list[Any]]:
    """A row per branch, with the columns FINDINGS."""
    for number, branch in view.branches.values():
        trials = [
            trial
            for trial in view.trials.values()
            if trial.started.branch == branch.name and trial.started.purpose == "search"
        ]
        states = Counter(trial.ended.state for trial in trials if trial.ended)
        scores = [score for trial in trials if (score := search_score(trial))]
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


def trial_table(view: LedgerView) -> Iterator[list[Any]]:
    """A row per trial, with the columns TRIALS."""
    for name, trial in view.trials.items():
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
    """At most 500 characters on one line, without control or direction characters and without links."""
    visible = "".join(mark if unicodedata.category(mark)[0] != "C" else " " for mark in text)
    return " ".join(visible.replace("://", ": //").split())[:TEXT_LENGTH]


def escape_markdown(text: str) -> str:
    """Plain text with all punctuation escaped, for places where W&B renders Markdown."""
    return plain(text).translate(_ESCAPES)
