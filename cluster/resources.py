"""From what a trial needs and what the cluster has, or can grow to, to how many trials run at once."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml
from ray._private.state import state  # the only place where Ray keeps what its cluster can grow to
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

log = logging.getLogger(__name__)

Resources = Mapping[str, float]

BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")  # where `ray up` leaves its cluster config on the head node
GLANCE = 0.01  # of a GPU, to read its memory


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


def trials_at_once(needs: Needs, *, at_most: int | None, a_round: int, elastic: bool) -> int:
    """How many trials to run at once on the Ray cluster this process is connected to; see `decide`.

    elastic: the cluster starts nodes for waiting trials though Ray does not say which, as under KubeRay: then
    `at_most` is believed. Raises ValueError, one line, where a trial would wait for ever.
    """
    if elastic and at_most is not None:
        return at_most
    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]  # Ray has no types
    can = capacity(needs.resources, list(nodes.values()), node_groups())
    log.info("trials a node: %s; grown: %s", placement(needs.resources, nodes), can.grown)
    try:
        return decide(needs, can, at_most, a_round)
    except ValueError as error:
        largest = ", ".join(
            f"{max((node.get(key, 0) for node in nodes.values()), default=0) / unit:g} {name}"
            for key, unit, name in (("CPU", 1, "CPUs"), ("GPU", 1, "GPUs"), ("memory", 1e9, "GB"))
        )
        raise ValueError(
            f"{error}: the largest has {largest}; lower the needs, add a node, or, where nodes are "
            "started for waiting trials, set trial.elastic and trial.concurrent"
        ) from None


def gpu_memories() -> list[int]:
    """Bytes of a GPU of each node that has some, of the Ray cluster that this process is connected to."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]  # type: ignore[no-untyped-call]  # Ray has no types
    return ray.get([_look_from(node["NodeID"]).remote() for node in nodes])


def _look_from(node: str) -> Any:
    here: Any = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, num_gpus=GLANCE, scheduling_strategy=here)(_gpu_bytes)


def _gpu_bytes() -> int:
    import torch  # takes seconds, and only a worker with a GPU needs it

    return int(torch.cuda.get_device_properties(0).total_memory)


def gpus_may_come() -> bool:
    """Whether the connected cluster can start nodes with GPUs."""
    return any(group.resources.get("GPU") and group.at_most != 0 for group in node_groups())


def node_groups() -> list[NodeGroup]:
    """What the connected cluster can start, by what its autoscaler reported or `ray up` was told."""
    reported = state.get_cluster_config()
    if reported is not None and reported.node_group_configs:
        return [
            NodeGroup(resources=dict(group.resources), at_most=_limit(group.max_count))
            for group in reported.node_group_configs
        ]
    bootstrap = BOOTSTRAP.expanduser()
    return groups_of_ray_up(yaml.safe_load(bootstrap.read_text())) if bootstrap.is_file() else []


def _limit(count: int) -> int | None:
    return None if count < 0 else count


def groups_of_ray_up(config: Mapping[str, Any]) -> list[NodeGroup]:
    """The worker groups of a cluster config of `ray up`; its `max_workers` bounds each of them."""
    limit = config.get("max_workers")
    groups = []
    for kind, node in config.get("available_node_types", {}).items():
        if kind == config.get("head_node_type"):
            continue
        at_most = node.get("max_workers", limit)
        groups.append(NodeGroup(resources=dict(node.get("resources", {})), at_most=at_most))
    return groups
