"""How many trials run at once: arithmetic over the needs of a trial and what nodes have. No Ray."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Resources = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The needs of a trial: CPUs, GPUs (a fraction below 1, or whole GPUs) and bytes of host memory."""

    cpus: float
    gpus: float
    memory: float = 0

    @property
    def resources(self) -> dict[str, float]:
        """Amounts by Ray's resource names, without those of 0."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return {name: amount for name, amount in named.items() if amount > 0}

    def __str__(self) -> str:
        memory = f", trial.host_memory_gb {self.memory / 1e9:g}" if self.memory else ""
        return f"trial.cpus {self.cpus:g}, trial.gpus {self.gpus:g}{memory}"


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Equal nodes that an autoscaler may start. at_most: their number, None for no limit."""

    resources: Resources
    at_most: int | None


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The number of trials that fit now, and after the cluster has grown (None: no limit)."""

    now: int
    grown: int | None


def trials_that_fit(needs: Resources, nodes: Iterable[Resources]) -> int:
    """How many trials fit on these nodes; no trial spans nodes, no GPU fraction spans GPUs.

    needs, nodes: amounts by Ray's resource names, such as {"CPU": 1, "GPU": 0.5}; needs of 0 always fit.
    """
    return sum(_fit(needs, node) for node in nodes)


def placement(needs: Resources, nodes: Mapping[str, Resources]) -> dict[str, int]:
    """How many trials fit on each named node; nodes without room for a trial are left out."""
    fitting = {name: _fit(needs, node) for name, node in nodes.items()}
    return {name: trials for name, trials in fitting.items() if trials}


def _fit(needs: Resources, node: Resources) -> int:
    wanted = {name: amount for name, amount in needs.items() if amount > 0}
    return min((_times(name, amount, node.get(name, 0)) for name, amount in wanted.items()), default=0)


def _times(name: str, amount: float, available: float) -> int:
    if name == "GPU" and amount < 1:
        return math.floor(1 / amount + 1e-9) * math.floor(available)
    return math.floor(available / amount + 1e-9)


def capacity(needs: Resources, nodes: Sequence[Resources], groups: Sequence[NodeGroup]) -> Capacity:
    """The number of trials that fit now and after growth.

    A node with the CPUs and GPUs of a group counts as a node of this group, up to the group's limit; any
    other node is permanent. If the two look alike, the result is off by a few trials, which then wait for a
    node as on a full cluster.
    """
    now = trials_that_fit(needs, nodes)
    fixed = list(nodes)
    grown = 0
    for group in groups:
        members = [node for node in fixed if _alike(node, group.resources)][: group.at_most]
        for node in members:
            fixed.remove(node)
        trials = _fit(needs, group.resources)
        if trials and group.at_most is None:
            return Capacity(now=now, grown=None)
        grown += trials * (group.at_most or 0)
    return Capacity(now=now, grown=max(now, grown + trials_that_fit(needs, fixed)))


def _alike(first: Resources, second: Resources) -> bool:
    return all(first.get(name, 0) == second.get(name, 0) for name in ("CPU", "GPU"))


def trials_a_gpu(trial_bytes: int, gpu_bytes: int) -> int:
    """How many trials of a predicted size fit on a GPU; 0 if not even a single trial fits.

    trial_bytes: including all margins, from `trainers.training.memory.prediction.on_device`.
    """
    return gpu_bytes // trial_bytes


def gpu_share(trial_bytes: int, gpu_bytes: int) -> float:
    """The `trial.gpus` with which as many trials share a GPU as its memory holds.

    1 if not even a single trial fits: it then uses smaller micro-batches.
    """
    together = max(1, trials_a_gpu(trial_bytes, gpu_bytes))
    return math.floor(1e4 / together) / 1e4  # Ray counts fractions in ten-thousandths


def open_share(gpu_bytes: Sequence[int], trial_bytes: int | None, *, may_come: bool) -> float:
    """The `trial.gpus` if the config leaves it open: 0, 1, or the fraction that the memory allows.

    gpu_bytes: memory of the GPUs present, of which the smallest decides. trial_bytes: None if unknown.
    may_come: whether the cluster can start nodes with GPUs, whose memory is unknown until then.
    """
    if not gpu_bytes:
        return 1.0 if may_come else 0.0
    return 1.0 if trial_bytes is None else gpu_share(trial_bytes, min(gpu_bytes))


def decide(needs: Needs, capacity: Capacity, at_most: int | None, a_round: int) -> int:
    """How many trials to run at once.

    at_most: a limit from the config, or None. On a cluster that can grow, the limit is its full size, but at
    most the trials of a round: trials drawn at the same time learn nothing from each other. Raises
    ValueError, on one line, if no present or possible node holds a trial.
    """
    if capacity.grown == 0:
        raise ValueError(f"{needs} fit on no node, and no node that would hold them can be started")
    grown = a_round if capacity.grown is None else min(capacity.grown, a_round)
    trials = max(capacity.now, grown)
    return trials if at_most is None else min(trials, at_most)
