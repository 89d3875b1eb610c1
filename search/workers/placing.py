"""How many trials run at once on the cluster, and whether it has a place for one at all."""

from cluster.inventory import trials_at_once
from cluster.runtime import ray_runtime
from search.config.schema import RunConfig
from search.interrupt import interruptible
from search.workers.preparation import with_gpus


def trials_together(config: RunConfig) -> int:
    """How many trials run at once; the processes of a gang may run on several nodes."""
    trial, size = config.trial, config.trial.processes
    processes = trials_at_once(
        trial.needs,
        at_most=None if trial.concurrent is None else trial.concurrent * size,
        a_round=config.search.round_trials * size,
        elastic=trial.elastic,
    )
    if processes < size:
        raise ValueError(
            f"trial.processes {size} do not fit on this cluster together, only {processes} of them do; "
            "lower trial.processes or its needs, or add a node"
        )
    return processes // size


def require_place(config: RunConfig) -> None:
    """Raise ValueError, on one line, where the processes of a trial do not fit on this machine or cluster.

    Starts Ray, as a run does: it alone knows what it counts.
    """
    with interruptible() as stop, ray_runtime(config.trial.environment):
        trials_together(with_gpus(config, stop.check))
