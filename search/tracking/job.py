"""The input of the tracking process; a module of its own, to keep the waiting process small."""

from typing import Any, Literal

from trainers.component import Frozen

Kind = Literal["offline", "online"]


class Job(Frozen):
    """What the tracking process has to do. It contains no secrets, as it lies in the run directory.

    campaign: the run's id, the prefix of all ids at W&B. config: the run's settings. parameters: the
    parameters of the sweep. sweep: the id of an existing sweep to use. patience_s: seconds to continue after
    the search has ended.
    """

    directory: str
    kind: Kind
    project: str
    entity: str | None
    sweep: str | None
    campaign: str
    name: str
    config: dict[str, Any]
    parameters: dict[str, Any]
    patience_s: float
