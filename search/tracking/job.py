"""The tracking process's orders; apart from the rest, so that the process that waits stays small."""

from typing import Any, Literal

from trainers.component import Frozen

Kind = Literal["offline", "online"]


class Job(Frozen):
    """What the tracking process is asked to do. No secret is in it: it lies in the run directory.

    campaign: the run's own id, which all ids at W&B start with. config: the run's settings. parameters: the
    sweep's. sweep: an existing one to use. patience_s: how long to go on once the search has ended.
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
