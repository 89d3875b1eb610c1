"""What the connected Ray cluster has and can grow to, and how many trials it runs at once."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
import yaml
from ray._private.state import state  # the only place where Ray keeps what its cluster can grow to
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.patience import Patience
from cluster.resources import Needs, NodeGroup, capacity, decide, placement

log = logging.getLogger(__name__)

BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")  # where `ray up` leaves its cluster config on the head node
POLL_S = 0.5
PROBE_SHARE = 0.01  # of a GPU, for the task that reads its memory


def trials_at_once(needs: Needs, *, at_most: int | None, a_round: int, elastic: bool) -> int:
    """How many trials to run at once on the connected Ray cluster; see `decide`.

    elastic: the cluster starts nodes for waiting trials but does not report them, as KubeRay does: then
    `at_most` is used as it is. Raises ValueError, on one line, if a trial would wait for ever.
    """
    if elastic and at_most is not None:
        return at_most
    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]  # Ray has no types
    size = capacity(needs.resources, list(nodes.values()), node_groups())
    log.info("trials per node: %s; after growth: %s", placement(needs.resources, nodes), size.grown)
    try:
        return decide(needs, size, at_most, a_round)
    except ValueError as error:
        largest = ", ".join(
            f"{max((node.get(key, 0) for node in nodes.values()), default=0) / unit:g} {name}"
            for key, unit, name in (("CPU", 1, "CPUs"), ("GPU", 1, "GPUs"), ("memory", 1e9, "GB"))
        )
        raise ValueError(
            f"{error}: the largest has {largest}; lower the needs, add a node, or, where nodes are "
            "started for waiting trials, set trial.elastic and trial.concurrent"
        ) from None


def gpu_memories(limit_s: float, every_poll: Callable[[], None]) -> list[int]:
    """Memory in bytes of a GPU of each node that has GPUs, on the connected Ray cluster.

    limit_s: longest wait for these GPUs, which others may use. every_poll: called meanwhile; what it raises
    ends the wait. Raises WaitTooLongError.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]  # type: ignore[no-untyped-call]  # Ray has no types
    probes = [_probe_on(node["NodeID"]).remote() for node in nodes]
    patience = Patience(
        f"{PROBE_SHARE:g} of a GPU on each of {len(nodes)} nodes, to read its memory,",
        limit_s,
        "faults.cluster_limit_s",
        "free the GPUs, or set trial.gpus",
    )
    while probes and ray.wait(probes, num_returns=len(probes), timeout=POLL_S)[1]:
        every_poll()
        patience.check()
    return ray.get(probes)


def _probe_on(node: str) -> Any:
    on_node: Any = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, num_gpus=PROBE_SHARE, scheduling_strategy=on_node)(_gpu_bytes)


def _gpu_bytes() -> int:
    import torch  # slow to import, and only a worker with a GPU needs it

    return int(torch.cuda.get_device_properties(0).total_memory)


def gpus_may_come() -> bool:
    """Whether the connected cluster can start nodes with GPUs."""
    return any(group.resources.get("GPU") and group.at_most != 0 for group in node_groups())


def node_groups() -> list[NodeGroup]:
    """The nodes that the connected cluster can start, from its autoscaler or the config of `ray up`."""
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
    """The worker groups of a `ray up` config; its `max_workers` bounds each of them."""
    limit = config.get("max_workers")
    groups = []
    for kind, node in config.get("available_node_types", {}).items():
        if kind == config.get("head_node_type"):
            continue
        at_most = node.get("max_workers", limit)
        groups.append(NodeGroup(resources=dict(node.get("resources", {})), at_most=at_most))
    return groups
