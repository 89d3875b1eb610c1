"""Extending a run: which settings may change after it began, and how the change is written down."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.config.load import changed, follows_from_methods, overrides_of, setting
from search.config.schema import RunConfig
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.ledger.steered import BESIDE, Steered
from search.steering.check import FIXED
from search.storage.run_directory import RunDirectory

EXTENDABLE = (
    "search.trials",
    "search.max_hours",
    "search.effort",
    "replication.effort",
    "replication.methods",
    "replication.seeds",
    "confirm.seeds",
    "confirm.finalists",
    "confirm.predictions",
    "agent.max_usd",
)
EXTENT = ("search.trials", "search.max_hours", "search.effort")  # how far a search goes
ONLY_RISE = ("replication.", "confirm.")  # once the test split was opened: what it showed must not be dropped


def extend(run: RunDirectory, overrides: Sequence[str]) -> list[str]:
    """Change settings of a run that no process works on; returns what changed, a sentence each.

    The outcome that a finished run has is kept as result-1.json, result-2.json, … Raises ValueError, one
    line, for a setting that may not change, or if a process works on the run.
    """
    with run.locked():
        config, record = run.load()
        config = run.settled(config, record)
        order = extension(config, record, overrides)
        if order is None:
            return []
        if record.started is not None:
            if order.reopens and record.finished:
                run.keep_result(record.test_openings)
            ledger = Ledger(run.ledger)
            ledger.append(order, durable=True)
            ledger.close()
        run.write_config(changed(config, order.settings))
    sentences = list(order.sentences())
    if order.reopens and record.test_openings:
        sentences.append(
            f"this run has opened its test split {times(record.test_openings)}: its next outcome opens it "
            "again, and says so"
        )
    return sentences


def extension(config: RunConfig, record: Record, overrides: Sequence[str]) -> Steered | None:
    """The order that `--set` gives to a run that has begun; None if nothing changes.

    Raises ValueError, one line, for a setting that may not change, or not so.
    """
    settings = overrides_of(overrides)
    for place in settings:
        if place not in EXTENDABLE and not place.startswith(BESIDE):
            changed(config, {place: settings[place]})  # which says so if there is no such setting
            allowed = ", ".join((*EXTENDABLE, *(f"{group}*" for group in BESIDE)))
            raise ValueError(
                f"--set {place}: cannot change after a run began, only {allowed} can; start a new run for it"
            )
    if record.test_openings:  # before the config is made, which would complain of what was not asked for
        _check_only_rise(
            config, {place: new for place, new in settings.items() if isinstance(new, int | float)}
        )
    implied: tuple[str, ...] = ()
    if "confirm.seeds" in settings and config.confirm.supervisors is None:
        settings["confirm.supervisors"] = config.confirm.fresh_supervisors  # else every seed would move
        implied = ("confirm.supervisors",)
    after = changed(config, settings)
    for place, value in settings.items():
        if follows_from_methods(after, place, value):
            raise ValueError(f"--set {place}: {FIXED}")
    new = {place: setting(after, place) for place in settings}
    settings = {place: value for place, value in new.items() if value != setting(config, place)}
    if record.hidden_read and any(not place.startswith(BESIDE) for place in settings):
        raise ValueError(
            f"--set {next(iter(settings))}: this run has read its hidden tasks, and what they show must not "
            "decide about more training; start a new run of this config, whose baselines the cache has"
        )
    if record.test_openings:
        _check_only_rise(config, settings)
        if not record.course.finishing:  # a search that a person ended early has more to do
            _check_more_to_do(config, settings)
    if not settings:
        return None
    return Steered(by="resume", settings=settings, implied=implied, config_sha256=after.sha256)


def _check_only_rise(before: RunConfig, settings: Mapping[str, Any]) -> None:
    for place, new in settings.items():
        old = setting(before, place)
        if place.startswith(ONLY_RISE) and old is not None and (new is None or new < old):
            raise ValueError(
                f"--set {place}={new}: this run has opened its test split, so it may only rise above {old}: "
                "nothing that was seen there may be dropped"
            )


def _check_more_to_do(before: RunConfig, settings: Mapping[str, Any]) -> None:
    """Refuse an order that asks for less than was searched, and for nothing else."""
    for place, new in settings.items():
        old = setting(before, place)
        if not place.startswith(BESIDE) and not (place in EXTENT and _is_less(new, old)):
            return
    for place in settings:
        if place in EXTENT:
            raise ValueError(
                f"--set {place}={settings[place]}: the search went on to {setting(before, place)} and has "
                "ended, so less gives it nothing to do, and would open the test split again: set it higher"
            )


def _is_less(new: float | None, old: float | None) -> bool:
    return old is not None and new is not None and new < old


def times(count: int) -> str:
    """How often: once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
