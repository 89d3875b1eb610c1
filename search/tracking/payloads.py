"""What is sent to W&B: names, tags, numbers and tables, computed from the ledger."""

import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from agents.language.naming import named_values
from search.ledger.record import BranchRecord, Record
from search.ledger.trial_record import TrialRecord
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


def describe(campaign: str, record: Record, trial: TrialRecord) -> RunDescription:
    """A run per trial: the group is its round, the tags its branch and family, the job type its purpose."""
    found = origin(record, trial)
    label = found.branch.name if found else "naive"
    return RunDescription(
        id=f"{campaign}-{trial.trial}",
        name=f"{trial.trial} {label}",
        group=_group(trial, found),
        job_type=trial.purpose,
        tags=(label, found.branch.family) if found else (label,),
        notes=escape_markdown(found.branch.hypothesis) if found else "",
        config=flat(trial.method.model_dump(mode="json")) | {"seed": trial.seed},
    )


def _group(trial: TrialRecord, found: BranchRecord | None) -> str:
    if trial.purpose == "hidden":
        return f"hidden-{trial.task}"
    return "confirmation" if trial.confirms or found is None else f"round-{found.round:03d}"


def origin(record: Record, trial: TrialRecord) -> BranchRecord | None:
    """The branch that a trial's method comes from; None for the naive baseline.

    A confirmation trial names no branch: its branch is that of the search trial with the same method.
    """
    if trial.branch:
        return record.branches[trial.branch]
    for searched in record.of_purpose("search"):
        if searched.method == trial.method:
            return record.branches[searched.branch]
    return None


def flat(method: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A method's parameters under the names that Optuna uses: loss.kind, loss.logconf.aux."""
    return named_values((slot, component.items()) for slot, component in method.items())


def trial_row(record: Record, trial: TrialRecord, index: int) -> dict[str, float]:
    """The numbers of a trial at a rung: scores, if there are any, with the baselines as reference lines.

    pgr/TASK: of several searched tasks, on each of them.
    """
    rungs = list(trial.rungs.values())
    rung = rungs[index]
    row: dict[str, float] = {
        "share": rung.share,
        "train_s": sum(earlier.train_s for earlier in rungs[: index + 1]),
    }
    if rung.pgr is not None and rung.se is not None and rung.accuracy is not None:
        row |= {"pgr": rung.pgr, "pgr_se": rung.se, "accuracy": rung.accuracy} | references(record)
    on_tasks = trial.reached_on(rung.share).items()
    return row | {f"pgr/{task}": one.pgr for task, one in on_tasks if one.pgr is not None}


def baselines_config(record: Record) -> dict[str, Any]:
    """For the config of the campaign's run: weak floor and ceiling of each of several searched tasks."""
    tasks = record.baselines.tasks if record.baselines else ()
    floors = {
        task.name: {
            "weak_acc": task.weak_acc,
            "weak_se": task.weak_se,
            "ceiling_acc": task.ceiling_acc,
            "ceiling_se": task.ceiling_se,
            "search_examples": task.examples,
        }
        for task in tasks
    }
    return {"tasks_baselines": floors} if floors else {}


def references(record: Record) -> dict[str, float]:
    """Weak floor and ceiling, as accuracies and as PGR, where they are 0 and 1 by definition."""
    if record.baselines is None:
        return {}
    return {
        "weak_acc": record.baselines.weak_acc,
        "ceiling_acc": record.baselines.ceiling_acc,
        "weak_pgr": 0.0,
        "ceiling_pgr": 1.0,
    }


def trial_summary(trial: TrialRecord) -> dict[str, Any]:
    """How a trial ended. final_pgr: at its best rung, where the method that stops there is finished."""
    summary: dict[str, Any] = {"state": trial.state, "train_and_eval_s": trial.train_s}
    if trial.cause:
        summary["cause"] = plain(trial.cause)
    if trial.best is not None:
        summary |= {
            "final_pgr": trial.best.pgr,
            "final_pgr_se": trial.best.se,
            "stopped_at": trial.best.share,
        }
    return summary


def campaign_row(record: Record, count: int) -> dict[str, float]:
    """The state of the campaign after `count` ended trials. best_pgr: of search trials."""
    ended = record.ended_trials[:count]
    states = Counter(trial.state for trial in ended)
    row: dict[str, float] = {"trials": count} | references(record)
    row |= {state: states[state] for state in ("completed", "pruned", "failed")}
    row["train_s"] = sum(trial.train_s for trial in ended)
    if score := search_score(ended[-1]):
        row["pgr"] = score[0]
    scores = [score for trial in ended if (score := search_score(trial))]
    return row | {"best_pgr": max(scores)[0]} if scores else row


def search_score(trial: TrialRecord) -> tuple[float, float] | None:
    """PGR and standard error at the best rung of a search trial, None for any other trial."""
    best = trial.best
    if trial.purpose != "search" or best is None or best.pgr is None or best.se is None:
        return None
    return best.pgr, best.se


def outcome_summary(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The part of result.json in the summary of the campaign's run; the methods are in its artifact."""
    parts = ("baselines", "cost", "trials", "grader_queries", "sources", "test_split")
    shown = {part: outcome[part] for part in parts if part in outcome}
    scores = ("branch", "accuracy", "pgr", "se", "ci95", "seeds", "search_pgr", "over_naive", "beats_naive_p")
    for key in ("naive", "best"):
        shown[key] = {name: outcome[key][name] for name in scores if name in outcome[key]}
    if hidden := outcome.get("hidden"):
        best = hidden["best"]
        shown["hidden"] = {
            name: best[name] for name in ("on", "pgr", "over_naive", "beats_naive_p", "shrinkage")
        }
        first = outcome["finalists"][0]["trial"]
        shown["hidden"]["tasks"] = {task["name"]: _pgrs(task, first) for task in hidden["tasks"]}
    if tasks := outcome.get("tasks"):
        first = outcome["finalists"][0]["trial"]
        shown["tasks"] = {task["name"]: _pgrs(task, first) for task in tasks}
    return shown


def _pgrs(task: Mapping[str, Any], best: str) -> dict[str, float | None]:
    """Of naive and of the best on a task; None where there is no gap, or the best was not confirmed there.

    best: its trial.
    """
    found = (one["pgr"] for one in task["finalists"] if one["trial"] == best)
    return {"naive_pgr": task["naive"]["pgr"], "best_pgr": next(found, None)}


FINALISTS = ("method", "pgr", "se", "accuracy", "over_naive", "p")


def finalist_rows(outcome: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Naive and the finalists on the test split, a row each; the columns are FINALISTS."""
    naive = outcome["naive"]
    yield ["naive", naive["pgr"], naive["se"], naive.get("accuracy"), None, None]
    for place, finalist in enumerate(outcome.get("finalists", ()), start=1):
        over = finalist["over_naive"]["accuracy" if finalist["pgr"] is None else "pgr"]
        scores = [finalist[name] for name in ("pgr", "se")] + [finalist.get("accuracy")]
        yield [plain(f"{place}. {finalist['branch']}"), *scores, over, finalist["beats_naive_p"]]


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


def findings(record: Record) -> Iterator[list[Any]]:
    """A row per branch, with the columns FINDINGS."""
    for found in record.branches.values():
        branch = found.branch
        trials = [trial for trial in record.of_purpose("search") if trial.branch == branch.name]
        states = Counter(trial.state for trial in trials)
        scores = [score for trial in trials if (score := search_score(trial))]
        yield [
            found.round,
            branch.name,
            branch.family,
            branch.parent or "",
            plain(branch.hypothesis),
            len(trials),
            *(states[state] for state in ("completed", "pruned", "failed")),
            *(max(scores) if scores else (None, None)),
        ]


def trial_table(record: Record) -> Iterator[list[Any]]:
    """A row per trial, with the columns TRIALS."""
    for name, trial in record.trials.items():
        last = trial.last
        yield [
            name,
            trial.purpose,
            trial.branch,
            trial.state or "running",
            *((last.share, last.accuracy, last.pgr, last.se) if last else (None,) * 4),
            trial.train_s,
            plain(trial.cause or ""),
        ]


def plain(text: str) -> str:
    """At most 500 characters on one line, without control or direction characters and without links."""
    visible = "".join(mark if unicodedata.category(mark)[0] != "C" else " " for mark in text)
    return " ".join(visible.replace("://", ": //").split())[:TEXT_LENGTH]


def escape_markdown(text: str) -> str:
    """Plain text with all punctuation escaped, for places where W&B renders Markdown."""
    return plain(text).translate(_ESCAPES)
