"""Who has opened the test examples of a run, for result.json and in words."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from search.ledger.events import TestOpened
from search.ledger.record import Record
from search.ledger.steered import Steered


def openings_part(record: Record, from_runs: Sequence[str]) -> dict[str, Any]:
    """The part of result.json that `openings_text` reads; its test_split is None before it was opened."""
    return {
        "test_split": opened_test_row(record, record.test_opened),
        "steered": [_steered(order, record) for order in record.course.orders],
        "from_runs": from_runs_rows(record, from_runs),
    }


def _steered(order: Steered, record: Record) -> dict[str, Any]:
    """What a person changed. after_opening: it extended a run that had opened its test split."""
    return {
        "at": order.at,
        "by": order.by,
        "settings": order.settings,
        "implied": list(order.implied),
        "said": list(order.sentences()),
        "after_opening": order in record.after_opening,
    }


def opened_test_row(record: Record, opened: TestOpened | None) -> dict[str, Any] | None:
    """How often the examples of a test split have been opened by any run, and by which.

    by: every opening, oldest first. shared: how many of the examples it had in common with this test split.
    opened: this run's last opening of it.
    """
    if opened is None or record.started is None:
        return None
    by = [opening.model_dump() for opening in opened.earlier]
    own = {"at": opened.at, "shared": opened.examples}
    return {
        "digest": opened.digest,
        "opened": len(by) + 1,
        "by": [*by, {"run": record.started.run, "id": record.started.id} | own],
    }


def from_runs_rows(record: Record, from_runs: Sequence[str]) -> list[dict[str, Any]]:
    """The earlier runs whose methods the search began with, and whether they had opened test examples.

    scores: of theirs, how many the search began with. Ledgers of earlier versions do not say which runs they
    were: there a run is known by the name of its directory, and has no scores.
    """
    opened = [one for one in (record.test_opened, *record.opened_elsewhere.values()) if one is not None]
    known = {(earlier.run, earlier.id) for one in opened for earlier in one.earlier}
    scores = Counter[tuple[str, str]]()
    if record.earlier:
        for task in record.earlier.tasks:
            scores[task.run, task.id] += len(task.scores)
    else:
        names = [place.partition("?")[0].rstrip("/").rpartition("/")[2] for place in from_runs]
        scores.update({(name, ""): 0 for name in names})
    return [
        {"run": run, "opened_test": _opened(run, id, known), "scores": count}
        for (run, id), count in scores.items()
    ]


def _opened(run: str, id: str, known: Collection[tuple[str, str]]) -> bool:
    """Whether a run is among those that opened; where either has no id, by its name."""
    return any((id == other) if id and other else (run == name) for name, other in known)


def openings_text(outcome: Mapping[str, Any]) -> str:
    """Who has opened the test split, in words; empty for a result of an earlier version.

    Runs whose directories have one name are told apart by their ids, which `status --json` gives.
    """
    split = outcome.get("test_split")
    if not split:
        return ""
    counts = Counter(_named_openings(split["by"]))
    names = ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in counts.items())
    times = "once" if split["opened"] == 1 else f"{split['opened']} times"
    return f"the test split has been opened {times}, by {names}{_extended(outcome)}{_begun(outcome)}"


def _named_openings(by: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The run of each opening, with its id where several have its name; one without an id is any of them."""
    ids: dict[str, set[str]] = {}
    for opening in by:
        ids.setdefault(opening["run"], set()).update({opening.get("id", "")} - {""})
    for opening in by:
        known = opening.get("id", "") and len(ids[opening["run"]]) > 1
        yield f"{opening['run']} [{opening['id']}]" if known else opening["run"]


def _begun(outcome: Mapping[str, Any]) -> str:
    """A clause for a search that began with methods of runs that had opened test examples of it."""
    opened = ", ".join(row["run"] for row in outcome.get("from_runs", ()) if row["opened_test"])
    return (
        f"; the search began with methods of runs that had opened test examples: {opened}" if opened else ""
    )


def _extended(outcome: Mapping[str, Any]) -> str:
    """A clause for a run that was extended when its test split had been opened; empty for another."""
    orders = [order for order in outcome.get("steered", ()) if order["after_opening"]]
    asked = (
        place for order in orders for place in order["settings"] if place not in order.get("implied", ())
    )
    places = ", ".join(dict.fromkeys(asked))
    if not places:
        return ""
    return (
        f"; the run was extended ({places}) after an outcome was known: no p or interval counts that choice"
    )
