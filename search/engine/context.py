"""What every part of the engine needs of a run."""

from dataclasses import dataclass
from pathlib import Path

from search.config.schema import RunConfig
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.scoring.grader import SearchGrader
from search.scoring.several_tasks import SeveralTasks


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A run in the process that works on it.

    directory: the run directory. record: the sum of the ledger's events, updated before any other listener
    of the ledger. gap: ceiling minus weak floor on the search split, the unit of PGR. search_size: examples
    in the search split. several: the graders of several searched tasks, None for one; `grader` is then the
    same, the search split that of all tasks, and the gap one PGR.
    """

    config: RunConfig
    directory: Path
    ledger: Ledger
    record: Record
    grader: SearchGrader
    gap: float
    search_size: int
    several: SeveralTasks | None = None
