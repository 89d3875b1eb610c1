"""From what a trial needs and what the cluster has to how many trials run at once."""

import math
from collections.abc import Iterable, Mapping

import ray


def trials_that_fit(needs: Mapping[str, float], nodes: Iterable[Mapping[str, float]]) -> int:
    """How many trials fit on these nodes together; none spans nodes, nor a share of a GPU two GPUs.

    needs and each node: amounts by Ray's resource names, such as {"CPU": 1, "GPU": 0.5}; needs of 0 are free.
    """
    wanted = {name: amount for name, amount in needs.items() if amount > 0}
    return sum(
        min((_times(name, amount, node.get(name, 0)) for name, amount in wanted.items()), default=0)
        for node in nodes
    )


def _times(name: str, amount: float, there: float) -> int:
    if name == "GPU" and amount < 1:
        return math.floor(1 / amount + 1e-9) * math.floor(there)
    return math.floor(there / amount + 1e-9)


def trials_at_once(cpus: float, gpus: float, at_most: int | None) -> int:
    """How many trials to run at once on the Ray cluster this process is connected to.

    Raises ValueError, one line, where not even one fits on any node.
    """
    known = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [node["Resources"] for node in known if node["Alive"]]
    fit = trials_that_fit({"CPU": cpus, "GPU": gpus}, nodes)
    if fit == 0:
        largest = {name: max(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU")}
        raise ValueError(
            f"trial.cpus {cpus:g} and trial.gpus {gpus:g} fit on no node: the largest has "
            f"{largest['CPU']:g} CPUs and {largest['GPU']:g} GPUs; lower the needs or add a node"
        )
    return fit if at_most is None else min(fit, at_most)
