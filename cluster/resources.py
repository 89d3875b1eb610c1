"""How many trials run at once: from what a trial needs and what nodes have. Arithmetic, without Ray."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Resources = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one trial needs: CPUs, GPUs (a share of one, or whole ones) and bytes of host memory."""

    cpus: float
    gpus: float
    memory: float = 0

    @property
    def resources(self) -> dict[str, float]:
        """By Ray's resource names, those of 0 left out."""
        named = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return {name: amount for name, amount in named.items() if amount > 0}

    def __str__(self) -> str:
        memory = f", trial.host_memory_gb {self.memory / 1e9:g}" if self.memory else ""
        return f"trial.cpus {self.cpus:g}, trial.gpus {self.gpus:g}{memory}"


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Equal nodes that an autoscaler may start. at_most: how many, None for without limit."""

    resources: Resources
    at_most: int | None


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Trials that fit on today's nodes, and once the cluster has grown (None: without limit)."""

    now: int
    grown: int | None


def trials_that_fit(needs: Resources, nodes: Iterable[Resources]) -> int:
    """How many trials fit on these nodes together; none spans nodes, nor a share of a GPU two GPUs.

    needs and each node: amounts by Ray's resource names, such as {"CPU": 1, "GPU": 0.5}; needs of 0 are free.
    """
    return sum(_on(needs, node) for node in nodes)


def placement(needs: Resources, nodes: Mapping[str, Resources]) -> dict[str, int]:
    """How many trials each named node holds; nodes that hold none are left out."""
    held = {name: _on(needs, node) for name, node in nodes.items()}
    return {name: trials for name, trials in held.items() if trials}


def _on(needs: Resources, node: Resources) -> int:
    wanted = {name: amount for name, amount in needs.items() if amount > 0}
    return min((_times(name, amount, node.get(name, 0)) for name, amount in wanted.items()), default=0)


def _times(name: str, amount: float, there: float) -> int:
    if name == "GPU" and amount < 1:
        return math.floor(1 / amount + 1e-9) * math.floor(there)
    return math.floor(there / amount + 1e-9)


def capacity(needs: Resources, nodes: Sequence[Resources], groups: Sequence[NodeGroup]) -> Capacity:
    """Trials that fit now and after growth.

    A node whose CPUs and GPUs are those of a group counts as one of it, up to the group's limit; any other
    is there to stay. Where the two cannot be told apart this errs by a few trials, which then wait for a
    node as those of a full cluster do.
    """
    now = trials_that_fit(needs, nodes)
    fixed = list(nodes)
    grown = 0
    for group in groups:
        members = [node for node in fixed if _alike(node, group.resources)][: group.at_most]
        for node in members:
            fixed.remove(node)
        one = _on(needs, group.resources)
        if one and group.at_most is None:
            return Capacity(now=now, grown=None)
        grown += one * (group.at_most or 0)
    return Capacity(now=now, grown=max(now, grown + trials_that_fit(needs, fixed)))


def _alike(node: Resources, other: Resources) -> bool:
    return all(node.get(name, 0) == other.get(name, 0) for name in ("CPU", "GPU"))


def trials_a_gpu(trial_bytes: int, gpu_bytes: int) -> int:
    """How many trials of a predicted size share one GPU; 0 where not even one fits.

    trial_bytes: with all margins, as `trainers.training.memory.on_device` tells it.
    """
    return gpu_bytes // trial_bytes


def gpu_share(trial_bytes: int, gpu_bytes: int) -> float:
    """The `trial.gpus` that lets as many trials share a GPU as its memory holds.

    A whole one where not even one fits: it then takes its batch in smaller pieces.
    """
    together = max(1, trials_a_gpu(trial_bytes, gpu_bytes))
    return math.floor(1e4 / together) / 1e4  # Ray counts shares in ten-thousandths


def open_share(gpu_bytes: Sequence[int], trial_bytes: int | None, *, may_come: bool) -> float:
    """The `trial.gpus` where the config leaves it open: none, a whole one, or what its memory allows.

    gpu_bytes: of the GPUs there are, of which the smallest decides. trial_bytes: None where it is not known.
    may_come: whether nodes with GPUs may be started; before one has, its memory is not known.
    """
    if not gpu_bytes:
        return 1.0 if may_come else 0.0
    return 1.0 if trial_bytes is None else gpu_share(trial_bytes, min(gpu_bytes))


def decide(needs: Needs, can: Capacity, at_most: int | None, a_round: int) -> int:
    """How many trials to run at once.

    at_most: a limit set by hand, None for none. A cluster that can grow is asked for as many trials as it can
    grow to, but for no more than a round's: trials that are all drawn at once learn nothing from each other.
    Raises ValueError, one line, where not even one fits on any node there is or can be.
    """
    if can.grown == 0:
        raise ValueError(f"{needs} fit on no node, and no node that would hold them can be started")
    grown = a_round if can.grown is None else min(can.grown, a_round)
    trials = max(can.now, grown)
    return trials if at_most is None else min(trials, at_most)
