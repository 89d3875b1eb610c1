"""The phases of a run, and its one count of trials: a trial is one training of one method with one seed."""

from collections.abc import Mapping
from dataclasses import dataclass

from search.config.schema import RunConfig
from search.ledger.events import EndState, Purpose
from search.ledger.record import Record
from search.output.live_view.forecast import Part
from search.output.live_view.remaining import hidden_is_exact, planned

NAMES: Mapping[Purpose, str] = {
    "search": "search",
    "replicate": "replication",
    "confirm": "confirmation",
    "hidden": "hidden tasks",
}
OF: Mapping[Purpose, str] = {
    "search": "of the search",
    "replicate": "replicates",
    "confirm": "of the confirmation",
    "hidden": "on hidden tasks",
}
STATES: tuple[EndState, ...] = ("completed", "pruned", "failed")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase of a run. ended, planned: trials. exact: whether as many as planned will certainly start.

    left_s: seconds by the clock, None if unknown. again: whether the phase comes again after all that ended.
    """

    purpose: Purpose
    ended: int
    planned: int
    exact: bool
    left_s: float | None
    again: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return NAMES[self.purpose]

    @property
    def count(self) -> str:
        """Ended and planned trials, as `3 of about 20`."""
        return f"{self.ended} of {'' if self.exact else 'about '}{self.planned}"


def phases(config: RunConfig, record: Record, clock_s: Mapping[Part, float] | None = None) -> list[Phase]:
    """The phases with trials, in their order. clock_s: seconds that are left of each."""
    counts = planned(config, record)
    over = record.search_over or record.course.finishing
    settled = record.confirming or record.finished
    again = record.tally("confirm").started > 0 and not settled
    exact: dict[Purpose, bool] = {
        "search": over or config.search.max_hours is None,
        "replicate": settled or config.replication.methods is not None or config.replication.seeds == 1,
        "confirm": not again,
        "hidden": hidden_is_exact(config, record),
    }
    return [
        Phase(
            purpose=purpose,
            ended=record.tally(purpose).ended.total(),
            planned=counts[purpose],
            exact=exact[purpose],
            left_s=None if clock_s is None else clock_s[purpose],
            again=again and purpose == "confirm",
        )
        for purpose in NAMES
        if counts[purpose]
    ]


def named(clock_s: Mapping[Part, float]) -> dict[str, float]:
    """Seconds that are left by the names of their phases, in their order; of those with something left."""
    left = {"baselines": clock_s.get("baselines", 0.0)} | {NAMES[part]: clock_s[part] for part in NAMES}
    return {name: seconds for name, seconds in left.items() if seconds}


def ended(record: Record) -> int:
    """The number of ended trials, of all phases."""
    return len(record.ended_trials)


def total(config: RunConfig, record: Record) -> str:
    """How many trials the run will have, as `124` or `about 124`."""
    found = phases(config, record)
    about = "" if all(phase.exact for phase in found) else "about "
    return f"{about}{sum(phase.planned for phase in found)}"


def counts(record: Record) -> dict[str, dict[str, int]]:
    """Trials of each phase: how many started, and how many ended in which state."""
    return {
        name: {"started": tally.started} | {state: tally.ended[state] for state in STATES}
        for purpose, name in NAMES.items()
        if (tally := record.tally(purpose))
    }


def purposes_text(by_phase: Mapping[str, Mapping[str, int]]) -> str:
    """What trials were for: `72 of the search, 20 replicates, 32 of the confirmation`. See `counts`."""
    started = {purpose: by_phase[name]["started"] for purpose, name in NAMES.items()}
    told = [f"{count} {_of(purpose, count)}" for purpose, count in started.items() if count]
    return ", ".join(told) or "none yet"


def _of(purpose: Purpose, count: int) -> str:
    return "replicate" if purpose == "replicate" and count == 1 else OF[purpose]


def trials_text(by_phase: Mapping[str, Mapping[str, int]]) -> str:
    """All trials and what they were for."""
    return f"{sum(phase['started'] for phase in by_phase.values())} trials ({purposes_text(by_phase)})"
